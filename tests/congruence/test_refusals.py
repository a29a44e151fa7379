"""What a server refuses, with the codes and texts that clients match on, and that nothing was written then."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import grpc as transport
import pytest
from qdrant_client import QdrantClient, grpc, models

from qdrantlite.testing import Server

Call: TypeAlias = tuple[str, Any]
"""The RPC and its request."""

INVALID = transport.StatusCode.INVALID_ARGUMENT
NOT_FOUND = transport.StatusCode.NOT_FOUND
EXISTS = transport.StatusCode.ALREADY_EXISTS
NO_COLLECTION = "Not found: Collection `none` doesn't exist!"
NO_LOOKUP = "Not found: Collection none not found"
NO_NAME = "Wrong input: Not existing vector name error: none"
EMPTY = "Bad request: Empty update request"
NO_POINT = "Not found: No point with id 99 found"
SPARSE_MIX = "Wrong input: Conversion between sparse and regular vectors failed"
UNKNOWN: Any = 9
MULTI_MIX = "Wrong input: Conversion between multi and regular vectors failed"
DIMENSION = "Wrong input: Vector dimension error: expected dim: 2, got 3"
BODY = "Validation error in body: ["


def num(number: int) -> Any:
    return grpc.PointId(num=number)


def ids(*numbers: int) -> Any:
    return grpc.PointsSelector(points=grpc.PointsIdsList(ids=[num(each) for each in numbers]))


def dense(*values: float) -> Any:
    return grpc.Vector(dense=grpc.DenseVector(data=values))


def sparse(indices: list[int], values: list[float]) -> Any:
    return grpc.Vector(sparse=grpc.SparseVector(indices=indices, values=values))


def rows(*each: tuple[float, ...]) -> Any:
    return grpc.Vector(multi_dense=grpc.MultiDenseVector(vectors=[grpc.DenseVector(data=row) for row in each]))


def vectors(**named: Any) -> Any:
    return grpc.Vectors(vectors=grpc.NamedVectors(vectors=named))


def upsert(*points: Any, collection: str = "c", **rest: Any) -> Call:
    """Two points, the first of which is always right."""
    good = grpc.PointStruct(id=num(50), vectors=vectors(row=dense(1, 2)))
    return "Upsert", grpc.UpsertPoints(collection_name=collection, points=[good, *points], wait=True, **rest)


def point(**named: Any) -> Any:
    return grpc.PointStruct(id=num(51), vectors=vectors(**named))


def nearest(*values: float) -> Any:
    return grpc.Query(nearest=grpc.VectorInput(dense=grpc.DenseVector(data=values)))


def query(**rest: Any) -> Call:
    given: dict[str, Any] = {"collection_name": "c", "using": "row", "query": nearest(1, 2)}
    return "Query", grpc.QueryPoints(**given | rest)


def by_id(number: int, **rest: Any) -> Call:
    return query(query=grpc.Query(nearest=grpc.VectorInput(id=num(number))), **rest)


def merged(asked: Any = None, *, using: str | None = None, **below: Any) -> Call:
    prefetch = grpc.PrefetchQuery(**{"query": nearest(1, 2), "using": "row"} | below)
    return query(query=asked, using=using, prefetch=[prefetch])


def deep(levels: int) -> Any:
    inner = [deep(levels - 1)] if levels > 1 else []
    return grpc.PrefetchQuery(query=nearest(1, 2), using="row", prefetch=inner)


def count(**parts: Any) -> Call:
    return "Count", grpc.CountPoints(collection_name="c", filter=grpc.Filter(**parts))


def field(**parts: Any) -> Any:
    return grpc.Condition(field=grpc.FieldCondition(**{"key": "k"} | parts))


def groups(**rest: Any) -> Call:
    return "QueryGroups", grpc.QueryPointGroups(collection_name="c", query=nearest(1, 2), using="row", **rest)


def create(size: int = 2, **rest: Any) -> Call:
    params = grpc.VectorsConfig(params=grpc.VectorParams(size=size, distance=grpc.Distance.Dot))
    given: dict[str, Any] = {"collection_name": "new", "vectors_config": params}
    return "Create", grpc.CreateCollection(**given | rest)


def alias(**action: Any) -> Call:
    return "UpdateAliases", grpc.ChangeAliases(actions=[grpc.AliasOperations(**action)])


def index(**rest: Any) -> Call:
    return "CreateFieldIndex", grpc.CreateFieldIndexCollection(**{"collection_name": "c", "field_name": "k"} | rest)


RRF = grpc.Query(fusion=grpc.Fusion.RRF)
ORDER = grpc.Query(order_by=grpc.OrderBy(key="k"))
INCLUDE_NONE = grpc.WithVectorsSelector(include=grpc.VectorsSelector(names=["none"]))

WRITES: list[tuple[Call, Any, str]] = [
    (upsert(collection="none"), NOT_FOUND, NO_COLLECTION),
    (upsert(collection=""), INVALID, BODY + 'collection_name: value "" invalid, must be from 1 to 255 characters]'),
    (upsert(point(row=dense(1, 2, 3))), INVALID, DIMENSION),
    (upsert(point(rows=rows((1, 2, 3)))), INVALID, DIMENSION),
    (upsert(point(none=dense(1, 2))), INVALID, NO_NAME),
    (upsert(point(sparse=dense(1, 2))), INVALID, SPARSE_MIX),
    (upsert(point(row=sparse([1], [1]))), INVALID, SPARSE_MIX),
    (upsert(point(row=rows((1, 2)))), INVALID, MULTI_MIX),
    (upsert(point(sparse=sparse([1, 1], [1, 2]))), INVALID, "must be unique"),
    (upsert(point(sparse=sparse([1], [1, 2]))), INVALID, "must be the same length as"),
    (upsert(point(rows=rows((1, 2), (1,)))), INVALID, BODY),
    (upsert(point(row=dense())), INVALID, BODY),
    (upsert(grpc.PointStruct(id=num(51))), INVALID, "Expected some vectors"),
    (upsert(grpc.PointStruct(vectors=vectors(row=dense(1, 2)))), INVALID, "Empty ID is not allowed"),
    (upsert(grpc.PointStruct(id=grpc.PointId(uuid="x"), vectors=vectors())), INVALID, "Unable to parse UUID: x"),
    (upsert(ordering=grpc.WriteOrdering(type=UNKNOWN)), INVALID, "cannot convert ordering: 9"),
    (("Upsert", grpc.UpsertPoints(collection_name="c")), INVALID, EMPTY),
    (("Delete", grpc.DeletePoints(collection_name="c", points=ids())), INVALID, EMPTY),
    (("UpdateVectors", grpc.UpdatePointVectors(collection_name="c")), INVALID, EMPTY),
    (("SetPayload", grpc.SetPayloadPoints(collection_name="c", points_selector=ids())), INVALID, EMPTY),
    (("OverwritePayload", grpc.SetPayloadPoints(collection_name="c", points_selector=ids())), INVALID, EMPTY),
    (("DeletePayload", grpc.DeletePayloadPoints(collection_name="c", points_selector=ids())), INVALID, EMPTY),
    (("ClearPayload", grpc.ClearPayloadPoints(collection_name="c", points=ids())), INVALID, EMPTY),
    (
        (
            "DeleteVectors",
            grpc.DeletePointVectors(
                collection_name="c", points_selector=ids(), vectors=grpc.VectorsSelector(names=["row"])
            ),
        ),
        INVALID,
        EMPTY,
    ),
    (("Delete", grpc.DeletePoints(collection_name="c")), INVALID, "PointSelector is missing"),
    (("SetPayload", grpc.SetPayloadPoints(collection_name="c", points_selector=ids(1, 99))), NOT_FOUND, NO_POINT),
    (("ClearPayload", grpc.ClearPayloadPoints(collection_name="c", points=ids(1, 99))), NOT_FOUND, NO_POINT),
    (("SetPayload", grpc.SetPayloadPoints(collection_name="c")), INVALID, "Either list of point ids or filter"),
    (
        ("SetPayload", grpc.SetPayloadPoints(collection_name="c", points_selector=ids(1), key="a b")),
        INVALID,
        "Invalid json path: 'a b'",
    ),
    (
        (
            "DeleteVectors",
            grpc.DeletePointVectors(
                collection_name="c", points_selector=ids(1), vectors=grpc.VectorsSelector(names=["none"])
            ),
        ),
        INVALID,
        NO_NAME,
    ),
    (
        (
            "UpdateVectors",
            grpc.UpdatePointVectors(
                collection_name="c",
                points=[grpc.PointVectors(id=num(each), vectors=vectors(row=dense(1, 2))) for each in (1, 99)],
            ),
        ),
        NOT_FOUND,
        NO_POINT,
    ),
    (("UpdateBatch", grpc.UpdateBatchPoints(collection_name="c")), INVALID, BODY),
    (index(field_name=""), INVALID, BODY + 'field_name: value "" invalid, must be 1 or more characters]'),
    (
        ("DeleteFieldIndex", grpc.DeleteFieldIndexCollection(collection_name="c")),
        INVALID,
        BODY + 'field_name: value "" invalid, must be 1 or more characters]',
    ),
    (index(), INVALID, "Bad request: Can't auto-detect field type, please specify `field_schema`"),
    (index(field_type=77), INVALID, "cannot convert field_type"),
    (index(field_name="a b", field_type=0), INVALID, "Invalid json path: 'a b'"),
]

READS: list[tuple[Call, Any, str]] = [
    (query(collection_name="none"), NOT_FOUND, NO_COLLECTION),
    (query(query=nearest(1, 2, 3)), INVALID, DIMENSION),
    (query(using="none"), INVALID, NO_NAME),
    (
        ("Search", grpc.SearchPoints(collection_name="c", vector_name="row", limit=1)),
        INVALID,
        "Wrong input: Vector dimension error: expected dim: 2, got 0",
    ),
    (query(using="sparse"), INVALID, SPARSE_MIX),
    (query(limit=0), INVALID, BODY + "limit: value 0 invalid, must be 1 or larger]"),
    (
        query(query=grpc.Query(nearest=grpc.VectorInput(sparse=grpc.SparseVector(indices=[1, 1], values=[1, 2])))),
        INVALID,
        BODY + "query.variant.variant.indices: Validation error: must be unique [{}]]",
    ),
    (
        query(params=grpc.SearchParams(idf=grpc.IdfParams(corpus=grpc.Filter(must=[field(is_null=True)])))),
        INVALID,
        "idf",
    ),
    (query(query=grpc.Query()), INVALID, "Query variant is missing"),
    (query(query=grpc.Query(nearest=grpc.VectorInput())), INVALID, "VectorInput variant is missing"),
    (query(with_payload=grpc.WithPayloadSelector()), INVALID, "No PayloadSelector"),
    (query(with_vectors=INCLUDE_NONE), INVALID, NO_NAME),
    (("Scroll", grpc.ScrollPoints(collection_name="c", with_vectors=INCLUDE_NONE)), INVALID, NO_NAME),
    (
        (
            "Get",
            grpc.GetPoints(
                collection_name="c",
                ids=[num(1)],
                with_vectors=INCLUDE_NONE,
                with_payload=grpc.WithPayloadSelector(enable=True),
            ),
        ),
        INVALID,
        NO_NAME,
    ),
    (by_id(99), NOT_FOUND, NO_POINT),
    (by_id(2), NOT_FOUND, 'Not found: Vector with name "row" for point not found'),
    (by_id(1, lookup_from=grpc.LookupLocation(collection_name="none")), NOT_FOUND, NO_LOOKUP),
    (by_id(1, lookup_from=grpc.LookupLocation(collection_name="c", vector_name="none")), INVALID, NO_NAME),
    (query(query=RRF, using=None), INVALID, "Wrong input: Validation failed: cannot apply Fusion without prefetches"),
    (merged(RRF, using="row"), INVALID, "Fusion queries cannot be combined with the 'using' field."),
    (merged(), INVALID, "Bad request: A query is needed to merge the prefetches."),
    (merged(RRF, limit=0), INVALID, BODY + "prefetch[0].limit: value 0 invalid, must be 1 or larger]"),
    (merged(RRF, query=None, score_threshold=1), INVALID, "A query is needed to use the score_threshold."),
    (
        merged(grpc.Query(rrf=grpc.Rrf(weights=[1, 2]))),
        INVALID,
        "Bad request: RRF weights length (2) does not match number of prefetches (1)",
    ),
    (query(prefetch=[deep(65)]), INVALID, "prefetches depth 65 exceeds max depth 64"),
    (query(query=ORDER), INVALID, "Wrong input: No range index for `order_by` key: `k`."),
    (
        ("Scroll", grpc.ScrollPoints(collection_name="c", offset=num(1), order_by=grpc.OrderBy(key="k"))),
        INVALID,
        "Bad request: Cannot use an `offset` when using `order_by`.",
    ),
    (
        count(must=[field()]),
        INVALID,
        BODY + "filter.must[0].condition_one_of.match: At least one field condition must be specified]",
    ),
    (count(must=[field(key="", is_null=True)]), INVALID, "Invalid json path: ''"),
    (groups(group_by=""), INVALID, BODY),
    (groups(group_by="k", group_size=0), INVALID, BODY + "group_size: value 0 invalid, must be 1 or larger]"),
    (groups(group_by="k", with_lookup=grpc.WithLookup(collection="none")), NOT_FOUND, NO_LOOKUP),
    (
        (
            "QueryBatch",
            grpc.QueryBatchPoints(collection_name="c", query_points=[grpc.QueryPoints(query=nearest(1, 2))]),
        ),
        INVALID,
        BODY + "query_points[0].collection_name",
    ),
]

COLLECTIONS: list[tuple[Call, Any, str]] = [
    (create(collection_name="c"), EXISTS, "Wrong input: Collection `c` already exists!"),
    (create(collection_name="alias"), INVALID, "alias"),
    (create(collection_name="a?b"), INVALID, 'collection name cannot contain "?" char'),
    (create(collection_name="n" * 256), INVALID, "invalid, must be from 1 to 255 characters"),
    (create(size=0), INVALID, "size: value 0 invalid, must be from 1 to 65536]"),
    (create(size=65537), INVALID, "size: value 65537 invalid, must be from 1 to 65536]"),
    (create(shard_number=0), INVALID, BODY + "shard_number: value 0 invalid, must be 1 or larger]"),
    (create(hnsw_config=grpc.HnswConfigDiff(ef_construct=3)), INVALID, "ef_construct: value 3 invalid, must be 4"),
    (("Get", grpc.GetCollectionInfoRequest(collection_name="none")), NOT_FOUND, NO_COLLECTION),
    (("Update", grpc.UpdateCollection(collection_name="none")), NOT_FOUND, NO_COLLECTION),
    (
        alias(create_alias=grpc.CreateAlias(collection_name="none", alias_name="x")),
        NOT_FOUND,
        NO_COLLECTION,
    ),
    (alias(create_alias=grpc.CreateAlias(collection_name="c", alias_name="c")), EXISTS, "already exists!"),
    (
        alias(rename_alias=grpc.RenameAlias(old_alias_name="x", new_alias_name="y")),
        NOT_FOUND,
        "Not found: Alias x does not exists!",
    ),
    (
        ("CreateShardKey", grpc.CreateShardKeyRequest(collection_name="c", request=grpc.CreateShardKey())),
        transport.StatusCode.UNIMPLEMENTED,
        "Qdrant is running in standalone mode",
    ),
]


@pytest.fixture(scope="module")
def stubs() -> Iterator[tuple[QdrantClient, Any, Any]]:
    """A client and the raw stubs of points and collections, beside a collection ``c`` of two points."""
    row = models.VectorParams(size=2, distance=models.Distance.DOT)
    multi = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    with Server() as server, transport.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        client = QdrantClient(**server.client_options)
        several = row.model_copy(update={"multivector_config": multi})
        thin = {"sparse": models.SparseVectorParams()}
        client.create_collection("c", vectors_config={"row": row, "rows": several}, sparse_vectors_config=thin)
        points = [
            models.PointStruct(id=1, vector={"row": [1.0, 2.0]}, payload={"k": 1}),
            models.PointStruct(id=2, vector={"rows": [[1.0, 2.0]]}),
        ]
        client.upsert("c", points)
        named = models.CreateAlias(collection_name="c", alias_name="alias")
        client.update_collection_aliases([models.CreateAliasOperation(create_alias=named)])
        points_stub: Any = grpc.PointsStub
        collections_stub: Any = grpc.CollectionsStub
        yield client, points_stub(channel), collections_stub(channel)
        client.close()


def refuse(call: Callable[[Any], object], request: Any, code: Any, text: str) -> None:
    with pytest.raises(transport.RpcError) as caught:
        call(request)
    assert (caught.value.code(), text in caught.value.details()) == (code, True), caught.value.details()


@pytest.mark.parametrize(("call", "code", "text"), WRITES)
def test_writes(stubs: tuple[QdrantClient, Any, Any], call: Call, code: Any, text: str) -> None:
    client, points, _ = stubs
    rpc, request = call
    request.wait = True  # Otherwise what does not fit is acknowledged, and dropped.
    before = client.scroll("c", with_vectors=True), client.get_collection("c")
    refuse(getattr(points, rpc), request, code, text)
    assert (client.scroll("c", with_vectors=True), client.get_collection("c")) == before


@pytest.mark.parametrize(("call", "code", "text"), READS)
def test_reads(stubs: tuple[QdrantClient, Any, Any], call: Call, code: Any, text: str) -> None:
    rpc, request = call
    refuse(getattr(stubs[1], rpc), request, code, text)


@pytest.mark.parametrize(("call", "code", "text"), COLLECTIONS)
def test_collections(stubs: tuple[QdrantClient, Any, Any], call: Call, code: Any, text: str) -> None:
    client, _, collections = stubs
    rpc, request = call
    refuse(getattr(collections, rpc), request, code, text)
    assert [each.name for each in client.get_collections().collections] == ["c"]


def test_orders_have_no_threshold(stubs: tuple[QdrantClient, Any, Any]) -> None:
    client, points, _ = stubs
    client.create_payload_index("c", "k", models.PayloadSchemaType.INTEGER)
    _, request = query(query=ORDER, score_threshold=1, using=None)
    refuse(points.Query, request, INVALID, "Bad request: Can't use score_threshold with an order_by query.")
    client.delete_payload_index("c", "k")


def test_what_is_no_mistake(stubs: tuple[QdrantClient, Any, Any]) -> None:
    """Depth 64, unknown modes, unknown ids in deletions, unknown collections in deletions, dense given for several."""
    _, points, collections = stubs
    assert points.Query(query(prefetch=[deep(64)])[1]).result
    assert points.Query(query(using="rows")[1]).result[0].id.num == 2
    assert points.Delete(grpc.DeletePoints(collection_name="c", points=ids(99), wait=True)).result.status == 2
    assert not collections.Delete(grpc.DeleteCollection(collection_name="none")).result
    assert not collections.Delete(grpc.DeleteCollection(collection_name="alias")).result
    assert points.Upsert(upsert(update_mode=9)[1]).result.status == 2
    # Bounds of REST alone.
    assert points.Upsert(upsert(timeout=0)[1]).result.status == 2
    assert points.Query(query(params=grpc.SearchParams(hnsw_ef=0))[1]).result
    assert points.Count(count(min_should=grpc.MinShould(min_count=0))[1]).result.count == 3
    small = grpc.HnswConfigDiff(full_scan_threshold=1)
    assert collections.Create(create(collection_name="quick", timeout=0, hnsw_config=small)[1]).result
    assert collections.Delete(grpc.DeleteCollection(collection_name="quick")).result
