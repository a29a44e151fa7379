"""Filters decided by reading payloads: the meaning of every condition where no index answers it.

A condition on a field tests the elements at its path (``values.payload.elements_at``): the value itself, or each
element of an array, one level deep. An index may be narrower: ``except`` asks an index about values of the index's
type only. Knows neither offsets nor indexes.
"""

from collections.abc import Callable, Iterator
from math import isnan
from typing import assert_never

from qdrantlite.errors import Unsupported
from qdrantlite.query.filter import (
    Condition,
    DatetimeRange,
    FieldCondition,
    Filter,
    GeoBoundingBox,
    GeoPolygon,
    GeoRadius,
    HasId,
    HasVector,
    IsEmpty,
    IsEmptyFlag,
    IsNull,
    IsNullFlag,
    MatchAnyInteger,
    MatchAnyKeyword,
    MatchBool,
    MatchExceptInteger,
    MatchExceptKeyword,
    MatchInteger,
    MatchKeyword,
    MatchPhrase,
    MatchPrefix,
    MatchSubstring,
    MatchText,
    MatchTextAny,
    Nested,
    Predicate,
    Range,
    Slice,
    ValuesCount,
)
from qdrantlite.values.payload import EVERY, Json, Path, Payload, elements_at, parse_path, values_at
from qdrantlite.values.record import Record


def matches(condition: Condition, record: Record) -> bool:
    """Whether the condition (a ``Filter`` is one) holds for the record; ``vectors`` must name all it has."""
    payload = record.payload or {}

    def holds(inner: Condition) -> bool:
        match inner:
            case HasId(ids):
                return record.id in ids
            case HasVector(name):
                return record.vectors is not None and name in record.vectors
            case Filter():
                return passes(inner, holds)
            case _:
                return payload_matches(inner, payload)

    return holds(condition)


def payload_matches(condition: Condition, payload: Payload) -> bool:
    """The same for a bare payload: ``HasId`` and ``HasVector`` are false. Raises Unsupported, MalformedRequest."""
    match condition:
        case FieldCondition(_, predicate):
            return field_matches(predicate, payload, condition.path)
        case IsEmpty(key):
            return _is_empty(payload, parse_path(key))
        case IsNull(key):
            return _has_null(payload, parse_path(key))
        case HasId() | HasVector():
            return False
        case Nested(key, filter):
            return any(payload_matches(filter, element) for element in _objects_at(payload, parse_path(key)))
        case Filter():
            return passes(condition, lambda inner: payload_matches(inner, payload))
        case Slice():
            raise _unsupported(condition)
        case _:
            assert_never(condition)


def passes(filter: Filter, holds: Callable[[Condition], bool]) -> bool:
    """Combine the conditions of a filter, given what each of them says."""
    if not all(holds(condition) for condition in filter.must):
        return False
    if any(holds(condition) for condition in filter.must_not):
        return False
    if filter.should and not any(holds(condition) for condition in filter.should):
        return False
    least = filter.min_should
    return least is None or sum(holds(condition) for condition in least.conditions) >= least.min_count


def field_matches(predicate: Predicate, payload: Payload, path: Path) -> bool:
    """Whether a predicate holds for what the payload has at the path. Raises Unsupported.

    A flag asks whether some value reached is as wanted, or none is reached; so on a path of several values both forms
    of ``is_null`` may hold.
    """
    match predicate:
        case ValuesCount():
            counts = [_count(value) for value in values_at(payload, path)]
            return any(_count_within(predicate, count) for count in counts or [0])
        case IsEmptyFlag(True):
            values = list(values_at(payload, path))
            return not values or any(_is_void(value) for value in values)
        case IsEmptyFlag():
            return not _is_empty(payload, path)
        case IsNullFlag(True):
            return _has_null(payload, path)
        case IsNullFlag():
            values = list(values_at(payload, path))
            return not values or not all(_is_null(value) for value in values)
        case _:
            return any(element_matches(predicate, element) for element in elements_at(payload, path))


def element_matches(predicate: Predicate, element: Json) -> bool:
    """Whether one element of a field satisfies a match or a range. Raises Unsupported."""
    match predicate:
        case MatchKeyword(word):
            return isinstance(element, str) and element == word
        case MatchInteger(number):
            return is_integer(element) and element == number
        case MatchBool(flag):
            return element is flag
        case MatchAnyKeyword(words):
            return isinstance(element, str) and element in words
        case MatchAnyInteger(numbers):
            return is_integer(element) and element in numbers
        case MatchExceptKeyword(words):
            return not (isinstance(element, str) and element in words) and element is not None
        case MatchExceptInteger(numbers):
            return not (is_integer(element) and element in numbers) and element is not None
        case MatchPrefix(prefix):
            return isinstance(element, str) and element.startswith(prefix)
        case MatchSubstring(substring):
            return isinstance(element, str) and substring in element
        case Range():
            return isinstance(element, (int, float)) and not isinstance(element, bool) and _within(predicate, element)
        case _:
            raise _unsupported(predicate)


def is_integer(element: Json) -> bool:
    """True for JSON integers; a bool is none."""
    return isinstance(element, int) and not isinstance(element, bool)


def require_supported(filter: Filter) -> None:
    """Raises Unsupported, naming the condition, for kinds not built yet; MalformedRequest for a bad path."""
    for condition in _conditions(filter):
        match condition:
            case FieldCondition(_, predicate):
                assert condition.path
                if isinstance(predicate, _NOT_BUILT):
                    raise _unsupported(predicate)
            case IsEmpty(key) | IsNull(key):
                parse_path(key)
            case Nested(key, inner):
                parse_path(key)
                require_supported(inner)
            case Filter():
                require_supported(condition)
            case Slice():
                raise _unsupported(condition)
            case HasId() | HasVector():
                pass
            case _:
                assert_never(condition)


_NOT_BUILT = (DatetimeRange, GeoBoundingBox, GeoRadius, GeoPolygon, MatchText, MatchTextAny, MatchPhrase)

_NAMES: dict[type[object], str] = {
    DatetimeRange: "datetime_range",
    GeoBoundingBox: "geo_bounding_box",
    GeoRadius: "geo_radius",
    GeoPolygon: "geo_polygon",
    MatchText: "match text",
    MatchTextAny: "match text_any",
    MatchPhrase: "match phrase",
    Slice: "slice",
}


def _unsupported(condition: Condition | Predicate) -> Unsupported:
    return Unsupported(f"Filter condition `{_NAMES[type(condition)]}` is not supported yet")


def _conditions(filter: Filter) -> Iterator[Condition]:
    yield from filter.must
    yield from filter.must_not
    yield from filter.should
    if filter.min_should is not None:
        yield from filter.min_should.conditions


def _within(bounds: Range, element: int | float) -> bool:
    """All bounds given hold; NaN as a bound is above every number."""
    number = float(element)
    return (
        (bounds.gte is None or number >= bounds.gte)
        and (bounds.gt is None or number > bounds.gt)
        and (bounds.lte is None or number <= bounds.lte or isnan(bounds.lte))
        and (bounds.lt is None or number < bounds.lt or isnan(bounds.lt))
    )


def _count_within(bounds: ValuesCount, count: int) -> bool:
    return (
        (bounds.gte is None or count >= bounds.gte)
        and (bounds.gt is None or count > bounds.gt)
        and (bounds.lte is None or count <= bounds.lte)
        and (bounds.lt is None or count < bounds.lt)
    )


def _count(value: Json) -> int:
    """Length of an array, 0 for null, else 1. Of several values reached each counts for itself."""
    return len(value) if isinstance(value, list) else int(value is not None)


def _is_empty(payload: Payload, path: Path) -> bool:
    """Nothing reached but nulls and empty arrays."""
    return all(_is_void(value) for value in values_at(payload, path))


def _is_void(value: Json) -> bool:
    return value is None or value == []


def _is_null(value: Json) -> bool:
    return value is None or (isinstance(value, list) and None in value)


def _has_null(payload: Payload, path: Path) -> bool:
    """Some value reached is null or an array holding null."""
    return any(_is_null(value) for value in values_at(payload, path))


def _objects_at(payload: Payload, path: Path) -> Iterator[Payload]:
    """The objects in the arrays at a nested condition's key, to which ``[]`` belongs even if it is not written."""
    every = path if path[-1] is EVERY else (*path, EVERY)
    for value in values_at(payload, every):
        if isinstance(value, dict):
            yield value
