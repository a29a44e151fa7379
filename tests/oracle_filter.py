"""The oracle's filters: whether one point meets a condition, written from the specification."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qdrantlite.query import filter as f
from qdrantlite.values.payload import EVERY, Json, Payload, elements_at, parse_path, values_at
from qdrantlite.values.point_id import PointId
from qdrantlite.values.vector import Vector


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A point as the user gave it."""

    id: PointId
    vectors: Mapping[str, Vector] = field(default_factory=dict)
    payload: Payload = field(default_factory=dict)


def holds(condition: f.Condition, point: Point) -> bool:
    """Whether a point meets a condition, as fields without an index are tested."""
    match condition:
        case f.Filter(should, must, must_not, min_should):
            return (
                (not should or any(holds(c, point) for c in should))
                and all(holds(c, point) for c in must)
                and not any(holds(c, point) for c in must_not)
                and (min_should is None or sum(holds(c, point) for c in min_should.conditions) >= min_should.min_count)
            )
        case f.HasId(ids):
            return point.id in ids
        case f.HasVector(name):
            return name in point.vectors
        case f.IsEmpty(key) | f.FieldCondition(key, f.IsEmptyFlag(True)):
            return all(value is None or value == [] for value in values_at(point.payload, parse_path(key)))
        case f.FieldCondition(key, f.IsEmptyFlag(False)):
            return not holds(f.IsEmpty(key), point)
        case f.IsNull(key) | f.FieldCondition(key, f.IsNullFlag(True)):
            return None in elements_at(point.payload, parse_path(key))
        case f.FieldCondition(key, f.IsNullFlag(False)):
            return not holds(f.IsNull(key), point)
        case f.FieldCondition(key, f.ValuesCount(lt, gt, gte, lte)):
            given = list(values_at(point.payload, parse_path(key)))
            counts = [len(value) if isinstance(value, list) else int(value is not None) for value in given]
            return _within(sum(counts), lt, gt, gte, lte)
        case f.FieldCondition(key, predicate):
            return any(_matches(predicate, value) for value in elements_at(point.payload, parse_path(key)))
        case f.Nested(key, inner):
            path = parse_path(key)
            arrays = values_at(point.payload, path[:-1] if path[-1] is EVERY else path)
            elements = [each for array in arrays if isinstance(array, list) for each in array if isinstance(each, dict)]
            return any(holds(inner, Point(point.id, {}, value)) for value in elements)
        case _:
            raise NotImplementedError(condition)


def _matches(predicate: f.Predicate, value: Json) -> bool:
    match predicate:
        case f.MatchKeyword(wanted) | f.MatchInteger(wanted) | f.MatchBool(wanted):
            return type(value) is type(wanted) and value == wanted
        case f.MatchAnyKeyword(values) | f.MatchAnyInteger(values):
            return any(type(value) is type(wanted) and value == wanted for wanted in values)
        case f.MatchExceptKeyword(values) | f.MatchExceptInteger(values):
            return value is not None and not any(type(value) is type(banned) and value == banned for banned in values)
        case f.MatchPrefix(text):
            return isinstance(value, str) and value.startswith(text)
        case f.MatchSubstring(text):
            return isinstance(value, str) and text in value
        case f.Range(lt, gt, gte, lte):
            return isinstance(value, int | float) and not isinstance(value, bool) and _within(value, lt, gt, gte, lte)
        case _:
            raise NotImplementedError(predicate)


def _within(x: float, lt: float | None, gt: float | None, gte: float | None, lte: float | None) -> bool:
    return not ((lt is not None and x >= lt) or (gt is not None and x <= gt)) and not (
        (gte is not None and x < gte) or (lte is not None and x > lte)
    )
