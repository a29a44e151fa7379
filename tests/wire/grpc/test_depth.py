"""Deep messages: a payload that was taken is read by every call, what is too deep is the client's mistake."""

from collections.abc import Iterator
from typing import Any

import grpc
import orjson
import pytest
from google.protobuf.message import Message

from qdrantlite.database import Database
from qdrantlite.query import operation as o
from qdrantlite.values.payload import DEPTH_MAX, Json, parse_path
from qdrantlite.values.schema import CollectionConfig, SparseVectorParams
from qdrantlite.wire.call_pools import CallPools
from qdrantlite.wire.grpc.json_codec import encode_fields
from qdrantlite.wire.grpc.server import GrpcServer
from qdrantlite.wire.pb import points as pb
from qdrantlite.wire.pb import qdrant_common as common
from tests.wire.grpc.called import call, failure

ONE = common.PointId(num=1)
SELECTED = pb.PointsSelector(points=pb.PointsIdsList(ids=[ONE]))


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, grpc.Channel]]:
    with Database(tmp_path_factory.mktemp("deep") / "storage") as database, CallPools() as pools:
        database.create_collection("points", CollectionConfig(sparse_vectors={"words": SparseVectorParams()}))
        point = o.PointWrite(1, {}, {"group": 1})
        database.write("points", (o.Upsert((point,)),), wait=True)
        server = GrpcServer(database, host="127.0.0.1", port=0, pools=pools)
        with grpc.insecure_channel(f"127.0.0.1:{server.start()}") as opened:
            yield database, opened
        server.stop()


def wrapped(depth: int, kind: str) -> Json:
    value: Json = 1
    for _ in range(depth):
        value = {"a": value} if kind == "object" else [value]
    return value


def setting(steps: int) -> pb.SetPayloadPoints:
    request = pb.SetPayloadPoints(collection_name="points", wait=True, points_selector=SELECTED)
    request.key = ".".join(["a"] * steps)
    request.payload["b"].integer_value = 1
    return request


@pytest.mark.parametrize("kind", ["object", "array"])
def test_deepest_payload_is_read_by_every_call(served: tuple[Database, grpc.Channel], kind: str) -> None:
    _, channel = served
    request = pb.SetPayloadPoints(collection_name="points", wait=True, points_selector=SELECTED)
    deep = wrapped(DEPTH_MAX, kind)
    encode_fields({"deep": deep}, request.payload)
    call(channel, "/qdrant.Points/SetPayload", request)
    everything = pb.WithPayloadSelector(enable=True)
    query = pb.QueryPoints(collection_name="points", with_payload=everything)
    groups = pb.QueryPointGroups(
        collection_name="points",
        with_payload=everything,
        group_by="group",
        with_lookup=pb.WithLookup(collection="points", with_payload=everything),
    )
    call(channel, "/qdrant.Points/Scroll", pb.ScrollPoints(collection_name="points"))
    call(channel, "/qdrant.Points/Get", pb.GetPoints(collection_name="points", ids=[ONE], with_payload=everything))
    call(channel, "/qdrant.Points/QueryBatch", pb.QueryBatchPoints(collection_name="points", query_points=[query]))
    (group,) = call(channel, "/qdrant.Points/QueryGroups", groups).result.groups
    for found in (group.hits[0], group.lookup):
        value: Any = found.payload["deep"]
        for _ in range(DEPTH_MAX):
            value = value.struct_value.fields["a"] if kind == "object" else value.list_value.values[0]
        assert value.integer_value == 1


@pytest.mark.parametrize("steps", [DEPTH_MAX + 1, 40, 250, 260, 5000])
def test_key_that_would_nest_too_deeply_is_refused(served: tuple[Database, grpc.Channel], steps: int) -> None:
    _, channel = served
    code, text = failure(channel, "/qdrant.Points/SetPayload", setting(steps))
    assert (code, text.split(":")[0]) == (grpc.StatusCode.INVALID_ARGUMENT, "Wrong input")
    call(channel, "/qdrant.Points/SetPayload", setting(DEPTH_MAX))
    found = call(channel, "/qdrant.Points/Scroll", pb.ScrollPoints(collection_name="points")).result
    assert set(found[0].payload) == {"a", "group"}


def test_older_payloads_that_are_too_deep_break_no_answer(
    served: tuple[Database, grpc.Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, channel = served
    monkeypatch.setattr("qdrantlite.collection.shard.payload_text.require_readable", lambda _: None)
    for number, kind in enumerate(("object", "array"), 2):
        point = o.PointWrite(number, {}, {"deep": wrapped(200, kind)})
        database.write("points", (o.Upsert((point,)),), wait=True)
    found = call(channel, "/qdrant.Points/Scroll", pb.ScrollPoints(collection_name="points")).result
    assert [record.id.num for record in found] == [1, 2, 3]
    value: Any = found[1].payload["deep"]
    for _ in range(DEPTH_MAX):
        value = value.struct_value.fields["a"]
    assert orjson.loads(value.string_value) == wrapped(200 - DEPTH_MAX, "object")
    delete = pb.DeletePayloadPoints(collection_name="points", wait=True, keys=["deep"])
    delete.points_selector.points.ids.add(num=2)
    call(channel, "/qdrant.Points/DeletePayload", delete)


def deep_filter(depth: int) -> common.Filter:
    nested = common.Filter(must=[common.Condition(is_empty=common.IsEmptyCondition(key="a"))])
    for _ in range(depth):
        nested = common.Filter(must=[common.Condition(filter=nested)])
    return nested


def deep_prefetch(depth: int) -> pb.QueryPoints:
    stage = pb.PrefetchQuery(query=pb.Query(sample=pb.Sample.Random))
    for _ in range(depth):
        stage = pb.PrefetchQuery(prefetch=[stage], query=pb.Query(sample=pb.Sample.Random), filter=deep_filter(3))
    return pb.QueryPoints(collection_name="points", prefetch=[stage], query=pb.Query(sample=pb.Sample.Random))


@pytest.mark.parametrize("depth", [1, 20, 40, 44])
def test_nested_filters_and_prefetches_are_answered_or_refused(
    served: tuple[Database, grpc.Channel], depth: int
) -> None:
    _, channel = served
    nested = common.Filter(must=[common.Condition(nested=common.NestedCondition(key="a", filter=deep_filter(depth)))])
    requests: list[tuple[str, Any]] = [
        ("Scroll", pb.ScrollPoints(collection_name="points", filter=deep_filter(depth))),
        ("Count", pb.CountPoints(collection_name="points", filter=nested)),
        ("Query", deep_prefetch(depth)),
        ("Delete", pb.DeletePoints(collection_name="points", points=pb.PointsSelector(filter=nested))),
    ]
    for name, request in requests:
        try:
            call(channel, f"/qdrant.Points/{name}", request)
        except grpc.RpcError as error:
            refused: Any = error
            assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert depth > 40


def inside(kind: type[Message], field: str, encoded: bytes) -> bytes:
    """A message that holds another one, as protobuf writes it."""
    tag = kind.DESCRIPTOR.fields_by_name[field].number
    size, length = len(encoded), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    head = tag << 3 | 2
    return (bytes([head]) if head < 128 else bytes([head & 127 | 128, head >> 7])) + length + bytes([size]) + encoded


@pytest.mark.parametrize("depth", [100, 10_000])
def test_messages_that_nest_without_end_are_refused(served: tuple[Database, grpc.Channel], depth: int) -> None:
    _, channel = served
    filter, prefetch, expression = (deep_filter(0).SerializeToString(), b"", b"")
    for _ in range(depth):
        filter = inside(common.Filter, "must", inside(common.Condition, "filter", filter))
        prefetch = inside(pb.PrefetchQuery, "prefetch", prefetch)
        expression = inside(pb.Expression, "abs", expression)
    formula = inside(pb.Query, "formula", inside(pb.Formula, "expression", expression))
    name = inside(pb.QueryPoints, "collection_name", b"points")
    for path, body in (
        ("Scroll", inside(pb.ScrollPoints, "filter", filter)),
        ("Query", inside(pb.QueryPoints, "filter", filter)),
        ("Query", inside(pb.QueryPoints, "prefetch", prefetch)),
        ("Query", inside(pb.QueryPoints, "query", formula)),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(f"/qdrant.Points/{path}")(name + body)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, (path, error)


def test_deep_keys_of_filters_find_nothing(served: tuple[Database, grpc.Channel]) -> None:
    _, channel = served
    key = ".".join(["a"] * 20_000)
    assert len(parse_path(key)) == 20_000
    empty = common.Filter(must=[common.Condition(is_empty=common.IsEmptyCondition(key=key))])
    counted = call(channel, "/qdrant.Points/Count", pb.CountPoints(collection_name="points", filter=empty))
    assert counted.result.count == 1
    deleting = pb.DeletePayloadPoints(collection_name="points", wait=True, keys=[key, "a[]" + "[]" * 5000])
    deleting.points_selector.points.ids.add(num=1)
    call(channel, "/qdrant.Points/DeletePayload", deleting)
    selected = pb.WithPayloadSelector(include=pb.PayloadIncludeSelector(fields=[key]))
    found = call(channel, "/qdrant.Points/Scroll", pb.ScrollPoints(collection_name="points", with_payload=selected))
    assert len(found.result) == 1
