"""The RPCs of ``qdrant.Points`` that write: decode, ask the engine, encode. ``RPCS`` is the table that is served."""

from collections.abc import Mapping
from typing import Literal, Protocol

from qdrantlite.query.operation import DeleteFieldIndex, DeleteVectorName, Operation, SchemaOperation
from qdrantlite.values.payload import parse_path
from qdrantlite.values.record import UpdateResult
from qdrantlite.wire.bounds import collection_name
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.grpc import decode_points as decode
from qdrantlite.wire.grpc.decode_collection import decode_create_vector_name
from qdrantlite.wire.grpc.decode_index import decode_create_index
from qdrantlite.wire.grpc.decode_selector import decode_timeout
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


def _check(request: WriteRequest) -> float:
    """Checks the shared fields; returns the timeout in seconds."""
    collection_name(request.collection_name)
    decode.check_ordering(request.ordering)
    return decode_timeout(request)


def _write(engine: Engine, request: WriteRequest, operation: Operation, timeout_s: float) -> pb.PointsOperationResponse:
    (result,) = engine.write(request.collection_name, (operation,), wait=request.wait, timeout_s=timeout_s)
    return _answer(result)


def _alter(engine: Engine, request: WriteRequest, operation: SchemaOperation) -> pb.PointsOperationResponse:
    return _answer(engine.alter(request.collection_name, operation, wait=request.wait))


def _answer(result: UpdateResult) -> pb.PointsOperationResponse:
    return pb.PointsOperationResponse(result=encode_update(result))


def upsert(engine: Engine, request: pb.UpsertPoints) -> pb.PointsOperationResponse:
    """Inserts or replaces points."""
    timeout_s = _check(request)
    return _write(engine, request, decode.decode_upsert(request), timeout_s)


def delete(engine: Engine, request: pb.DeletePoints) -> pb.PointsOperationResponse:
    """Removes points."""
    timeout_s = _check(request)
    return _write(engine, request, decode.decode_delete(request), timeout_s)


def update_vectors(engine: Engine, request: pb.UpdatePointVectors) -> pb.PointsOperationResponse:
    """Replaces the vectors given."""
    timeout_s = _check(request)
    return _write(engine, request, decode.decode_update_vectors(request), timeout_s)


def delete_vectors(engine: Engine, request: pb.DeletePointVectors) -> pb.PointsOperationResponse:
    """Removes named vectors."""
    timeout_s = _check(request)
    return _write(engine, request, decode.decode_delete_vectors(request), timeout_s)


def set_payload(engine: Engine, request: pb.SetPayloadPoints) -> pb.PointsOperationResponse:
    """Merges keys into payloads."""
    timeout_s = _check(request)
    return _write(engine, request, decode.decode_set_payload(request), timeout_s)


def overwrite_payload(engine: Engine, request: pb.SetPayloadPoints) -> pb.PointsOperationResponse:
    """Replaces payloads."""
    timeout_s = _check(request)
    return _write(engine, request, decode.decode_overwrite_payload(request), timeout_s)


def delete_payload(engine: Engine, request: pb.DeletePayloadPoints) -> pb.PointsOperationResponse:
    """Removes keys of payloads."""
    timeout_s = _check(request)
    return _write(engine, request, decode.decode_delete_payload(request), timeout_s)


def clear_payload(engine: Engine, request: pb.ClearPayloadPoints) -> pb.PointsOperationResponse:
    """Removes payloads."""
    timeout_s = _check(request)
    return _write(engine, request, decode.decode_clear_payload(request), timeout_s)


def update_batch(engine: Engine, request: pb.UpdateBatchPoints) -> pb.UpdateBatchResponse:
    """Several writes in order, applied whole or not at all."""
    timeout_s = _check(request)
    operations = decode.decode_batch(request)
    results = engine.write(request.collection_name, operations, wait=request.wait, timeout_s=timeout_s)
    return pb.UpdateBatchResponse(result=[encode_update(result) for result in results])


def create_field_index(engine: Engine, request: pb.CreateFieldIndexCollection) -> pb.PointsOperationResponse:
    """Indexes a payload path."""
    _check(request)
    return _alter(engine, request, decode_create_index(request))


def delete_field_index(engine: Engine, request: pb.DeleteFieldIndexCollection) -> pb.PointsOperationResponse:
    """Drops the index of a payload path."""
    _check(request)
    parse_path(request.field_name)
    return _alter(engine, request, DeleteFieldIndex(request.field_name))


def create_vector_name(engine: Engine, request: pb.CreateVectorNameRequest) -> pb.PointsOperationResponse:
    """Adds a named vector."""
    _check(request)
    return _alter(engine, request, decode_create_vector_name(request))


def delete_vector_name(engine: Engine, request: pb.DeleteVectorNameRequest) -> pb.PointsOperationResponse:
    """Drops a named vector."""
    _check(request)
    return _alter(engine, request, DeleteVectorName(request.vector_name))


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
