"""A server of one node has no shard keys: whoever names one is told, in Qdrant's words, over both transports.

Qdrant looks for shards once it has found the collection, and so it does before it refuses writes of nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from qdrantlite.testing import Server

Use = Callable[[QdrantClient, Any], object]
"""To the collection ``c``."""
QUERY = [1.0, 0.0]
POINT = models.PointStruct(id=1, vector=QUERY, payload={"k": "a"})
VECTORS = models.VectorParams(size=2, distance=models.Distance.DOT)
UPSERT = models.UpsertOperation(upsert=models.PointsList(points=[POINT], shard_key="a"))

READS: dict[str, Use] = {
    "query": lambda client, key: client.query_points("c", QUERY, shard_key_selector=key),
    "batch": lambda client, key: client.query_batch_points("c", [models.QueryRequest(query=QUERY, shard_key=key)]),
    "groups": lambda client, key: client.query_points_groups("c", "k", query=QUERY, shard_key_selector=key),
    "scroll": lambda client, key: client.scroll("c", shard_key_selector=key),
    "count": lambda client, key: client.count("c", shard_key_selector=key),
    "facet": lambda client, key: client.facet("c", "k", shard_key_selector=key),
    "retrieve": lambda client, key: client.retrieve("c", [1], shard_key_selector=key),
    "matrix": lambda client, key: client.search_matrix_pairs("c", shard_key_selector=key),
    "lookup": lambda client, key: client.query_points(
        "c", 1, lookup_from=models.LookupLocation(collection="c", shard_key=key)
    ),
}
WRITES: dict[str, Use] = {
    "upsert": lambda client, key: client.upsert("c", [POINT], shard_key_selector=key),
    "delete": lambda client, key: client.delete("c", [1], shard_key_selector=key),
    "update vectors": lambda client, key: client.update_vectors(
        "c", [models.PointVectors(id=1, vector=QUERY)], shard_key_selector=key
    ),
    "delete vectors": lambda client, key: client.delete_vectors("c", [""], [1], shard_key_selector=key),
    "set payload": lambda client, key: client.set_payload("c", {"a": 1}, [1], shard_key_selector=key),
    "overwrite payload": lambda client, key: client.overwrite_payload("c", {"a": 1}, [1], shard_key_selector=key),
    "delete payload": lambda client, key: client.delete_payload("c", ["a"], [1], shard_key_selector=key),
    "clear payload": lambda client, key: client.clear_payload("c", [1], shard_key_selector=key),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        client = QdrantClient(**started.rest_options)
        client.create_collection("c", vectors_config=VECTORS)
        client.upsert("c", [POINT])
        client.create_collection("custom", vectors_config=VECTORS, sharding_method=models.ShardingMethod.CUSTOM)
        client.close()
        yield started


@pytest.fixture(params=["REST", "gRPC"])
def transport(request: pytest.FixtureRequest) -> str:
    """Each test runs over both."""
    chosen: str = request.param
    return chosen


@contextmanager
def connected(server: Server, transport: str) -> Iterator[QdrantClient]:
    client = QdrantClient(**(server.rest_options if transport == "REST" else server.client_options))
    yield client
    client.close()


@pytest.fixture
def client(server: Server, transport: str) -> Iterator[QdrantClient]:
    with connected(server, transport) as client:
        yield client


CODES = {400: grpc.StatusCode.INVALID_ARGUMENT, 404: grpc.StatusCode.NOT_FOUND}


def refusal(use: Callable[[], object], status: int = 400) -> str:
    """The text."""
    with pytest.raises((UnexpectedResponse, grpc.RpcError)) as caught:
        use()
    error = caught.value
    if isinstance(error, UnexpectedResponse):
        assert error.status_code == status
        text: str = error.structured()["status"]["error"]
        return text
    assert error.code() is CODES[status]
    told: str = error.details()
    return told


@pytest.mark.parametrize("use", READS.values(), ids=READS)
def test_reads_find_no_shard_key(client: QdrantClient, use: Use) -> None:
    assert refusal(lambda: use(client, "a")) == 'Bad request: Shard key "a" not found'
    assert refusal(lambda: use(client, 7)) == "Bad request: Shard key 7 not found"
    assert refusal(lambda: use(client, ["b", "a"])) == 'Bad request: Shard key "b" not found'


@pytest.mark.parametrize("use", WRITES.values(), ids=WRITES)
def test_writes_find_no_shard_key(client: QdrantClient, use: Use) -> None:
    assert refusal(lambda: use(client, "a")) == 'Wrong input: Shard key "a" not found'
    assert refusal(lambda: use(client, [7, "a"])) == "Wrong input: Shard key 7 not found"
    assert client.retrieve("c", [1])[0].payload == {"k": "a"}


def test_operations_of_a_batch_find_no_shard_key(client: QdrantClient) -> None:
    text = refusal(lambda: client.batch_update_points("c", [UPSERT]))
    assert text == 'Wrong input: Shard key "a" not found'


MISSING = "Not found: Collection `c` doesn't exist!"

OF_NOTHING: dict[str, Callable[[QdrantClient], object]] = {
    "upsert": lambda client: client.upsert("c", []),
    "delete": lambda client: client.delete("c", []),
    "recommend": lambda client: client.query_points(
        "c", query=models.RecommendQuery(recommend=models.RecommendInput(positive=[], negative=[]))
    ),
}


@pytest.fixture(scope="module")
def empty_server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture
def client_of_none(empty_server: Server, transport: str) -> Iterator[QdrantClient]:
    """Of a server without collections."""
    with connected(empty_server, transport) as client:
        yield client


@pytest.mark.parametrize("use", (READS | WRITES).values(), ids=READS | WRITES)
def test_a_shard_key_of_an_unknown_collection_is_no_matter(client_of_none: QdrantClient, use: Use) -> None:
    assert refusal(lambda: use(client_of_none, "a"), 404) == MISSING


def test_a_batch_with_a_shard_key_of_an_unknown_collection_misses_that(client_of_none: QdrantClient) -> None:
    assert refusal(lambda: client_of_none.batch_update_points("c", [UPSERT]), 404) == MISSING


@pytest.mark.parametrize("use", OF_NOTHING.values(), ids=OF_NOTHING)
def test_a_request_of_nothing_to_an_unknown_collection_misses_that(
    client: QdrantClient, client_of_none: QdrantClient, use: Callable[[QdrantClient], object]
) -> None:
    assert refusal(lambda: use(client_of_none), 404) == MISSING
    refusal(lambda: use(client))


def test_a_shard_key_of_an_unknown_lookup_is_no_matter(client: QdrantClient) -> None:
    elsewhere = models.LookupLocation(collection="nope", shard_key="a")
    text = refusal(lambda: client.query_points("c", 1, lookup_from=elsewhere), 404)
    assert text == "Not found: Collection nope not found"


def test_a_collection_of_custom_shards_has_none_to_write_to(client: QdrantClient) -> None:
    assert refusal(lambda: client.upsert("custom", [POINT])) == "Wrong input: Shard key not specified"
    assert refusal(lambda: client.upsert("custom", [POINT], shard_key_selector="a")).endswith('"a" not found')
    assert client.count("custom").count == 0
    assert client.query_points("custom", QUERY).points == []
