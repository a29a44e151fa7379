"""The RPCs of ``qdrant.Points`` that write: decode, ask the engine, encode. ``RPCS`` is the table that is served."""

from collections.abc import Mapping
from typing import Literal, Protocol

from qdrantlite.deadline import Deadline
from qdrantlite.query.operation import DeleteFieldIndex, DeleteVectorName, Operation, SchemaOperation
from qdrantlite.values.payload import parse_path
from qdrantlite.values.record import UpdateResult
from qdrantlite.wire.bounds import collection_name
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.grpc import decode_points as decode
from qdrantlite.wire.grpc.decode_collection import decode_create_vector_name
from qdrantlite.wire.grpc.decode_index import decode_create_index
from qdrantlite.wire.grpc.dispatch import Rpc
from qdrantlite.wire.grpc.encode_record import encode_update
from qdrantlite.wire.pb import points as pb


class WriteRequest(Protocol):
    """The fields that all writes share."""

    @property
    def collection_name(self) -> str:
        """Or an alias."""

    @property
    def wait(self) -> bool:
        """Answer only when applied."""

    @property
    def timeout(self) -> int:
        """Seconds; 0 if absent."""

    @property
    def ordering(self) -> pb.WriteOrdering:
        """Among replicas."""

    def HasField(self, field_name: Literal["timeout"], /) -> bool:  # noqa: N802  # protobuf's own name
        """True when the field is set."""


def _check(request: WriteRequest) -> None:
    """Checks the shared fields. Raises InvalidRequest."""
    collection_name(request.collection_name)
    decode.check_ordering(request.ordering)


def _write(
    engine: Engine, request: WriteRequest, operation: Operation, deadline: Deadline
) -> pb.PointsOperationResponse:
    (result,) = engine.write(request.collection_name, (operation,), wait=request.wait, deadline=deadline)
    return _answer(result)


def _alter(
    engine: Engine, request: WriteRequest, operation: SchemaOperation, deadline: Deadline
) -> pb.PointsOperationResponse:
    return _answer(engine.alter(request.collection_name, operation, wait=request.wait, deadline=deadline))


def _answer(result: UpdateResult) -> pb.PointsOperationResponse:
    return pb.PointsOperationResponse(result=encode_update(result))


def upsert(engine: Engine, request: pb.UpsertPoints, deadline: Deadline) -> pb.PointsOperationResponse:
    """Inserts or replaces points."""
    _check(request)
    return _write(engine, request, decode.decode_upsert(request), deadline)


def delete(engine: Engine, request: pb.DeletePoints, deadline: Deadline) -> pb.PointsOperationResponse:
    """Removes points."""
    _check(request)
    return _write(engine, request, decode.decode_delete(request), deadline)


def update_vectors(engine: Engine, request: pb.UpdatePointVectors, deadline: Deadline) -> pb.PointsOperationResponse:
    """Replaces the vectors given."""
    _check(request)
    return _write(engine, request, decode.decode_update_vectors(request), deadline)


def delete_vectors(engine: Engine, request: pb.DeletePointVectors, deadline: Deadline) -> pb.PointsOperationResponse:
    """Removes named vectors."""
    _check(request)
    return _write(engine, request, decode.decode_delete_vectors(request), deadline)


def set_payload(engine: Engine, request: pb.SetPayloadPoints, deadline: Deadline) -> pb.PointsOperationResponse:
    """Merges keys into payloads."""
    _check(request)
    return _write(engine, request, decode.decode_set_payload(request), deadline)


def overwrite_payload(engine: Engine, request: pb.SetPayloadPoints, deadline: Deadline) -> pb.PointsOperationResponse:
    """Replaces payloads."""
    _check(request)
    return _write(engine, request, decode.decode_overwrite_payload(request), deadline)


def delete_payload(engine: Engine, request: pb.DeletePayloadPoints, deadline: Deadline) -> pb.PointsOperationResponse:
    """Removes keys of payloads."""
    _check(request)
    return _write(engine, request, decode.decode_delete_payload(request), deadline)


def clear_payload(engine: Engine, request: pb.ClearPayloadPoints, deadline: Deadline) -> pb.PointsOperationResponse:
    """Removes payloads."""
    _check(request)
    return _write(engine, request, decode.decode_clear_payload(request), deadline)


def update_batch(engine: Engine, request: pb.UpdateBatchPoints, deadline: Deadline) -> pb.UpdateBatchResponse:
    """Several writes in order, applied whole or not at all."""
    _check(request)
    operations = decode.decode_batch(request)
    results = engine.write(request.collection_name, operations, wait=request.wait, deadline=deadline)
    return pb.UpdateBatchResponse(result=[encode_update(result) for result in results])


def create_field_index(
    engine: Engine, request: pb.CreateFieldIndexCollection, deadline: Deadline
) -> pb.PointsOperationResponse:
    """Indexes a payload path."""
    _check(request)
    return _alter(engine, request, decode_create_index(request), deadline)


def delete_field_index(
    engine: Engine, request: pb.DeleteFieldIndexCollection, deadline: Deadline
) -> pb.PointsOperationResponse:
    """Drops the index of a payload path."""
    _check(request)
    parse_path(request.field_name)
    return _alter(engine, request, DeleteFieldIndex(request.field_name), deadline)


def create_vector_name(
    engine: Engine, request: pb.CreateVectorNameRequest, deadline: Deadline
) -> pb.PointsOperationResponse:
    """Adds a named vector."""
    _check(request)
    return _alter(engine, request, decode_create_vector_name(request), deadline)


def delete_vector_name(
    engine: Engine, request: pb.DeleteVectorNameRequest, deadline: Deadline
) -> pb.PointsOperationResponse:
    """Drops a named vector."""
    _check(request)
    return _alter(engine, request, DeleteVectorName(request.vector_name), deadline)


RPCS: Mapping[str, Rpc] = {
    "Upsert": upsert,
    "Delete": delete,
    "UpdateVectors": update_vectors,
    "DeleteVectors": delete_vectors,
    "SetPayload": set_payload,
    "OverwritePayload": overwrite_payload,
    "DeletePayload": delete_payload,
    "ClearPayload": clear_payload,
    "UpdateBatch": update_batch,
    "CreateFieldIndex": create_field_index,
    "DeleteFieldIndex": delete_field_index,
    "CreateVectorName": create_vector_name,
    "DeleteVectorName": delete_vector_name,
}
