"""The RPCs of ``qdrant.Points`` that write: decode, ask the engine, encode. ``RPCS`` is the table that is served."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from qdrantlite.deadline import Deadline
from qdrantlite.query.operation import DeleteFieldIndex, DeleteVectorName, Operation, SchemaOperation
from qdrantlite.wire.bounds import collection_name
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.grpc.decode import points as decode
from qdrantlite.wire.grpc.decode.collection import decode_create_vector_name
from qdrantlite.wire.grpc.decode.index import decode_create_index, decode_field
from qdrantlite.wire.grpc.dispatch import Rpc
from qdrantlite.wire.grpc.encode.record import encode_update
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
    def ordering(self) -> pb.WriteOrdering:
        """Among replicas."""


def _check(request: WriteRequest) -> None:
    """Checks the shared fields. Raises InvalidRequest."""
    collection_name(request.collection_name)
    decode.check_ordering(request.ordering)


def _write(decoded: Callable[[Any], Operation]) -> Rpc:
    """An RPC of one operation."""

    def write(engine: Engine, request: WriteRequest, deadline: Deadline) -> pb.PointsOperationResponse:
        _check(request)
        operations = (decoded(request),)
        (result,) = engine.write(request.collection_name, operations, wait=request.wait, deadline=deadline)
        return pb.PointsOperationResponse(result=encode_update(result))

    return write


def _alter(decoded: Callable[[Any], SchemaOperation]) -> Rpc:
    """An RPC that changes the schema."""

    def alter(engine: Engine, request: WriteRequest, deadline: Deadline) -> pb.PointsOperationResponse:
        _check(request)
        result = engine.alter(request.collection_name, decoded(request), wait=request.wait, deadline=deadline)
        return pb.PointsOperationResponse(result=encode_update(result))

    return alter


def update_batch(engine: Engine, request: pb.UpdateBatchPoints, deadline: Deadline) -> pb.UpdateBatchResponse:
    """Several writes in order, applied whole or not at all."""
    _check(request)
    operations = decode.decode_batch(request)
    results = engine.write(request.collection_name, operations, wait=request.wait, deadline=deadline)
    return pb.UpdateBatchResponse(result=[encode_update(result) for result in results])


def _delete_index(request: pb.DeleteFieldIndexCollection) -> SchemaOperation:
    return DeleteFieldIndex(decode_field(request))


def _delete_vector(request: pb.DeleteVectorNameRequest) -> SchemaOperation:
    return DeleteVectorName(request.vector_name)


RPCS: Mapping[str, Rpc] = {
    "Upsert": _write(decode.decode_upsert),
    "Delete": _write(decode.decode_delete),
    "UpdateVectors": _write(decode.decode_update_vectors),
    "DeleteVectors": _write(decode.decode_delete_vectors),
    "SetPayload": _write(decode.decode_set_payload),
    "OverwritePayload": _write(decode.decode_overwrite_payload),
    "DeletePayload": _write(decode.decode_delete_payload),
    "ClearPayload": _write(decode.decode_clear_payload),
    "UpdateBatch": update_batch,
    "CreateFieldIndex": _alter(decode_create_index),
    "DeleteFieldIndex": _alter(_delete_index),
    "CreateVectorName": _alter(decode_create_vector_name),
    "DeleteVectorName": _alter(_delete_vector),
}
