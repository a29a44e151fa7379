"""Filters: ``Filter`` messages to the tree of ``query.filter``. Conditions with nothing in them are dropped."""

from collections.abc import Sequence

from qdrantlite.errors import MalformedRequest, ValidationFailed
from qdrantlite.query import filter as tree
from qdrantlite.query.filter import Condition, Filter, Match, MinShould, Predicate
from qdrantlite.values.dates import Instant
from qdrantlite.values.geo import GeoPoint
from qdrantlite.values.payload import spelled
from qdrantlite.wire.bounds import each_inside, inside
from qdrantlite.wire.checked import filter as checked
from qdrantlite.wire.grpc.id_codec import decode_ids
from qdrantlite.wire.grpc.remembered import remembered
from qdrantlite.wire.pb import qdrant_common as pb
from qdrantlite.wire.pb import timestamp

_SECOND_MIN, _SECOND_MAX = -62_135_596_800, 253_402_300_799


# The same filters come again and again: a tenant's, a language's.
@remembered(pb.Filter, bytes_max=512, entries=512)
def decode_filter(message: pb.Filter) -> Filter:
    """Raises InvalidRequest. Paths are checked here, so that nothing below meets a malformed one."""
    return Filter(
        should=_decode_conditions("should", message.should),
        must=_decode_conditions("must", message.must),
        must_not=_decode_conditions("must_not", message.must_not),
        min_should=inside("min_should", _decode_min_should, message.min_should)
        if message.HasField("min_should")
        else None,
    )


def _decode_min_should(message: pb.MinShould) -> MinShould:
    return MinShould(_decode_conditions("conditions", message.conditions), message.min_count)


def _decode_conditions(field: str, messages: Sequence[pb.Condition]) -> tuple[Condition, ...]:
    if not messages:
        return ()
    conditions = each_inside(field, decode_condition, messages)
    return tuple([condition for condition in conditions if condition is not None])


def decode_condition(message: pb.Condition) -> Condition | None:
    """One condition, None when the message holds none. Raises InvalidRequest."""
    match message.WhichOneof("condition_one_of"):
        case "field":
            return inside("condition_one_of", _decode_field, message.field)
        case "is_empty":
            return tree.IsEmpty(spelled(message.is_empty.key))
        case "is_null":
            return tree.IsNull(spelled(message.is_null.key))
        case "has_id":
            return tree.HasId(decode_ids(message.has_id.has_id))
        case "has_vector":
            return tree.HasVector(message.has_vector.has_vector)
        case "filter":
            return inside("condition_one_of", decode_filter, message.filter)
        case "nested":
            return _decode_nested(message.nested)
        case "slice":
            return inside("condition_one_of", _decode_slice, message.slice)
        case None:
            return None


def _decode_nested(message: pb.NestedCondition) -> tree.Nested:
    if not message.HasField("filter"):
        raise MalformedRequest("Nested condition must have a filter")
    return tree.Nested(spelled(message.key), inside("condition_one_of.filter", decode_filter, message.filter))


def _decode_slice(message: pb.SliceCondition) -> tree.Slice:
    return checked.slice_of(message.total, message.index)


def _decode_field(message: pb.FieldCondition) -> Condition:
    key = spelled(message.key)
    return checked.field(key, _decode_predicates(message))


def _decode_predicates(message: pb.FieldCondition) -> list[Predicate]:
    predicates: list[Predicate] = []
    if message.HasField("match"):
        predicates.append(_decode_match(message.match))
    if message.HasField("range"):
        predicates.append(_decode_range(message.range))
    if message.HasField("datetime_range"):
        predicates.append(inside("datetime_range", _decode_datetime_range, message.datetime_range))
    if message.HasField("geo_bounding_box"):
        predicates.append(inside("geo_bounding_box", _decode_bounding_box, message.geo_bounding_box))
    if message.HasField("geo_radius"):
        predicates.append(inside("geo_radius", _decode_radius, message.geo_radius))
    if message.HasField("geo_polygon"):
        predicates.append(inside("geo_polygon", _decode_polygon, message.geo_polygon))
    if message.HasField("values_count"):
        predicates.append(_decode_values_count(message.values_count))
    if message.HasField("is_empty"):
        predicates.append(tree.IsEmptyFlag(message.is_empty))
    if message.HasField("is_null"):
        predicates.append(tree.IsNullFlag(message.is_null))
    return predicates


def _decode_match(message: pb.Match) -> Match:
    match message.WhichOneof("match_value"):
        case "keyword":
            return tree.MatchKeyword(message.keyword)
        case "integer":
            return tree.MatchInteger(message.integer)
        case "boolean":
            return tree.MatchBool(message.boolean)
        case "keywords":
            return tree.MatchAnyKeyword(tuple(message.keywords.strings))
        case "integers":
            return tree.MatchAnyInteger(tuple(message.integers.integers))
        case "except_keywords":
            return tree.MatchExceptKeyword(tuple(message.except_keywords.strings))
        case "except_integers":
            return tree.MatchExceptInteger(tuple(message.except_integers.integers))
        case "text":
            return tree.MatchText(message.text)
        case "text_any":
            return tree.MatchTextAny(message.text_any)
        case "phrase":
            return tree.MatchPhrase(message.phrase)
        case "prefix":
            return tree.MatchPrefix(message.prefix)
        case "substring":
            return tree.MatchSubstring(message.substring)
        case None:
            raise MalformedRequest("Malformed Match condition")


def _decode_range(message: pb.Range) -> tree.Range:
    return tree.Range(
        lt=message.lt if message.HasField("lt") else None,
        gt=message.gt if message.HasField("gt") else None,
        gte=message.gte if message.HasField("gte") else None,
        lte=message.lte if message.HasField("lte") else None,
    )


def _decode_values_count(message: pb.ValuesCount) -> tree.ValuesCount:
    return tree.ValuesCount(
        lt=message.lt if message.HasField("lt") else None,
        gt=message.gt if message.HasField("gt") else None,
        gte=message.gte if message.HasField("gte") else None,
        lte=message.lte if message.HasField("lte") else None,
    )


def _decode_datetime_range(message: pb.DatetimeRange) -> tree.DatetimeRange:
    return tree.DatetimeRange(
        lt=inside("lt", decode_timestamp, message.lt) if message.HasField("lt") else None,
        gt=inside("gt", decode_timestamp, message.gt) if message.HasField("gt") else None,
        gte=inside("gte", decode_timestamp, message.gte) if message.HasField("gte") else None,
        lte=inside("lte", decode_timestamp, message.lte) if message.HasField("lte") else None,
    )


def decode_timestamp(message: timestamp.Timestamp) -> Instant:
    """Cut to microseconds. Raises ValidationFailed outside the years 1 to 9999."""
    if not _SECOND_MIN <= message.seconds <= _SECOND_MAX:
        text = f"seconds: value {message.seconds} invalid, must be within the years 1 to 9999"
        raise ValidationFailed(text)
    carried, nanos = divmod(message.nanos, 1_000_000_000)
    return Instant(message.seconds + carried, nanos // 1000)


def decode_geo_point(message: pb.GeoPoint) -> GeoPoint:
    """Raises ValidationFailed for what is not on the globe."""
    return checked.geo_point(message.lon, message.lat)


def _decode_bounding_box(message: pb.GeoBoundingBox) -> tree.GeoBoundingBox:
    if not (message.HasField("top_left") and message.HasField("bottom_right")):
        raise MalformedRequest("Malformed GeoBoundingBox condition")
    return tree.GeoBoundingBox(
        top_left=inside("top_left", decode_geo_point, message.top_left),
        bottom_right=inside("bottom_right", decode_geo_point, message.bottom_right),
    )


def _decode_radius(message: pb.GeoRadius) -> tree.GeoRadius:
    if not message.HasField("center"):
        raise MalformedRequest("Malformed GeoRadius condition")
    return tree.GeoRadius(center=inside("center", decode_geo_point, message.center), radius=message.radius)


def _decode_polygon(message: pb.GeoPolygon) -> tree.GeoPolygon:
    if not message.HasField("exterior"):
        raise MalformedRequest("Malformed GeoPolygon condition")
    return tree.GeoPolygon(
        exterior=inside("exterior", _decode_ring, message.exterior),
        interiors=each_inside("interiors", _decode_ring, message.interiors),
    )


def _decode_ring(message: pb.GeoLineString) -> tuple[GeoPoint, ...]:
    return checked.ring(each_inside("points", decode_geo_point, message.points))
