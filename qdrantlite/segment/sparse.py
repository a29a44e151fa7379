"""Sparse vectors as postings: for each index the offsets and weights that have it, in sorted runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.deadline import FOREVER, Ask
from qdrantlite.segment.bitmaps import Offsets, bitmap_of
from qdrantlite.segment.payload_index.parts import Part, Parts, array_of, bitmap_from, bitmap_part
from qdrantlite.segment.runs import Entries, Run, VisibleRun, make_run, merged_run
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.sparse_columns import ColumnCache
from qdrantlite.segment.sparse_totals import NOTHING, Located, best_of_each, listed_together, locate, totals_at
from qdrantlite.segment.stack import Layer, Stack
from qdrantlite.text.bm25 import rarity
from qdrantlite.values.vector import F32, U32, SparseVector


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """The points that IDF counts, and the runs of which it counts every posting."""

    points: Selection
    whole: frozenset[VisibleRun[np.uint32]]


@dataclass(slots=True, eq=False)
class _Memory:
    """What a view was asked last, by the identity of what was given, and its answer; put in place as a whole.

    Weighting a query by IDF and searching for it ask for the same indices, one after the other.
    """

    located: tuple[U32, list[Located]] | None = None
    counted: tuple[Selection, _Counted] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SparseView:
    """The index at one moment; immutable. Scores are totals over shared indices (``sparse_totals``) as float32."""

    runs: tuple[VisibleRun[np.uint32], ...]
    bare: Selection
    """Points whose vector has no entries; such a vector is stored and found by no search."""
    columns: ColumnCache
    _memory: _Memory = field(default_factory=_Memory, repr=False)

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
        if limit == 0:
            return NOTHING
        found = listed_together(self._located(query.indices), query.weights, selection.bitmap, self.columns)
        return best_of_each(found, selection, limit, ask)

    def score(
        self, query: SparseVector, offsets: Offsets, *, ask: Ask = FOREVER.check
    ) -> tuple[F32, npt.NDArray[np.bool_]]:
        """Score of each offset, 0 without overlap, and whether it shares an index with the query, in order."""
        wanted, places = offsets, None
        if not (offsets[1:] > offsets[:-1]).all():
            wanted, places = np.unique(offsets, return_inverse=True)
        totals, shared = np.zeros(len(wanted), dtype=np.float64), np.zeros(len(wanted), dtype=np.bool_)
        located, among = self._located(query.indices), bitmap_of(wanted)
        for together in listed_together(located, query.weights, among, self.columns):
            found, met = totals_at(together, wanted, ask)
            totals += found
            shared |= met
        scores = totals.astype(np.float32)
        return (scores, shared) if places is None else (scores[places], shared[places])

    def idf(self, indices: U32, present: Selection, corpus: Selection | None = None) -> F32:
        """``text.bm25.rarity`` of each index, ``(len(indices),) float32``.

        ``n`` is the number of the points that have this vector (``present``) and are in the corpus, None = all; ``df``
        counts them only. As in Qdrant, a vector without entries counts in a corpus given, and not among all.
        """
        counted = self._everybody(present) if corpus is None else _Counted(present.intersection(corpus), frozenset())
        frequency = np.zeros(len(indices), dtype=np.float64)
        for visible, places, numbers, starts, stops in self._located(indices):
            if visible in counted.whole:
                frequency[places] += stops - starts
                continue
            groups = [visible.group(number) for number in numbers.tolist()]
            frequency[places] += [group.intersection_cardinality(counted.points.bitmap) for group in groups]
        return rarity(len(counted.points), frequency)

    def _everybody(self, present: Selection) -> _Counted:
        """What IDF counts without a corpus; for the points asked about last it is known."""
        last = self._memory.counted
        if last is not None and last[0] is present:
            return last[1]
        points = present.difference(self.bare)
        whole = [each for each in self.runs if not each.dead and each.run.everything().issubset(points.bitmap)]
        counted = _Counted(points, frozenset(whole))
        self._memory.counted = present, counted
        return counted

    def _located(self, indices: U32) -> list[Located]:
        """Where the indices are; of those asked last it is known."""
        last = self._memory.located
        if last is not None and last[0] is indices:
            return last[1]
        located = locate(self.runs, indices)
        self._memory.located = indices, located
        return located


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


@dataclass(frozen=True, eq=False)
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
        run = merged_run([VisibleRun(layer.segment.run, layer.forgotten) for layer in layers])
        return SparseSegment(run, bare)

    @staticmethod
    def load(parts: Parts) -> SparseSegment:
        """A segment from its dump. Raises KeyError."""
        return SparseSegment.load(parts)

    def view(self) -> SparseView:
        """What searches ask, made when they first do. Takes time in proportion to the number of segments."""
        return self._view

    @cached_property
    def _view(self) -> SparseView:
        runs = [
            VisibleRun(layer.segment.run, layer.forgotten) for layer in self.stack if len(layer.segment.run.offsets)
        ]
        bare = [layer.segment.bare - layer.forgotten for layer in self.stack if layer.segment.bare]
        return SparseView(tuple(runs), Selection(BitMap().union(*bare)), self.columns)
