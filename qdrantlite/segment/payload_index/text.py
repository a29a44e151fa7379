"""Text index: the tokens of all texts of a field as keywords; for phrases, the tokens in the order of the texts; to
rank texts, how often each token is said and how long they are.

A phrase is looked for wherever its rarest token is said.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import numpy as np
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.query.filter import MatchPhrase, MatchText, MatchTextAny, Predicate
from qdrantlite.segment.bitmaps import Offsets, bitmap_of
from qdrantlite.segment.payload_index.keyword import Keywords, merged_keywords
from qdrantlite.segment.payload_index.kind import Piece
from qdrantlite.segment.payload_index.parts import Part, Parts, array_of
from qdrantlite.segment.payload_index.postings import Postings
from qdrantlite.segment.payload_index.text_scores import Lengths
from qdrantlite.segment.payload_index.words import U32, Words
from qdrantlite.segment.runs import alive, ranges
from qdrantlite.text.parameters import TextParams
from qdrantlite.text.tokenizer import expand_document, phrase_tokens, query_tokens, split_text
from qdrantlite.values.payload import Json
from qdrantlite.values.schema import Tokenizer

BREAK = 2**32 - 1
"""Ends each text; no token has this number, so no phrase goes on beyond it."""

Said: TypeAlias = tuple[Offsets, U32, U32]
"""Points ascending, how many tokens each has, and the tokens end to end; breaks count as tokens."""


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """The texts of points in order: those of ``owners[i]`` ``(n,) uint32`` ascending are ``tokens[starts[i] :
    starts[i + 1]]`` uint32, places among the words; each text ends with a ``BREAK``. A word is said at ``said_at[
    bounds[word] : bounds[word + 1]]`` uint32, ascending. 8 bytes per token.
    """

    owners: Offsets
    starts: U32
    tokens: U32
    said_at: U32
    bounds: U32

    @staticmethod
    def of(said: Said, words: int) -> "Speech":
        """Of texts in so many words."""
        owners, lengths, tokens = said
        order = np.argsort(tokens, kind="stable").astype(np.uint32)
        bounds = np.searchsorted(tokens[order], np.arange(words + 1, dtype=np.uint32)).astype(np.uint32)
        return Speech(owners, _starts(lengths), tokens, order[: bounds[-1]], bounds)

    def holding(self, phrase: U32) -> BitMap:
        """Points that have the tokens, at least one, one after the other: looked for around the rarest of them."""
        counts = self.bounds[phrase + 1] - self.bounds[phrase]
        rarest = int(counts.argmin())
        at = self.said_at[self.bounds[phrase[rarest]] : self.bounds[phrase[rarest] + 1]].astype(np.int64) - rarest
        at = at[at >= 0]
        # Onwards first: what follows a token that is no break is there.
        for ahead in (*range(rarest + 1, len(phrase)), *range(rarest)):
            at = at[self.tokens[at + ahead] == phrase[ahead]]
        return bitmap_of(self.owners[np.searchsorted(self.starts, at, side="right") - 1])

    def said(self, places: U32, forgotten: AbstractBitMap) -> Said:
        """All but what these points say, with other numbers for the words."""
        rows = np.flatnonzero(alive(self.owners, forgotten))
        lengths = self.starts[rows + 1] - self.starts[rows]
        tokens = self.tokens[ranges(self.starts[rows], lengths)]
        return self.owners[rows], lengths, _renumbered(tokens, places)

    def dump(self) -> list[Part]:
        """Everything needed to ``load``."""
        return [(f"speech_{name}", getattr(self, name)) for name in _SPEECH]

    @staticmethod
    def load(parts: Parts) -> "Speech":
        """From a dump. Raises KeyError."""
        return Speech(*(array_of(parts, f"speech_{name}").astype(np.uint32, copy=False) for name in _SPEECH))


_SPEECH = ("owners", "starts", "tokens", "said_at", "bounds")


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """See ``kind.Values``. Without ``speech`` no phrase is found; with ``lengths`` postings are weighted by how often
    a point says the token.
    """

    params: TextParams
    words: Keywords
    speech: Speech | None
    lengths: Lengths | None

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
        more = [part.dump() for part in (self.speech, self.lengths) if part is not None]
        return [*self.words.dump(), *chain.from_iterable(more)]

    def _with_all(self, tokens: Sequence[str]) -> AbstractBitMap:
        distinct = set(tokens)
        numbers = self.words.words.numbers(distinct)
        return self.words.postings.with_all_of(numbers) if len(numbers) == len(distinct) else BitMap()

    def _with_phrase(self, tokens: Sequence[str]) -> AbstractBitMap:
        if self.speech is None:
            return BitMap()
        if len(tokens) < 2:
            return self._with_all(tokens)
        places = self.words.words.places(tokens)
        return self.speech.holding(places.astype(np.uint32)) if places.min() >= 0 else BitMap()


class TextKind:
    """See ``kind.Kind``."""

    def __init__(self, params: TextParams, *, phrases: bool, scoring: bool) -> None:
        self._params = params
        self._phrases = phrases
        self._scoring = scoring

    def build(self, offsets: Offsets, elements: Sequence[list[Json]]) -> Texts:
        """See ``kind.Kind``."""
        numbers = dict[str, int]()
        said, lengths = self._stream(elements, _Numbered(numbers, expand_document(self._params)))
        words, places = Words.of(numbers)
        tokens = said != BREAK
        owners = np.repeat(offsets, lengths)[tokens]
        held = _held(words, owners, places[said[tokens]], weighted=self._scoring)
        counted = Lengths.of_tokens(owners) if self._scoring else None
        if not self._phrases:
            return Texts(self._params, held, None, counted)
        if self._params.tokenizer is Tokenizer.CODE:
            parts = expand_document(self._params, compounds=False)
            said, lengths = self._stream(elements, _Numbered(numbers, parts))
        speaking = lengths > 0
        spoken = (offsets[speaking], lengths[speaking], _renumbered(said, places))
        return Texts(self._params, held, Speech.of(spoken, len(words)), counted)

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
        counted = [(lengths, piece.forgotten) for piece in pieces if (lengths := _texts(piece).lengths) is not None]
        lengths = Lengths.merged(counted) if self._scoring else None
        if not self._phrases:
            return Texts(self._params, words, None, lengths)
        said = [
            speech.said(renamed, piece.forgotten)
            for piece, renamed in zip(pieces, places, strict=True)
            if (speech := _texts(piece).speech) is not None
        ]
        return Texts(self._params, words, Speech.of(_merged(said), len(words.words)), lengths)

    def load(self, parts: Parts) -> Texts:
        """See ``kind.Kind``."""
        words = Keywords(Words.load(parts), Postings.load(parts, np.uint32, weighted=self._scoring))
        speech = Speech.load(parts) if self._phrases else None
        return Texts(self._params, words, speech, Lengths.load(parts) if self._scoring else None)


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


def _held(words: Words, owners: Offsets, tokens: U32, *, weighted: bool) -> Keywords:
    """Postings of the places of tokens, one for each that a point says, weighted by how often it does."""
    pairs = owners.astype(np.uint64) << 32 | tokens
    pairs.sort()
    first = np.flatnonzero(np.concatenate(([True], pairs[1:] != pairs[:-1]))[: len(pairs)])
    repeats = np.diff(first, append=len(pairs)).astype(np.float32) if weighted else None
    pairs = pairs[first]
    return Keywords(words, Postings.of((pairs & BREAK).astype(np.uint32), (pairs >> 32).astype(np.uint32), repeats))


def _texts(piece: Piece) -> Texts:
    assert isinstance(piece.values, Texts)
    return piece.values


def _merged(pieces: Sequence[Said]) -> Said:
    """What several say in words of the same numbers."""
    owners, lengths, tokens = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    order = np.argsort(owners, kind="stable")
    return owners[order], lengths[order], tokens[ranges(_starts(lengths)[order], lengths[order])]


def _renumbered(tokens: U32, places: U32) -> U32:
    """With the place of each word instead of its number; breaks stay."""
    words = tokens != BREAK
    found = tokens.copy()
    found[words] = places[tokens[words]]
    return found


def _starts(lengths: Offsets) -> Offsets:
    """Where each of so many begins when they lie end to end, and where all end, ``(n + 1,) uint32``."""
    starts = np.zeros(len(lengths) + 1, dtype=np.uint32)
    np.cumsum(lengths, out=starts[1:])
    return starts
