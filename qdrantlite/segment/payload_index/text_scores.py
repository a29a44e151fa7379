"""Texts ranked by the words of a query (Okapi BM25) over the segments of a text index.

A word's postings say how often each point repeats it, ``Lengths`` how long the texts of each point are; the rest
depends on the query and on the state, and is computed when asked. Where the rarest words decide, frequent ones are
looked up and not added up (H. Turtle and J. Flood, "Query Evaluation: Strategies and Optimizations", 1995, MaxScore).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.deadline import Ask
from qdrantlite.segment.bitmaps import Offsets, offsets_in
from qdrantlite.segment.payload_index.keyword import Keywords
from qdrantlite.segment.payload_index.parts import Part, Parts, array_of
from qdrantlite.segment.runs import alive, found_in
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.sparse_totals import NOTHING, Together, best_of_each
from qdrantlite.text.bm25 import Saturation, rarity
from qdrantlite.values.vector import F32

TABLE_RATIO = 16
"""A table of lengths by offset is made where points are at least one in so many of the offsets."""
LOOKUP_COST = 40
"""Looking for one offset in a posting list costs as much as weighing so many postings."""
FEW_SHARE = 4
"""Points that say a rare word are looked at alone where these words have one posting in so many."""
ROUNDING = 1 + 1e-5
"""More than float32 loses in adding up."""


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """How many tokens the texts of points have: ``counts[i]`` float32 of ``owners[i]`` uint32, ascending."""

    owners: Offsets
    counts: F32
    _tables: list[F32] = field(default_factory=list, repr=False)
    _totals: list[float] = field(default_factory=list, repr=False)

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
            if not self._totals:
                self._totals.append(float(self.counts.sum(dtype=np.float64)))
            return self._totals[0]
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
class _Said:
    """The postings of a query's word ``at`` in one segment."""

    segment: TextSegment
    at: int
    number: int

    @property
    def owners(self) -> Offsets:
        """Points that say it, forgotten ones among them."""
        return self.segment.words.postings.run.offsets_of(self.number)

    @property
    def repeats(self) -> F32:
        """How often each does."""
        run = self.segment.words.postings.run
        assert run.weights is not None
        return run.weights[run.starts[self.number] : run.starts[self.number + 1]]

    def points(self) -> AbstractBitMap:
        """Points that say it."""
        return self.segment.words.postings.run.group(self.number) - self.segment.forgotten


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Points that have tokens: how many, how long on ``average``; and how many say each word, ``(n,) float64``."""

    points: int
    average: float
    saying: npt.NDArray[np.float64]

    def rarities(self) -> F32:
        """``text.bm25.rarity`` of each word, ``(n,) float32``."""
        return rarity(self.points, self.saying)


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
        said = self._said(words)
        if limit == 0 or not said:
            return NOTHING
        worth, postings = _bounds(said, rarities, saturation)
        order = np.argsort(-worth, kind="stable")
        for count in range(1, len(order)):
            if postings[order[:count]].sum() * FEW_SHARE > postings.sum():
                break
            rare = set(order[:count].tolist())
            saying = BitMap().union(*[each.points() for each in said if each.at in rare]) & selection.bitmap
            if len(saying) < limit:
                continue
            found = _best(said, rarities, saturation, Selection(saying), limit, ask)
            if len(found[0]) == limit and found[1][-1] > worth[order[count:]].sum() * ROUNDING:
                return found
        return _best(said, rarities, saturation, selection, limit, ask)

    def _said(self, words: Sequence[str]) -> list[_Said]:
        """Where each of the words is said, segment by segment."""
        return [_Said(segment, at, number) for segment in self.segments for at, number in self._numbers(segment, words)]

    @staticmethod
    def _numbers(segment: TextSegment, words: Sequence[str]) -> list[tuple[int, int]]:
        """Which of the words are said in a segment, and the numbers of their groups: their places among its words."""
        places = segment.words.words.places(words).tolist()
        return [(at, place) for at, place in enumerate(places) if place >= 0]


def _bounds(
    said: Sequence[_Said], rarities: F32, saturation: Saturation
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """What each word is worth at most, in the shortest of texts, and how many postings it has."""
    repeated, postings = np.zeros(len(rarities), dtype=np.float32), np.zeros(len(rarities), dtype=np.int64)
    for each in said:
        repeated[each.at] = max(repeated[each.at], each.repeats.max())
        postings[each.at] += len(each.owners)
    with np.errstate(invalid="ignore"):  # Of a word that nobody says nothing is worth anything.
        worth = np.nan_to_num(saturation.of(repeated, 0.0) * rarities).astype(np.float64)
    return worth, postings


def _best(
    said: Sequence[_Said], rarities: F32, saturation: Saturation, selection: Selection, limit: int, ask: Ask
) -> tuple[Offsets, F32]:
    """The best points of the selection by all words."""
    weighed = (
        _weighed(list(some), rarities, saturation, selection)
        for _, some in groupby(said, key=lambda each: id(each.segment))
    )
    return best_of_each(filter(None, weighed), selection, limit, ask)


def _weighed(said: Sequence[_Said], rarities: F32, saturation: Saturation, selection: Selection) -> Together | None:
    """What words are worth in one segment, as far as its points are selected or many; None for nothing."""
    segment, offsets, weights = said[0].segment, list[Offsets](), list[F32]()
    for each in said:
        owners, repeats = each.owners, each.repeats
        if len(selection) * LOOKUP_COST < len(owners):
            places = found_in(owners, selection.offsets())[1]
            owners, repeats = owners[places], repeats[places]
        offsets.append(owners)
        weights.append(saturation.of(repeats, segment.lengths.of(owners)).astype(np.float32, copy=False))
    if not sum(map(len, offsets)):
        return None
    first, stop = int(segment.lengths.owners[0]), int(segment.lengths.owners[-1]) + 1
    factors = rarities[[each.at for each in said]]
    return Together(offsets, weights, [factors], [], first, stop, segment.forgotten or None)
