"""Typed reading of JSON: ``Fields`` is one object, its methods are the types that a member may have.

A member that is absent or null reads as None; ``needed`` refuses that. What has another shape raises ``Misread``, with
serde's words and, in place of its line and column, the path of the member; values out of bounds raise
``ValidationFailed`` with the same path. Members nobody asks for are ignored, except where ``only`` is called.
Nothing untyped leaves a decoder that reads through this module, but payloads, which are JSON.
"""

from collections.abc import Callable, Mapping
from ctypes import c_float
from enum import Enum
from typing import NoReturn, TypeVar

import orjson

from qdrantlite.errors import InvalidRequest, MalformedRequest, ValidationFailed
from qdrantlite.values.payload import Json, Payload, require_readable, spelled
from qdrantlite.wire.rest.parsing import Elements

T = TypeVar("T")
V = TypeVar("V")
E = TypeVar("E", bound=Enum)

U64_MAX = 2**64 - 1
U32_MAX = 2**32 - 1


class Misread(MalformedRequest):
    """JSON of the wrong shape; ``path`` leads to where."""

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(f"{problem} at `{path}`" if path else problem)
        self.problem = problem
        self.path = path


def inside(name: str, decode: Callable[[V], T], value: V) -> T:
    """``decode(value)``; errors leave it with ``name`` before their path."""
    try:
        return decode(value)
    except InvalidRequest as error:
        raise _displaced(error, name) from None


def _displaced(error: InvalidRequest, name: str) -> InvalidRequest:
    """The error with ``name`` before its path, if it is one of those that have one."""
    match error:
        case Misread():
            return Misread(error.problem, _joined(name, error.path))
        case ValidationFailed():
            return ValidationFailed(_joined(name, error.text))
        case _:
            return error


def _joined(name: str, path: str) -> str:
    """``a`` and ``b`` are ``a.b``, ``a`` and ``[0]`` are ``a[0]``."""
    return name + path if not path or path.startswith("[") else f"{name}.{path}"


def unexpected(value: Json, expected: str) -> NoReturn:
    """Raises Misread in serde's words for a value of the wrong type."""
    raise Misread(f"invalid type: {_shown(value)}, expected {expected}")


def _shown(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return f"boolean `{str(value).lower()}`"
        case int():
            return f"integer `{value}`"
        case float():
            return f"floating point `{value}`"
        case str():
            return f"string {orjson.dumps(value).decode()}"
        case list():
            return "sequence"
        case dict():
            return "map"


def text(value: Json) -> str:
    """A string."""
    if not isinstance(value, str):
        unexpected(value, "a string")
    return value


def flag(value: Json) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        unexpected(value, "a boolean")
    return value


def number(value: Json) -> float:
    """A number, as float64."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        unexpected(value, "a number")
    return float(value)


def small_number(value: Json) -> float:
    """A number rounded to float32; infinite beyond its range."""
    return c_float(number(value)).value


def whole(value: Json, least: int, most: int, expected: str) -> int:
    """An integer between two others."""
    if isinstance(value, bool) or not isinstance(value, int):
        unexpected(value, expected)
    if not least <= value <= most:
        raise Misread(f"invalid value: integer `{value}`, expected {expected}")
    return value


def count(value: Json) -> int:
    """An integer of 64 bits without sign."""
    return whole(value, 0, U64_MAX, "u64")


def short_count(value: Json) -> int:
    """An integer of 32 bits without sign."""
    return whole(value, 0, U32_MAX, "u32")


def positive(value: Json) -> int:
    """An integer of 64 bits that is not 0."""
    return whole(value, 1, U64_MAX, "a nonzero u64")


def path(value: Json) -> str:
    """The path of a payload field, checked, in its one spelling."""
    key = text(value)
    try:
        return spelled(key)
    except MalformedRequest as error:
        raise Misread(error.text) from None


def choice(kind: type[E], *, by_name: bool = False) -> Callable[[Json], E]:
    """A reader of an enum whose values, or names in lower case, are Qdrant's spellings."""
    spelled: Mapping[Json, E] = {member.name.lower() if by_name else member.value: member for member in kind}
    expected = ", ".join(f"`{word}`" for word in spelled)

    def read(value: Json) -> E:
        member = spelled.get(text(value))
        if member is None:
            raise Misread(f"unknown variant `{value}`, expected one of {expected}")
        return member

    return read


def items(value: "Json | Elements", decode: Callable[[Json], T]) -> tuple[T, ...]:
    """A list, each element decoded. Raises NotJson, too, for one that is parsed meanwhile."""
    if not isinstance(value, list | Elements):
        unexpected(value, "a sequence")
    decoded: list[T] = []
    try:
        for item in value:
            decoded.append(decode(item))
    except InvalidRequest as error:
        place = f"[{len(decoded)}]"
        while decoded:  # The error keeps this frame, with which all of them would be freed in one go.
            decoded.pop()
        raise _displaced(error, place) from None
    return tuple(decoded)


def one_or_more(value: Json, decode: Callable[[Json], T]) -> tuple[T, ...]:
    """A list, or what could be its only element."""
    return items(value, decode) if isinstance(value, list) else (decode(value),)


def entries(value: Json, decode: Callable[[Json], T]) -> dict[str, T]:
    """An object whose keys are names; in the order of the names."""
    if not isinstance(value, dict):
        unexpected(value, "a map")
    return {name: inside(name, decode, value[name]) for name in sorted(value)}


def payload(value: Json) -> Payload:
    """A JSON object of the user's. Raises BadInput for one that gRPC clients could not read."""
    if not isinstance(value, dict):
        unexpected(value, "a map")
    require_readable(value)
    return value


def fields(value: Json, expected: str = "a map") -> "Fields":
    """An object whose members are known by name."""
    if not isinstance(value, dict):
        unexpected(value, expected)
    return Fields(value)


class Fields:
    """One JSON object; see the module. Names passed to its methods are those of the members."""

    __slots__ = ("_members",)

    def __init__(self, members: dict[str, Json]) -> None:
        self._members = members

    def has(self, name: str) -> bool:
        """True for a member that is neither absent nor null."""
        return self._members.get(name) is not None

    def given(self, *names: str) -> str:
        """The first of several names for one member that is there; the first of all if none is."""
        for name in names:
            if name in self._members:
                return name
        return names[0]

    def raw(self) -> dict[str, Json]:
        """The whole object, unread."""
        return self._members

    def only(self, *names: str) -> None:
        """Raises Misread for a member of any other name."""
        for name in self._members:
            if name not in names:
                expected = ", ".join(f"`{known}`" for known in names)
                raise Misread(f"unknown field `{name}`, expected one of {expected}")

    def read(self, name: str, decode: Callable[[Json], T]) -> T | None:
        """The member as ``decode`` reads it."""
        value = self._members.get(name)
        return None if value is None else inside(name, decode, value)

    def needed(self, name: str, decode: Callable[[Json], T], other: str | None = None) -> T:
        """Like ``read``; raises Misread when there is no such member, nor one called by its ``other`` name."""
        value = self._members.get(name)
        if value is None:
            if other is not None and self.has(other):
                return self.needed(other, decode)
            raise Misread(f"missing field `{name}`")
        return inside(name, decode, value)

    def every(self, name: str, decode: Callable[[Json], T]) -> tuple[T, ...]:
        """A list that must be there."""
        return self.needed(name, lambda value: items(value, decode))

    def each(self, name: str, decode: Callable[[Json], T]) -> tuple[T, ...] | None:
        """A list."""
        return self.read(name, lambda value: items(value, decode))

    def some(self, name: str, decode: Callable[[Json], T]) -> tuple[T, ...]:
        """A list, or what could be its only element; none when absent."""
        return self.read(name, lambda value: one_or_more(value, decode)) or ()

    def part(self, name: str, decode: "Callable[[Fields], T]") -> T | None:
        """An object with members of its own."""
        return self.read(name, lambda value: decode(fields(value)))

    def text(self, name: str) -> str | None:
        """A string."""
        return self.read(name, text)

    def flag(self, name: str) -> bool | None:
        """A boolean."""
        return self.read(name, flag)

    def number(self, name: str) -> float | None:
        """A number, as float64."""
        return self.read(name, number)

    def small_number(self, name: str) -> float | None:
        """A number rounded to float32."""
        return self.read(name, small_number)

    def count(self, name: str) -> int | None:
        """An integer of 64 bits without sign."""
        return self.read(name, count)
