"""Multivectors: several rows per point, compared by MaxSim."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt

from qdrantlite.deadline import FOREVER, Ask
from qdrantlite.segment.best import best_of
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.row_bounds import BoundsIndex
from qdrantlite.segment.runs import ranges
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.cores import use_cores
from qdrantlite.segment.vector_index.row_encoding import Rows, as_float32, unit_query
from qdrantlite.segment.vector_index.row_view import metric_of
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import F32

BLOCK_BYTES = 1 << 18
"""Rows gathered at a time: few enough to stay in the processor's cache until they are compared."""


@dataclass(frozen=True, slots=True, eq=False)
class MultiVectorView:
    """One multivector of all points at one moment.

    ``rows`` ``(total_rows, dim)`` stored dtype; ``bounds`` tell which of them each point owns; ``present`` are the live
    points that have this vector, each with at least one row. ``rows_vacant`` of the rows belong to no point, and never
    will. ``verify`` is called with row numbers before rows are served and raises Corrupted.
    """

    rows: Rows
    bounds: BoundsIndex
    distance: Distance
    datatype: Datatype
    present: Selection
    verify: Callable[[npt.NDArray[np.int64]], None]
    rows_vacant: int = 0

    def score(self, query: F32, offsets: Offsets, *, ask: Ask = FOREVER.check) -> F32:
        """MaxSim of a prepared query ``(q, dim)`` with each point, ``(n,) float32`` in the order given.

        For each row of the query the best of the point's rows, summed; Euclid takes one root of the summed squares.
        Every offset must have the vector. Euclid and Manhattan report distances, smaller is better. A row that is NaN
        to a row of the query is passed over; where all of them are, the score is NaN. ``ask`` is called between blocks.
        """
        sums = self._summed(query, offsets, ask)
        return np.sqrt(sums, out=sums) if self.distance is Distance.EUCLID else sums

    def similarity(self, query: F32, offsets: Offsets, *, ask: Ask = FOREVER.check) -> F32:
        """How near each point is to a prepared query, as ``score`` asks; larger is nearer, always.

        Euclid and Manhattan are negative sums, of squares and of distances: a square of a rounded root would tell
        apart what is equally near.
        """
        sums = self._summed(query, offsets, ask)
        return sums if self.distance.larger_is_better else np.negative(sums, out=sums)

    def _summed(self, query: F32, offsets: Offsets, ask: Ask) -> F32:
        """For each row of the query the best raw value of the point's rows, summed, ``(n,)``."""
        use_cores(1)
        sums = np.empty(len(offsets), dtype=np.float32)
        unit = np.ascontiguousarray(unit_query(query, self.rows, self.distance))
        owned = self.bounds.at(offsets)
        counts = owned.counts.astype(np.int64)
        assert np.all(counts > 0)
        gathered = np.empty((0, self.rows.shape[1]), dtype=self.rows.dtype)
        for first, stop in _blocks(counts, max(1, BLOCK_BYTES // (4 * self.rows.shape[1]))):
            ask()
            sizes = counts[first:stop]
            numbers = ranges(owned.starts[first:stop], sizes)
            self.verify(numbers)
            if len(numbers) > len(gathered):
                gathered = np.empty((len(numbers), self.rows.shape[1]), dtype=self.rows.dtype)
            # Into the same memory each time: fresh pages would cost as much as comparing does.
            rows = self.rows.take(numbers, axis=0, out=gathered[: len(numbers)], mode="clip")
            raw = _compare(as_float32(rows, self.distance), unit, self.distance)
            starts = np.cumsum(sizes) - sizes
            best = _best_rows(raw, starts, larger_is_better=self.distance.larger_is_better)
            sums[first:stop] = best.sum(axis=0)
        return sums

    def toward(self, offsets: Offsets, target: int) -> F32:
        """How near each of these points is to the point ``target``, ``(n,) float32``; all must have the vector.

        MaxSim with the rows of each point as the query; larger is nearer, always: Euclid and Manhattan are negative
        sums, of squares and of distances.
        """
        use_cores(1)
        found = np.empty(len(offsets), dtype=np.float32)
        own = self.bounds.at(np.array([target], dtype=np.uint32))
        rows = self._rows(ranges(own.starts, own.counts))
        owned = self.bounds.at(offsets)
        counts = owned.counts.astype(np.int64)
        for first, stop in _blocks(counts, max(1, BLOCK_BYTES // (4 * self.rows.shape[1]))):
            sizes = counts[first:stop]
            raw = _compare(self._rows(ranges(owned.starts[first:stop], sizes)), rows, self.distance)
            best = raw.max(axis=0) if self.distance.larger_is_better else -raw.min(axis=0)
            found[first:stop] = np.add.reduceat(best, np.cumsum(sizes) - sizes)
        return found

    def _rows(self, numbers: npt.NDArray[np.int64]) -> F32:
        self.verify(numbers)
        return as_float32(self.rows[numbers], self.distance)

    def has(self, offsets: Offsets) -> npt.NDArray[np.bool_]:
        """Whether each point has this vector, ``(n,) bool``."""
        return self.present.contains(offsets)

    def search(self, query: F32, *, selection: Selection, limit: int, ask: Ask = FOREVER.check) -> tuple[Offsets, F32]:
        """Best points of the selection, best first, ties by offset; points without the vector are left out."""
        offsets = selection.intersection(self.present).offsets()
        scores = self.score(query, offsets, ask=ask)
        return best_of(offsets, scores, limit=limit, larger_is_better=self.distance.larger_is_better)


def _blocks(counts: npt.NDArray[np.int64], rows_max: int) -> Iterator[tuple[int, int]]:
    """Cut points into stretches of about ``rows_max`` rows, at least one point each."""
    ends = np.cumsum(counts)
    first = 0
    while first < len(counts):
        before = int(ends[first - 1]) if first else 0
        stop = max(first + 1, int(np.searchsorted(ends, before + rows_max, side="right")))
        yield first, stop
        first = stop


def _best_rows(raw: F32, starts: npt.NDArray[np.int64], *, larger_is_better: bool) -> F32:
    """For each row of the query the best of each point's rows ``(q, points)``, NaN left out where there is another."""
    best: F32 = (np.maximum if larger_is_better else np.minimum).reduceat(raw, starts, axis=1)
    if np.isnan(best).any():  # Twice as slow, and hardly ever needed.
        best = (np.fmax if larger_is_better else np.fmin).reduceat(raw, starts, axis=1)
    return best


def _compare(block: F32, query: F32, distance: Distance) -> F32:
    """Inner products, squared distances or sums of differences ``(q, n)``; differences are taken exactly."""
    if distance.larger_is_better:
        products: F32 = query @ block.T
        return products
    raw = np.empty((len(query), len(block)), dtype=np.float32)
    faiss.pairwise_extra_distances(
        *(block.shape[1], len(query), faiss.swig_ptr(query), len(block), faiss.swig_ptr(block)),
        *(metric_of(distance), 0.0, faiss.swig_ptr(raw)),
    )
    return raw
