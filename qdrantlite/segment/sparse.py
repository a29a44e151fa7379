"""Sparse vectors as postings: for each index the offsets and weights that have it, in sorted runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.segment.best import best_of
from qdrantlite.segment.bitmaps import Offsets, bitmap_of
from qdrantlite.segment.payload_index.parts import Part, Parts, array_of, bitmap_from, bitmap_part
from qdrantlite.segment.runs import LogView, Run, RunLog, alive
from qdrantlite.segment.selection import Selection
from qdrantlite.values.vector import F32, U32, SparseVector

SCATTER_RATIO = 16
"""Totals are kept for every offset up to the last one while postings are at least one in so many of them."""
BLOCK = 64


@dataclass(frozen=True, slots=True, eq=False)
class SparseView:
    """The index at one moment; immutable. Scores are sums over shared indices, in float64, given as float32."""

    entries: LogView[np.uint32]
    bare: Selection
    """Points whose vector has no entries; such a vector is stored and found by no search."""

    def search(self, query: SparseVector, *, selection: Selection, limit: int) -> tuple[Offsets, F32]:
        """Best points of the selection that share an index with the query and whose total is not 0.

        ``(offsets (k,) uint32, scores (k,) float32)``, best first, ties by offset, ``k <= limit``.
        """
        if not len(selection) or limit == 0:
            return np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.float32)
        offsets, products = self._products(query)
        if len(offsets) and int(offsets.max()) < SCATTER_RATIO * len(offsets):
            totals = np.bincount(offsets, weights=products).astype(np.float32)
            totals[~_flags(selection, len(totals))] = 0
            found = _contenders(totals, limit)
            return best_of(found.astype(np.uint32), totals[found], limit=limit, larger_is_better=True)
        unique, places = np.unique(offsets, return_inverse=True)
        scores = np.bincount(places, weights=products, minlength=len(unique)).astype(np.float32)
        kept = selection.contains(unique) & (scores != 0)
        return best_of(unique[kept], scores[kept], limit=limit, larger_is_better=True)

    def score(self, query: SparseVector, offsets: Offsets) -> tuple[F32, npt.NDArray[np.bool_]]:
        """Score of each offset, 0 without overlap, and whether it shares an index with the query, in order."""
        if not len(offsets):
            return np.empty(0, dtype=np.float32), np.empty(0, dtype=np.bool_)
        wanted, places = np.unique(offsets, return_inverse=True)
        found, products = self._products(query)
        flags = np.zeros(int(wanted[-1]) + 1, dtype=np.bool_)
        flags[wanted] = True
        kept = found < len(flags)
        kept[kept] = flags[found[kept]]
        rows = np.searchsorted(wanted, found[kept])
        totals = np.bincount(rows, weights=products[kept], minlength=len(wanted)).astype(np.float32)
        shared = np.bincount(rows, minlength=len(wanted)) > 0
        return totals[places], shared[places]

    def idf(self, indices: U32, live: Selection) -> F32:
        """``ln((n - df + 0.5) / (df + 0.5) + 1)`` of each index, ``(len(indices),) float32``.

        ``live`` are the points of the corpus that have this vector: ``n`` is their number, ``df`` counts them only.
        """
        frequency = np.zeros(len(indices), dtype=np.float64)
        for visible in self.entries.runs():
            found, numbers = visible.locate(indices)
            if not visible.dead and visible.run.everything().issubset(live.bitmap):
                frequency[found] += visible.run.starts[numbers + 1] - visible.run.starts[numbers]
                continue
            groups = [visible.group(number) for number in numbers.tolist()]
            frequency[found] += [group.intersection_cardinality(live.bitmap) for group in groups]
        weights: F32 = np.log((len(live) - frequency + 0.5) / (frequency + 0.5) + 1).astype(np.float32)
        return weights

    def _products(self, query: SparseVector) -> tuple[Offsets, F32]:
        """Offset and product of every posting under an index of the query, in no order."""
        offsets: list[Offsets] = [np.empty(0, dtype=np.uint32)]
        products: list[F32] = [np.empty(0, dtype=np.float32)]
        for visible in self.entries.runs():
            run = visible.run
            assert run.weights is not None
            found, numbers = visible.locate(query.indices)
            bounds = zip(run.starts[numbers].tolist(), run.starts[numbers + 1].tolist(), strict=True)
            for (start, stop), weight in zip(bounds, query.weights[found], strict=True):
                owners, values = run.offsets[start:stop], run.weights[start:stop] * weight
                if visible.dead:
                    kept = alive(owners, visible.dead)
                    owners, values = owners[kept], values[kept]
                offsets.append(owners)
                products.append(values)
        return np.concatenate(offsets), np.concatenate(products)


class SparseIndex:
    """The postings of one sparse vector; all methods run under the collection's lock. 12 bytes per weight at most."""

    def __init__(self) -> None:
        self._log: RunLog[np.uint32] = RunLog(np.uint32, weighted=True)
        self._bare: AbstractBitMap = BitMap()

    def add(self, offsets: Offsets, vectors: Sequence[SparseVector]) -> None:
        """Take up points, ``vectors[i]`` of ``offsets[i]``; an offset that is in already must be discarded first."""
        if not len(vectors):
            return
        counts = [len(vector.indices) for vector in vectors]
        if 0 in counts:
            self._bare = self._bare | bitmap_of(offsets[np.equal(counts, 0)])
        self._log.add(
            np.concatenate([vector.indices for vector in vectors]),
            np.repeat(offsets, counts),
            np.concatenate([vector.weights for vector in vectors]),
        )

    def discard(self, offsets: AbstractBitMap) -> None:
        """Forget these points; unknown ones are no error."""
        self._log.discard(offsets)
        if self._bare:
            self._bare = self._bare - offsets

    def view(self) -> SparseView:
        """What is in now; later changes do not show in it. Takes time in proportion to the number of runs."""
        return SparseView(self._log.view(), Selection(self._bare))

    def dump(self) -> list[Part]:
        """Everything needed to ``load``: four arrays and a bitmap."""
        run = self._log.compacted()
        assert run.weights is not None
        arrays: list[Part] = [("keys", run.keys), ("starts", run.starts), ("offsets", run.offsets)]
        return [*arrays, ("weights", run.weights), bitmap_part("bare", self._bare)]

    def load(self, parts: Parts) -> None:
        """Take the state of a dump; the index must be fresh. Arrays are kept, not copied. Raises KeyError."""
        keys, starts, offsets = (
            array_of(parts, name).astype(np.uint32, copy=False) for name in ("keys", "starts", "offsets")
        )
        weights = array_of(parts, "weights").astype(np.float32, copy=False)
        self._log.restore(Run(keys, starts, offsets, weights))
        self._bare = bitmap_from(parts, "bare")


def _flags(selection: Selection, stop: int) -> npt.NDArray[np.bool_]:
    """Whether each offset below ``stop`` is selected."""
    return np.unpackbits(selection.mask(0, stop), count=stop, bitorder="little").view(np.bool_)


def _contenders(totals: F32, limit: int) -> npt.NDArray[np.int64]:
    """Offsets of totals other than 0 among which the best ``limit`` are; few, where blocks of totals can be ruled out.

    The ``limit``-th best of the blocks' best totals is no better than the ``limit``-th best total.
    """
    blocks = totals[: len(totals) // BLOCK * BLOCK].reshape(-1, BLOCK).max(axis=1)
    if limit <= len(blocks):
        threshold = np.partition(blocks, len(blocks) - limit)[len(blocks) - limit]
        if threshold > 0:
            return np.flatnonzero(totals >= threshold)
    return np.flatnonzero(totals)
