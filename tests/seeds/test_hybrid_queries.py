"""The examples of Qdrant's guide to hybrid and multi-stage queries, asked by the official client, with exact answers.

Vectors are of small size and mostly axes, so that every score can be read off the query.
"""

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

from qdrantlite.testing import Server

Scores = list[tuple[int | str, float]]

ITEMS, OTHERS, CHUNKS = "items", "another_collection", "chunks"
UUID = "43cf51e2-8777-4f52-bc74-c2cbde0c8b04"
DENSE_QUERY = [0.01, 0.45, 0.67, 0.1]
COLBERT_QUERY = [[0.1, 0.2], [0.2, 0.1], [0.8, 0.9]]
BYTE_QUERY: list[float] = [1, 23, 45, 67]

AXES: Mapping[int | str, list[float]] = {
    1: [1, 0, 0, 0],
    2: [0, 1, 0, 0],
    3: [0, 0, 1, 0],
    4: [0, 0, 0, 1],
    5: [0, 1, 1, 0],
    UUID: [1, 1, 0, 0],
}
SPARSE: Mapping[int | str, dict[int, float]] = {1: {1: 1}, 2: {42: 1}, 3: {7: 1}, 4: {1: 2, 42: 0.5}, UUID: {1: 3}}
COLBERT: Mapping[int | str, list[list[float]]] = {
    1: [[1, 0]],
    2: [[0, 1]],
    3: [[1, 0], [0, 1]],
    5: [[1, 1]],
    UUID: [[2, 0]],
}
PAYLOADS: Mapping[int | str, dict[str, Any]] = {
    1: {"color": "red", "price": 30},
    2: {"color": "green", "price": 20},
    3: {"color": "red", "price": 10},
    4: {"color": "blue", "price": 5},
    5: {"color": "green"},
    UUID: {"color": "green", "price": 40},
}
BY_DENSE: Scores = [(5, 1.12), (3, 0.67), (UUID, 0.46), (2, 0.45), (4, 0.1), (1, 0.01)]
BY_SPARSE: Scores = [(4, 0.84), (2, 0.8), (UUID, 0.66), (1, 0.22)]


@pytest.fixture(scope="module")
def client() -> Iterator[QdrantClient]:
    with Server() as server:
        client = QdrantClient(**server.client_options)
        _make_items(client)
        _make_chunks(client)
        yield client
        client.close()


def _make_items(client: QdrantClient) -> None:
    dot = models.VectorParams(size=4, distance=models.Distance.DOT)
    several = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    client.create_collection(
        ITEMS,
        vectors_config={
            "": dot,
            "dense": dot,
            "full": dot,
            "512d-vector": dot,
            "mrl_byte": models.VectorParams(size=4, distance=models.Distance.DOT, datatype=models.Datatype.UINT8),
            "colbert": models.VectorParams(size=2, distance=models.Distance.DOT, multivector_config=several),
        },
        sparse_vectors_config={"sparse": models.SparseVectorParams()},
    )
    client.create_payload_index(ITEMS, "price", models.PayloadSchemaType.INTEGER, wait=True)
    client.upsert(ITEMS, [_item(each) for each in AXES], wait=True)
    client.create_collection(OTHERS, vectors_config={"image-512": dot})
    looked_up = models.PointStruct(id=UUID, vector={"image-512": [0.0, 0.0, 1.0, 2.0]})
    client.upsert(OTHERS, [looked_up], wait=True)


def _item(each: int | str) -> models.PointStruct:
    axis = AXES[each]
    vectors: dict[str, Any] = {"": axis, "dense": axis, "full": axis, "512d-vector": axis, "mrl_byte": axis}
    if each == 5:
        vectors["full"] = [0, 0, 0, 0.5]
        del vectors["512d-vector"]
    if each == UUID:
        del vectors["mrl_byte"]
    if each in SPARSE:
        vectors["sparse"] = models.SparseVector(indices=list(SPARSE[each]), values=list(SPARSE[each].values()))
    if each in COLBERT:
        vectors["colbert"] = COLBERT[each]
    return models.PointStruct(id=each, vector=vectors, payload=PAYLOADS[each])


def _make_chunks(client: QdrantClient) -> None:
    client.create_collection(CHUNKS, vectors_config=models.VectorParams(size=3, distance=models.Distance.DOT))
    chunks: list[tuple[list[float], object]] = [
        ([0, 0, 1], "a"),
        ([0, 1, 0], "a"),
        ([1, 0, 0], "a"),
        ([0, 1, 1], "b"),
        ([0, 0, 2], 7),
        ([0, 2, 0], ["c", "b"]),
        ([0, 0, 3], None),
        ([9, 0, 0], "z"),
        ([0, 0, 5], 1.5),
    ]
    points = [
        models.PointStruct(id=number, vector=vector, payload={"document_id": key})
        for number, (vector, key) in enumerate(chunks)
    ]
    client.upsert(CHUNKS, [*points, models.PointStruct(id=100, vector=[0.0, 0.0, 9.0])], wait=True)


def hits(answer: models.QueryResponse) -> list[tuple[int | str, Any]]:
    return [(point.id if isinstance(point.id, int) else str(point.id), point.score) for point in answer.points]


def scored(expected: Sequence[tuple[int | str, float]]) -> list[tuple[int | str, Any]]:
    """To be compared with hits: the same ids in the same order, scores to float32."""
    return [(each, pytest.approx(score, rel=1e-6)) for each, score in expected]


def sparse_and_dense(limit: int = 20) -> list[models.Prefetch]:
    return [
        models.Prefetch(query=models.SparseVector(indices=[1, 42], values=[0.22, 0.8]), using="sparse", limit=limit),
        models.Prefetch(query=DENSE_QUERY, using="dense", limit=limit),
    ]


def test_sparse_and_dense_fused_by_reciprocal_rank(client: QdrantClient) -> None:
    fused = models.FusionQuery(fusion=models.Fusion.RRF)
    answer = client.query_points(ITEMS, prefetch=sparse_and_dense(), query=fused)
    expected: Scores = [
        (4, 1 / 2 + 1 / 6),
        (2, 1 / 3 + 1 / 5),
        (5, 1 / 2),
        (UUID, 1 / 4 + 1 / 4),
        (1, 1 / 5 + 1 / 7),
        (3, 1 / 3),
    ]
    assert hits(answer) == scored(expected)
    two = client.query_points(ITEMS, prefetch=sparse_and_dense(2), query=fused, limit=3)
    assert hits(two) == scored([(4, 1 / 2), (5, 1 / 2), (2, 1 / 3)])


def test_sparse_and_dense_fused_by_distribution(client: QdrantClient) -> None:
    answer = client.query_points(
        ITEMS, prefetch=sparse_and_dense(), query=models.FusionQuery(fusion=models.Fusion.DBSF)
    )
    total: dict[int | str, float] = {}
    for source in (BY_SPARSE, BY_DENSE):
        scores = [score for _, score in source]
        low, high = mean(scores) - 3 * stdev(scores), mean(scores) + 3 * stdev(scores)
        for each, score in source:
            total[each] = total.get(each, 0) + (score - low) / (high - low)
    expected = sorted(total.items(), key=lambda item: -item[1])
    assert [each for each, _ in expected][:3] == [2, UUID, 4]
    assert hits(answer) == [(each, pytest.approx(score, rel=1e-5)) for each, score in expected]


def test_byte_vector_then_full_vector(client: QdrantClient) -> None:
    def ask(limit: int) -> models.QueryResponse:
        return client.query_points(
            ITEMS,
            prefetch=models.Prefetch(query=BYTE_QUERY, using="mrl_byte", limit=limit),
            query=[0.01, 0.299, 0.45, 0.67],
            using="full",
            limit=10,
        )

    assert hits(ask(1000)) == scored([(4, 0.67), (3, 0.45), (5, 0.335), (2, 0.299), (1, 0.01)])
    assert hits(ask(2)) == scored([(4, 0.67), (5, 0.335)])


def test_default_vector_then_token_vectors(client: QdrantClient) -> None:
    def ask(limit: int) -> models.QueryResponse:
        return client.query_points(
            ITEMS,
            prefetch=models.Prefetch(query=DENSE_QUERY, limit=limit),
            query=COLBERT_QUERY,
            using="colbert",
            limit=10,
        )

    assert hits(ask(100)) == scored([(5, 2.3), (UUID, 2.2), (3, 1.3), (2, 1.2), (1, 1.1)])
    assert hits(ask(2)) == scored([(5, 2.3), (3, 1.3)])


def test_three_stages_one_below_the_other(client: QdrantClient) -> None:
    def ask(first: int, second: int) -> models.QueryResponse:
        bytes_first = models.Prefetch(query=BYTE_QUERY, using="mrl_byte", limit=first)
        full = models.Prefetch(prefetch=bytes_first, query=DENSE_QUERY, using="full", limit=second)
        return client.query_points(ITEMS, prefetch=full, query=COLBERT_QUERY, using="colbert", limit=10)

    assert hits(ask(1000, 100)) == scored([(5, 2.3), (3, 1.3), (2, 1.2), (1, 1.1)])
    assert hits(ask(4, 3)) == scored([(3, 1.3), (2, 1.2)])


def test_query_by_id_leaves_the_id_out(client: QdrantClient) -> None:
    answer = client.query_points(ITEMS, query=UUID)
    assert hits(answer) == scored([(1, 1), (2, 1), (5, 1), (3, 0), (4, 0)])
    named = client.query_points(ITEMS, query=UUID, using="colbert")
    assert hits(named) == scored([(1, 2), (3, 2), (5, 2), (2, 0)])


def test_query_by_an_id_of_another_collection(client: QdrantClient) -> None:
    answer = client.query_points(
        ITEMS,
        query=UUID,
        using="512d-vector",
        lookup_from=models.LookupLocation(collection=OTHERS, vector="image-512"),
    )
    assert hits(answer) == scored([(4, 2), (3, 1), (1, 0), (2, 0), (UUID, 0)])


def test_two_filtered_prefetches_ordered_by_price(client: QdrantClient) -> None:
    def ask(limit: int) -> models.QueryResponse:
        filters = [
            models.Filter(must=models.FieldCondition(key="color", match=models.MatchValue(value=color)))
            for color in ("red", "green")
        ]
        return client.query_points(
            ITEMS,
            prefetch=[models.Prefetch(query=DENSE_QUERY, filter=each, limit=limit) for each in filters],
            query=models.OrderByQuery(order_by="price"),
        )

    answer = ask(10)
    assert [(point.id, point.order_value) for point in answer.points] == [(3, 10), (2, 20), (1, 30), (UUID, 40)]
    assert {(point.score, point.version) for point in answer.points} == {(1.0, 0)}
    assert [point.payload for point in answer.points] == [PAYLOADS[each] for each in (3, 2, 1, UUID)]
    assert [point.id for point in ask(1).points] == [3]


def test_groups_of_chunks_by_document(client: QdrantClient) -> None:
    answer = client.query_points_groups(CHUNKS, query=[0.01, 0.45, 0.67], group_by="document_id", limit=4, group_size=2)
    found = {group.id: [(hit.id, hit.score) for hit in group.hits] for group in answer.groups}
    assert found == {
        7: scored([(4, 1.34)]),
        "b": scored([(3, 1.12), (5, 0.9)]),
        "c": scored([(5, 0.9)]),
        "a": scored([(0, 0.67), (1, 0.45)]),
    }
    assert list(found) == [7, "b", "c", "a"]


def test_no_query_at_all_gives_points_by_id(client: QdrantClient) -> None:
    answer = client.query_points(ITEMS, with_payload=False)
    assert hits(answer) == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0), (5, 1.0), (UUID, 1.0)]
    assert {(point.version, bool(point.payload), point.vector) for point in answer.points} == {(0, False, None)}
    assert len(client.query_points(CHUNKS).points) == 10
