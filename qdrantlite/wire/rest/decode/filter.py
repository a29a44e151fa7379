"""Filters: objects to the tree of ``query.filter``. Which condition an object is, its members tell."""

from collections.abc import Callable, Mapping

from qdrantlite.query import filter as tree
from qdrantlite.query.filter import Condition, Filter, Match, Predicate
from qdrantlite.values.dates import Instant, parse_instant
from qdrantlite.values.geo import GeoPoint
from qdrantlite.values.payload import Json
from qdrantlite.wire.bounds import at_least
from qdrantlite.wire.checked import filter as checked
from qdrantlite.wire.rest.decode.vector import point_id
from qdrantlite.wire.rest.reading import (
    Fields,
    Misread,
    count,
    fields,
    flag,
    inside,
    items,
    path,
    short_count,
    text,
    unexpected,
    whole,
)

FILTER_NAMES = ("should", "min_should", "must", "must_not")
_BOUNDS = ("lt", "gt", "gte", "lte")
_I64 = 2**63
_NO_CONDITION = (
    'Expected some form of condition, which can be a field condition (like {"key": ..., "match": ... }), '
    "or some other mentioned in the documentation: https://qdrant.tech/documentation/concepts/filtering/#filtering-conditions"
)


def decode_filter(value: Json) -> Filter:
    """Raises InvalidRequest; unknown members are refused, for a misspelt one would let everything through."""
    members = fields(value, "struct Filter")
    members.only(*FILTER_NAMES)
    return Filter(
        should=members.some("should", decode_condition),
        must=members.some("must", decode_condition),
        must_not=members.some("must_not", decode_condition),
        min_should=members.part("min_should", _min_should),
    )


def _min_should(members: Fields) -> tree.MinShould:
    members.only("conditions", "min_count")
    conditions = members.every("conditions", decode_condition)
    least = members.needed("min_count", count)
    at_least("min_count", least, 1)
    return tree.MinShould(conditions, least)


def decode_condition(value: Json) -> Condition:
    """One condition. Raises InvalidRequest."""
    if not isinstance(value, dict):
        raise Misread(_NO_CONDITION)
    members = Fields(value)
    if "key" in value:
        return _field(members)
    for name, decode in _TAGGED.items():
        if name in value:
            return inside(name, decode, value[name])
    if all(name in FILTER_NAMES for name in value):
        return decode_filter(value)
    raise Misread(_NO_CONDITION)


def _payload_key(value: Json) -> str:
    return fields(value).needed("key", path)


def _nested(value: Json) -> Condition:
    members = fields(value)
    return tree.Nested(members.needed("key", path), members.needed("filter", decode_filter))


def _slice(value: Json) -> Condition:
    members = fields(value)
    return checked.slice_of(members.needed("total", short_count), members.needed("index", short_count))


_TAGGED: Mapping[str, Callable[[Json], Condition]] = {
    "is_empty": lambda value: tree.IsEmpty(_payload_key(value)),
    "is_null": lambda value: tree.IsNull(_payload_key(value)),
    "has_id": lambda value: tree.HasId(items(value, point_id)),
    "has_vector": lambda value: tree.HasVector(text(value)),
    "nested": _nested,
    "slice": _slice,
}


def _field(members: Fields) -> Condition:
    key = members.needed("key", path)
    found = (
        members.read("match", _match),
        members.read("range", _range),
        members.read("geo_bounding_box", _bounding_box),
        members.read("geo_radius", _radius),
        members.read("geo_polygon", _polygon),
        members.read("values_count", _values_count),
        members.read("is_empty", lambda value: tree.IsEmptyFlag(flag(value))),
        members.read("is_null", lambda value: tree.IsNullFlag(flag(value))),
    )
    predicates: list[Predicate] = [predicate for predicate in found if predicate is not None]
    return checked.field(key, predicates)


def _match(value: Json) -> Match:
    match fields(value).raw():
        case {"value": bool(one)}:
            return tree.MatchBool(one)
        case {"value": int(number)}:
            return tree.MatchInteger(_integer(number))
        case {"value": str(word)}:
            return tree.MatchKeyword(word)
        case {"text": str(words)}:
            return tree.MatchText(words)
        case {"text_any": str(words)}:
            return tree.MatchTextAny(words)
        case {"phrase": str(words)}:
            return tree.MatchPhrase(words)
        case {"prefix": str(prefix)}:
            return tree.MatchPrefix(prefix)
        case {"substring": str(substring)}:
            return tree.MatchSubstring(substring)
        case {"any": list(values)}:
            keywords, integers = _of_one_kind("any", values)
            return tree.MatchAnyInteger(integers) if integers else tree.MatchAnyKeyword(keywords)
        case {"except": list(values)}:
            keywords, integers = _of_one_kind("except", values)
            return tree.MatchExceptInteger(integers) if integers else tree.MatchExceptKeyword(keywords)
        case _:
            raise Misread("data did not match any variant of untagged enum MatchInterface")


def _of_one_kind(name: str, values: list[Json]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """All texts or all integers: one of the two is empty."""
    if all(isinstance(value, str) for value in values):
        return inside(name, lambda listed: items(listed, text), values), ()
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return (), inside(name, lambda listed: items(listed, _integer), values)
    raise Misread("data did not match any variant of untagged enum AnyVariants", name)


def _integer(value: Json) -> int:
    return whole(value, -_I64, _I64 - 1, "i64")


def _range(value: Json) -> Predicate:
    """Numbers, or dates where a bound is a text."""
    members = fields(value)
    if any(isinstance(bound, str) for bound in members.raw().values()):
        dates = {name: members.read(name, moment) for name in _BOUNDS}
        return tree.DatetimeRange(**dates)
    return tree.Range(**{name: members.number(name) for name in _BOUNDS})


def moment(value: Json) -> Instant:
    """A date, or a date and time. Raises Misread."""
    found = parse_instant(text(value))
    if found is None:
        raise Misread(f"failed to parse datetime {value}")
    return found


def _values_count(value: Json) -> Predicate:
    members = fields(value)
    return tree.ValuesCount(**{name: members.count(name) for name in _BOUNDS})


def geo_point(value: Json) -> GeoPoint:
    """Raises InvalidRequest for what is not on the globe."""
    members = fields(value)
    lon, lat = members.number("lon"), members.number("lat")
    if lon is None or lat is None:
        unexpected(value, "struct GeoPoint with `lon` and `lat`")
    return checked.geo_point(lon, lat)


def _bounding_box(value: Json) -> Predicate:
    members = fields(value)
    return tree.GeoBoundingBox(members.needed("top_left", geo_point), members.needed("bottom_right", geo_point))


def _radius(value: Json) -> Predicate:
    members = fields(value)
    center, radius = members.needed("center", geo_point), members.number("radius")
    if radius is None:
        raise Misread("missing field `radius`")
    return tree.GeoRadius(center, radius)


def _polygon(value: Json) -> Predicate:
    members = fields(value)
    return tree.GeoPolygon(members.needed("exterior", _ring), members.each("interiors", _ring) or ())


def _ring(value: Json) -> tuple[GeoPoint, ...]:
    return checked.ring(fields(value).every("points", geo_point))
