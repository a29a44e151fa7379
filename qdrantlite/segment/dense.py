"""Dense vectors of one name: exact scans over stored rows, sealed graphs beside them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from qdrantlite.deadline import FOREVER, Ask
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.sealed import PLAIN, Refinement, SealedSegment
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index import exact
from qdrantlite.segment.vector_index.row_encoding import Rows, as_float32
from qdrantlite.segment.vector_index.row_norms import RowNorms, have_norms
from qdrantlite.storage.vacant import NO_RANGES, Ranges, between
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import F32

STRETCH_COMPONENTS = 16 << 20
"""Compared between two looks at the deadline by one query: some 10 ms where float32 rows are read in order."""

Spans: TypeAlias = tuple[tuple[int, int], ...]
"""Ranges of rows ``start <= row < stop``, ascending; none is empty."""

QUERIES_AS_ONE = 8
"""So many queries of a batch take as long as one alone."""


@dataclass(frozen=True, slots=True, eq=False)
class DenseView:
    """One dense vector of all points at one moment; row number = offset.

    ``present`` are the live points that have the vector, ``None`` when that is every row; in ``vacant`` ranges of rows
    there are none and never will be, and no scan reads them. ``sealed`` is empty until graphs exist. ``verify`` is
    called with offsets or a slice of them before their rows are served and raises Corrupted. Queries ``(dim,)`` or
    ``(q, dim)`` float32 are prepared already (``row_encoding.prepare_query``). Results for one query are ``(offsets
    (k,) uint32, scores (k,) float32)``; for several ``(q, k)``, missing hits padded with ``exact.MISSING``. Best first,
    ties by offset, scores as Qdrant reports them. ``ask`` is called between stretches of rows.
    """

    rows: Rows
    distance: Distance
    datatype: Datatype
    present: Selection | None
    sealed: tuple[SealedSegment, ...]
    held: Spans = field(init=False)
    """Ranges of rows that are not vacant."""
    unsealed: Spans = field(init=False)
    """Those, or parts of them, that no graph covers."""
    verify: Callable[[Offsets | slice], None]
    norms: RowNorms = field(default_factory=RowNorms)
    """Of the rows, where products with them are divided by norms; found when they are first compared in order."""
    vacant: Ranges = field(default_factory=lambda: NO_RANGES)

    def __post_init__(self) -> None:
        object.__setattr__(self, "held", between(self.vacant, 0, len(self.rows)))
        starts = (0, *(segment.stop for segment in self.sealed))
        stops = (*(segment.first for segment in self.sealed), len(self.rows))
        spans = [between(self.vacant, *span) for span in zip(starts, stops, strict=True)]
        object.__setattr__(self, "unsealed", tuple(chain.from_iterable(spans)))

    @property
    def rows_held(self) -> int:
        """Rows that a scan of everything passes over."""
        return sum([stop - start for start, stop in self.held])

    @property
    def rows_sealed(self) -> tuple[int, ...]:
        """Of these, how many each graph covers."""
        spans = [between(self.vacant, segment.first, segment.stop) for segment in self.sealed]
        return tuple([sum([stop - start for start, stop in held]) for held in spans])

    @property
    def points(self) -> int:
        """Live points that have the vector."""
        return len(self.rows) if self.present is None else len(self.present)

    def scan(
        self, queries: F32, *, limit: int, selection: Selection | None = None, ask: Ask = FOREVER.check
    ) -> tuple[Offsets, F32]:
        """Best of the selection (``None`` = all present) by reading all rows in order, but the vacant."""
        passing = self._present_in(selection)
        width = min(limit, len(self.rows) if passing is None else len(passing))
        several = _as_many(queries)
        spans = self.held or ((0, 0),)
        parts = [part for span in spans for part in self._scanned(several, span, width, passing, ask)]
        return self._best(parts, limit=width, single=queries.ndim == 1)

    def walk(
        self,
        queries: F32,
        *,
        limit: int,
        ef: int,
        tail: bool = True,
        refinement: Refinement = PLAIN,
        ask: Ask = FOREVER.check,
    ) -> tuple[Offsets, F32]:
        """Best of all present along the graphs, and by scanning what they do not cover or link.

        Approximate: may miss some. Without ``tail`` only the graphs are asked. ``refinement`` counts where a segment
        has codes.
        """
        single = queries.ndim == 1
        several = _as_many(queries)
        passing = self.present
        width = limit if passing is None else min(limit, len(passing))
        parts: list[tuple[Offsets, F32]] = []
        for segment in self.sealed:
            ask()
            parts.append(segment.walk(several, limit=width, ef=ef, passing=passing, refinement=refinement))
        parts.extend(self._beside(several, width, passing, ask, tail=tail))
        return self._together(parts, limit=width, single=single)

    def sift(
        self,
        queries: F32,
        *,
        limit: int,
        ef: int,
        selection: Selection,
        tail: bool = True,
        refinement: Refinement = PLAIN,
        ask: Ask = FOREVER.check,
    ) -> tuple[Offsets, F32, npt.NDArray[np.bool_]]:
        """Best of the selection among the nearest of all along the graphs, and by scanning what they do not cover.

        Without ``tail`` only the graphs are asked. The third array ``(q,) bool`` tells for which queries that is as
        good as a walk without a selection; for others too few of the selection are near, and points of it that are
        better than those returned were likely missed.
        """
        single = queries.ndim == 1
        several = _as_many(queries)
        passing = self._present_in(selection)
        assert passing is not None
        width = min(limit, len(passing))
        parts: list[tuple[Offsets, F32]] = []
        sure = np.ones(len(several), dtype=np.bool_)
        for segment in self.sealed:
            ask()
            offsets, scores, met = segment.sift(several, limit=width, ef=ef, passing=passing, refinement=refinement)
            parts.append((offsets, scores))
            sure &= met
        parts.extend(self._beside(several, width, passing, ask, tail=tail))
        return *self._together(parts, limit=width, single=single), sure

    def _together(self, parts: list[tuple[Offsets, F32]], *, limit: int, single: bool) -> tuple[Offsets, F32]:
        """The best of what several ranges of rows gave, and their rows verified."""
        offsets, scores = self._best(parts, limit=limit, single=single)
        self.verify(offsets if single else offsets[offsets != exact.MISSING])
        return offsets, scores

    def _beside(
        self, queries: F32, limit: int, passing: Selection | None, ask: Ask, *, tail: bool
    ) -> Iterator[tuple[Offsets, F32]]:
        """Best of what the graphs do not hold: what lies in the range of one that could not link it, which is usually
        nothing, and with ``tail`` the rows that none covers.
        """
        for segment in self.sealed:
            if segment.apart is not None:
                left = segment.apart if passing is None else segment.apart.intersection(passing)
                yield from self._chosen(queries, left.offsets(), limit, ask)
        for span in self.unsealed if tail else ():
            yield from self._scanned(queries, span, limit, passing, ask)

    def _best(self, parts: list[tuple[Offsets, F32]], *, limit: int, single: bool) -> tuple[Offsets, F32]:
        """The best ``limit`` of several parts, none of which holds more."""
        if len(parts) == 1:
            return self._ordered(*parts[0], single=single)
        offsets, scores = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
        offsets, scores = self._ordered(offsets, scores, single=single)
        return offsets[..., :limit], scores[..., :limit]

    def _scanned(
        self, queries: F32, span: tuple[int, int], limit: int, passing: Selection | None, ask: Ask
    ) -> Iterator[tuple[Offsets, F32]]:
        """The best of a range of rows, stretch by stretch; there is at least one."""
        first, end = span
        step = self._stretch(len(queries))
        for start in range(first, max(end, first + 1), step):
            stop = min(start + step, end)
            ask()
            self.verify(slice(start, stop))
            selector = None if passing is None else passing.mask(start, stop)
            norms = self.norms.of(self.rows, start, stop) if have_norms(self.rows, self.distance) else None
            yield exact.scan(
                self.rows[start:stop],
                queries,
                distance=self.distance,
                limit=limit,
                start=start,
                selector=selector,
                norms=norms,
            )

    def _stretch(self, queries: int) -> int:
        """Rows compared between two looks at the deadline."""
        dimension: int = self.rows.shape[1]
        return max(1, STRETCH_COMPONENTS // (dimension * max(1, queries // QUERIES_AS_ONE)))

    def _stretches(self, offsets: Offsets, queries: int, ask: Ask) -> Iterator[Offsets]:
        """These offsets, some at a time, their rows verified; there is at least one part."""
        step = self._stretch(queries)
        for at in range(0, max(len(offsets), 1), step):
            ask()
            chosen = offsets[at : at + step]
            self.verify(chosen)
            yield chosen

    def subset(self, queries: F32, offsets: Offsets, *, limit: int, ask: Ask = FOREVER.check) -> tuple[Offsets, F32]:
        """Best of these offsets, ascending and all present, reading their rows only."""
        single = queries.ndim == 1
        several = _as_many(queries)
        return self._best(self._chosen(several, offsets, limit, ask), limit=limit, single=single)

    def _chosen(self, queries: F32, offsets: Offsets, limit: int, ask: Ask) -> list[tuple[Offsets, F32]]:
        """The best of these offsets, some at a time; there is at least one part."""
        return [
            exact.subset(self.rows, queries, chosen, distance=self.distance, limit=limit)
            for chosen in self._stretches(offsets, len(queries), ask)
        ]

    def score(self, query: F32, offsets: Offsets, *, ask: Ask = FOREVER.check) -> F32:
        """Score of each of these offsets, all present, ``(n,) float32`` in the order given."""
        stretches = self._stretches(offsets, 1, ask)
        parts = [exact.score(self.rows, query, chosen, distance=self.distance) for chosen in stretches]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def similarities(self, queries: F32, offsets: Offsets) -> F32:
        """How near these offsets, all present, are to each query, ``(q, n) float32``; see ``exact.similarities``."""
        self.verify(offsets)
        return exact.similarities(self.rows, queries, offsets, distance=self.distance)

    def vectors(self, offsets: Offsets) -> F32:
        """The rows of these offsets, all present, as queries, ``(n, dim) float32``."""
        self.verify(offsets)
        return as_float32(self.rows[offsets], self.distance)

    def only(self, offsets: Offsets) -> "DenseView":
        """These offsets, all present, numbered from 0 in the order given; their rows are copied."""
        self.verify(offsets)
        rows = self.rows[offsets]
        return DenseView(rows, self.distance, self.datatype, None, (), verify=lambda _: None)

    def has(self, offsets: Offsets) -> npt.NDArray[np.bool_]:
        """Whether each point has this vector, ``(n,) bool``."""
        if self.present is None:
            return np.ones(len(offsets), dtype=np.bool_)
        return self.present.contains(offsets)

    def behind_graphs(self, selection: Selection | None) -> Selection:
        """Those of the selection (``None`` = all present) that a graph covers."""
        covered = Selection.of_range(0, len(self.rows)) if selection is None else selection
        for start, stop in self.unsealed:
            covered = covered.difference(Selection.of_range(start, stop))
        return covered if self.present is None else covered.intersection(self.present)

    def _present_in(self, selection: Selection | None) -> Selection | None:
        if selection is None or self.present is None:
            return self.present if selection is None else selection
        return selection.intersection(self.present)

    def _ordered(self, offsets: Offsets, scores: F32, *, single: bool) -> tuple[Offsets, F32]:
        """Settle ties by offset; for a single query drop the padding."""
        if single:
            offsets, scores = offsets[0], scores[0]
            near, far = scores[:-1], scores[1:]
            apart = near > far if self.distance.larger_is_better else near < far
            if len(offsets) and np.logical_and.reduce(apart) and offsets[-1] != exact.MISSING:
                return offsets, scores  # The usual case: in order already, nothing tied, nothing missing.
            found = offsets != exact.MISSING
            offsets, scores = offsets[found], scores[found]
            order = np.lexsort((offsets, -scores if self.distance.larger_is_better else scores))
            return offsets[order], scores[order]
        order = np.lexsort((offsets, -scores if self.distance.larger_is_better else scores), axis=-1)
        return np.take_along_axis(offsets, order, axis=1), np.take_along_axis(scores, order, axis=1)


def _as_many(queries: F32) -> F32:
    """``(q, dim)``, of a single query too, in two fifths of the time that ``np.atleast_2d`` takes."""
    return queries[np.newaxis] if queries.ndim == 1 else queries
