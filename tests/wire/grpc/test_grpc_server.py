"""The server as a client meets it: codes and texts, what is not built, transport settings, start and stop."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from qdrant_client import QdrantClient, models

from qdrantlite import errors
from qdrantlite.query.operation import CreateFieldIndex, Upsert
from qdrantlite.values.record import Record, ScoredRecord
from qdrantlite.version import API_VERSION
from qdrantlite.wire.call_pools import CallPools
from qdrantlite.wire.grpc.server import RPCS, GrpcServer
from qdrantlite.wire.pb import collections, points, qdrant
from qdrantlite.wire.pb.services import SERVICES
from qdrantlite.wire.status import STATUS
from tests.wire.grpc.called import QUERY, call, failure
from tests.wire.grpc.fake_engine import HIT, FakeEngine

QDRANT = {name: methods for name, methods in SERVICES.items() if name.startswith("qdrant.")}
UNBUILT = {
    *(method.path for method in SERVICES["qdrant.Snapshots"].values()),
}
STANDALONE = {
    "/qdrant.Collections/UpdateCollectionClusterSetup",
    "/qdrant.Collections/CreateShardKey",
    "/qdrant.Collections/DeleteShardKey",
}


def test_tables_are_of_the_contract() -> None:
    built = {f"/{service}/{name}" for service, rpcs in RPCS.items() for name in rpcs}
    everything = {method.path for methods in QDRANT.values() for method in methods.values()}
    assert len(everything) == 14 + 30 + 6 + 1
    assert RPCS.keys() == QDRANT.keys()
    assert everything - built == UNBUILT


@pytest.mark.parametrize("path", sorted(UNBUILT))
def test_what_is_not_built_says_its_name(channel: grpc.Channel, path: str) -> None:
    code, text = failure(channel, path)
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert path.removeprefix("/") in text


@pytest.mark.parametrize("path", sorted(STANDALONE))
def test_calls_for_clusters_say_that_this_is_none(channel: grpc.Channel, path: str) -> None:
    service, name = path.removeprefix("/").split("/")
    request: Any = SERVICES[service][name].request(collection_name="books")
    code, text = failure(channel, path, request)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert text in ("empty operation", "empty request")
    if name == "UpdateCollectionClusterSetup":
        request.drop_replica.SetInParent()
    else:
        request.request.SetInParent()
    expected = (grpc.StatusCode.UNIMPLEMENTED, "Qdrant is running in standalone mode")
    assert failure(channel, path, request) == expected


@pytest.mark.parametrize("kind", [kind for kind in STATUS if kind is not errors.StandaloneMode])
def test_errors_become_codes_and_texts(channel: grpc.Channel, engine: FakeEngine, kind: type[Any]) -> None:
    error = kind("why")

    def fail() -> None:
        raise error

    engine.before = fail
    assert failure(channel, "/qdrant.Points/Query", QUERY) == (STATUS[kind].grpc_code, error.message)


def test_mistakes_of_ours_are_logged_and_hidden(
    channel: grpc.Channel, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.before = lambda: 1 // 0
    expected = (grpc.StatusCode.INTERNAL, "Service internal error")
    assert failure(channel, "/qdrant.Points/Query", QUERY) == expected
    assert "ZeroDivisionError" in caplog.text
    assert "/qdrant.Points/Query" in caplog.text


def test_texts_beyond_ascii_arrive(channel: grpc.Channel) -> None:
    request = collections.GetCollectionInfoRequest(collection_name="bücher")
    expected = (grpc.StatusCode.NOT_FOUND, "Not found: Collection `bücher` doesn't exist!")
    assert failure(channel, "/qdrant.Collections/Get", request) == expected


def test_request_is_checked_before_the_engine_is_asked(channel: grpc.Channel, engine: FakeEngine) -> None:
    request = points.QueryPoints(collection_name="unknown", limit=0)
    text = "Validation error in body: [limit: value 0 invalid, must be 1 or larger]"
    assert failure(channel, "/qdrant.Points/Query", request) == (grpc.StatusCode.INVALID_ARGUMENT, text)
    assert engine.asked == []


ONE: Any = {"num": 1}
TARGET: Any = {"single": {"id": ONE}}
READS = {
    "Query": QUERY,
    "QueryBatch": points.QueryBatchPoints(collection_name="c", query_points=[QUERY, QUERY]),
    "Search": points.SearchPoints(collection_name="c", vector=[1.0], limit=1),
    "SearchBatch": points.SearchBatchPoints(
        collection_name="c", search_points=[points.SearchPoints(collection_name="c", vector=[1.0], limit=1)]
    ),
    "Recommend": points.RecommendPoints(collection_name="c", positive=[ONE], limit=1),
    "Discover": points.DiscoverPoints(collection_name="c", target=TARGET, limit=1),
}
GROUPED = {
    "QueryGroups": points.QueryPointGroups(collection_name="c", group_by="k"),
    "SearchGroups": points.SearchPointGroups(collection_name="c", group_by="k", group_size=1, vector=[1.0], limit=1),
    "RecommendGroups": points.RecommendPointGroups(
        collection_name="c",
        group_by="k",
        group_size=1,
        positive=[ONE],
        limit=1,
    ),
}


@pytest.mark.parametrize("name", list(READS))
def test_searches_answer_hits_and_time(channel: grpc.Channel, name: str) -> None:
    response = call(channel, f"/qdrant.Points/{name}", READS[name])
    first = response.result[0]
    hit = first.result[0] if name.endswith("Batch") else first
    assert (hit.id.num, hit.score, hit.version, hit.payload["a"].integer_value) == (1, 0.5, 3, 1)
    assert response.time > 0.0


@pytest.mark.parametrize("name", list(GROUPED))
def test_grouped_searches_answer_groups(channel: grpc.Channel, name: str) -> None:
    response = call(channel, f"/qdrant.Points/{name}", GROUPED[name])
    (group,) = response.result.groups
    assert (group.id.string_value, group.hits[0].id.num) == ("g", 1)
    assert response.time > 0.0


def test_write_carries_wait_and_timeout(channel: grpc.Channel, engine: FakeEngine) -> None:
    request = points.UpsertPoints(collection_name="books", wait=True, timeout=3)
    request.points.add(id=ONE, vectors=points.Vectors(vectors=points.NamedVectors()))
    response = call(channel, "/qdrant.Points/Upsert", request)
    assert (response.result.operation_id, response.result.status) == (1, points.UpdateStatus.Completed)
    ((name, (operation,), wait, deadline),) = engine.asked
    assert isinstance(operation, Upsert)
    assert (name, wait, deadline.timeout_s) == ("books", True, 3.0)
    request.ordering.type = 9  # type: ignore[assignment]  # not of the enum
    assert failure(channel, "/qdrant.Points/Upsert", request)[1] == "cannot convert ordering: 9"


def test_official_client_is_at_home(port: int, engine: FakeEngine) -> None:
    engine.hits = [HIT, HIT]
    client = QdrantClient(host="127.0.0.1", grpc_port=port, prefer_grpc=True, check_compatibility=False)
    try:
        assert [found.name for found in client.get_collections().collections] == ["a", "b"]
        assert client.collection_exists("books")
        assert client.get_collection("books").points_count == 2
        assert client.create_collection("new", models.VectorParams(size=3, distance=models.Distance.COSINE))
        assert not client.delete_collection("unknown")
        assert client.get_aliases().aliases[0].alias_name == "alias"
        assert [hit.id for hit in client.query_points("books", query=[1.0]).points] == [1, 1]
        assert [record.id for record in client.retrieve("books", [3, 4])] == [3, 4]
        assert client.count("books").count == 5
        records, offset = client.scroll("books")
        assert (records[0].payload, offset) == ({"a": 1}, None)
        assert client.query_points_groups("books", query=[1.0], group_by="k").groups[0].id == "g"
        assert client.create_payload_index("books", "k", models.PayloadSchemaType.KEYWORD).status == "completed"
        assert isinstance(engine.asked[-1][1], CreateFieldIndex)
    finally:
        client.close()


def test_health_check_tells_title_and_version(channel: grpc.Channel) -> None:
    reply: qdrant.HealthCheckReply = call(channel, "/qdrant.Qdrant/HealthCheck")
    assert (reply.title, reply.version) == ("qdrant - vector search engine", API_VERSION)
    assert len(bytes.fromhex(reply.commit)) == 20


def test_reflection_and_standard_health_are_served(channel: grpc.Channel) -> None:
    assert call(channel, "/grpc.health.v1.Health/Check").status == 1
    method = SERVICES["grpc.reflection.v1.ServerReflection"]["ServerReflectionInfo"]
    stub = channel.stream_stream(
        method.path,
        request_serializer=method.request.SerializeToString,
        response_deserializer=method.response.FromString,
    )
    question: Any = method.request
    (listed,) = stub(iter([question(list_services="*")]), timeout=5.0)
    assert {service.name for service in listed.list_services_response.service} >= QDRANT.keys()


def test_messages_of_any_size_pass_both_ways(channel: grpc.Channel, engine: FakeEngine) -> None:
    text = "x" * 10_000_000
    engine.hits = [ScoredRecord(Record(1, {"text": text}), 1.0, 1)]
    document = points.VectorInput(document=points.Document(text=text))
    request = points.QueryPoints(collection_name="c", query=points.Query(nearest=document))
    response = call(channel, "/qdrant.Points/Query", request)
    assert response.result[0].payload["text"].string_value == text


def test_compressed_requests_are_understood(channel: grpc.Channel) -> None:
    request = points.ScrollPoints(collection_name="c" * 200)
    response = call(channel, "/qdrant.Points/Scroll", request, compression=grpc.Compression.Gzip)
    assert len(response.result) == 1


PING = bytes([0, 0, 8, 6, 0, 0, 0, 0, 0, *range(8)])
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
GOAWAY, PING_TYPE, ACK = 7, 6, 1


def read_exactly(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = stream.recv(size - len(data))
        assert part, "the server closed the connection"
        data += part
    return data


def test_pings_without_calls_are_answered_and_never_too_many(port: int) -> None:
    """Speaks HTTP/2 by hand: 300 pings without a call, where a server with gRPC's defaults says GOAWAY after two."""
    with socket.create_connection(("127.0.0.1", port), timeout=5.0) as stream:
        stream.sendall(PREFACE)
        answered = 0
        for _ in range(300):
            stream.sendall(PING)
            while True:
                header = read_exactly(stream, 9)
                kind, flags = header[3], header[4]
                body = read_exactly(stream, int.from_bytes(header[:3], "big"))
                assert kind != GOAWAY, body
                if kind == PING_TYPE and flags & ACK:
                    answered += 1
                    break
        assert answered == 300


def test_client_that_pings_every_second_stays_connected(port: int) -> None:
    options = [
        ("grpc.keepalive_time_ms", 1_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    seen: list[grpc.ChannelConnectivity] = []
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        call(channel, "/qdrant.Qdrant/HealthCheck")
        channel.subscribe(seen.append)
        time.sleep(3.5)
        call(channel, "/qdrant.Qdrant/HealthCheck")
    assert set(seen) == {grpc.ChannelConnectivity.READY}


def test_second_server_on_a_port_fails(port: int, engine: FakeEngine) -> None:
    with CallPools() as pools, pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
        GrpcServer(engine, host="127.0.0.1", port=port, pools=pools).start()


def test_stop_lets_running_calls_finish(engine: FakeEngine) -> None:
    pools = CallPools()
    server = GrpcServer(engine, host="127.0.0.1", port=0, pools=pools)
    begun, release = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait(5.0)

    engine.before = work
    with grpc.insecure_channel(f"127.0.0.1:{server.start()}") as channel, ThreadPoolExecutor(2) as pool:
        running = pool.submit(call, channel, "/qdrant.Points/Query", QUERY)
        assert begun.wait(5.0)
        stopping = pool.submit(server.stop, 5.0)
        release.set()
        assert len(running.result().result) == 1
        stopping.result(5.0)
        assert failure(channel, "/qdrant.Points/Query", QUERY)[0] is grpc.StatusCode.UNAVAILABLE
    pools.close()
