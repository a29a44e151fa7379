"""Writes on points: messages to the operations of ``query.operation``.

``decode_upsert`` is the hot path of loading data: one loop over points, nothing else per point than ``_decode_point``.
"""

from qdrantlite.errors import BadRequest, MalformedRequest
from qdrantlite.query.filter import Filter
from qdrantlite.query.operation import (
    ClearPayload,
    DeletePayload,
    DeletePoints,
    DeleteVectors,
    Operation,
    OverwritePayload,
    PointWrite,
    Selector,
    SetPayload,
    UpdateMode,
    UpdateVectors,
    Upsert,
    VectorsWrite,
)
from qdrantlite.values.payload import Path, parse_path
from qdrantlite.wire.bounds import each_inside, inside, not_empty
from qdrantlite.wire.checked import points as checked
from qdrantlite.wire.grpc.decode.filter import decode_filter
from qdrantlite.wire.grpc.decode.selector import shards_written
from qdrantlite.wire.grpc.decode.vector import decode_vectors
from qdrantlite.wire.grpc.id_codec import decode_id, decode_ids
from qdrantlite.wire.grpc.json_codec import decode_fields
from qdrantlite.wire.pb import points as pb

Batch = pb.PointsUpdateOperation
_MODES = {mode.value: mode for mode in UpdateMode}
_ORDERINGS = frozenset(pb.WriteOrderingType.values())


def check_ordering(message: pb.WriteOrdering) -> None:
    """Orderings matter among replicas only; unknown ones are refused. Raises MalformedRequest."""
    if message.type not in _ORDERINGS:
        raise MalformedRequest(f"cannot convert ordering: {message.type}")


def decode_upsert(message: pb.UpsertPoints | Batch.PointStructList) -> Upsert:
    """Raises InvalidRequest; the text of a bad vector tells which point it belongs to."""
    shards_written(message)
    return checked.upsert(
        each_inside("points", _decode_point, message.points),
        _MODES.get(message.update_mode, UpdateMode.UPSERT),
        _update_filter(message),
    )


def _update_filter(
    message: pb.UpsertPoints | Batch.PointStructList | pb.UpdatePointVectors | Batch.UpdateVectors,
) -> Filter | None:
    if not message.HasField("update_filter"):
        return None
    return inside("update_filter", decode_filter, message.update_filter)


def _decode_point(message: pb.PointStruct) -> PointWrite:
    if not message.HasField("vectors"):
        raise MalformedRequest("Expected some vectors")
    if not message.HasField("id"):
        raise MalformedRequest("Empty ID is not allowed")
    return PointWrite(decode_id(message.id), decode_vectors(message.vectors), decode_fields(message.payload))


def decode_selector(message: pb.PointsSelector) -> Selector:
    """Raises MalformedRequest when neither ids nor a filter are given, OnceFound for a list of no ids."""
    match message.WhichOneof("points_selector_one_of"):
        case "points":
            return checked.selector(ids=decode_ids(message.points.ids))
        case "filter":
            return checked.selector(filter=inside("points_selector_one_of", decode_filter, message.filter))
        case None:
            raise MalformedRequest("PointSelector is missing")


def decode_delete(message: pb.DeletePoints | Batch.DeletePoints) -> DeletePoints:
    """Raises InvalidRequest."""
    shards_written(message)
    return _delete(message.points)


def _delete(selector: pb.PointsSelector) -> DeletePoints:
    return DeletePoints(decode_selector(selector))


def decode_update_vectors(message: pb.UpdatePointVectors | Batch.UpdateVectors) -> UpdateVectors:
    """Raises InvalidRequest."""
    shards_written(message)
    points = each_inside("points", _decode_point_vectors, message.points)
    return checked.update_vectors(points, _update_filter(message))


def _decode_point_vectors(message: pb.PointVectors) -> VectorsWrite:
    if not message.HasField("id"):
        raise MalformedRequest("id is expected")
    if not message.HasField("vectors"):
        raise MalformedRequest("vectors is expected")
    return checked.vectors_write(decode_id(message.id), decode_vectors(message.vectors), field="vectors")


def decode_delete_vectors(message: pb.DeletePointVectors | Batch.DeleteVectors) -> DeleteVectors:
    """Raises InvalidRequest."""
    shards_written(message)
    if not message.HasField("points_selector"):
        raise MalformedRequest("points_selector is expected")
    if not message.HasField("vectors"):
        raise MalformedRequest("vectors is expected")
    names = checked.vector_names(message.vectors.names, field="vectors.names")
    return DeleteVectors(decode_selector(message.points_selector), names)


def decode_set_payload(message: pb.SetPayloadPoints | Batch.SetPayload) -> SetPayload:
    """Raises InvalidRequest."""
    shards_written(message)
    key: Path | None = parse_path(message.key) if message.HasField("key") else None
    return SetPayload(decode_fields(message.payload), _payload_selector(message), key)


def decode_overwrite_payload(message: pb.SetPayloadPoints | Batch.OverwritePayload) -> OverwritePayload:
    """``key`` is ignored, as Qdrant does. Raises InvalidRequest."""
    shards_written(message)
    return OverwritePayload(decode_fields(message.payload), _payload_selector(message))


def decode_delete_payload(message: pb.DeletePayloadPoints | Batch.DeletePayload) -> DeletePayload:
    """Raises InvalidRequest."""
    shards_written(message)
    return DeletePayload(tuple(parse_path(key) for key in message.keys), _payload_selector(message))


def decode_clear_payload(message: pb.ClearPayloadPoints | Batch.ClearPayload) -> ClearPayload:
    """Raises InvalidRequest."""
    shards_written(message)
    return ClearPayload(decode_selector(message.points))


def _payload_selector(
    message: pb.SetPayloadPoints
    | pb.DeletePayloadPoints
    | Batch.SetPayload
    | Batch.OverwritePayload
    | Batch.DeletePayload,
) -> Selector:
    if not message.HasField("points_selector"):
        raise BadRequest("Either list of point ids or filter must be provided")
    return decode_selector(message.points_selector)


def decode_batch(message: pb.UpdateBatchPoints) -> tuple[Operation, ...]:
    """In the order given, at least one. Raises InvalidRequest."""
    not_empty("operations", message.operations)
    return each_inside("operations", _decode_operation, message.operations)


def _decode_operation(message: Batch) -> Operation:
    match message.WhichOneof("operation"):
        case "upsert":
            return decode_upsert(message.upsert)
        case "delete_points":
            return decode_delete(message.delete_points)
        case "delete_deprecated":
            return _delete(message.delete_deprecated)
        case "set_payload":
            return decode_set_payload(message.set_payload)
        case "overwrite_payload":
            return decode_overwrite_payload(message.overwrite_payload)
        case "delete_payload":
            return decode_delete_payload(message.delete_payload)
        case "clear_payload":
            return decode_clear_payload(message.clear_payload)
        case "clear_payload_deprecated":
            return ClearPayload(decode_selector(message.clear_payload_deprecated))
        case "update_vectors":
            return decode_update_vectors(message.update_vectors)
        case "delete_vectors":
            return decode_delete_vectors(message.delete_vectors)
        case None:
            raise MalformedRequest("operation is expected")
