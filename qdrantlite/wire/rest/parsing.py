"""From a body's text to JSON values.

orjson lets no other thread run while it parses, for seconds if 32 MB are full of small values. So long lists and
objects are parsed piece by piece (``pieces``), and one list may be left to be parsed while its elements are decoded:
then what a piece takes is free again before the next, which is twice as fast with vectors.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Final, TypeVar

import orjson

from qdrantlite.errors import MalformedRequest
from qdrantlite.values.payload import Json
from qdrantlite.wire.rest.pieces import DEPTH_MAX, Long, Piece, TooDeep, Unfinished, long_lists, long_object

T = TypeVar("T")

PIECE_BYTES: Final = 2**17
_SPACE: Final = b" \t\n\r"
_COMMA: Final = ord(",")
_LIST: Final = (b"[", b"]")
_OBJECT: Final = (b"{", b"}")


class NotJson(MalformedRequest):
    """A text that is not JSON, or nests too deep."""


class _Wrong(Exception):
    """What is wrong with a text, and how many bytes into it."""

    def __init__(self, problem: str, place: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.place = place


@dataclass(frozen=True, slots=True)
class Elements:
    """A list within ``content``, which is parsed as it is iterated. Iterating raises NotJson."""

    content: bytes
    long: Long
    reader: "Reader"

    def __iter__(self) -> Iterator[Json]:
        try:
            for values in self.reader.pieces(self.content, self.long, _LIST):
                assert isinstance(values, list)
                yield from values
        except _Wrong as wrong:
            raise _refused(wrong.problem, self.content, wrong.place) from None


@dataclass(frozen=True, slots=True)
class Reader:
    """Parses about ``piece_bytes`` at a time. ``made`` gets what was put together from several pieces."""

    piece_bytes: int = PIECE_BYTES
    made: list[object] = field(default_factory=list)

    def read(self, content: bytes) -> Json:
        """The value of a whole text. Raises NotJson."""
        return self.read_around(content, None)[0]

    def read_around(self, content: bytes, member: str | None) -> tuple[Json, Elements | None]:
        """Like ``read``, but if the object's ``member`` is a long list, it is empty, and its elements come apart."""
        try:
            return self._read(content, member)
        except TooDeep:
            raise NotJson("recursion limit exceeded") from None
        except _Wrong as wrong:
            if not content.strip(_SPACE):
                raise NotJson("EOF while parsing a value at line 1 column 0") from None
            raise _refused(wrong.problem, content, wrong.place) from None

    def _read(self, content: bytes, member: str | None = None) -> tuple[Json, Elements | None]:
        """Raises TooDeep, _Wrong."""
        if len(content) <= 2 * self.piece_bytes:
            value = _parsed(content)
            if content.count(b"{") + content.count(b"[") > DEPTH_MAX:
                long_lists(content, PIECE_BYTES)
            return value, None
        lists = _found(long_lists, content, self.piece_bytes)
        if not lists:
            return self._read_object(content), None
        mark = token_hex(16)
        """In the text that is left, strings that begin with it are lists that were taken out: nobody can foresee it."""
        parts, starts, rest = [], [], 0
        for number, each in enumerate(lists):
            parts += [content[rest : each.cuts[0] - 1], f'"{mark}{number}"'.encode()]
            starts += [rest, each.cuts[0]]
            rest = each.cuts[-1] + 1
        parts, starts = [*parts, content[rest:]], [*starts, rest]
        try:
            value = self._read_object(b"".join(parts))
        except _Wrong as wrong:
            raise _Wrong(wrong.problem, _placed(wrong.place, parts, starts)) from None
        taken = {f"{mark}{number}": each for number, each in enumerate(lists)}
        apart = None
        if member is not None and isinstance(value, dict) and isinstance(left := value.get(member), str):
            found = taken.pop(left, None)
            if found is not None:
                apart, value[member] = Elements(content, found, self), []
        return _filled(value, {name: self._list(content, each) for name, each in taken.items()}), apart

    def _list(self, content: bytes, long: Long) -> list[Json]:
        found: list[Json] = []
        self.made.append(found)
        for values in self.pieces(content, long, _LIST):
            assert isinstance(values, list)
            found += values
        return found

    def _read_object(self, text: bytes) -> Json:
        """The value of a text without long lists, which may be a long object. Raises TooDeep, _Wrong."""
        long = _found(long_object, text, self.piece_bytes) if len(text) > 2 * self.piece_bytes else None
        if long is None:
            return _parsed(text)
        found: dict[str, Json] = {}
        self.made.append(found)
        for members in self.pieces(text, long, _OBJECT):
            assert isinstance(members, dict)
            found.update(members)
        end = long.cuts[-1] + 1
        behind = text[end:].lstrip(_SPACE)
        if behind:
            raise _Wrong("unexpected content after document", len(text) - len(behind))
        return found

    def pieces(self, content: bytes, long: Long, brackets: tuple[bytes, bytes]) -> Iterator[Json]:
        """What is in each piece, as a list or an object by itself. Raises TooDeep, _Wrong."""
        begun = False
        for piece in long.pieces():
            start, end = _stripped(content, piece.start, piece.end)
            if start == end:
                continue
            if begun:
                if content[start] != _COMMA:
                    raise _Wrong("unexpected character", start)
                start, end = _stripped(content, start + 1, end)
                if start == end:
                    raise _Wrong("unexpected character", end)
            begun = True
            if piece.inner is None:
                yield _parsed(content[start:end], start, brackets)
            else:
                yield self._with_inner(content, Piece(start, end, piece.inner), brackets)

    def _with_inner(self, content: bytes, piece: Piece, brackets: tuple[bytes, bytes]) -> Json:
        """A piece whose last value is long by itself: it is read apart from those before it."""
        assert piece.inner is not None
        mark = token_hex(16)
        before, behind = brackets
        values = _parsed(content[piece.start : piece.inner], piece.start, (before, f'"{mark}"'.encode() + behind))
        try:
            inner, _ = self._read(content[piece.inner : piece.end])
        except _Wrong as wrong:
            raise _Wrong(wrong.problem, piece.inner + wrong.place) from None
        if isinstance(values, list):
            values[-1] = inner
        elif isinstance(values, dict):
            values[next(name for name, value in values.items() if value == mark)] = inner
        return values


def _found(find: Callable[[bytes, int], T], text: bytes, piece_bytes: int) -> T:
    """What ``find`` finds in a text. Raises TooDeep, _Wrong."""
    try:
        return find(text, piece_bytes)
    except Unfinished:
        raise _Wrong("unexpected end of data", len(text)) from None


def _placed(place: int, parts: Sequence[bytes], starts: Sequence[int]) -> int:
    """Where a place within the parts joined is in the text that they were taken from, from ``starts`` on."""
    for part, start in zip(parts, starts, strict=True):
        if place <= len(part):
            return start + place
        place -= len(part)
    raise AssertionError("an error lies within the text")


def _stripped(content: bytes, start: int, end: int) -> tuple[int, int]:
    """Without the space at both ends."""
    text = content[start:end].lstrip(_SPACE)
    return end - len(text), end - len(text) + len(text.rstrip(_SPACE))


def _parsed(text: bytes, start: int = 0, around: tuple[bytes, bytes] = (b"", b"")) -> Json:
    """The value of a text between two others, which begins at ``start``. Raises _Wrong."""
    before, behind = around
    try:
        value: Json = orjson.loads(b"%b%b%b" % (before, text, behind))
    except orjson.JSONDecodeError as error:
        raise _Wrong(error.msg, start + len(error.doc[: error.pos].encode()) - len(before)) from None
    return value


def _refused(problem: str, content: bytes, place: int) -> NotJson:
    before = content[:place].decode(errors="replace")
    return NotJson(f"{problem} at line {before.count(chr(10)) + 1} column {len(before) - before.rfind(chr(10))}")


def _filled(value: Json, lists: Mapping[str, list[Json]]) -> Json:
    """The value with lists where they were taken out. Only objects are looked into: none was inside a list."""
    if isinstance(value, str):
        return lists.get(value, value)
    if isinstance(value, dict):
        for name, inner in value.items():
            value[name] = _filled(inner, lists)
    return value
