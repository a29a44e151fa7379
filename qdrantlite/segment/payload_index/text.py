"""Text index: the tokens of all texts of a field as keywords; and, for phrases, the tokens in the order of the texts.

A phrase is first looked for as its tokens in any order, and then in the texts of the points that have them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
from qdrantlite.text.tokenizer import document_tokens, phrase_tokens, query_tokens
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
        numbers, keys, owners = dict[str, int](), list[int](), list[int]()
        said, speakers, lengths = list[int](), list[int](), list[int]()
        for offset, found in zip(offsets.tolist(), elements, strict=True):
            texts = [element for element in found if isinstance(element, str)]
            tokens = [document_tokens(text, self._params) for text in texts]
            distinct = set[str]().union(*tokens)
            if not distinct:
                continue
            keys.extend([numbers.setdefault(token, len(numbers)) for token in distinct])
            owners.extend([offset] * len(distinct))
            if self._phrases:
                before = len(said)
                for spoken in self._spoken(texts, tokens):
                    said.extend([numbers[token] for token in spoken])
                    said.append(BREAK)
                speakers.append(offset)
                lengths.append(len(said) - before)
        words, places = Words.of(numbers)
        postings = Postings.of(places[np.array(keys, dtype=np.intp)], np.array(owners, dtype=np.uint32))
        if not self._phrases:
            return Texts(self._params, Keywords(words, postings), None)
        starts = _starts(np.array(lengths, dtype=np.uint32))
        speech = Speech(np.array(speakers, dtype=np.uint32), starts, np.array(said, dtype=np.uint32))
        return Texts(self._params, Keywords(words, postings), speech.renamed(places, NOTHING))

    def _spoken(self, texts: Sequence[str], tokens: Sequence[list[str]]) -> Sequence[list[str]]:
        """The tokens of phrases in texts that have these tokens: the same, but for whole identifiers of code."""
        if self._params.tokenizer is not Tokenizer.CODE:
            return tokens
        return [phrase_tokens(text, self._params) for text in texts]

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


def _texts(piece: Piece) -> Texts:
    assert isinstance(piece.values, Texts)
    return piece.values


def _starts(lengths: Offsets) -> Offsets:
    """Where each of so many begins when they lie end to end, and where all end, ``(n + 1,) uint32``."""
    starts = np.zeros(len(lengths) + 1, dtype=np.uint32)
    np.cumsum(lengths, out=starts[1:])
    return starts
