"""The official client over HTTP: what it sends is understood, what it gets it can read, and gRPC tells it the same."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient, QdrantClient, models
from qdrant_client.http import models as http_models

from qdrantlite.testing import Server

VECTORS = {
    "d": models.VectorParams(
        size=2,
        distance=models.Distance.COSINE,
        hnsw_config=models.HnswConfigDiff(m=8, ef_construct=50, memory=models.Memory.CACHED),
        quantization_config=models.ScalarQuantization(
            scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.75, always_ram=True)
        ),
        on_disk=True,
        datatype=models.Datatype.FLOAT16,
    ),
    "m": models.VectorParams(
        size=2,
        distance=models.Distance.DOT,
        multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
        quantization_config=models.BinaryQuantization(
            binary=models.BinaryQuantizationConfig(
                encoding=models.BinaryQuantizationEncoding.TWO_BITS,
                query_encoding=models.BinaryQuantizationQueryEncoding.SCALAR8BITS,
            )
        ),
        memory=models.Memory.COLD,
    ),
}
SPARSE = {
    "s": models.SparseVectorParams(
        index=models.SparseIndexParams(full_scan_threshold=7, on_disk=True, datatype=models.Datatype.FLOAT16),
        modifier=models.Modifier.IDF,
    ),
    "plain": models.SparseVectorParams(),
}
SETTINGS: dict[str, Any] = {
    "vectors_config": VECTORS,
    "sparse_vectors_config": SPARSE,
    "on_disk_payload": False,
    "hnsw_config": models.HnswConfigDiff(m=12, payload_m=4, full_scan_threshold=20),
    "optimizers_config": models.OptimizersConfigDiff(deleted_threshold=0.5, max_optimization_threads=2),
    "wal_config": models.WalConfigDiff(wal_capacity_mb=8),
    "quantization_config": models.ProductQuantization(
        product=models.ProductQuantizationConfig(compression=models.CompressionRatio.X8)
    ),
    "strict_mode_config": models.StrictModeConfig(
        enabled=False, max_query_limit=50, sparse_config={"s": models.StrictModeSparse(max_length=5)}
    ),
    "metadata": {"a": [1, {"b": None}], "c": 0.5},
}
INDEXES: dict[str, Any] = {
    "keyword": models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True, prefix=True),
    "integer": models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, lookup=False, range=True),
    "plain": models.PayloadSchemaType.KEYWORD,
    "float": models.FloatIndexParams(type=models.FloatIndexType.FLOAT, is_principal=True, on_disk=True),
    "bool": models.BoolIndexParams(type=models.BoolIndexType.BOOL, memory=models.Memory.COLD),
}


@pytest.fixture
def client(server: Server) -> Iterator[QdrantClient]:
    connected = QdrantClient(**server.rest_options)
    yield connected
    for collection in connected.get_collections().collections:
        connected.delete_collection(collection.name)
    connected.close()


@pytest.fixture
def rpc(server: Server) -> Iterator[QdrantClient]:
    """The client over gRPC."""
    connected = QdrantClient(**server.client_options)
    yield connected
    connected.close()


def test_nearest_points_are_found_with_payload_and_vectors(client: QdrantClient) -> None:
    client.create_collection("c", vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT))
    points = [models.PointStruct(id=i, vector=[1.0, i], payload={"n": i}) for i in range(4)]
    assert client.upsert("c", points).status is models.UpdateStatus.COMPLETED
    high = models.Filter(must=[models.FieldCondition(key="n", range=models.Range(lt=3))])
    found = client.query_points("c", query=[0.0, 0.5], query_filter=high, limit=2, with_vectors=True).points
    assert [(hit.id, hit.score, hit.payload, hit.vector) for hit in found] == [
        (2, 1.0, {"n": 2}, [1.0, 2.0]),
        (1, 0.5, {"n": 1}, [1.0, 1.0]),
    ]
    assert client.get_collection("c").points_count == 4


def test_settings_are_told_alike_whichever_way_they_came(client: QdrantClient, rpc: QdrantClient) -> None:
    client.create_collection("by_rest", **SETTINGS)
    rpc.create_collection("by_grpc", **SETTINGS)
    for name, schema in INDEXES.items():
        client.create_payload_index("by_rest", name, schema)
        rpc.create_payload_index("by_grpc", name, schema)
    told = [asked.get_collection(name) for asked in (client, rpc) for name in ("by_rest", "by_grpc")]
    assert told[0].config.params.vectors == VECTORS
    assert told[0].config.params.sparse_vectors == SPARSE
    assert told[0].payload_schema["keyword"].params == INDEXES["keyword"]
    assert told[0].payload_schema["plain"].params is None
    for other in told[1:]:
        assert other.config.model_dump(exclude_none=True) == told[0].config.model_dump(exclude_none=True)
        assert other.payload_schema == told[0].payload_schema


@pytest.mark.parametrize(
    "stopwords",
    [
        models.Language.ENGLISH,
        models.StopwordsSet(languages=[models.Language.ENGLISH], custom=[]),
        models.StopwordsSet(languages=[models.Language.ENGLISH], custom=["a"]),
    ],
)
def test_stopwords_are_told_as_they_were_given(client: QdrantClient, stopwords: models.StopwordsInterface) -> None:
    given = models.TextIndexParams(type=models.TextIndexType.TEXT, stopwords=stopwords)
    client.create_collection("c")
    client.create_payload_index("c", "t", given)
    assert client.get_collection("c").payload_schema["t"].params == given


def test_changes_of_settings_are_told(client: QdrantClient, rpc: QdrantClient) -> None:
    client.create_collection("c", **SETTINGS)
    client.update_collection(
        "c",
        vectors_config={"d": models.VectorParamsDiff(on_disk=False, quantization_config=models.Disabled.DISABLED)},
        sparse_vectors_config={"plain": models.SparseVectorParams(modifier=models.Modifier.IDF)},
        optimizers_config=models.OptimizersConfigDiff(indexing_threshold=1),
        collection_params=models.CollectionParamsDiff(read_fan_out_factor=3),
        quantization_config=models.Disabled.DISABLED,
        metadata={"c": None, "d": 1},
    )
    config = client.get_collection("c").config
    assert isinstance(config.params.vectors, dict)
    assert config.params.vectors["d"].on_disk is False
    assert config.params.vectors["d"].quantization_config is None
    assert config.optimizer_config.indexing_threshold == 1
    assert (config.params.read_fan_out_factor, config.quantization_config) == (3, None)
    assert config.metadata == {"a": [1, {"b": None}], "d": 1}
    assert config.model_dump(exclude_none=True) == rpc.get_collection("c").config.model_dump(exclude_none=True)


def _point(number: int) -> models.PointStruct:
    sparse = models.SparseVector(indices=[99, number], values=[1.0, 0.5])
    vector: dict[str, Any] = {"d": [0.6, 0.8], "m": [[1.0, number], [0.0, 1.0]], "s": sparse}
    return models.PointStruct(id=number, vector=vector, payload={"keyword": f"k{number % 2}", "integer": number})


EVEN = models.Filter(must=[models.FieldCondition(key="keyword", match=models.MatchValue(value="k0"))])
WRITES: dict[str, Callable[[QdrantClient, str], Any]] = {
    "columns": lambda c, n: c.upsert(
        n, models.Batch(ids=[20, 21], vectors={"d": [[1.0, 0.0], [0.0, 1.0]]}, payloads=[{"x": 1}, {}])
    ),
    "uuid": lambda c, n: c.upsert(
        n, [models.PointStruct(id="0F0E0D0C-0000-4000-8000-000000000001", vector={}, payload=None)]
    ),
    "insert_only": lambda c, n: c.upsert(n, [_point(1)], update_mode=models.UpdateMode.INSERT_ONLY),
    "update_vectors": lambda c, n: c.update_vectors(n, [models.PointVectors(id=2, vector={"d": [1.0, 0.0]})]),
    "delete_vectors": lambda c, n: c.delete_vectors(n, ["m"], [3]),
    "set_payload": lambda c, n: c.set_payload(n, {"new": {"deep": [1]}}, EVEN),
    "set_payload_at": lambda c, n: c.set_payload(n, {"x": 2**63 - 1}, [1], key="new.deep"),
    "overwrite_payload": lambda c, n: c.overwrite_payload(n, {"only": 1.0}, [4]),
    "delete_payload": lambda c, n: c.delete_payload(n, ["integer"], [5]),
    "clear_payload": lambda c, n: c.clear_payload(n, [6]),
    "delete": lambda c, n: c.delete(n, [7]),
    "delete_by_filter": lambda c, n: c.delete(
        n, models.Filter(must=[models.FieldCondition(key="integer", range=models.Range(gte=8))])
    ),
    "batch": lambda c, n: c.batch_update_points(
        n,
        [
            models.UpsertOperation(upsert=models.PointsList(points=[_point(30)])),
            models.SetPayloadOperation(set_payload=models.SetPayload(payload={"y": None, "z": True}, points=[30])),
            models.DeleteOperation(delete=models.PointIdsList(points=[20])),
        ],
    ),
    "index": lambda c, n: c.create_payload_index(n, "integer", models.PayloadSchemaType.INTEGER),
    "no_index": lambda c, n: c.delete_payload_index(n, "integer"),
}


def test_every_write_does_the_same_over_both(client: QdrantClient, rpc: QdrantClient) -> None:
    for asked, name in ((client, "by_rest"), (rpc, "by_grpc")):
        asked.create_collection(name, vectors_config=VECTORS, sparse_vectors_config=SPARSE)
        asked.upsert(name, [_point(number) for number in range(10)])
    for what, write in WRITES.items():
        assert write(client, "by_rest") == write(rpc, "by_grpc"), what
        states = [client.scroll(name, limit=100, with_vectors=True) for name in ("by_rest", "by_grpc")]
        assert states[0] == states[1], what
    assert len(states[0][0]) == 10


WITHOUT_INTEGER = models.PayloadSelectorExclude(exclude=["integer"])
READS: dict[str, Callable[[QdrantClient], Any]] = {
    "retrieve": lambda c: c.retrieve("c", [3, 99, 1], with_payload=["keyword"], with_vectors=["m"]),
    "page": lambda c: c.scroll("c", EVEN, limit=3, offset=2),
    "order": lambda c: c.scroll("c", order_by=models.OrderBy(key="integer", direction=models.Direction.DESC), limit=3),
    "count": lambda c: c.count("c", EVEN),
    "nearest": lambda c: c.query_points("c", [0.1, 0.9], using="d", limit=3, with_payload=WITHOUT_INTEGER),
    "sparse": lambda c: c.query_points("c", models.SparseVector(indices=[3], values=[1.0]), using="s"),
    "multi": lambda c: c.query_points("c", [[1.0, 0.5]], using="m", limit=3, offset=1),
    "id": lambda c: c.query_points("c", 3, using="m", limit=2),
    "fused": lambda c: c.query_points(
        "c",
        prefetch=[models.Prefetch(query=[1.0, 0.0], using="m", limit=5), models.Prefetch(query=4, using="m", limit=5)],
        query=models.RrfQuery(rrf=models.Rrf(k=3, weights=[1.0, 2.0])),
        score_threshold=0.1,
    ),
    "batch": lambda c: c.query_batch_points(
        "c", [models.QueryRequest(query=[0.5, 0.5], using="m", limit=2), models.QueryRequest(limit=1)]
    ),
    "groups": lambda c: c.query_points_groups("c", "keyword", [1.0, 1.0], using="m", limit=2, group_size=2),
    "info": lambda c: c.get_collection("c").points_count,
    "exists": lambda c: (c.collection_exists("c"), c.collection_exists("none")),
    "aliases": lambda c: (c.get_aliases(), c.get_collection_aliases("c"), c.count("alias")),
    "names": lambda c: c.get_collections(),
}


def test_every_read_tells_the_same_over_both(client: QdrantClient, rpc: QdrantClient) -> None:
    client.create_collection("c", vectors_config=VECTORS, sparse_vectors_config=SPARSE)
    client.create_payload_index("c", "integer", models.PayloadSchemaType.INTEGER)
    client.upsert("c", [_point(number) for number in range(10)])
    alias = models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name="c", alias_name="alias"))
    client.update_collection_aliases([alias])
    for what, read in READS.items():
        told = [read(asked) for asked in (client, rpc)]
        assert _rounded(told[0]) == _rounded(told[1]), what


def _rounded(told: Any) -> Any:
    """Scores with the digits that float32 has: JSON has no more, and gRPC's are written out in full."""
    if isinstance(told, list | tuple):
        return [_rounded(each) for each in told]
    if isinstance(told, models.ScoredPoint):
        return told.model_copy(update={"score": np.float32(told.score)})
    if isinstance(told, http_models.QueryResponse):
        return _rounded(told.points)
    if isinstance(told, models.GroupsResult):
        return [(group.id, _rounded(group.hits), group.lookup) for group in told.groups]
    return told


def test_async_client_writes_and_reads(server: Server, client: QdrantClient) -> None:
    async def use() -> None:
        asked = AsyncQdrantClient(**server.rest_options)
        await asked.create_collection("c", vectors_config=VECTORS, sparse_vectors_config=SPARSE)
        await asked.upsert("c", [_point(number) for number in range(5)])
        answers = await asyncio.gather(*(asked.query_points("c", number, using="m", limit=2) for number in range(5)))
        await asked.close()
        assert [len(answer.points) for answer in answers] == [2] * 5
        assert answers[0].points == client.query_points("c", 0, using="m", limit=2).points

    asyncio.run(use())


def test_vectors_are_written_by_either_name(server: Server, client: QdrantClient) -> None:
    """Qdrant takes ``vectors`` for ``vector`` in points, in their vectors, and in what deletes these."""
    client.create_collection("c", vectors_config=VECTORS)
    post, put = client.http.client._client.post, client.http.client._client.put
    path = f"{server.url}/collections/c/points"
    assert put(f"{path}?wait=true", json={"points": [{"id": 1, "vectors": {"d": [1, 0]}}]}).status_code == 200
    change = {"points": [{"id": 1, "vectors": {"m": [[0, 1]]}}]}
    assert put(f"{path}/vectors?wait=true", json=change).status_code == 200
    assert client.retrieve("c", [1], with_vectors=True)[0].vector == {"d": [1.0, 0.0], "m": [[0.0, 1.0]]}
    assert post(f"{path}/vectors/delete?wait=true", json={"points": [1], "vectors": ["d"]}).status_code == 200
    assert client.retrieve("c", [1], with_vectors=True)[0].vector == {"m": [[0.0, 1.0]]}


def test_older_routes_answer_lists(server: Server, client: QdrantClient) -> None:
    client.create_collection("c", vectors_config=VECTORS, sparse_vectors_config=SPARSE)
    client.upsert("c", [_point(number) for number in range(5)])
    post = client.http.client._client.post
    path = f"{server.url}/collections/c/points"
    named = {"name": "m", "vector": [1.0, 1.0]}
    found = post(path + "/search", json={"vector": named, "limit": 2, "with_payload": True}).json()["result"]
    assert [hit["id"] for hit in found] == [
        hit.id for hit in client.query_points("c", [1.0, 1.0], using="m", limit=2).points
    ]
    batch = post(path + "/search/batch", json={"searches": [{"vector": named, "limit": 1}]}).json()["result"]
    assert batch[0][0]["id"] == found[0]["id"]
    sparse = {"name": "s", "vector": {"indices": [3], "values": [1.0]}}
    assert [hit["id"] for hit in post(path + "/search", json={"vector": sparse, "top": 5}).json()["result"]] == [3]
    like = post(path + "/recommend", json={"positive": [1], "negative": [], "limit": 2, "using": "m"}).json()["result"]
    assert len(like) == 2


def test_dates_travel_in_created_at(client: QdrantClient) -> None:
    client.create_collection("c", vectors_config={})
    created = client.get_collection("c").created_at
    assert isinstance(created, datetime)
    assert created.tzinfo is not None


def test_telemetry_for_others_has_no_names(client: QdrantClient) -> None:
    client.create_collection("secret", vectors_config=VECTORS)
    told: Any = client.http.service_api.telemetry(details_level=10, anonymize=True).result
    assert told.collections.number_of_collections == 1
    assert "secret" not in told.model_dump_json()


@pytest.mark.parametrize("level", range(6))
def test_telemetry_is_what_the_client_reads(client: QdrantClient, level: int) -> None:
    client.create_collection("told", vectors_config=VECTORS, sparse_vectors_config=SPARSE)
    client.upsert("told", [models.PointStruct(id=1, vector={"d": [1.0, 0.0]})])
    told: Any = client.http.service_api.telemetry(details_level=level).result
    assert told.app.version == client.info().version
    assert told.cluster.enabled is False
    assert told.collections.number_of_collections == 1
    if level == 0:
        assert told.collections.collections is None
        return
    (collection,) = told.collections.collections
    if level == 1:
        assert collection.params.vectors == VECTORS
        return
    assert (collection.id, collection.config.params.vectors) == ("told", VECTORS)
    if level >= 3:
        (shard,) = collection.shards
        assert (shard.local.num_points, shard.local.status) == (1, models.ShardStatus.GREEN)


def settled(client: QdrantClient, name: str) -> models.OptimizationsResponse:
    """What is told once nothing is left to do, with all details."""
    details = ["queued", "completed", "idle_segments"]
    end = time.monotonic() + 100
    while client.get_collection(name).status is not models.CollectionStatus.GREEN:
        assert time.monotonic() < end
        time.sleep(0.02)
    return client.get_optimizations(name, with_=details)  # type: ignore[arg-type]  # mypy takes a list of words for one of texts


def test_a_build_is_told_of_when_it_has_ended(client: QdrantClient) -> None:
    client.create_collection(
        "built",
        vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT),
        optimizers_config=models.OptimizersConfigDiff(indexing_threshold=1),
    )
    empty = settled(client, "built")
    assert empty.summary.model_dump() == {
        "queued_optimizations": 0,
        "queued_segments": 0,
        "queued_points": 0,
        "idle_segments": 1,
    }
    assert (empty.running, empty.queued, empty.completed) == ([], [], [])
    client.upsert("built", [models.PointStruct(id=at, vector=[1.0, at]) for at in range(400)])
    while not client.get_collection("built").indexed_vectors_count:
        time.sleep(0.02)
    told = settled(client, "built")
    assert told.completed is not None
    assert told.idle_segments is not None
    (done,) = told.completed
    assert (done.optimizer, done.status) == ("indexing", models.TrackerStatusOneOf.DONE)
    assert done.progress.duration_sec is not None
    assert done.progress.duration_sec > 0
    assert [segment.points_count for segment in done.segments] == [400]
    assert [segment.points_count for segment in told.idle_segments] == [400, 400]
    assert done.segments[0] in told.idle_segments
    assert client.get_optimizations("built", completed_limit=0, with_="completed").completed == []
    assert client.get_optimizations("built").completed is None
