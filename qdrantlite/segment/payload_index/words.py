"""The words of a segment, in order: each is known by its place among them.

Sorted by their bytes in UTF-8, which is the order of their characters; kept end to end in one array, so that they can
be mapped from a file instead of being strings of Python.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, pairwise

import numpy as np
import numpy.typing as npt

from qdrantlite.segment.payload_index.parts import Part, Parts, array_of

U32 = npt.NDArray[np.uint32]
SCAN_RATIO = 32
"""Looking one word up costs as much as passing over so many."""
HEAD_BYTES = 8
MERGED_AT_ONCE = 1 << 13
"""Words of the longest piece that a merge has as strings at a time; sorting a million keeps all else waiting."""
END_MAX = b"\xff"
"""Above every byte that begins a character."""


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Distinct words ascending; ``starts`` ``(n + 1,)`` cuts ``text`` ``(bytes,) uint8`` into them. Immutable."""

    text: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.uint64]
    heads: npt.NDArray[np.uint64]
    """``(n,)``: the first eight bytes of each as a number, which most words are told apart by."""

    @staticmethod
    def of(words: Iterable[str]) -> "tuple[Words, U32]":
        """Of distinct words in any order; and the place of each, in the order given."""
        given = list(map(_encoded, words))
        order = np.array(sorted(range(len(given)), key=given.__getitem__), dtype=np.intp)
        places = np.empty(len(given), dtype=np.uint32)
        places[order] = np.arange(len(given), dtype=np.uint32)
        return _laid([given[at] for at in order.tolist()]), places

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, number: int) -> bytes:
        return self.text[self.starts[number] : self.starts[number + 1]].tobytes()

    def __iter__(self) -> Iterator[bytes]:
        return self.between(0, len(self))

    def between(self, first: int, stop: int) -> Iterator[bytes]:
        """The words in the places ``first <= place < stop``."""
        starts = self.starts[first : stop + 1]
        text = self.text[starts[0] : starts[-1]].tobytes()
        return (text[start:end] for start, end in pairwise((starts - starts[0]).tolist()))

    def word(self, number: int) -> str:
        """The word in this place."""
        return self[number].decode("utf-8", "surrogatepass")

    def numbers(self, words: Iterable[str]) -> U32:
        """Places of those of the words that are here, each once, ascending."""
        wanted = {_encoded(word) for word in words}
        if len(wanted) * SCAN_RATIO < len(self):
            found = {place for word in wanted if (place := self._place(word)) is not None}
            return np.array(sorted(found), dtype=np.uint32)
        return np.array([place for place, word in enumerate(self) if word in wanted], dtype=np.uint32)

    def place(self, word: str) -> int | None:
        """The place of a word; None when it is not here."""
        return self._place(_encoded(word))

    def places(self, words: Sequence[str]) -> npt.NDArray[np.int64]:
        """The place of each of the words, -1 for one that is not here."""
        if len(words) * SCAN_RATIO < len(self):
            found = [self._place(_encoded(word)) for word in words]
        else:
            known = {word: place for place, word in enumerate(self)}
            found = [known.get(_encoded(word)) for word in words]
        return np.array([-1 if place is None else place for place in found], dtype=np.int64)

    def starting_with(self, prefix: str) -> tuple[int, int]:
        """``(first, stop)`` of the places of all words that begin so."""
        opening = _encoded(prefix)
        return bisect_left(self, opening), bisect_left(self, opening + END_MAX)

    def containing(self, substring: str) -> U32:
        """Places of all words that have it in them, ascending."""
        wanted = _encoded(substring)
        if not wanted:
            return np.arange(len(self), dtype=np.uint32)
        # Overlapping matches count too: a match that straddles two words must not hide the one behind it.
        pattern = re.compile(b"(?=" + re.escape(wanted) + b")")
        at = np.array([match.start() for match in pattern.finditer(self.text.data)], dtype=np.uint64)
        places = np.searchsorted(self.starts, at, side="right") - 1
        within = at + np.uint64(len(wanted)) <= self.starts[places + 1]
        return np.unique(places[within]).astype(np.uint32)

    def where(self, test: Callable[[str], bool]) -> U32:
        """Places of the words that pass, ascending."""
        passing = [place for place, word in enumerate(self) if test(word.decode("utf-8", "surrogatepass"))]
        return np.array(passing, dtype=np.uint32)

    def dump(self) -> list[Part]:
        """Everything needed to ``load``."""
        return [("words", self.text), ("word_starts", self.starts), ("word_heads", self.heads)]

    @staticmethod
    def load(parts: Parts) -> "Words":
        """From a dump. Raises KeyError."""
        starts, heads = (array_of(parts, name).astype(np.uint64, copy=False) for name in ("word_starts", "word_heads"))
        return Words(array_of(parts, "words").astype(np.uint8, copy=False), starts, heads)

    def _place(self, word: bytes) -> int | None:
        head = np.uint64(int.from_bytes(word[:HEAD_BYTES].ljust(HEAD_BYTES, b"\0"), "big"))
        place, size = int(self.heads.searchsorted(head)), len(self)
        if place == size or self.heads[place] != head:
            return None
        if place + 1 < size and self.heads[place + 1] == head:
            place = bisect_left(self, word, place, int(self.heads.searchsorted(head, side="right")))
        return place if place < size and self[place] == word else None


def merged_words(pieces: Sequence[Words], used: Sequence[npt.NDArray[np.bool_]]) -> tuple[Words, list[U32]]:
    """Words that are used in some piece, and for each piece the new places of its words ``(n,)``, which do not descend;
    that of a word that is not used is another's.
    """
    made, count = list[Words](), 0
    renamed = [np.zeros(len(words), dtype=np.uint32) for words in pieces]
    for spans in _cut(pieces):
        kept = [
            list(compress(words.between(span.start, span.stop), mask[span].tolist()))
            for words, span, mask in zip(pieces, spans, used, strict=True)
        ]
        every = sorted(set().union(*kept))
        place_of = dict(zip(every, range(count, count + len(every)), strict=True))
        for words, span, mask, places in zip(kept, spans, used, renamed, strict=True):
            places[span][mask[span]] = np.fromiter(map(place_of.__getitem__, words), np.uint32, len(words))
        made.append(_laid(every))
        count += len(every)
    return _joined(made), [np.maximum.accumulate(places) for places in renamed]


def _cut(pieces: Sequence[Words]) -> Iterator[list[slice]]:
    """Which words of each piece to merge together, ascending: some at a time, so that others may run in between."""
    longest = max(pieces, key=len)
    ends = [longest[place] for place in range(MERGED_AT_ONCE, len(longest), MERGED_AT_ONCE)]
    bounds = [[0, *(bisect_left(words, end) for end in ends), len(words)] for words in pieces]
    for at in range(len(ends) + 1):
        yield [slice(own[at], own[at + 1]) for own in bounds]


def _joined(parts: Sequence[Words]) -> Words:
    """The words of all parts, at least one; those of each ascend, and are above those before."""
    if len(parts) == 1:
        return parts[0]
    ends = np.cumsum([0, *(len(part.text) for part in parts)], dtype=np.uint64)
    starts = [part.starts[:-1] + end for part, end in zip(parts, ends, strict=False)]
    return Words(
        np.concatenate([part.text for part in parts]),
        np.concatenate([*starts, ends[-1:]]),
        np.concatenate([part.heads for part in parts]),
    )


def _encoded(word: str) -> bytes:
    """As bytes; a half of a surrogate pair is a character, too."""
    return word.encode("utf-8", "surrogatepass")


def _laid(words: Sequence[bytes]) -> Words:
    starts = np.zeros(len(words) + 1, dtype=np.uint64)
    np.cumsum(np.fromiter(map(len, words), np.uint64, len(words)), out=starts[1:])
    return Words(np.frombuffer(b"".join(words), dtype=np.uint8), starts, _heads(words))


def _heads(words: Sequence[bytes]) -> npt.NDArray[np.uint64]:
    """The first bytes of each, the missing ones 0: their order is that of the words but for ties."""
    padded = b"".join([word[:HEAD_BYTES].ljust(HEAD_BYTES, b"\0") for word in words])
    return np.frombuffer(padded, dtype=">u8").astype(np.uint64)
