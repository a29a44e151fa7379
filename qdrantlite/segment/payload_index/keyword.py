"""Keyword index: strings of a field; their places among the words of the segment are the keys of postings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.query.filter import (
    MatchAnyKeyword,
    MatchExceptKeyword,
    MatchKeyword,
    MatchPrefix,
    MatchSubstring,
    Predicate,
)
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.payload_index.facet import Counts, FacetValue, Places
from qdrantlite.segment.payload_index.kind import Piece
from qdrantlite.segment.payload_index.parts import Part, Parts
from qdrantlite.segment.payload_index.postings import Postings, merged_postings
from qdrantlite.segment.payload_index.words import U32, Words, merged_words
from qdrantlite.segment.runs import alive
from qdrantlite.segment.selection import Selection
from qdrantlite.values.payload import Json


@dataclass(frozen=True, slots=True, eq=False)
class Keywords:
    """See ``kind.Values``."""

    words: Words
    postings: Postings[np.uint32]

    @property
    def entries(self) -> int:
        """See ``kind.Values``."""
        return len(self.postings.run.offsets)

    @property
    def indexed(self) -> AbstractBitMap:
        """See ``kind.Values``."""
        return self.postings.indexed

    def match(self, predicate: Predicate) -> AbstractBitMap | None:
        """See ``kind.Values``."""
        match predicate:
            case MatchKeyword(word):
                place = self.words.place(word)
                return BitMap() if place is None else self.postings.run.group(place)
            case MatchAnyKeyword(words):
                return self.postings.with_one_of(self.words.numbers(words))
            case MatchExceptKeyword(words):
                return self.postings.with_other_than(self.words.numbers(words))
            case MatchPrefix(prefix):
                first, stop = self.words.starting_with(prefix)
                return self.postings.groups(first, stop)
            case MatchSubstring(substring):
                return self.postings.with_one_of(self.words.containing(substring))
            case _:
                return None

    def counts(self, selection: Selection, forgotten: AbstractBitMap) -> Counts:
        """See ``facet.Countable``."""
        return self.postings.counts(selection, forgotten)

    def names(self, places: Places) -> list[str]:
        """See ``facet.Countable``."""
        return [self.words.word(place) for place in places.tolist()]

    def places(self, names: Sequence[FacetValue]) -> Places:
        """See ``facet.Countable``."""
        return self.words.places([name for name in names if isinstance(name, str)])

    def dump(self) -> list[Part]:
        """See ``kind.Values``. Keys are places of words: all of them, in order."""
        return [*self.words.dump(), *self.postings.dump()]


class KeywordKind:
    """See ``kind.Kind``."""

    def build(self, offsets: Offsets, elements: Sequence[list[Json]]) -> Keywords:
        """See ``kind.Kind``."""
        numbers, keys, owners = dict[str, int](), list[int](), list[int]()
        for offset, found in zip(offsets.tolist(), elements, strict=True):
            for element in found if len(found) < 2 else _distinct(found):
                if isinstance(element, str):
                    keys.append(numbers.setdefault(element, len(numbers)))
                    owners.append(offset)
        words, places = Words.of(numbers)
        return Keywords(words, Postings.of(places[np.array(keys, dtype=np.intp)], np.array(owners, dtype=np.uint32)))

    def merge(self, pieces: Sequence[Piece]) -> Keywords:
        """See ``kind.Kind``."""
        return merged_keywords([(_keywords(piece), piece.forgotten) for piece in pieces])[0]

    def load(self, parts: Parts) -> Keywords:
        """See ``kind.Kind``."""
        return Keywords(Words.load(parts), Postings.load(parts, np.uint32))


def merged_keywords(pieces: Sequence[tuple[Keywords, AbstractBitMap]]) -> tuple[Keywords, list[U32]]:
    """One of several, each without the offsets forgotten there; and the new places of the words of each piece."""
    postings = [(keywords.postings, forgotten) for keywords, forgotten in pieces]
    used = [_used(one, forgotten) for one, forgotten in postings]
    words, places = merged_words([keywords.words for keywords, _ in pieces], used)
    return Keywords(words, merged_postings(postings, places)), places


def _distinct(elements: list[Json]) -> Iterable[str]:
    """The strings among elements, each once."""
    return dict.fromkeys(element for element in elements if isinstance(element, str))


def _keywords(piece: Piece) -> Keywords:
    assert isinstance(piece.values, Keywords)
    return piece.values


def _used(postings: Postings[np.uint32], forgotten: AbstractBitMap) -> npt.NDArray[np.bool_]:
    """Which keys have an entry that is not forgotten, ``(keys,) bool``."""
    run = postings.run
    if not forgotten or not len(run.keys):
        return np.ones(len(run.keys), dtype=np.bool_)
    used: npt.NDArray[np.bool_] = np.logical_or.reduceat(alive(run.offsets, forgotten), run.starts[:-1].astype(np.intp))
    return used
