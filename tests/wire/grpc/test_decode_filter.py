"""Filters of the official client arrive as the same tree, malformed ones are refused with Qdrant's texts."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from qdrant_client import models
from qdrant_client.conversions.conversion import RestToGrpc

from qdrantlite.errors import InvalidRequest, MalformedRequest, ValidationFailed
from qdrantlite.query import filter as tree
from qdrantlite.query.filter import FieldCondition, Filter, MinShould
from qdrantlite.values.dates import Instant
from qdrantlite.values.geo import GeoPoint
from qdrantlite.wire.grpc.decode.filter import decode_filter
from qdrantlite.wire.pb import qdrant_common as pb
from tests.wire.grpc.client_messages import received

BERLIN = models.GeoPoint(lon=13.4, lat=52.5)
SQUARE = [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0)]


def decoded(filter: models.Filter) -> Filter:
    return decode_filter(received(RestToGrpc.convert_filter(filter)))


def field(**predicate: Any) -> models.FieldCondition:
    return models.FieldCondition(key="k", **predicate)


def ring() -> models.GeoLineString:
    return models.GeoLineString(points=[models.GeoPoint(lon=lon, lat=lat) for lon, lat in SQUARE])


RING = tuple(GeoPoint(lon=lon, lat=lat) for lon, lat in SQUARE)
UUID_TEXT = "936DA01F-9ABD-4d9d-80C7-02AF85C822A8"

CONDITIONS = [
    (field(match=models.MatchValue(value="x")), FieldCondition("k", tree.MatchKeyword("x"))),
    (field(match=models.MatchValue(value=-3)), FieldCondition("k", tree.MatchInteger(-3))),
    (field(match=models.MatchValue(value=False)), FieldCondition("k", tree.MatchBool(False))),
    (field(match=models.MatchAny(any=["a", "b"])), FieldCondition("k", tree.MatchAnyKeyword(("a", "b")))),
    (field(match=models.MatchAny(any=[1, 2])), FieldCondition("k", tree.MatchAnyInteger((1, 2)))),
    (field(match=models.MatchExcept(**{"except": ["a"]})), FieldCondition("k", tree.MatchExceptKeyword(("a",)))),
    (field(match=models.MatchExcept(**{"except": [1]})), FieldCondition("k", tree.MatchExceptInteger((1,)))),
    (field(match=models.MatchText(text="t")), FieldCondition("k", tree.MatchText("t"))),
    (field(match=models.MatchTextAny(text_any="t")), FieldCondition("k", tree.MatchTextAny("t"))),
    (field(match=models.MatchPhrase(phrase="t")), FieldCondition("k", tree.MatchPhrase("t"))),
    (field(match=models.MatchPrefix(prefix="t")), FieldCondition("k", tree.MatchPrefix("t"))),
    (field(match=models.MatchSubstring(substring="t")), FieldCondition("k", tree.MatchSubstring("t"))),
    (field(range=models.Range(gte=0, lt=2.5)), FieldCondition("k", tree.Range(gte=0.0, lt=2.5))),
    (
        field(range=models.DatetimeRange(gt=datetime(2020, 1, 2, 3, 4, 5, 678, tzinfo=UTC))),
        FieldCondition("k", tree.DatetimeRange(gt=Instant(1_577_934_245, 678))),
    ),
    (
        field(geo_bounding_box=models.GeoBoundingBox(top_left=BERLIN, bottom_right=BERLIN)),
        FieldCondition("k", tree.GeoBoundingBox(GeoPoint(13.4, 52.5), GeoPoint(13.4, 52.5))),
    ),
    (
        field(geo_radius=models.GeoRadius(center=BERLIN, radius=500.0)),
        FieldCondition("k", tree.GeoRadius(GeoPoint(13.4, 52.5), 500.0)),
    ),
    (
        field(geo_polygon=models.GeoPolygon(exterior=ring(), interiors=[ring()])),
        FieldCondition("k", tree.GeoPolygon(RING, (RING,))),
    ),
    (field(values_count=models.ValuesCount(gt=0, lte=3)), FieldCondition("k", tree.ValuesCount(gt=0, lte=3))),
    (field(is_empty=True), FieldCondition("k", tree.IsEmptyFlag(True))),
    (field(is_null=False), FieldCondition("k", tree.IsNullFlag(False))),
    (models.IsEmptyCondition(is_empty=models.PayloadField(key="a.b")), tree.IsEmpty("a.b")),
    (models.IsNullCondition(is_null=models.PayloadField(key='"a b"[]')), tree.IsNull('"a b"[]')),
    (models.HasIdCondition(has_id=[0, 2**64 - 1, UUID_TEXT]), tree.HasId((0, 2**64 - 1, UUID(UUID_TEXT)))),
    (models.HasVectorCondition(has_vector=""), tree.HasVector("")),
    (
        models.NestedCondition(nested=models.Nested(key="a", filter=models.Filter(must=[field(is_empty=True)]))),
        tree.Nested("a", Filter(must=(FieldCondition("k", tree.IsEmptyFlag(True)),))),
    ),
    (models.Filter(must_not=[field(is_null=True)]), Filter(must_not=(FieldCondition("k", tree.IsNullFlag(True)),))),
]


@pytest.mark.parametrize(("sent", "expected"), CONDITIONS)
def test_condition_of_the_client_arrives(sent: models.Condition, expected: tree.Condition) -> None:
    assert decoded(models.Filter(must=[sent])) == Filter(must=(expected,))


def test_clauses_keep_their_places() -> None:
    a, b, c, d = (models.HasIdCondition(has_id=[number]) for number in range(4))
    sent = models.Filter(
        should=[a], must=[b, c], must_not=[d], min_should=models.MinShould(conditions=[a, b], min_count=2)
    )
    has = [tree.HasId((number,)) for number in range(4)]
    assert decoded(sent) == Filter(
        should=(has[0],), must=(has[1], has[2]), must_not=(has[3],), min_should=MinShould((has[0], has[1]), 2)
    )


def test_empty_condition_is_dropped() -> None:
    assert decode_filter(pb.Filter(must=[pb.Condition()])).is_empty


def test_slice_arrives() -> None:
    message = pb.Filter(must=[pb.Condition(slice=pb.SliceCondition(total=4, index=3))])
    assert decode_filter(message) == Filter(must=(tree.Slice(total=4, index=3),))


def test_several_predicates_on_one_field_are_alternatives() -> None:
    condition = pb.FieldCondition(key="k", match=pb.Match(integer=1), range=pb.Range(gt=5))
    (found,) = decode_filter(pb.Filter(must=[pb.Condition(field=condition)])).must
    assert found == Filter(should=(FieldCondition("k", tree.MatchInteger(1)), FieldCondition("k", tree.Range(gt=5.0))))


def one(**condition: Any) -> pb.Filter:
    return pb.Filter(must=[pb.Condition(**condition)])


REFUSED: list[tuple[pb.Filter, type[InvalidRequest], str]] = [
    (
        one(field={"key": "k"}),
        ValidationFailed,
        "must[0].condition_one_of.match: At least one field condition must be specified",
    ),
    (one(field={"key": "a b", "is_null": True}), MalformedRequest, "Invalid json path: 'a b'"),
    (one(field={"key": "k", "match": {}}), MalformedRequest, "Malformed Match condition"),
    (one(nested={"key": "k"}), MalformedRequest, "must have a filter"),
    (one(slice={"total": 0}), ValidationFailed, "must[0].condition_one_of.total: value 0 invalid, must be 1 or larger"),
    (one(slice={"total": 2, "index": 2}), ValidationFailed, "condition_one_of.index: value 2 invalid"),
    (one(has_id={"has_id": [{}]}), MalformedRequest, "No ID options provided"),
    (one(has_id={"has_id": [{"uuid": "nope"}]}), MalformedRequest, "Unable to parse UUID: nope"),
    (
        one(field={"key": "k", "geo_radius": {"center": {"lat": 91, "lon": 0}}}),
        ValidationFailed,
        "condition_one_of.geo_radius.center.lat: value 91.0 invalid, must be from -90.0 to 90.0",
    ),
    (
        one(field={"key": "k", "geo_polygon": {"exterior": {"points": [{}] * 3}}}),
        ValidationFailed,
        "must be at least 4",
    ),
    (
        one(field={"key": "k", "geo_polygon": {"exterior": {"points": [{}, {}, {}, {"lat": 1}]}}}),
        ValidationFailed,
        "should be the same",
    ),
    (
        one(field={"key": "k", "datetime_range": {"lt": {"seconds": 10**12}}}),
        ValidationFailed,
        "condition_one_of.datetime_range.lt.seconds",
    ),
]


@pytest.mark.parametrize(("message", "error", "text"), REFUSED)
def test_malformed_filter_is_refused(message: pb.Filter, error: type[InvalidRequest], text: str) -> None:
    with pytest.raises(error) as caught:
        decode_filter(message)
    assert text in caught.value.message
