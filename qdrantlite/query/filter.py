"""Filters: a tree of conditions, one immutable class per kind.

A ``Filter`` holds when any ``should`` (or none is given) and all ``must`` and none of ``must_not`` and at least
``min_count`` of ``min_should`` hold. An absent list and an empty one mean the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from qdrantlite.values.dates import Instant
from qdrantlite.values.geo import GeoPoint
from qdrantlite.values.payload import Path, parse_path
from qdrantlite.values.point_id import PointId


@dataclass(frozen=True, slots=True)
class MatchKeyword:
    """Some element equals the string, case-sensitive."""

    value: str


@dataclass(frozen=True, slots=True)
class MatchInteger:
    """Some element is this integer (never a bool)."""

    value: int


@dataclass(frozen=True, slots=True)
class MatchBool:
    """Some element is this bool."""

    value: bool


@dataclass(frozen=True, slots=True)
class MatchAnyKeyword:
    """Some element is in the list; an empty list matches nothing."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MatchAnyInteger:
    """Some element is in the list; an empty list matches nothing."""

    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MatchExceptKeyword:
    """Some element is not in the list."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MatchExceptInteger:
    """Some element is not in the list."""

    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MatchText:
    """Every word of the text occurs."""

    text: str


@dataclass(frozen=True, slots=True)
class MatchTextAny:
    """Some word of the text occurs."""

    text: str


@dataclass(frozen=True, slots=True)
class MatchPhrase:
    """The words occur one after the other."""

    text: str


@dataclass(frozen=True, slots=True)
class MatchPrefix:
    """Some string element starts with this."""

    prefix: str


@dataclass(frozen=True, slots=True)
class MatchSubstring:
    """Some string element contains this."""

    substring: str


Match: TypeAlias = (
    MatchKeyword
    | MatchInteger
    | MatchBool
    | MatchAnyKeyword
    | MatchAnyInteger
    | MatchExceptKeyword
    | MatchExceptInteger
    | MatchText
    | MatchTextAny
    | MatchPhrase
    | MatchPrefix
    | MatchSubstring
)


@dataclass(frozen=True, slots=True)
class Range:
    """A JSON number within all bounds given, compared as f64."""

    lt: float | None = None
    gt: float | None = None
    gte: float | None = None
    lte: float | None = None


@dataclass(frozen=True, slots=True)
class DatetimeRange:
    """A date string within all bounds given."""

    lt: Instant | None = None
    gt: Instant | None = None
    gte: Instant | None = None
    lte: Instant | None = None


@dataclass(frozen=True, slots=True)
class GeoBoundingBox:
    """Strictly inside; ``top_left.lon > bottom_right.lon`` crosses the antimeridian."""

    top_left: GeoPoint
    bottom_right: GeoPoint


@dataclass(frozen=True, slots=True)
class GeoRadius:
    """Haversine distance strictly less than ``radius`` metres."""

    center: GeoPoint
    radius: float


@dataclass(frozen=True, slots=True)
class GeoPolygon:
    """Strictly inside the exterior ring and outside all interior ones; rings are closed."""

    exterior: tuple[GeoPoint, ...]
    interiors: tuple[tuple[GeoPoint, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class ValuesCount:
    """Number of elements within all bounds given."""

    lt: int | None = None
    gt: int | None = None
    gte: int | None = None
    lte: int | None = None


@dataclass(frozen=True, slots=True)
class IsEmptyFlag:
    """The ``is_empty`` form of a field condition; False asks for at least one value."""

    wanted: bool


@dataclass(frozen=True, slots=True)
class IsNullFlag:
    """The ``is_null`` form of a field condition; False asks for anything not null, missing included."""

    wanted: bool


ElementPredicate: TypeAlias = Match | Range | DatetimeRange | GeoBoundingBox | GeoRadius | GeoPolygon
"""Holds for a field when it holds for one of its elements."""

Predicate: TypeAlias = ElementPredicate | ValuesCount | IsEmptyFlag | IsNullFlag


@dataclass(frozen=True, slots=True)
class FieldCondition:
    """One predicate on the elements at ``key``. A message with several becomes a ``Filter`` of ``should``."""

    key: str
    predicate: Predicate

    @property
    def path(self) -> Path:
        """Parsed key; cached by ``parse_path``."""
        return parse_path(self.key)


@dataclass(frozen=True, slots=True)
class IsEmpty:
    """Missing, null or an empty array."""

    key: str


@dataclass(frozen=True, slots=True)
class IsNull:
    """Null, or an array holding null."""

    key: str


@dataclass(frozen=True, slots=True)
class HasId:
    """The point's id is one of these; an empty tuple matches nothing."""

    ids: tuple[PointId, ...]


@dataclass(frozen=True, slots=True)
class HasVector:
    """The point has this named vector (``""`` = the default one)."""

    name: str


@dataclass(frozen=True, slots=True)
class Slice:
    """One of ``total`` disjoint parts of all ids."""

    total: int
    index: int


@dataclass(frozen=True, slots=True)
class Nested:
    """All conditions hold on one and the same object of the array at ``key``."""

    key: str
    filter: "Filter"


@dataclass(frozen=True, slots=True)
class MinShould:
    """At least ``min_count`` of the conditions hold."""

    conditions: "tuple[Condition, ...]"
    min_count: int


@dataclass(frozen=True)
class Filter:
    """See the module."""

    should: "tuple[Condition, ...]" = ()
    must: "tuple[Condition, ...]" = ()
    must_not: "tuple[Condition, ...]" = ()
    min_should: MinShould | None = None

    def __hash__(self) -> int:
        return self._hash  # asked for often, and the tree may be large

    @cached_property
    def _hash(self) -> int:
        return hash((self.should, self.must, self.must_not, self.min_should))

    @cached_property
    def is_empty(self) -> bool:
        """True when it lets everything through."""
        return not (self.should or self.must or self.must_not or self.min_should)

    def conditions(self) -> "Iterator[Condition]":
        """Those of all lists."""
        yield from self.must
        yield from self.must_not
        yield from self.should
        if self.min_should is not None:
            yield from self.min_should.conditions


Condition: TypeAlias = FieldCondition | IsEmpty | IsNull | HasId | HasVector | Slice | Nested | Filter

EMPTY_FILTER = Filter()


def merge_filters(outer: Filter | None, inner: Filter | None) -> Filter | None:
    """How a stage's filter flows down to its leaves: list by list, not as a conjunction.

    Qdrant concatenates ``must``, ``must_not`` and ``should``; of two ``min_should`` the conditions are concatenated
    and the larger ``min_count`` wins.
    """
    if outer is None or outer.is_empty:
        return inner
    if inner is None or inner.is_empty:
        return outer
    a, b = outer.min_should, inner.min_should
    both = MinShould(a.conditions + b.conditions, max(a.min_count, b.min_count)) if a and b else a or b
    return Filter(
        should=outer.should + inner.should,
        must=outer.must + inner.must,
        must_not=outer.must_not + inner.must_not,
        min_should=both,
    )
