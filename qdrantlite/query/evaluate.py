"""Filters decided by reading payloads: how conditions combine, and what they ask of fields where no index answers.

A condition on a field tests the elements at its path (``values.payload.elements_at``): the value itself, or each
element of an array, one level deep. Many payloads are asked at a time, and only those that earlier conditions of a
filter leave open. Knows neither offsets nor indexes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import TypeAlias, TypeVar, assert_never

import numpy as np
from numpy.typing import NDArray

from qdrantlite.query.elements import Bools, element_test
from qdrantlite.query.filter import (
    Condition,
    ElementPredicate,
    FieldCondition,
    Filter,
    GeoPolygon,
    HasId,
    HasVector,
    IsEmpty,
    IsEmptyFlag,
    IsNull,
    IsNullFlag,
    Nested,
    Predicate,
    Slice,
    ValuesCount,
)
from qdrantlite.values.payload import EVERY, Json, Path, Payload, elements_of, parse_path, values_at

Rows: TypeAlias = NDArray[np.intp]
PayloadTest: TypeAlias = Callable[[Sequence[Payload]], Bools]
Holds: TypeAlias = Callable[[Condition, Rows], Bools]
Owned = TypeVar("Owned")

PAIRS_MAX = 1 << 23
"""Pairs of a payload and an edge of a polygon that are compared at a time: less than a second."""


def payload_test(condition: Condition) -> PayloadTest:
    """Which of the payloads meet the condition (a ``Filter`` is one), ``(n,) bool``.

    Ids and vectors are no part of a payload: conditions on them are false. Raises MalformedRequest for a bad path.
    """
    match condition:
        case FieldCondition(_, predicate):
            return _field_test(predicate, condition.path)
        case IsEmpty(key):
            filled = _field_test(IsEmptyFlag(False), parse_path(key))
            return lambda payloads: ~filled(payloads)
        case IsNull(key):
            return _field_test(IsNullFlag(True), parse_path(key))
        case HasId() | HasVector() | Slice():
            return lambda payloads: np.zeros(len(payloads), dtype=np.bool_)
        case Nested(key, filter):
            return _nested_test(filter, parse_path(key))
        case Filter():
            return _filter_test(condition)
        case _:
            assert_never(condition)


def at_once(condition: Condition, most: int) -> int:
    """How many payloads, up to so many, may be asked before a deadline is looked at: fewer where each may have to be
    compared with many edges of polygons.
    """
    return max(1, min(most, PAIRS_MAX // max(1, _edges(condition))))


def _edges(condition: Condition) -> int:
    match condition:
        case FieldCondition(_, GeoPolygon(exterior, interiors)):
            return sum(map(len, (exterior, *interiors)))
        case Nested(_, filter):
            return _edges(filter)
        case Filter():
            return sum(map(_edges, condition.conditions()))
        case _:
            return 0


def passing(filter: Filter, rows: Rows, holds: Holds) -> Bools:
    """Which of the rows pass a filter, ``(n,) bool``, given what its conditions say of those still open."""
    passed = np.ones(len(rows), dtype=np.bool_)

    def narrow(test: Callable[[Rows], Bools], *, wanted: bool = True) -> None:
        still = np.flatnonzero(passed)
        if len(still):
            passed[still] = test(rows[still]) == wanted

    for condition in filter.must:
        narrow(partial(holds, condition))
    for condition in filter.must_not:
        narrow(partial(holds, condition), wanted=False)
    if filter.should:
        narrow(lambda some: _any_of(filter.should, some, holds))
    least = filter.min_should
    if least is not None:
        narrow(lambda some: _count_of(least.conditions, some, holds) >= least.min_count)
    return passed


def _any_of(conditions: Sequence[Condition], rows: Rows, holds: Holds) -> Bools:
    found = np.zeros(len(rows), dtype=np.bool_)
    for condition in conditions:
        still = np.flatnonzero(~found)
        if len(still):
            found[still] = holds(condition, rows[still])
    return found


def _count_of(conditions: Sequence[Condition], rows: Rows, holds: Holds) -> NDArray[np.int64]:
    counts = np.zeros(len(rows), dtype=np.int64)
    for condition in conditions:
        counts += holds(condition, rows)
    return counts


def _filter_test(filter: Filter) -> PayloadTest:
    tests = {id(condition): payload_test(condition) for condition in filter.conditions()}

    def test(payloads: Sequence[Payload]) -> Bools:
        def holds(condition: Condition, rows: Rows) -> Bools:
            some = payloads if len(rows) == len(payloads) else [payloads[row] for row in rows.tolist()]
            return tests[id(condition)](some)

        return passing(filter, np.arange(len(payloads)), holds)

    return test


def _nested_test(filter: Filter, path: Path) -> PayloadTest:
    """All conditions on one object of the array at the path, to which ``[]`` belongs even if it is not written."""
    every = path if path[-1] is EVERY else (*path, EVERY)
    inner = _filter_test(filter)

    def objects(payload: Payload) -> list[Payload]:
        return [value for value in values_at(payload, every) if isinstance(value, dict)]

    return lambda payloads: _some(inner, [objects(payload) for payload in payloads])


def _field_test(predicate: Predicate, path: Path) -> PayloadTest:
    match predicate:
        case ValuesCount() | IsEmptyFlag() | IsNullFlag():
            holds = _values_test(predicate)
            return lambda payloads: np.fromiter(
                (holds(list(values_at(payload, path))) for payload in payloads), np.bool_, len(payloads)
            )
        case _:
            return _elements_test(predicate, path)


def _elements_test(predicate: ElementPredicate, path: Path) -> PayloadTest:
    test = element_test(predicate)
    return lambda payloads: _some(test, elements_of(payloads, path))


def _values_test(predicate: ValuesCount | IsEmptyFlag | IsNullFlag) -> Callable[[Sequence[Json]], bool]:
    """What a predicate says of all values reached in one payload.

    A flag asks whether some value reached is as wanted, or none is reached; so on a path of several values both forms
    of ``is_null`` may hold.
    """
    match predicate:
        case ValuesCount():
            return lambda values: any(_count_within(predicate, count) for count in map(_count, values or [None]))
        case IsEmptyFlag(True):
            return lambda values: not values or any(map(_is_void, values))
        case IsEmptyFlag():
            return lambda values: not all(map(_is_void, values))
        case IsNullFlag(True):
            return lambda values: any(map(_is_null, values))
        case IsNullFlag():
            return lambda values: not values or not all(map(_is_null, values))
        case _:
            assert_never(predicate)


def _some(test: Callable[[Sequence[Owned]], Bools], found: Sequence[Sequence[Owned]]) -> Bools:
    """Whether the test holds for something found in each payload, ``(n,) bool``."""
    owners = np.repeat(np.arange(len(found)), np.fromiter(map(len, found), np.intp, len(found)))
    held = np.zeros(len(found), dtype=np.bool_)
    if len(owners):
        held[owners[test(list(chain.from_iterable(found)))]] = True
    return held


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


def _is_void(value: Json) -> bool:
    return value is None or value == []


def _is_null(value: Json) -> bool:
    return value is None or (isinstance(value, list) and None in value)
