"""Sparse vectors as postings: for each index the offsets and weights that have it, in sorted runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import faiss
import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.deadline import FOREVER, Ask
from qdrantlite.segment.best import best_of
from qdrantlite.segment.bitmaps import Offsets, bitmap_of, packed_bits
from qdrantlite.segment.payload_index.parts import Part, Parts, array_of, bitmap_from, bitmap_part
from qdrantlite.segment.runs import Entries, Run, VisibleRun, alive, concatenated, make_run
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.sparse_columns import ColumnCache, RunColumns
from qdrantlite.segment.stack import Layer, Stack
from qdrantlite.values.vector import F32, U32, SparseVector

SCATTER_RATIO = 16
"""Totals are kept for every offset up to the last one while postings are at least one in so many of them."""
BLOCK = 64
LOOKUP_COST = 40
"""Looking for one offset in a posting list costs as much as scattering so many postings."""
EPSILON = float(np.finfo(np.float32).eps)
VERIFIED_SHARE = 16
"""Where more than one in so many offsets may be among the best, all postings are added up."""


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """The postings of a run under one index of a query: offsets ascending, weights, and the query's own weight."""

    number: int
    offsets: Offsets
    weights: F32
    factor: np.float32


@dataclass(frozen=True, slots=True, eq=False)
class SparseView:
    """The index at one moment; immutable. Scores are sums over shared indices, in float64, given as float32.

    A sum of float32 products in float64 is exact but for weights many magnitudes apart, so that a point's score does
    not depend on the way in which it was found.
    """

    runs: tuple[VisibleRun[np.uint32], ...]
    bare: Selection
    """Points whose vector has no entries; such a vector is stored and found by no search."""
    columns: ColumnCache

    @property
    def size(self) -> int:
        """Number of postings, forgotten ones included."""
        return sum([len(visible.run.offsets) for visible in self.runs])

    def search(
        self, query: SparseVector, *, selection: Selection, limit: int, ask: Ask = FOREVER.check
    ) -> tuple[Offsets, F32]:
        """Best points of the selection that share an index with the query and whose total is not 0.

        ``(offsets (k,) uint32, scores (k,) float32)``, best first, ties by offset, ``k <= limit``. ``ask`` is called
        between lists of postings.
        """
        limit = min(limit, len(selection))
        lists = [(visible, found) for visible in self.runs if (found := _lists(visible, query))]
        if limit == 0 or not lists:
            return _NOTHING
        postings = sum([len(each.offsets) for _, found in lists for each in found])
        if len(selection) * len(query.indices) * LOOKUP_COST < postings:
            offsets = selection.offsets()
            return _nonzero_best(offsets, self.score(query, offsets, ask=ask)[0], limit)
        parts: list[tuple[Offsets, F32]] = []
        whole: list[tuple[VisibleRun[np.uint32], list[Listed]]] = []
        for visible, found in lists:
            ask()
            part = self._approached(visible, found, selection, limit, ask)
            if part is None:
                whole.append((visible, found))
            else:
                parts.append(part)
        if whole:
            parts.append(_added_up(whole, selection, limit, ask))
        if len(parts) == 1:
            return parts[0]
        offsets, scores = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return best_of(offsets, scores, limit=limit, larger_is_better=True)

    def _approached(
        self, visible: VisibleRun[np.uint32], lists: list[Listed], selection: Selection, limit: int, ask: Ask
    ) -> tuple[Offsets, F32] | None:
        """The best of one run: roughly added up in float32 with columns, then the totals of the few that may be best.

        None where no list is frequent, or where too many may be among the best.
        """
        columns = [self.columns.column(visible.run, each.number) for each in lists]
        frequent = [(each.factor, column) for each, column in zip(lists, columns, strict=True) if column is not None]
        if not frequent:
            return None
        covered = self.columns.of(visible.run)
        rare = _totals([each for each, column in zip(lists, columns, strict=True) if column is None], covered)
        rough = rare.astype(np.float32)
        address = faiss.swig_ptr(rough)
        for factor, column in frequent:
            ask()
            faiss.fvec_madd(covered.span, address, float(factor), faiss.swig_ptr(column), address)
        passing = _passing(visible, selection, covered)
        if passing is not None:
            rough[~passing] = 0
        reach = sum([abs(float(each.factor)) * self.columns.peak(visible.run, each.number) for each in lists])
        least = _threshold(rough, limit) - 2 * len(lists) * EPSILON * reach
        if not 0 < least < np.inf:
            return None
        hopeful = np.flatnonzero(rough >= least)
        if len(hopeful) * VERIFIED_SHARE > covered.span:
            return None
        totals = rare[hopeful]
        for factor, column in frequent:
            totals += column[hopeful] * factor
        return _nonzero_best((hopeful + covered.first).astype(np.uint32), totals.astype(np.float32), limit)

    def score(
        self, query: SparseVector, offsets: Offsets, *, ask: Ask = FOREVER.check
    ) -> tuple[F32, npt.NDArray[np.bool_]]:
        """Score of each offset, 0 without overlap, and whether it shares an index with the query, in order."""
        if not len(offsets):
            return np.empty(0, dtype=np.float32), np.empty(0, dtype=np.bool_)
        wanted, places = np.unique(offsets, return_inverse=True)
        totals, shared = np.zeros(len(wanted), dtype=np.float64), np.zeros(len(wanted), dtype=np.bool_)
        for visible in self.runs:
            ask()
            lists = _lists(visible, query)
            if lists:
                alive_at = alive(wanted, visible.dead)
                found, met = _totals_at(lists, wanted)
                totals[alive_at] += found[alive_at]
                shared |= met & alive_at
        return totals.astype(np.float32)[places], shared[places]

    def idf(self, indices: U32, live: Selection) -> F32:
        """``ln((n - df + 0.5) / (df + 0.5) + 1)`` of each index, ``(len(indices),) float32``.

        ``live`` are the points of the corpus that have this vector: ``n`` is their number, ``df`` counts them only.
        """
        frequency = np.zeros(len(indices), dtype=np.float64)
        for visible in self.runs:
            found, numbers = visible.run.locate(indices)
            if not visible.dead and visible.run.everything().issubset(live.bitmap):
                frequency[found] += visible.run.starts[numbers + 1] - visible.run.starts[numbers]
                continue
            groups = [visible.group(number) for number in numbers.tolist()]
            frequency[found] += [group.intersection_cardinality(live.bitmap) for group in groups]
        weights: F32 = np.log((len(live) - frequency + 0.5) / (frequency + 0.5) + 1).astype(np.float32)
        return weights


@dataclass(frozen=True, slots=True, eq=False)
class SparseSegment:
    """The postings of some points; see ``stack.Segment``. 12 bytes per weight at most."""

    run: Run[np.uint32]
    bare: AbstractBitMap
    """Points whose vector has no entries."""

    @property
    def size(self) -> int:
        """Number of weights, and of points without any."""
        return len(self.run.offsets) + len(self.bare)

    @property
    def held(self) -> AbstractBitMap:
        """Points whose vectors are here."""
        return self.run.everything() | self.bare if self.bare else self.run.everything()

    def dump(self) -> list[Part]:
        """Everything needed to ``load``: four arrays and a bitmap."""
        run = self.run
        assert run.weights is not None
        arrays: list[Part] = [("keys", run.keys), ("starts", run.starts), ("offsets", run.offsets)]
        return [*arrays, ("weights", run.weights), bitmap_part("bare", self.bare)]

    @staticmethod
    def load(parts: Parts) -> "SparseSegment":
        """From a dump. Arrays are kept, not copied: they may be mapped. Raises KeyError."""
        keys, starts, offsets = (
            array_of(parts, name).astype(np.uint32, copy=False) for name in ("keys", "starts", "offsets")
        )
        weights = array_of(parts, "weights").astype(np.float32, copy=False)
        return SparseSegment(Run(keys, starts, offsets, weights), bitmap_from(parts, "bare"))


@dataclass(frozen=True, slots=True, eq=False)
class SparseIndex:
    """The postings of one sparse vector. Immutable: a commit makes a new one, which shares segments and columns."""

    stack: Stack[SparseSegment] = field(default_factory=Stack)
    columns: ColumnCache = field(default_factory=ColumnCache)

    def with_points(self, offsets: Offsets, vectors: Sequence[SparseVector]) -> "SparseIndex":
        """With points taken up, ``vectors[i]`` of ``offsets[i]``; what is here of them must have been forgotten."""
        if not len(vectors):
            return self
        counts = [len(vector.indices) for vector in vectors]
        entries: Entries[np.uint32] = Entries(
            np.concatenate([vector.indices for vector in vectors]),
            np.repeat(offsets, counts),
            np.concatenate([vector.weights for vector in vectors]),
        )
        segment = SparseSegment(make_run(entries), bitmap_of(offsets[np.equal(counts, 0)]))
        return replace(self, stack=self.stack.added(segment, self.merged))

    def without(self, offsets: AbstractBitMap) -> "SparseIndex":
        """With these points forgotten; those that are not here are no error."""
        return replace(self, stack=self.stack.without(offsets))

    def settled(self) -> "SparseIndex":
        """With all segments merged that ought to be: answers do not change."""
        return replace(self, stack=self.stack.settled(self.merged))

    @staticmethod
    def merged(layers: Sequence[Layer[SparseSegment]]) -> SparseSegment:
        """One segment of several; see ``stack.Merge``."""
        bare = BitMap().union(*(layer.segment.bare - layer.forgotten for layer in layers))
        together: Entries[np.uint32] = concatenated(
            [VisibleRun(layer.segment.run, layer.forgotten).entries() for layer in layers]
        )
        return SparseSegment(make_run(together), bare)

    def view(self) -> SparseView:
        """What searches ask. Takes time in proportion to the number of segments."""
        runs = [
            VisibleRun(layer.segment.run, layer.forgotten) for layer in self.stack if len(layer.segment.run.offsets)
        ]
        bare = [layer.segment.bare - layer.forgotten for layer in self.stack if layer.segment.bare]
        return SparseView(tuple(runs), Selection(BitMap().union(*bare)), self.columns)


def _lists(visible: VisibleRun[np.uint32], query: SparseVector) -> list[Listed]:
    """The postings of a run under the query's indices, in their order; forgotten offsets are among them."""
    run = visible.run
    assert run.weights is not None
    found, numbers = run.locate(query.indices)
    bounds = zip(numbers.tolist(), run.starts[numbers].tolist(), run.starts[numbers + 1].tolist(), strict=True)
    return [
        Listed(number, run.offsets[start:stop], run.weights[start:stop], factor)
        for (number, start, stop), factor in zip(bounds, query.weights[found], strict=True)
    ]


def _totals(lists: Sequence[Listed], covered: RunColumns) -> npt.NDArray[np.float64]:
    """Totals of all offsets of a run, ``(span,)``."""
    totals = np.zeros(covered.span, dtype=np.float64)
    if lists:
        offsets = np.concatenate([each.offsets for each in lists])
        if covered.first:
            offsets -= np.uint32(covered.first)
        # Twice as quick as ``bincount``, which converts offsets first.
        np.add.at(totals, offsets, np.concatenate([each.weights * each.factor for each in lists], dtype=np.float64))
    return totals


def _totals_at(lists: Sequence[Listed], offsets: Offsets) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Totals of ascending offsets, and whether any list has them."""
    totals, shared = np.zeros(len(offsets), dtype=np.float64), np.zeros(len(offsets), dtype=np.bool_)
    for each in lists:
        if len(each.offsets) < len(offsets):  # Whichever is shorter is looked for in the other.
            places = np.searchsorted(offsets, each.offsets)
            places[places == len(offsets)] = 0
            met = offsets[places] == each.offsets
            places = places[met]
            totals[places] += each.weights[met] * each.factor
        else:
            numbers = np.searchsorted(each.offsets, offsets)
            numbers[numbers == len(each.offsets)] = 0
            places = np.flatnonzero(each.offsets[numbers] == offsets)
            totals[places] += each.weights[numbers[places]] * each.factor
        shared[places] = True
    return totals, shared


def _flags(bits: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.bool_]:
    """The first ``count`` of packed bits, ``(count,) bool``."""
    return np.unpackbits(bits, count=count, bitorder="little").view(np.bool_)


def _passing(visible: VisibleRun[np.uint32], selection: Selection, covered: RunColumns) -> npt.NDArray[np.bool_] | None:
    """Whether each offset of a run is selected and not forgotten, ``(span,) bool``; None when all are."""
    passing, first, span = None, covered.first, covered.span
    if selection.bitmap.range_cardinality(first, first + span) < span:
        passing = _flags(selection.mask(first, first + span), span)
    if visible.dead:
        living = ~_flags(packed_bits(visible.dead, first, first + span), span)
        passing = living if passing is None else passing & living
    return passing


def _added_up(
    runs: Sequence[tuple[VisibleRun[np.uint32], list[Listed]]], selection: Selection, limit: int, ask: Ask
) -> tuple[Offsets, F32]:
    """The best of several runs by adding up all postings."""
    offsets: list[Offsets] = []
    products: list[F32] = []
    for visible, lists in runs:
        for each in lists:
            ask()
            owners, values = each.offsets, each.weights * each.factor
            if visible.dead:
                kept = alive(owners, visible.dead)
                owners, values = owners[kept], values[kept]
            offsets.append(owners)
            products.append(values)
    every, weights = np.concatenate(offsets), np.concatenate(products)
    if len(every) and int(every.max()) < SCATTER_RATIO * len(every):
        totals = np.bincount(every, weights=weights).astype(np.float32)
        totals[~_flags(selection.mask(0, len(totals)), len(totals))] = 0
        found = _contenders(totals, limit)
        return _nonzero_best(found.astype(np.uint32), totals[found], limit)
    unique, places = np.unique(every, return_inverse=True)
    scores = np.bincount(places, weights=weights, minlength=len(unique)).astype(np.float32)
    kept = selection.contains(unique)
    return _nonzero_best(unique[kept], scores[kept], limit)


def _nonzero_best(offsets: Offsets, scores: F32, limit: int) -> tuple[Offsets, F32]:
    kept = scores != 0
    return best_of(offsets[kept], scores[kept], limit=limit, larger_is_better=True)


_NOTHING = np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.float32)


def _threshold(totals: F32, limit: int) -> float:
    """A total that at least ``limit`` of the totals reach, or 0 where none above 0 is easily found.

    The ``limit``-th best of the blocks' best totals is no better than the ``limit``-th best total.
    """
    blocks = totals[: len(totals) // BLOCK * BLOCK].reshape(-1, BLOCK).max(axis=1)
    if limit > len(blocks) or np.isnan(blocks).any():  # A total that is NaN is reached by none.
        return 0.0
    return float(np.partition(blocks, len(blocks) - limit)[len(blocks) - limit])


def _contenders(totals: F32, limit: int) -> npt.NDArray[np.int64]:
    """Offsets of totals other than 0 among which the best ``limit`` are; few, where most can be ruled out."""
    least = _threshold(totals, limit)
    return np.flatnonzero(totals >= least) if least > 0 else np.flatnonzero(totals)
