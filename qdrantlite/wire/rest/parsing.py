"""From a body's text to JSON values.

orjson lets no other thread run while it parses, for seconds if 32 MB are full of small values. So long lists are parsed
piece by piece (``long_lists``), and one of them may be left to be parsed while its elements are decoded: then what a
piece takes is free again before the next, which is twice as fast with vectors.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from secrets import token_hex
from typing import Final

import orjson

from qdrantlite.errors import MalformedRequest
from qdrantlite.values.payload import Json
from qdrantlite.wire.rest.long_lists import DEPTH_MAX, LongList, TooDeep, Unfinished, long_lists

PIECE_BYTES: Final = 2**17
_SPACE: Final = b" \t\n\r"


class NotJson(MalformedRequest):
    """A text that is not JSON, or nests too deep."""


@dataclass(frozen=True, slots=True)
class Elements:
    """A list within ``content``, which is parsed as it is iterated. Iterating raises NotJson."""

    content: bytes
    cuts: tuple[int, ...]
    piece_bytes: int

    def __iter__(self) -> Iterator[Json]:
        begun = False
        for start, end in pairwise(self.cuts):
            text = self.content[start:end].strip(_SPACE)
            if not text:
                continue
            if begun:
                text = self._behind_comma(text, start, end)
            begun = True
            yield from self._parsed(text, start)

    def _behind_comma(self, text: bytes, start: int, end: int) -> bytes:
        if not text.startswith(b","):
            raise _refused("unexpected character", self.content, start)
        text = text[1:].strip(_SPACE)
        if not text:
            raise _refused("unexpected character", self.content, end)
        return text

    def _parsed(self, text: bytes, start: int) -> Sequence[Json]:
        """The elements in a text that is found from ``start`` on."""
        if len(text) > 2 * self.piece_bytes and text.startswith((b"{", b"[")):
            try:
                return (read_json(text, self.piece_bytes),)
            except NotJson:
                pass  # Not one long element, or not JSON: the parser says which.
        try:
            values: list[Json] = orjson.loads(b"[%b]" % text)
        except orjson.JSONDecodeError as error:
            into = self.content.find(text[:1], start) - 1 + len(error.doc[: error.pos].encode())
            raise _refused(error.msg, self.content, into) from None
        return values


def read_json(content: bytes, piece_bytes: int = PIECE_BYTES) -> Json:
    """The value of a whole text. Raises NotJson."""
    return _read(content, None, piece_bytes)[0]


def read_around(content: bytes, member: str, piece_bytes: int = PIECE_BYTES) -> tuple[Json, Elements | None]:
    """Like ``read_json``, but if the object's ``member`` is a long list, it is empty, and its elements come apart."""
    return _read(content, member, piece_bytes)


def _read(content: bytes, member: str | None, piece_bytes: int) -> tuple[Json, Elements | None]:
    if len(content) <= 2 * piece_bytes:
        return _read_short(content), None
    lists = _long_lists(content, piece_bytes)
    if not lists:
        return _parse(content, (content,), (0,)), None
    mark = token_hex(16)
    """In the text that is left, strings that begin with it are lists that were taken out: nobody can foresee it."""
    parts, starts, rest = [], [], 0
    for number, each in enumerate(lists):
        parts += [content[rest : each.cuts[0] - 1], f'"{mark}{number}"'.encode()]
        starts += [rest, each.cuts[0]]
        rest = each.cuts[-1] + 1
    value = _parse(content, (*parts, content[rest:]), (*starts, rest))
    taken = {f"{mark}{number}": Elements(content, each.cuts, piece_bytes) for number, each in enumerate(lists)}
    apart = None
    if member is not None and isinstance(value, dict) and isinstance(left := value.get(member), str):
        apart = taken.pop(left, None)
        if apart is not None:
            value[member] = []
    return _filled(value, {name: list(elements) for name, elements in taken.items()}), apart


def _read_short(content: bytes) -> Json:
    value = _parse(content, (content,), (0,))
    if content.count(b"{") + content.count(b"[") > DEPTH_MAX:
        _long_lists(content, PIECE_BYTES)
    return value


def _long_lists(content: bytes, piece_bytes: int) -> list[LongList]:
    try:
        return long_lists(content, piece_bytes)
    except TooDeep:
        raise NotJson("recursion limit exceeded") from None
    except Unfinished:
        raise _refused("unexpected end of data", content, len(content)) from None


def _parse(content: bytes, parts: Sequence[bytes], starts: Sequence[int]) -> Json:
    """The value of the parts joined; each began at a place in ``content``."""
    try:
        value: Json = orjson.loads(b"".join(parts))
    except orjson.JSONDecodeError as error:
        if not content.strip(_SPACE):
            raise NotJson("EOF while parsing a value at line 1 column 0") from None
        into = len(error.doc[: error.pos].encode())
        for part, start in zip(parts, starts, strict=True):
            if into <= len(part):
                raise _refused(error.msg, content, start + into) from None
            into -= len(part)
        raise AssertionError("an error lies within the text") from None
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
