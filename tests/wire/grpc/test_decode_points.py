"""Writes of the official client arrive as operations; what is malformed is refused with Qdrant's texts."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qdrant_client import grpc as client
from qdrant_client import models
from qdrant_client.conversions.conversion import RestToGrpc

from qdrantlite.errors import InvalidRequest, ValidationFailed
from qdrantlite.query import operation
from qdrantlite.query.filter import Filter, HasId
from qdrantlite.values.payload import EVERY, Json
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector
from qdrantlite.wire.grpc.decode import points as decode
from qdrantlite.wire.grpc.json_codec import decode_fields, encode_fields
from qdrantlite.wire.pb import points as pb
from tests.wire.grpc.client_messages import received

UUID_TEXT = "936da01f-9abd-4d9d-80c7-02af85c822a8"
IDS = received(RestToGrpc.convert_points_selector(models.PointIdsList(points=[1, UUID_TEXT])))
BY_ID = operation.Selector(ids=(1, UUID(UUID_TEXT)))

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def exact(value: Json) -> object:
    """Distinguishes 1, 1.0 and True, 0.0 and -0.0, which compare equal."""
    match value:
        case dict():
            return {key: exact(item) for key, item in value.items()}
        case list():
            return [exact(item) for item in value]
        case _:
            return type(value).__name__, repr(value)


def upsert(*points: models.PointStruct, **fields: Any) -> operation.Upsert:
    sent = client.UpsertPoints(
        collection_name="c", points=[RestToGrpc.convert_point_struct(point) for point in points], **fields
    )
    return decode.decode_upsert(received(sent))


@settings(max_examples=50)
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_payload_keeps_every_value_and_type(payload: dict[str, Json]) -> None:
    message = pb.PointStruct()
    encode_fields(payload, message.payload)
    assert exact(decode_fields(message.payload)) == exact(payload)


def test_payload_of_the_client_arrives() -> None:
    payload = {"a": {"b": [1, 1.0, None, True, "", []], "c": {}}, "d": -(2**63), "e": 0}
    (point,) = upsert(models.PointStruct(id=1, vector={}, payload=payload)).points
    assert exact(dict(point.payload)) == exact(payload)  # type: ignore[arg-type]  # dict is invariant


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_number_that_json_lacks_is_refused(number: float) -> None:
    message = pb.PointStruct(id={"num": 1}, payload={"a": {"double_value": number}}, vectors={"vectors": {}})  # type: ignore[arg-type, dict-item]  # nested fields
    with pytest.raises(InvalidRequest, match="cannot convert to json number"):
        decode.decode_upsert(pb.UpsertPoints(points=[message]))


def test_integer_beyond_64_bits_leaves_as_a_float() -> None:
    message = pb.PointStruct()
    encode_fields({"a": 2**64}, message.payload)
    assert message.payload["a"].double_value == 2.0**64


def test_default_and_named_vectors_arrive() -> None:
    named: Any = {
        "dense": [1.0, 2.0],
        "sparse": models.SparseVector(indices=[9, 3], values=[1.0, 2.0]),
        "multi": [[1.0], [2.0]],
    }
    found = upsert(
        models.PointStruct(id=0, vector=[0.5]),
        models.PointStruct(id=UUID_TEXT, vector=named),
        models.PointStruct(id=2**64 - 1, vector={}),
    )
    first, second, third = found.points
    assert [point.id for point in found.points] == [0, UUID(UUID_TEXT), 2**64 - 1]
    (default,) = first.vectors.values()
    assert isinstance(default, DenseVector)
    assert (list(first.vectors), default.values.tolist()) == ([""], [0.5])
    dense, sparse, multi = (second.vectors[name] for name in named)
    assert isinstance(dense, DenseVector)
    assert dense.values.tolist() == [1.0, 2.0]
    assert isinstance(sparse, SparseVector)
    assert (sparse.indices.tolist(), sparse.weights.tolist()) == ([3, 9], [2.0, 1.0])
    assert isinstance(multi, MultiVector)
    assert multi.rows.tolist() == [[1.0], [2.0]]
    assert (third.vectors, third.payload) == ({}, {})


def test_flat_vectors_of_old_clients_arrive() -> None:
    flat: dict[str, Any] = {
        "dense": {"data": [1, 2]},
        "sparse": {"data": [1, 2], "indices": {"data": [7, 5]}},
        "multi": {"data": [1, 2, 3, 4], "vectors_count": 2},
    }
    message = pb.PointStruct(id={"num": 1}, vectors={"vectors": {"vectors": flat}})  # type: ignore[arg-type]  # nested fields
    vectors = decode.decode_upsert(pb.UpsertPoints(points=[message])).points[0].vectors
    dense, sparse, multi = (vectors[name] for name in flat)
    assert isinstance(dense, DenseVector)
    assert dense.values.tolist() == [1.0, 2.0]
    assert isinstance(sparse, SparseVector)
    assert (sparse.indices.tolist(), sparse.weights.tolist()) == ([5, 7], [2.0, 1.0])
    assert isinstance(multi, MultiVector)
    assert multi.rows.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_not_a_number_in_a_vector_is_let_through() -> None:
    (point,) = upsert(models.PointStruct(id=1, vector=[float("nan")])).points
    vector = point.vectors[""]
    assert isinstance(vector, DenseVector)
    assert np.isnan(vector.values).all()


def test_modes_and_filter_of_an_upsert_arrive() -> None:
    update_filter = RestToGrpc.convert_filter(models.Filter(must=[models.HasIdCondition(has_id=[1])]))
    point = models.PointStruct(id=1, vector={})
    for number, mode in enumerate(operation.UpdateMode):
        found = upsert(point, update_filter=update_filter, update_mode=number)
        assert (found.mode, found.update_filter) == (mode, Filter(must=(HasId((1,)),)))
    assert upsert(point, update_mode=77).mode is operation.UpdateMode.UPSERT


def test_every_operation_of_a_batch_arrives() -> None:
    point = models.PointStruct(id=1, vector={}, payload={"a": 1})
    ids: Any = {"points": [1, UUID_TEXT]}
    sent: list[Any] = [
        models.UpsertOperation(upsert=models.PointsList(points=[point])),
        models.DeleteOperation(delete=models.PointIdsList(**ids)),
        models.SetPayloadOperation(set_payload=models.SetPayload(payload={"a": None}, key="b[].c", **ids)),
        models.OverwritePayloadOperation(overwrite_payload=models.SetPayload(payload={"a": 1}, key="b", **ids)),
        models.DeletePayloadOperation(delete_payload=models.DeletePayload(keys=["a", "b.c"], **ids)),
        models.ClearPayloadOperation(clear_payload=models.PointIdsList(**ids)),
        models.UpdateVectorsOperation(
            update_vectors=models.UpdateVectors(points=[models.PointVectors(id=5, vector=[1.0])])
        ),
        models.DeleteVectorsOperation(delete_vectors=models.DeleteVectors(vector=["v"], **ids)),
    ]
    request = client.UpdateBatchPoints(
        collection_name="c", operations=[RestToGrpc.convert_update_operation(part) for part in sent]
    )
    first, *rest, vectors, dropped = decode.decode_batch(received(request))
    assert isinstance(first, operation.Upsert)
    assert first.points[0].payload == {"a": 1}
    assert rest == [
        operation.DeletePoints(BY_ID),
        operation.SetPayload({"a": None}, BY_ID, ("b", EVERY, "c")),
        operation.OverwritePayload({"a": 1}, BY_ID),
        operation.DeletePayload((("a",), ("b", "c")), BY_ID),
        operation.ClearPayload(BY_ID),
    ]
    assert isinstance(vectors, operation.UpdateVectors)
    assert vectors.points[0].id == 5
    assert dropped == operation.DeleteVectors(BY_ID, ("v",))


def test_deprecated_operations_of_a_batch_arrive() -> None:
    batch = pb.UpdateBatchPoints(operations=[{"delete_deprecated": IDS}, {"clear_payload_deprecated": IDS}])  # type: ignore[list-item]  # nested fields
    assert decode.decode_batch(batch) == (operation.DeletePoints(BY_ID), operation.ClearPayload(BY_ID))


def test_points_may_be_chosen_by_filter() -> None:
    by_filter = models.FilterSelector(filter=models.Filter(must=[models.HasIdCondition(has_id=[1])]))
    message = pb.DeletePoints(points=received(RestToGrpc.convert_points_selector(by_filter)))
    selection = operation.Selector(filter=Filter(must=(HasId((1,)),)))
    assert decode.decode_delete(message) == operation.DeletePoints(selection)


GOOD: dict[str, Any] = {"id": {"num": 1}, "vectors": {"vector": {"dense": {"data": [1]}}}}


def of(decoder: Callable[[Any], object], message: type[Any], **fields: object) -> Callable[[], object]:
    return lambda: decoder(message(**fields))


def point_of(**fields: object) -> Callable[[], object]:
    return of(decode.decode_upsert, pb.UpsertPoints, points=[{**GOOD, **fields}])


def vector_of(**vector: object) -> Callable[[], object]:
    return point_of(vectors={"vectors": {"vectors": {"v": vector}}})


SELECTION: dict[str, Any] = {"points_selector": {"points": {"ids": [{"num": 1}]}}}
REFUSED = [
    (of(decode.decode_upsert, pb.UpsertPoints), "Bad request: Empty update request"),
    (of(decode.decode_upsert, pb.UpsertPoints, points=[{"vectors": GOOD["vectors"]}]), "Empty ID is not allowed"),
    (of(decode.decode_upsert, pb.UpsertPoints, points=[{"id": GOOD["id"]}]), "Expected some vectors"),
    (point_of(id={}), "No ID options provided"),
    (point_of(id={"uuid": "x"}), "Unable to parse UUID: x"),
    (point_of(vectors={}), "No Vector Provided"),
    (point_of(vectors={"vector": {"sparse": {}}}), "Sparse vector must be named"),
    (point_of(vectors={"vector": {"dense": {}}}), "points[0].vectors.vectors_options.data"),
    (vector_of(), "points[0].vectors.vectors_options.vectors[0].data"),
    (vector_of(sparse={"values": [1]}), "must be the same length as indices"),
    (vector_of(sparse={"values": [1, 1], "indices": [3, 3]}), "must be unique"),
    (vector_of(data=[1, 2, 3], vectors_count=2), "cannot be 2 rows of equal length"),
    (vector_of(data=[1], vectors_count=0), "cannot be 0 rows of equal length"),
    (of(decode.decode_delete, pb.DeletePoints), "PointSelector is missing"),
    (of(decode.decode_delete, pb.DeletePoints, points={"points": {}}), "Bad request: Empty update request"),
    (of(decode.decode_clear_payload, pb.ClearPayloadPoints), "PointSelector is missing"),
    (of(decode.decode_delete_vectors, pb.DeletePointVectors), "points_selector is expected"),
    (of(decode.decode_delete_vectors, pb.DeletePointVectors, **SELECTION), "vectors is expected"),
    (of(decode.decode_delete_vectors, pb.DeletePointVectors, vectors={}, **SELECTION), "vectors.names"),
    (of(decode.decode_set_payload, pb.SetPayloadPoints), "Either list of point ids or filter must be provided"),
    (of(decode.decode_set_payload, pb.SetPayloadPoints, points_selector={}), "PointSelector is missing"),
    (of(decode.decode_set_payload, pb.SetPayloadPoints, key="a..b", **SELECTION), "Invalid json path: 'a..b'"),
    (of(decode.decode_delete_payload, pb.DeletePayloadPoints, keys=[""], **SELECTION), "Invalid json path: ''"),
    (of(decode.decode_update_vectors, pb.UpdatePointVectors, points=[{}]), "id is expected"),
    (of(decode.decode_update_vectors, pb.UpdatePointVectors, points=[{"id": {"num": 1}}]), "vectors is expected"),
    (
        of(
            decode.decode_update_vectors, pb.UpdatePointVectors, points=[{"id": {"num": 1}, "vectors": {"vectors": {}}}]
        ),
        "points[0].vectors: must specify vectors to update for point",
    ),
    (of(decode.decode_batch, pb.UpdateBatchPoints), "operations"),
    (of(decode.decode_batch, pb.UpdateBatchPoints, operations=[{}]), "operation is expected"),
    (of(decode.check_ordering, pb.WriteOrdering, type=7), "cannot convert ordering: 7"),
]


@pytest.mark.parametrize(("decoder", "text"), REFUSED)
def test_malformed_write_is_refused(decoder: Callable[[], object], text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoder()
    assert text in caught.value.message


def test_refusal_names_the_point() -> None:
    bad = {**GOOD, "vectors": {"vector": {"dense": {}}}}
    with pytest.raises(ValidationFailed, match=r"^points\[2\]\.vectors\.vectors_options\.data"):
        decode.decode_upsert(pb.UpsertPoints(points=[GOOD, GOOD, bad]))  # type: ignore[list-item]  # nested fields
