"""Keyword index: strings of a field, each known by a number, the numbers being keys of postings."""

from collections.abc import Callable, Iterable, Sequence
from itertools import compress

import numpy as np
import orjson
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.query.filter import (
    IsNullFlag,
    MatchAnyKeyword,
    MatchExceptKeyword,
    MatchKeyword,
    MatchPrefix,
    MatchSubstring,
    Predicate,
)
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.payload_index.facet import FacetValues, PostedValues
from qdrantlite.segment.payload_index.parts import Part, Parts, bytes_of
from qdrantlite.segment.payload_index.postings import Postings
from qdrantlite.segment.payload_index.presence import Presence
from qdrantlite.values.payload import Json
from qdrantlite.values.schema import FieldKind


class KeywordIndex:
    """See ``PayloadIndex``. One Python string per distinct keyword, 8 bytes per entry at most.

    A keyword keeps its number while the process lives, also when its last point has gone; a dump drops it.
    """

    kind = FieldKind.KEYWORD

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._postings: Postings[np.uint32] = Postings(np.uint32)
        self._presence = Presence()

    def add(self, offsets: Offsets, elements: Sequence[list[Json]]) -> None:
        """See ``PayloadIndex``."""
        numbers, keys, owners = self._numbers, list[int](), list[int]()
        rows = offsets.tolist()
        for offset, found in zip(rows, elements, strict=True):
            for element in found if len(found) < 2 else _distinct(found):
                if isinstance(element, str):
                    keys.append(numbers.setdefault(element, len(numbers)))
                    owners.append(offset)
        self._postings.add(np.array(keys, dtype=np.uint32), np.array(owners, dtype=np.uint32))
        self._presence.add(rows, elements)

    def remove(self, offset: int, elements: list[Json]) -> None:
        """See ``PayloadIndex``."""
        if elements:
            self.discard(BitMap((offset,)))

    def discard(self, offsets: AbstractBitMap) -> None:
        """See ``PayloadIndex``."""
        self._postings.discard(offsets)
        self._presence.discard(offsets)

    def match(self, predicate: Predicate) -> AbstractBitMap | None:
        """See ``PayloadIndex``."""
        match predicate:
            case MatchKeyword(word):
                return self._postings.with_one_of(self._keys((word,)))
            case MatchAnyKeyword(words):
                return self._postings.with_one_of(self._keys(words))
            case MatchExceptKeyword(words):
                return self._postings.with_other_than(self._keys(words))
            case MatchPrefix(prefix):
                return self._with_words(lambda word: word.startswith(prefix))
            case MatchSubstring(substring):
                return self._with_words(lambda word: substring in word)
            case IsNullFlag(True):
                return self._presence.nulls()
            case _:
                return None

    def valued(self) -> tuple[AbstractBitMap, AbstractBitMap]:
        """See ``PayloadIndex``."""
        return self._presence.valued()

    def points(self, live: AbstractBitMap) -> int:
        """See ``PayloadIndex``."""
        return self._postings.points(live)

    def facet(self) -> FacetValues:
        """The keywords at this moment; those that come later have other numbers."""
        numbers = self._numbers

        def words(keys: "np.ndarray[tuple[int], np.dtype[np.uint32]]") -> list[str]:
            known = list(numbers)
            return [known[key] for key in keys.tolist()]

        return PostedValues(self._postings.view(), words)

    def dump(self) -> list[Part]:
        """Keywords in use as a JSON array; the keys of the postings are their places in it."""
        run = self._postings.compacted()
        used = np.zeros(len(self._numbers), dtype=np.bool_)
        used[run.keys] = True
        words = orjson.dumps(list(compress(self._numbers, used.tolist())))
        renumbered = ("keys", np.arange(len(run.keys), dtype=np.uint32))
        kept = [part for part in self._postings.dump() if part[0] != "keys"]
        return [("words", words), renumbered, *kept, *self._presence.dump()]

    def load(self, parts: Parts) -> None:
        """See ``PayloadIndex``."""
        words: list[str] = orjson.loads(bytes_of(parts, "words"))
        self._numbers = dict(zip(words, range(len(words)), strict=True))
        self._postings.load(parts)
        self._presence.load(parts)

    def _keys(self, words: Iterable[str]) -> "np.ndarray[tuple[int], np.dtype[np.uint32]]":
        """Numbers of those words that are known, distinct."""
        known = {number for word in words if (number := self._numbers.get(word)) is not None}
        return np.array(list(known), dtype=np.uint32)

    def _with_words(self, test: Callable[[str], bool]) -> AbstractBitMap:
        return self._postings.with_one_of(self._keys(filter(test, self._numbers)))


def _distinct(elements: list[Json]) -> Iterable[str]:
    """The strings among elements, each once."""
    return dict.fromkeys(element for element in elements if isinstance(element, str))
