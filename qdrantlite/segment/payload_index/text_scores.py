"""Texts ranked by the words of a query (Okapi BM25) over the segments of a text index.

A word's postings say how often each point repeats it, ``Lengths`` how long the texts of each point are; the rest
depends on the query and on the state, and is computed when asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap

from qdrantlite.deadline import Ask
from qdrantlite.segment.best import best_of
from qdrantlite.segment.bitmaps import Offsets, offsets_in
from qdrantlite.segment.payload_index.keyword import Keywords
from qdrantlite.segment.payload_index.parts import Part, Parts, array_of
from qdrantlite.segment.runs import alive
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.sparse_totals import Together, best_together
from qdrantlite.text.bm25 import Saturation
from qdrantlite.values.vector import F32

TABLE_RATIO = 16
"""A table of lengths by offset is made where points are at least one in so many of the offsets."""
LOOKUP_COST = 40
"""Looking for one offset in a posting list costs as much as weighing so many postings."""


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """How many tokens the texts of points have: ``counts[i]`` float32 of ``owners[i]`` uint32, ascending."""

    owners: Offsets
    counts: F32
    _tables: list[F32] = field(default_factory=list, repr=False)

    def of(self, offsets: Offsets) -> F32:
        """Those of some of the owners, in order."""
        first, span = int(self.owners[0]), int(self.owners[-1]) - int(self.owners[0]) + 1
        if span > TABLE_RATIO * len(self.owners):
            return self.counts[np.searchsorted(self.owners, offsets)]
        if not self._tables:
            self._tables.append(self._table(first, span))
        return self._tables[0][offsets - np.uint32(first) if first else offsets]

    def _table(self, first: int, span: int) -> F32:
        if span == len(self.owners):
            return self.counts
        table = np.zeros(span, dtype=np.float32)
        table[self.owners - np.uint32(first)] = self.counts
        return table

    def total(self, points: AbstractBitMap) -> float:
        """Tokens of some of the owners."""
        if len(points) == len(self.owners):
            return float(self.counts.sum(dtype=np.float64))
        return float(self.of(offsets_in(points)).sum(dtype=np.float64)) if points else 0.0

    @staticmethod
    def of_tokens(owners: Offsets) -> "Lengths":
        """From the owner of each token; they ascend."""
        points, counts = np.unique(owners, return_counts=True)
        return Lengths(points, counts.astype(np.float32))

    @staticmethod
    def merged(pieces: Sequence[tuple["Lengths", AbstractBitMap]]) -> "Lengths":
        """Of several, at least one, each without the offsets forgotten there."""
        kept = [(each, alive(each.owners, forgotten)) for each, forgotten in pieces]
        owners = np.concatenate([each.owners[living] for each, living in kept])
        order = np.argsort(owners, kind="stable")
        return Lengths(owners[order], np.concatenate([each.counts[living] for each, living in kept])[order])

    def dump(self) -> list[Part]:
        """Everything needed to ``load``."""
        return [("length_owners", self.owners), ("length_counts", self.counts)]

    @staticmethod
    def load(parts: Parts) -> "Lengths":
        """From a dump. Raises KeyError."""
        return Lengths(
            array_of(parts, "length_owners").astype(np.uint32, copy=False),
            array_of(parts, "length_counts").astype(np.float32, copy=False),
        )


@dataclass(frozen=True, slots=True, eq=False)
class TextSegment:
    """What one segment of the index tells, and the points that count no more there."""

    words: Keywords
    lengths: Lengths
    forgotten: AbstractBitMap


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Points that have tokens: how many, how long on ``average``; and how many say each word, ``(n,) float64``."""

    points: int
    average: float
    saying: npt.NDArray[np.float64]

    def rarities(self) -> F32:
        """``ln((points - saying + 0.5) / (saying + 0.5) + 1)``, ``(n,) float32``."""
        weights: F32 = np.log((self.points - self.saying + 0.5) / (self.saying + 0.5) + 1).astype(np.float32)
        return weights


@dataclass(frozen=True, slots=True, eq=False)
class TextScores:
    """A text index that scores, at one moment; immutable."""

    segments: tuple[TextSegment, ...]

    def corpus(self, words: Sequence[str], among: Selection) -> Corpus:
        """What is known of distinct words among live points."""
        points, length, saying = 0, 0.0, np.zeros(len(words), dtype=np.float64)
        for segment in self.segments:
            indexed = segment.words.indexed
            counted = (indexed - segment.forgotten if segment.forgotten else indexed) & among.bitmap
            whole = len(counted) == len(indexed)
            points += len(counted)
            length += segment.lengths.total(counted)
            run = segment.words.postings.run
            for at, number in self._numbers(segment, words):
                saying[at] += run.size_of(number) if whole else run.group(number).intersection_cardinality(counted)
        return Corpus(points, length / points if points else 0.0, saying)

    def search(
        self, words: Sequence[str], rarities: F32, saturation: Saturation, *, selection: Selection, limit: int, ask: Ask
    ) -> tuple[Offsets, F32]:
        """Best points of the selection that say one of the distinct words, ``(offsets (k,) uint32, scores (k,)
        float32)``, best first, ties by offset, ``k <= limit``. ``ask`` is called between pieces of work.
        """
        limit = min(limit, len(selection))
        if limit == 0:
            return _NOTHING
        found = [self._said(segment, words, rarities, saturation, selection) for segment in self.segments]
        parts = [best_together(together, selection, limit, ask) for together in found if together is not None]
        if not parts:
            return _NOTHING
        offsets, scores = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return best_of(offsets, scores, limit=limit, larger_is_better=True)

    def _said(
        self, segment: TextSegment, words: Sequence[str], rarities: F32, saturation: Saturation, selection: Selection
    ) -> Together | None:
        """What words are worth in a segment, as far as the points are selected or many; None if none is said."""
        run, lengths = segment.words.postings.run, segment.lengths
        assert run.weights is not None
        offsets: list[Offsets] = []
        weights: list[F32] = []
        factors: list[np.float32] = []
        for at, number in self._numbers(segment, words):
            owners, repeats = run.offsets_of(number), run.weights[run.starts[number] : run.starts[number + 1]]
            if len(selection) * LOOKUP_COST < len(owners):
                places = _places_of(selection.offsets(), owners)
                owners, repeats = owners[places], repeats[places]
            offsets.append(owners)
            weights.append(saturation.of(repeats, lengths.of(owners)).astype(np.float32, copy=False))
            factors.append(rarities[at])
        if not sum(map(len, offsets)):
            return None
        first, stop = int(lengths.owners[0]), int(lengths.owners[-1]) + 1
        forgotten = segment.forgotten or None
        return Together(offsets, weights, [np.array(factors, dtype=np.float32)], [], first, stop, forgotten)

    @staticmethod
    def _numbers(segment: TextSegment, words: Sequence[str]) -> list[tuple[int, int]]:
        """Which of the words are said in a segment, and the numbers of their groups: their places among its words."""
        places = segment.words.words.places(words).tolist()
        return [(at, place) for at, place in enumerate(places) if place >= 0]


def _places_of(wanted: Offsets, owners: Offsets) -> npt.NDArray[np.intp]:
    """Where those of the wanted ones are that are among the owners; both ascend."""
    places = np.searchsorted(owners, wanted)
    places[places == len(owners)] = 0
    found: npt.NDArray[np.intp] = places[owners[places] == wanted]
    return found


_NOTHING = np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.float32)
