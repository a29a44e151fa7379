"""Text index: the tokens of all texts of a field as keywords; and, for phrases, the tokens in the order of the texts.

A phrase is first looked for as its tokens in any order, and then in the texts of the points that have them all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.query.filter import MatchPhrase, MatchText, MatchTextAny, Predicate
from qdrantlite.segment.bitmaps import Offsets, bitmap_of, offsets_in
from qdrantlite.segment.payload_index.keyword import Keywords, merged_keywords
from qdrantlite.segment.payload_index.kind import Piece
from qdrantlite.segment.payload_index.parts import Part, Parts, array_of
from qdrantlite.segment.payload_index.postings import Postings
from qdrantlite.segment.payload_index.words import U32, Words
from qdrantlite.segment.runs import alive, ranges
from qdrantlite.segment.stack import NOTHING
from qdrantlite.text.parameters import TextParams
from qdrantlite.text.tokenizer import expand_document, phrase_tokens, query_tokens, split_text
from qdrantlite.values.payload import Json
from qdrantlite.values.schema import Tokenizer

BREAK = 2**32 - 1
"""Ends each text; no token has this number, so no phrase goes on beyond it."""


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """The texts of points in order: those of ``owners[i]`` ``(n,) uint32`` ascending are ``tokens[starts[i] :
    starts[i + 1]]`` uint32, places among the words; each text ends with a ``BREAK``. 4 bytes per token.
    """

    owners: Offsets
    starts: Offsets
    tokens: U32

    def holding(self, phrase: U32, among: AbstractBitMap) -> BitMap:
        """Those of the points, all of which are here, that have the tokens one after the other; at least one token."""
        wanted = offsets_in(among)
        rows = np.searchsorted(self.owners, wanted)
        lengths = self.starts[rows + 1] - self.starts[rows]
        spoken = self.tokens[ranges(self.starts[rows], lengths)]
        at = np.flatnonzero(spoken == phrase[0])
        for ahead, token in enumerate(phrase[1:], start=1):
            at = at[spoken[at + ahead] == token]
        return bitmap_of(wanted[np.searchsorted(np.cumsum(lengths, dtype=np.int64), at, side="right")])

    def renamed(self, places: U32, forgotten: AbstractBitMap) -> "Speech":
        """With other numbers for the tokens, and without these points."""
        rows = np.flatnonzero(alive(self.owners, forgotten))
        lengths = self.starts[rows + 1] - self.starts[rows]
        tokens = self.tokens[ranges(self.starts[rows], lengths)]
        said = tokens != BREAK
        tokens[said] = places[tokens[said]]
        return Speech(self.owners[rows], _starts(lengths), tokens)

    @staticmethod
    def merged(pieces: "Sequence[Speech]") -> "Speech":
        """All of several, whose numbers mean the same tokens."""
        owners = np.concatenate([piece.owners for piece in pieces])
        tokens = np.concatenate([piece.tokens for piece in pieces])
        lengths = np.concatenate([np.diff(piece.starts) for piece in pieces])
        order = np.argsort(owners, kind="stable")
        return Speech(owners[order], _starts(lengths[order]), tokens[ranges(_starts(lengths)[order], lengths[order])])

    def dump(self) -> list[Part]:
        """Everything needed to ``load``."""
        return [("speech_owners", self.owners), ("speech_starts", self.starts), ("speech_tokens", self.tokens)]

    @staticmethod
    def load(parts: Parts) -> "Speech":
        """From a dump. Raises KeyError."""
        names = ("speech_owners", "speech_starts", "speech_tokens")
        return Speech(*(array_of(parts, name).astype(np.uint32, copy=False) for name in names))


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """See ``kind.Values``. Without ``speech`` no phrase is found."""

    params: TextParams
    words: Keywords
    speech: Speech | None

    @property
    def entries(self) -> int:
        """See ``kind.Values``."""
        return self.words.entries

    @property
    def indexed(self) -> AbstractBitMap:
        """See ``kind.Values``; of texts without a token nothing is held."""
        return self.words.indexed

    def match(self, predicate: Predicate) -> AbstractBitMap | None:
        """See ``kind.Values``."""
        words, postings = self.words.words, self.words.postings
        match predicate:
            case MatchText(text):
                return self._with_all(query_tokens(text, self.params))
            case MatchTextAny(text):
                return postings.with_one_of(words.numbers(query_tokens(text, self.params)))
            case MatchPhrase(text):
                return self._with_phrase(phrase_tokens(text, self.params))
            case _:
                return None

    def dump(self) -> list[Part]:
        """See ``kind.Values``."""
        return [*self.words.dump(), *(self.speech.dump() if self.speech is not None else ())]

    def _with_all(self, tokens: Sequence[str]) -> AbstractBitMap:
        distinct = set(tokens)
        numbers = self.words.words.numbers(distinct)
        return self.words.postings.with_all_of(numbers) if len(numbers) == len(distinct) else BitMap()

    def _with_phrase(self, tokens: Sequence[str]) -> AbstractBitMap:
        if self.speech is None:
            return BitMap()
        having = self._with_all(tokens)
        if len(tokens) < 2 or not having:
            return having
        return self.speech.holding(self.words.words.places(tokens).astype(np.uint32), having)


class TextKind:
    """See ``kind.Kind``."""

    def __init__(self, params: TextParams, *, phrases: bool) -> None:
        self._params = params
        self._phrases = phrases

    def build(self, offsets: Offsets, elements: Sequence[list[Json]]) -> Texts:
        """See ``kind.Kind``."""
        numbers = dict[str, int]()
        said, lengths = self._stream(elements, _Numbered(numbers, expand_document(self._params)))
        words, places = Words.of(numbers)
        tokens = said != BREAK
        pairs = np.repeat(offsets, lengths)[tokens].astype(np.uint64) << 32 | places[said[tokens]]
        pairs.sort()
        pairs = pairs[np.concatenate(([True], pairs[1:] != pairs[:-1]))[: len(pairs)]]
        held = Keywords(words, Postings.of((pairs & BREAK).astype(np.uint32), (pairs >> 32).astype(np.uint32)))
        if not self._phrases:
            return Texts(self._params, held, None)
        if self._params.tokenizer is Tokenizer.CODE:
            parts = expand_document(self._params, compounds=False)
            said, lengths = self._stream(elements, _Numbered(numbers, parts))
        spoken = Speech(offsets[lengths > 0], _starts(lengths[lengths > 0]), said)
        return Texts(self._params, held, spoken.renamed(places, NOTHING))

    def _stream(self, elements: Sequence[list[Json]], numbered: "_Numbered") -> tuple[U32, U32]:
        """Numbers of the tokens of all points, each text with a ``BREAK``, and how many there are of each point."""
        said, lengths = list[int](), list[int]()
        for found in elements:
            before = len(said)
            breaks = 0
            for element in found:
                if isinstance(element, str):
                    pieces = split_text(element, self._params.tokenizer)
                    said.extend(chain.from_iterable(map(numbered.__getitem__, pieces)))
                    said.append(BREAK)
                    breaks += 1
            if len(said) - before == breaks:
                del said[before:]
            lengths.append(len(said) - before)
        return np.array(said, dtype=np.uint32), np.array(lengths, dtype=np.uint32)

    def merge(self, pieces: Sequence[Piece]) -> Texts:
        """See ``kind.Kind``."""
        words, places = merged_keywords([(_texts(piece).words, piece.forgotten) for piece in pieces])
        if not self._phrases:
            return Texts(self._params, words, None)
        speeches = [
            speech.renamed(renamed, piece.forgotten)
            for piece, renamed in zip(pieces, places, strict=True)
            if (speech := _texts(piece).speech) is not None
        ]
        return Texts(self._params, words, Speech.merged(speeches))

    def load(self, parts: Parts) -> Texts:
        """See ``kind.Kind``."""
        words = Keywords(Words.load(parts), Postings.load(parts, np.uint32))
        return Texts(self._params, words, Speech.load(parts) if self._phrases else None)


class _Numbered(dict[str, tuple[int, ...]]):
    """From pieces of texts to the numbers of their tokens, which are numbered as they come."""

    def __init__(self, numbers: dict[str, int], expand: Callable[[str], tuple[str, ...]]) -> None:
        super().__init__()
        self._numbers = numbers
        self._expand = expand

    def __missing__(self, piece: str) -> tuple[int, ...]:
        numbers = self._numbers
        self[piece] = found = tuple([numbers.setdefault(token, len(numbers)) for token in self._expand(piece)])
        return found


def _texts(piece: Piece) -> Texts:
    assert isinstance(piece.values, Texts)
    return piece.values


def _starts(lengths: Offsets) -> Offsets:
    """Where each of so many begins when they lie end to end, and where all end, ``(n + 1,) uint32``."""
    starts = np.zeros(len(lengths) + 1, dtype=np.uint32)
    np.cumsum(lengths, out=starts[1:])
    return starts
