"""Limits and offsets at the ends of their types, over the wire and on disk: answered as far as there is anything."""

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from qdrantlite.database import Database
from qdrantlite.query import operation as o
from qdrantlite.values.distance import Distance
from qdrantlite.values.schema import CollectionConfig, FieldIndex, FieldKind, SparseVectorParams, VectorParams
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector, Vector
from qdrantlite.wire.call_pools import CallPools
from qdrantlite.wire.grpc.server import GrpcServer
from qdrantlite.wire.pb import points as pb
from qdrantlite.wire.pb import qdrant_common as common
from qdrantlite.wire.pb.services import SERVICES

COUNT = 40
ENDS = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**61, 2**63 - 1, 2**63, 2**64 - 1)
SMALL_ENDS = tuple([end for end in ENDS if end < 2**32])
"""Those that fit into 32 bits."""
EVEN = common.Filter(must=[common.Condition(field=common.FieldCondition(key="even", match=common.Match(boolean=True)))])
ORDER = pb.OrderBy(key="number")

LEAVES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "filter": {"filter": EVEN},
    "dense": {"query": pb.Query(nearest=pb.VectorInput(dense=pb.DenseVector(data=[1, 2])))},
    "dense and filter": {
        "query": pb.Query(nearest=pb.VectorInput(dense=pb.DenseVector(data=[1, 2]))),
        "filter": EVEN,
    },
    "sparse": {
        "query": pb.Query(nearest=pb.VectorInput(sparse=pb.SparseVector(values=[1], indices=[1]))),
        "using": "words",
    },
    "multi": {
        "query": pb.Query(
            nearest=pb.VectorInput(multi_dense=pb.MultiDenseVector(vectors=[pb.DenseVector(data=[1, 2])]))
        ),
        "using": "many",
    },
    "order": {"query": pb.Query(order_by=ORDER)},
    "sample": {"query": pb.Query(sample=pb.Sample.Random)},
}
MERGES: dict[str, dict[str, Any]] = {
    "rrf": {"query": pb.Query(fusion=pb.Fusion.RRF)},
    "dbsf": {"query": pb.Query(fusion=pb.Fusion.DBSF)},
    **{
        f"rescored by {name}": asked for name, asked in LEAVES.items() if name in ("dense", "sparse", "order", "sample")
    },
}


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    with Database(tmp_path_factory.mktemp("ends") / "storage") as database, CallPools() as pools:
        fill(database)
        server = GrpcServer(database, host="127.0.0.1", port=0, pools=pools)
        with grpc.insecure_channel(f"127.0.0.1:{server.start()}") as opened:
            yield opened
        server.stop()


def fill(database: Database) -> None:
    vectors = {"": VectorParams(2, Distance.DOT), "many": VectorParams(2, Distance.DOT, multivector=True)}
    config = CollectionConfig(vectors=vectors, sparse_vectors={"words": SparseVectorParams()})
    database.create_collection("points", config)
    database.alter("points", o.CreateFieldIndex("number", FieldIndex(FieldKind.INTEGER)))
    written = []
    for number in range(COUNT):
        row = np.array([number, 1], dtype=np.float32)
        words = SparseVector(np.array([1], dtype=np.uint32), np.array([number + 1], dtype=np.float32))
        named: dict[str, Vector] = {"": DenseVector(row), "many": MultiVector(row[np.newaxis]), "words": words}
        written.append(o.PointWrite(number + 1, named, {"even": number % 2 == 0, "number": number, "side": number % 2}))
    database.write("points", (o.Upsert(tuple(written)),), wait=True)


def call(channel: grpc.Channel, name: str, request: Any) -> Any:
    """The answer, or None for one refused for a limit of 0."""
    method = SERVICES["qdrant.Points"][name]
    stub = channel.unary_unary(
        method.path,
        request_serializer=method.request.SerializeToString,
        response_deserializer=method.response.FromString,
    )
    try:
        return stub(request, timeout=60)
    except grpc.RpcError as error:
        failed: Any = error
        assert failed.code() is grpc.StatusCode.INVALID_ARGUMENT, failed
        assert "limit: value 0 invalid" in failed.details() or "group_size: value 0" in failed.details()
        return None


def query(**asked: Any) -> pb.QueryPoints:
    return pb.QueryPoints(collection_name="points", **asked)


def expected(asked: dict[str, Any], limit: int, offset: int) -> int:
    there = COUNT // 2 if "filter" in asked else COUNT
    return max(min(there - offset, limit), 0)


@pytest.mark.parametrize("name", LEAVES)
def test_queries(channel: grpc.Channel, name: str) -> None:
    asked = LEAVES[name]
    requests = [query(limit=limit, **asked) for limit in ENDS if limit]
    requests += [query(offset=offset, **asked) for offset in ENDS]
    requests += [query(limit=end, offset=end, **asked) for end in ENDS if end]
    limits = [request.limit if request.HasField("limit") else 10 for request in requests]
    counts = [expected(asked, limit, request.offset) for limit, request in zip(limits, requests, strict=True)]
    for request, count in zip(requests, counts, strict=True):
        assert len(call(channel, "Query", request).result) == count, request
    batch = pb.QueryBatchPoints(collection_name="points", query_points=requests)
    assert [len(one.result) for one in call(channel, "QueryBatch", batch).result] == counts
    assert call(channel, "Query", query(limit=0, **asked)) is None


@pytest.mark.parametrize("name", MERGES)
def test_prefetches(channel: grpc.Channel, name: str) -> None:
    for end in ENDS[1:]:
        sources = [pb.PrefetchQuery(limit=end, **asked) for asked in LEAVES.values()]
        found = call(channel, "Query", query(limit=end, prefetch=sources, **MERGES[name]))
        assert len(found.result) == min(end, COUNT) or end == 1
        assert call(channel, "Query", query(offset=end, prefetch=sources, **MERGES[name])) is not None
    batch = pb.QueryBatchPoints(collection_name="points")
    batch.query_points.extend(
        [query(limit=end, prefetch=[pb.PrefetchQuery(limit=end)], **MERGES[name]) for end in ENDS[1:]]
    )
    assert len(call(channel, "QueryBatch", batch).result) == len(ENDS) - 1


@pytest.mark.parametrize("name", ["dense", "dense and filter", "sparse"])
def test_groups(channel: grpc.Channel, name: str) -> None:
    asked = LEAVES[name]
    for limit in ENDS[1:]:
        for size in (1, 2**31, 2**63, 2**64 - 1):
            shared: dict[str, Any] = {
                "collection_name": "points",
                "group_by": "side",
                "limit": limit,
                "group_size": size,
            }
            groups = call(channel, "QueryGroups", pb.QueryPointGroups(**shared, **asked)).result.groups
            assert len(groups) == min(limit, 1 if "filter" in asked else 2)
    assert call(channel, "QueryGroups", pb.QueryPointGroups(**{**shared, "group_size": 0}, **asked)) is None


def test_scrolls(channel: grpc.Channel) -> None:
    for name in ("nothing", "filter"):
        selected = LEAVES[name]
        for limit in SMALL_ENDS[1:]:
            found = call(channel, "Scroll", pb.ScrollPoints(collection_name="points", limit=limit, **selected))
            assert len(found.result) == expected(selected, limit, 0)
            ordered = pb.ScrollPoints(collection_name="points", limit=limit, order_by=ORDER, **selected)
            assert len(call(channel, "Scroll", ordered).result) == expected(selected, limit, 0)
        for start in ENDS:
            request = pb.ScrollPoints(collection_name="points", offset=common.PointId(num=start), **selected)
            found = call(channel, "Scroll", request)
            assert (len(found.result) > 0) == (start <= 1)
    assert call(channel, "Scroll", pb.ScrollPoints(collection_name="points", limit=0)) is None


def test_older_reads(channel: grpc.Channel) -> None:
    one = common.PointId(num=1)
    for end in ENDS[1:]:
        search = pb.SearchPoints(collection_name="points", vector=[1, 2], limit=end)
        assert len(call(channel, "Search", search).result) == min(end, COUNT)
        skipping = pb.SearchPoints(collection_name="points", vector=[1, 2], limit=end, offset=end)
        assert len(call(channel, "Search", skipping).result) == (1 if end == 1 else 0)
        batch = pb.SearchBatchPoints(collection_name="points", search_points=[search, skipping])
        assert len(call(channel, "SearchBatch", batch).result) == 2
    for end in SMALL_ENDS[1:]:
        groups = pb.SearchPointGroups(
            collection_name="points", vector=[1, 2], limit=end, group_by="side", group_size=end
        )
        assert len(call(channel, "SearchGroups", groups).result.groups) == min(end, 2)
    found = call(channel, "Get", pb.GetPoints(collection_name="points", ids=[common.PointId(num=end) for end in ENDS]))
    assert [record.id for record in found.result] == [one]


def test_facets_and_matrices(channel: grpc.Channel) -> None:
    for end in ENDS[1:]:
        counted = pb.FacetCounts(collection_name="points", key="number", limit=end)
        assert len(call(channel, "Facet", counted).hits) == min(end, COUNT)
        matrix = pb.SearchMatrixPoints(collection_name="points", sample=max(end, 2), limit=end)
        assert len(call(channel, "SearchMatrixOffsets", matrix).result.ids) == min(max(end, 2), COUNT)
