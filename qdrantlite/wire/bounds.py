"""Checks of single fields, with Qdrant's texts. All raise ValidationFailed with the field's name first.

Pure; knows neither gRPC nor HTTP. ``inside`` puts the name of the surrounding field before that of the failing one.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from qdrantlite.errors import ValidationFailed

M = TypeVar("M")
T = TypeVar("T")

COLLECTION_NAME_LENGTH_MAX: Final = 255
VECTOR_NAME_BYTES_MAX: Final = 200
_FORBIDDEN_ANYWHERE: Final = frozenset("/\0")
_FORBIDDEN_WHEN_NEW: Final = frozenset('<>:"/\\|?*\0\x1f')


def inside(field: str, decode: Callable[[M], T], message: M) -> T:
    """``decode(message)``; a ValidationFailed leaves it with ``field.`` before its text."""
    try:
        return decode(message)
    except ValidationFailed as error:
        raise ValidationFailed(f"{field}.{error.text}") from None


def each_inside(field: str, decode: Callable[[M], T], messages: Sequence[M]) -> tuple[T, ...]:
    """``decode`` over a repeated field; a ValidationFailed leaves it with ``field[i].`` before its text."""
    decoded: list[T] = []
    try:
        for message in messages:
            decoded.append(decode(message))
    except ValidationFailed as error:
        raise ValidationFailed(f"{field}[{len(decoded)}].{error.text}") from None
    return tuple(decoded)


def at_least(field: str, value: float, minimum: float) -> None:
    """Refuses what is smaller, and NaN."""
    if not value >= minimum:
        raise ValidationFailed(f"{field}: value {value} invalid, must be {minimum} or larger")


def at_most(field: str, value: float, maximum: float) -> None:
    """Refuses what is larger, and NaN."""
    if not value <= maximum:
        raise ValidationFailed(f"{field}: value {value} invalid, must be {maximum} or smaller")


def within(field: str, value: float, minimum: float, maximum: float) -> None:
    """Refuses what lies outside ``[minimum, maximum]``, and NaN."""
    if not minimum <= value <= maximum:
        bounds = f"from {minimum} to {maximum}"
        raise ValidationFailed(f"{field}: value {value} invalid, must be {bounds}")


def not_empty(field: str, value: Sequence[object]) -> None:
    """Refuses a text or list without elements."""
    if len(value) == 0:
        kind = "characters" if isinstance(value, str) else "elements"
        shown = "" if isinstance(value, str) else "[]"
        raise ValidationFailed(f'{field}: value "{shown}" invalid, must be 1 or more {kind}')


def collection_name(name: str, *, new: bool = False, field: str = "collection_name") -> str:
    """A collection's or alias's name: 1 to 255 characters; more characters are forbidden in new names."""
    if not 1 <= len(name) <= COLLECTION_NAME_LENGTH_MAX:
        bounds = f"from 1 to {COLLECTION_NAME_LENGTH_MAX} characters"
        raise ValidationFailed(f'{field}: value "{name}" invalid, must be {bounds}')
    _refuse_characters(field, name, _FORBIDDEN_WHEN_NEW if new else _FORBIDDEN_ANYWHERE, "collection name")
    return name


def new_vector_name(name: str, *, field: str = "vector_name") -> str:
    """A vector's name: at most 200 bytes."""
    size = len(name.encode())
    if size > VECTOR_NAME_BYTES_MAX:
        raise ValidationFailed(f'{field}: value "{name}" invalid, must be at most {VECTOR_NAME_BYTES_MAX} bytes long')
    _refuse_characters(field, name, _FORBIDDEN_WHEN_NEW, "vector name")
    return name


def _refuse_characters(field: str, name: str, forbidden: frozenset[str], what: str) -> None:
    if forbidden.isdisjoint(name):
        return
    first = next(character for character in name if character in forbidden)
    shown = {"\0": "\\0", "\x1f": "\\u{1f}"}.get(first, first)
    raise ValidationFailed(f'{field}: {what} cannot contain "{shown}" char')
