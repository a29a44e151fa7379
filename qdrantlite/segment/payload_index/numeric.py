"""Numeric index: the numbers of a field as keys of postings, for matches, ranges and order.

An integer index takes integral floats as integers and leaves out other floats, and whatever 64 bits cannot hold. A
float index takes both as float64. A datetime index holds microseconds since 1970, among which a leap second is one with
the second that follows. Ranges of numbers and of dates are the same to all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.query.elements import instant_of
from qdrantlite.query.filter import (
    DatetimeRange,
    MatchAnyInteger,
    MatchExceptInteger,
    MatchInteger,
    Predicate,
    Range,
)
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.payload_index.bounds import INT64_MAX, INT64_MIN, closed_floats, closed_integers, in_micros
from qdrantlite.segment.payload_index.facet import Counts, FacetValue, Places
from qdrantlite.segment.payload_index.kind import Piece
from qdrantlite.segment.payload_index.parts import Part, Parts
from qdrantlite.segment.payload_index.postings import Postings, merged_postings
from qdrantlite.segment.selection import Selection
from qdrantlite.values.payload import Json

Number = TypeVar("Number", np.int64, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Numbers(Generic[Number]):
    """See ``kind.Values``. 8 to 16 bytes per entry."""

    postings: Postings[Number]
    matched: bool
    """Whether they are the integers that payloads have, to be matched and counted."""

    @property
    def entries(self) -> int:
        """See ``kind.Values``."""
        return len(self.postings.run.offsets)

    @property
    def indexed(self) -> AbstractBitMap:
        """See ``kind.Values``."""
        return self.postings.indexed

    @property
    def are_integers(self) -> bool:
        """Whether they are int64, else float64."""
        return self.postings.run.keys.dtype == np.int64

    def match(self, predicate: Predicate) -> AbstractBitMap | None:
        """See ``kind.Values``. Floats and dates leave the matching of integers to payloads."""
        match predicate:
            case DatetimeRange():
                return self.match(in_micros(predicate))
            case Range():
                closed = closed_integers(predicate) if self.are_integers else closed_floats(predicate)
                return BitMap() if closed is None else self.between(*closed)
            case MatchInteger(number) if self.matched:
                return self.postings.with_one_of(self._array([number]))
            case MatchAnyInteger(numbers) if self.matched:
                return self.postings.with_one_of(self._array(list(set(numbers))))
            case MatchExceptInteger(numbers) if self.matched:
                return self.postings.with_other_than(self._array(list(set(numbers))))
            case _:
                return None

    def between(self, low: int | float, high: int | float) -> AbstractBitMap:
        """Points with a number of ``low <= number <= high``."""
        return self.postings.between(self._array([low]), self._array([high]))

    def counts(self, selection: Selection, forgotten: AbstractBitMap) -> Counts:
        """See ``facet.Countable``."""
        return self.postings.counts(selection, forgotten)

    def names(self, places: Places) -> list[int]:
        """See ``facet.Countable``; of integers."""
        return [int(key) for key in self.postings.run.keys[places].tolist()]

    def places(self, names: Sequence[FacetValue]) -> Places:
        """See ``facet.Countable``; of integers."""
        places = np.full(len(names), -1, dtype=np.int64)
        found, numbers = self.postings.run.locate(self._array([name for name in names if isinstance(name, int)]))
        places[found] = numbers
        return places

    def dump(self) -> list[Part]:
        """See ``kind.Values``."""
        return self.postings.dump()

    def _array(self, keys: Sequence[int | float]) -> npt.NDArray[Number]:
        return np.array(keys, dtype=self.postings.run.keys.dtype)


class NumericKind(Generic[Number]):
    """See ``kind.Kind``. ``key_of`` gives the number of an element, None for one without; ``matched``: see Numbers."""

    def __init__(
        self, dtype: type[Number], key_of: Callable[[Json], int | float | None], *, matched: bool = False
    ) -> None:
        self._dtype: type[Number] = dtype
        self._key_of = key_of
        self._matched = matched

    def build(self, offsets: Offsets, elements: Sequence[list[Json]]) -> Numbers[Number]:
        """See ``kind.Kind``."""
        key_of, keys, owners = self._key_of, list[int | float](), list[int]()
        for offset, found in zip(offsets.tolist(), elements, strict=True):
            if len(found) == 1:
                key = key_of(found[0])
                if key is not None:
                    keys.append(key)
                    owners.append(offset)
            elif found:
                distinct = {key for element in found if (key := key_of(element)) is not None}
                keys.extend(distinct)
                owners.extend([offset] * len(distinct))
        made = Postings.of(np.array(keys, dtype=self._dtype), np.array(owners, dtype=np.uint32))
        return Numbers(made, self._matched)

    def merge(self, pieces: Sequence[Piece]) -> Numbers[Number]:
        """See ``kind.Kind``."""
        merged = merged_postings([(self._numbers(piece).postings, piece.forgotten) for piece in pieces])
        return Numbers(merged, self._matched)

    def load(self, parts: Parts) -> Numbers[Number]:
        """See ``kind.Kind``."""
        return Numbers(Postings.load(parts, self._dtype), self._matched)

    def _numbers(self, piece: Piece) -> Numbers[Number]:
        assert isinstance(piece.values, Numbers)
        return piece.values


def integer_kind() -> NumericKind[np.int64]:
    """Of integers."""
    return NumericKind(np.int64, integer_of, matched=True)


def float_kind() -> NumericKind[np.float64]:
    """Of floats."""
    return NumericKind(np.float64, float_of)


def datetime_kind() -> NumericKind[np.int64]:
    """Of dates."""
    return NumericKind(np.int64, micros_of)


def integer_of(element: Json) -> int | None:
    """An integer, or a float that is one and lies within 64 bits; 2**63 is taken for the last of them."""
    if element.__class__ is int:
        number = element
    elif isinstance(element, float) and element.is_integer():
        number = int(element)
    else:
        return None
    assert isinstance(number, int)
    if INT64_MIN <= number <= INT64_MAX:
        return number
    return INT64_MAX if float(number) == 2.0**63 else None


def float_of(element: Json) -> float | None:
    """A number as float64."""
    if isinstance(element, (int, float)) and not isinstance(element, bool):
        return float(element)
    return None


def micros_of(element: Json) -> int | None:
    """Microseconds since 1970 of a date."""
    moment = instant_of(element)
    return None if moment is None else moment.micros
