"""Answers as the official client reads them."""

from typing import Any
from uuid import UUID

import numpy as np
import pytest
from qdrant_client import grpc as client
from qdrant_client import models
from qdrant_client.conversions.conversion import GrpcToRest

from qdrantlite.values.record import Group, Record, ScoredRecord, ScrollPage, UpdateResult, UpdateStatus
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector, Vector
from qdrantlite.wire.grpc.encode.record import encode_groups, encode_hits, encode_page, encode_update
from qdrantlite.wire.pb import points as pb
from tests.wire.grpc.client_messages import returned

UUID_TEXT = "936da01f-9abd-4d9d-80c7-02af85c822a8"


def f32(*values: Any) -> Any:
    return np.array(values, dtype=np.float32)


VECTORS: dict[str, Vector] = {
    "dense": DenseVector(f32(1.0, 2.0)),
    "sparse": SparseVector(np.array([3, 9], dtype=np.uint32), f32(0.5, 1.5)),
    "multi": MultiVector(f32([1.0], [2.0])),
}


def seen(*hits: ScoredRecord) -> list[models.ScoredPoint]:
    response = pb.QueryResponse()
    encode_hits(hits, response.result)
    return [GrpcToRest.convert_scored_point(hit) for hit in returned(response, client.QueryResponse).result]


def test_hit_arrives_whole() -> None:
    payload: dict[str, Any] = {"a": [1, 1.0, None, {"b": True}], "c": "", "d": {}}
    first, second = seen(
        ScoredRecord(Record(UUID(UUID_TEXT), payload, VECTORS), 0.25, 7),
        ScoredRecord(Record(0, order_value=2.0), 1.0, 0),
    )
    assert (first.id, first.score, first.version, first.payload) == (UUID_TEXT, 0.25, 7, payload)
    assert isinstance(first.vector, dict)
    assert first.vector["dense"] == [1.0, 2.0]
    assert first.vector["sparse"] == models.SparseVector(indices=[3, 9], values=[0.5, 1.5])
    assert first.vector["multi"] == [[1.0], [2.0]]
    assert (second.id, second.order_value, second.vector, second.payload) == (0, 2.0, None, None)


def test_order_value_keeps_its_type() -> None:
    response = pb.QueryResponse()
    encode_hits([ScoredRecord(Record(1, order_value=value), 1.0, 0) for value in (3, 3.0, 0)], response.result)
    assert [hit.order_value.WhichOneof("variant") for hit in response.result] == ["int", "float", "int"]


def test_default_vector_alone_goes_out_unnamed() -> None:
    (hit,) = seen(ScoredRecord(Record(1, vectors={"": DenseVector(f32(1.0))}), 1.0, 1))
    assert hit.vector == [1.0]
    (hit,) = seen(ScoredRecord(Record(1, vectors={"": DenseVector(f32(1.0)), "v": DenseVector(f32(2.0))}), 1.0, 1))
    assert hit.vector == {"": [1.0], "v": [2.0]}


def test_point_without_the_vectors_asked_for_has_an_empty_map() -> None:
    (hit,) = seen(ScoredRecord(Record(1, vectors={}), 1.0, 1))
    assert hit.vector == {}


def test_empty_vectors_keep_their_kind() -> None:
    empty = SparseVector(np.empty(0, dtype=np.uint32), f32())
    (hit,) = seen(ScoredRecord(Record(1, vectors={"s": empty}), 1.0, 1))
    assert hit.vector == {"s": models.SparseVector(indices=[], values=[])}


def test_page_tells_where_the_next_one_begins() -> None:
    page = encode_page(ScrollPage((Record(1, {"a": 1}), Record(2)), next_offset=UUID(UUID_TEXT)))
    response = returned(page, client.ScrollResponse)
    assert response.next_page_offset.uuid == UUID_TEXT
    assert [GrpcToRest.convert_retrieved_point(point).id for point in response.result] == [1, 2]
    assert not encode_page(ScrollPage((), None)).HasField("next_page_offset")


def test_groups_keep_order_keys_and_lookups() -> None:
    hit = ScoredRecord(Record(5), 0.5, 1)
    response = pb.QueryGroupsResponse()
    encode_groups([Group("a", (hit, hit), Record(9, {"x": 1})), Group(3, (hit,)), Group(-3, ())], response.result)
    groups = GrpcToRest.convert_groups_result(returned(response, client.QueryGroupsResponse).result).groups
    assert [group.id for group in groups] == ["a", 3, -3]
    assert [len(group.hits) for group in groups] == [2, 1, 0]
    assert groups[0].lookup is not None
    assert (groups[0].lookup.id, groups[0].lookup.payload) == (9, {"x": 1})
    assert [group.id.WhichOneof("kind") for group in response.result.groups] == [
        "string_value",
        "unsigned_value",
        "integer_value",
    ]


def test_no_groups_are_an_empty_result() -> None:
    response = pb.QueryGroupsResponse()
    encode_groups([], response.result)
    assert response.HasField("result")


@pytest.mark.parametrize("status", list(UpdateStatus))
def test_status_of_a_write_arrives(status: UpdateStatus) -> None:
    message = encode_update(UpdateResult(12, status))
    assert (message.operation_id, message.status) == (12, status.value)
    assert message.status in pb.UpdateStatus.values()
