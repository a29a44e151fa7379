"""Writes of points and vectors against the reference engine; operation ids and versions as a server gives them."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.models import UpdateStatus

from tests.congruence.twin import Twin

ROW = models.VectorParams(size=2, distance=models.Distance.COSINE)
ROWS = models.VectorParams(
    size=2,
    distance=models.Distance.DOT,
    multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
)
NEW_ROW = models.DenseVectorNameConfig(dense=models.DenseVectorConfig(size=2, distance=models.Distance.DOT))
EVEN = models.Filter(must=[models.FieldCondition(key="even", match=models.MatchValue(value=1))])


def some_vectors(chance: random.Random) -> dict[str, Any]:
    vectors = {
        "": [3.0, chance.choice([4.0, 0.0])],
        "row": [0.0, chance.choice([0.0, 2.0])],
        "rows": [[1.0, 2.0]] * chance.randint(1, 3),
        "sparse": models.SparseVector(indices=[7, chance.randint(0, 6)], values=[1.5, -1.0]),
    }
    return {name: vectors[name] for name in chance.sample(sorted(vectors), chance.randint(1, 4))}


def in_order(found: list[Any]) -> list[Any]:
    return [
        (point, payload, sorted(vectors.items()) if isinstance(vectors, dict) else vectors)
        for point, payload, vectors in found
    ]


def test_random_writes(make_twin: Callable[..., Twin]) -> None:
    chance = random.Random(2)
    twin = make_twin(dense={"": ROW, "row": ROW, "rows": ROWS}, sparse={"sparse": models.SparseVectorParams()})

    def point(number: int) -> models.PointStruct:
        payload = {"even": chance.randint(0, 1), "n": number}
        return models.PointStruct(id=number, vector=some_vectors(chance), payload=payload)

    twin.index("even", models.PayloadSchemaType.INTEGER)
    twin.upsert([point(number) for number in range(12)])
    twin.index("n", models.PayloadSchemaType.FLOAT)
    for _ in range(80):
        ids = chance.sample([each for each, _, _ in twin.contents()[0]], 4)
        match chance.randint(0, 8):
            case 0:
                twin.upsert([point(number) for number in chance.choices(range(15), k=4)])
            case 1:
                mode = chance.choice(list(models.UpdateMode))
                condition = chance.choice([None, EVEN])
                # InsertOnly with a condition: the filter has nothing to say.
                twin.upsert([point(number) for number in range(3, 18, 4)], update_mode=mode, update_filter=condition)
            case 2:
                twin.update_vectors(
                    [models.PointVectors(id=each, vector=some_vectors(chance)) for each in [*ids, ids[0]]]
                )
            case 3:
                twin.delete_vectors(ids, chance.sample(["", "row", "rows", "sparse"], 2))
            case 4:
                twin.delete(ids[:1])
            case 5:
                twin.set_payload(ids, {"even": chance.choice([1, 0, None, [0, 1], "one"])})
            case 6:
                twin.set_payload_where(
                    EVEN, {"even": chance.randint(0, 1), "p": [1]}, chance.choice([None, "p", "p[]"])
                )
            case 7:
                below = models.FieldCondition(key="n", range=models.Range(lt=chance.randint(0, 9)))
                twin.delete_vectors_where(models.Filter(must_not=[below]), ["row"])
            case _:
                twin.delete_payload(ids, ["n"])
        ours, theirs = twin.contents()
        assert in_order(ours) == in_order(theirs)
        schema = twin.ours.get_collection(twin.name).payload_schema
        assert {key: info.points for key, info in schema.items()} == twin.indexed_points()
        below = models.FieldCondition(key="n", range=models.Range(lt=8))
        having = [models.HasVectorCondition(has_vector=name) for name in ("", "row", "rows", "sparse", "unknown")]
        for given in (EVEN, models.Filter(must=[below]), *(models.Filter(must=[each]) for each in having)):
            passing = twin.passing(given)
            assert passing[0] == passing[1], given


def test_cosine_rows_are_stored_at_length_one(make_twin: Callable[..., Twin]) -> None:
    """Not a zero vector, not one whose length is all but one already, not bytes."""
    bytes_row = models.VectorParams(size=2, distance=models.Distance.COSINE, datatype=models.Datatype.UINT8)
    half = models.VectorParams(size=2, distance=models.Distance.COSINE, datatype=models.Datatype.FLOAT16)
    twin = make_twin(dense={"f32": ROW, "u8": bytes_row, "f16": half})
    rows = [
        [0.0, 0.0],
        [3.0, 4.0],
        [1e-5, 0.0],
        [1e-3, 0.0],
        [0.6, 0.8000001],
        [300.7, -1.2],
        [1e30, 1e30],
        [65504.0, 1.0],
    ]
    twin.upsert(
        [models.PointStruct(id=i, vector=dict.fromkeys(("f32", "u8", "f16"), row)) for i, row in enumerate(rows)]
    )
    ours, theirs = twin.contents()
    for (_, _, row), (_, _, expected) in zip(ours, theirs, strict=True):
        for name, values in row.items():
            assert values == pytest.approx(expected[name], rel=1e-6, abs=1e-12), name


def test_operation_ids_and_versions(client: QdrantClient) -> None:
    """The first write has id 1; an index and a vector name cost two; a point carries the id of its last change."""
    client.create_collection("ids", vectors_config={"v": ROW})
    point = models.PointStruct(id=1, vector={"v": [1.0, 0.0]}, payload={"k": 1})

    def version() -> int:
        return client.query_points("ids", query=[1.0, 0.0], using="v").points[0].version

    assert client.upsert("ids", [point]) == models.UpdateResult(operation_id=1, status=UpdateStatus.COMPLETED)
    assert version() == 1
    assert client.upsert("ids", [point], wait=False).status == UpdateStatus.ACKNOWLEDGED
    assert client.set_payload("ids", {"k": 2}, points=[1]).operation_id == 3
    assert version() == 3
    assert client.create_payload_index("ids", "k", models.PayloadSchemaType.INTEGER).operation_id == 5
    assert client.delete_payload_index("ids", "unknown").operation_id == 7
    assert client.create_vector_name("ids", "w", NEW_ROW).operation_id == 9
    assert version() == 3
    assert client.delete("ids", [99]).operation_id == 10
    results = client.batch_update_points(
        "ids",
        [
            models.SetPayloadOperation(set_payload=models.SetPayload(payload={"a": 1}, points=[1])),
            models.UpdateVectorsOperation(
                update_vectors=models.UpdateVectors(points=[models.PointVectors(id=1, vector={"v": [1.0, 0.0]})])
            ),
        ],
    )
    assert [result.operation_id for result in results] == [11, 12]
    assert version() == 12
    assert client.query_points("ids").points[0].version == 0
    ordered = client.query_points("ids", query=models.OrderByQuery(order_by="k")).points[0]
    assert (ordered.version, ordered.score, ordered.order_value) == (0, 1.0, 2)
    client.delete_collection("ids")
