"""Numeric index: the integers or floats of a field as keys of postings, for matches, ranges and order.

An integer index takes integral floats as integers and leaves out other floats, and whatever 64 bits cannot hold. A
float index takes both as float64.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.query.filter import (
    IsNullFlag,
    MatchAnyInteger,
    MatchExceptInteger,
    MatchInteger,
    Predicate,
    Range,
)
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.payload_index.bounds import INT64_MAX, INT64_MIN, closed_floats, closed_integers
from qdrantlite.segment.payload_index.facet import FacetValues, PostedValues
from qdrantlite.segment.payload_index.ordered import OrderedValues
from qdrantlite.segment.payload_index.parts import Part, Parts
from qdrantlite.segment.payload_index.postings import Postings
from qdrantlite.segment.payload_index.presence import Presence
from qdrantlite.values.payload import Json
from qdrantlite.values.schema import FieldKind

Number = TypeVar("Number", np.int64, np.float64)


class NumericIndex(Generic[Number]):
    """See ``PayloadIndex``; made by ``integer_index`` and ``float_index``. 8 to 16 bytes per entry."""

    def __init__(self, kind: FieldKind, dtype: type[Number], key_of: Callable[[Json], int | float | None]) -> None:
        self._kind = kind
        self._dtype: type[Number] = dtype
        self._key_of = key_of
        self._postings: Postings[Number] = Postings(dtype)
        self._presence = Presence()

    @property
    def kind(self) -> FieldKind:
        """See ``PayloadIndex``."""
        return self._kind

    def add(self, offsets: Offsets, elements: Sequence[list[Json]]) -> None:
        """See ``PayloadIndex``."""
        key_of, keys, owners = self._key_of, list[int | float](), list[int]()
        rows = offsets.tolist()
        for offset, found in zip(rows, elements, strict=True):
            if len(found) == 1:
                key = key_of(found[0])
                if key is not None:
                    keys.append(key)
                    owners.append(offset)
            elif found:
                distinct = {key for element in found if (key := key_of(element)) is not None}
                keys.extend(distinct)
                owners.extend([offset] * len(distinct))
        self._postings.add(self._array(keys), np.array(owners, dtype=np.uint32))
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
        """See ``PayloadIndex``. A float index leaves the matching of integers to payloads."""
        match predicate:
            case Range():
                return self._within(predicate)
            case IsNullFlag(True):
                return self._presence.nulls()
            case MatchInteger(number) if self._kind is FieldKind.INTEGER:
                return self._postings.with_one_of(self._array([number]))
            case MatchAnyInteger(numbers) if self._kind is FieldKind.INTEGER:
                return self._postings.with_one_of(self._array(list(set(numbers))))
            case MatchExceptInteger(numbers) if self._kind is FieldKind.INTEGER:
                return self._postings.with_other_than(self._array(list(set(numbers))))
            case _:
                return None

    def valued(self) -> tuple[AbstractBitMap, AbstractBitMap]:
        """See ``PayloadIndex``."""
        return self._presence.valued()

    def ordered(self) -> OrderedValues:
        """The entries at this moment, by value."""
        return OrderedValues(self._postings.view(), integers=self._kind is FieldKind.INTEGER)

    def facet(self) -> FacetValues:
        """The integers at this moment."""
        assert self._kind is FieldKind.INTEGER
        return PostedValues(self._postings.view(), lambda keys: [int(key) for key in keys.tolist()])

    def points(self, live: AbstractBitMap) -> int:
        """See ``PayloadIndex``."""
        return self._postings.points(live)

    def dump(self) -> list[Part]:
        """See ``PayloadIndex``."""
        return [*self._postings.dump(), *self._presence.dump()]

    def load(self, parts: Parts) -> None:
        """See ``PayloadIndex``."""
        self._postings.load(parts)
        self._presence.load(parts)

    def _within(self, bounds: Range) -> AbstractBitMap:
        closed = closed_integers(bounds) if self._kind is FieldKind.INTEGER else closed_floats(bounds)
        if closed is None:
            return BitMap()
        return self._postings.between(self._array([closed[0]]), self._array([closed[1]]))

    def _array(self, keys: list[int | float] | list[int]) -> npt.NDArray[Number]:
        return np.array(keys, dtype=self._dtype)


def integer_index() -> NumericIndex[np.int64]:
    """An empty index of integers."""
    return NumericIndex(FieldKind.INTEGER, np.int64, integer_of)


def float_index() -> NumericIndex[np.float64]:
    """An empty index of floats."""
    return NumericIndex(FieldKind.FLOAT, np.float64, float_of)


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
