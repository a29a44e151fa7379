"""Routes that write points, payload indexes and named vectors: decode, ask the engine, encode."""

from collections.abc import Callable

from qdrantlite.query.operation import DeleteFieldIndex, DeleteVectorName, Operation, SchemaOperation
from qdrantlite.values.payload import Json
from qdrantlite.wire.call_pools import CallKind
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.rest.call import Call
from qdrantlite.wire.rest.decode import points as decode
from qdrantlite.wire.rest.decode.collection import decode_create_vector_name
from qdrantlite.wire.rest.decode.index import decode_create_index
from qdrantlite.wire.rest.encode.answer import Answer
from qdrantlite.wire.rest.encode.record import encode_update
from qdrantlite.wire.rest.parsing import Elements
from qdrantlite.wire.rest.routes import COLLECTION, WRITE, Handler, Route


def _write(read: Callable[[Json], Operation]) -> Handler:
    """A route of one operation."""
    return _write_read(lambda call: call.body(read))


def _write_points(read: Callable[[Json, Elements | None], Operation]) -> Handler:
    """A route of one operation that says something of each point."""
    return _write_read(lambda call: call.body_of_points(read))


def _write_read(read: Callable[[Call], Operation]) -> Handler:
    def write(engine: Engine, call: Call) -> Answer:
        collection, operation = call.collection, read(call)
        (result,) = engine.write(collection, (operation,), wait=call.wait, deadline=call.write_deadline())
        return encode_update(result)

    return write


def update_batch(engine: Engine, call: Call) -> Answer:
    """Several writes in order, applied whole or not at all; there may be none."""
    collection, operations = call.collection, call.body(decode.decode_batch)
    wait, deadline = call.wait, call.write_deadline()
    if not operations:
        engine.cluster_info(collection)  # an unknown collection is one without anything to write, too
        return []
    return [encode_update(each) for each in engine.write(collection, operations, wait=wait, deadline=deadline)]


def _alter(read: Callable[[Call], SchemaOperation]) -> Handler:
    """A route that changes the schema."""

    def alter(engine: Engine, call: Call) -> Answer:
        collection, operation = call.collection, read(call)
        return encode_update(engine.alter(collection, operation, wait=call.wait, deadline=call.write_deadline()))

    return alter


def _create_index(call: Call) -> SchemaOperation:
    return call.body(decode_create_index)


def _delete_index(call: Call) -> SchemaOperation:
    return DeleteFieldIndex(call.payload_path)


def _create_vector(call: Call) -> SchemaOperation:
    return call.body(lambda value: decode_create_vector_name(value, call.arguments["vector_name"]))


def _delete_vector(call: Call) -> SchemaOperation:
    return DeleteVectorName(call.arguments["vector_name"])


def _route(method: str, path: str, handler: Handler, request: str | None, result: str = "UpdateResult") -> Route:
    kind = CallKind.WRITE if path.startswith("/points") else CallKind.CHANGE
    return Route(method, COLLECTION + path, handler, request=request, result=result, parameters=WRITE, kind=kind)


ROUTES = (
    _route("PUT", "/points", _write_points(decode.decode_upsert), "PointInsertOperations"),
    _route("POST", "/points/delete", _write(decode.decode_delete), "PointsSelector"),
    _route("PUT", "/points/vectors", _write_points(decode.decode_update_vectors), "UpdateVectors"),
    _route("POST", "/points/vectors/delete", _write(decode.decode_delete_vectors), "DeleteVectors"),
    _route("POST", "/points/payload", _write(decode.decode_set_payload), "SetPayload"),
    _route("PUT", "/points/payload", _write(decode.decode_overwrite_payload), "SetPayload"),
    _route("POST", "/points/payload/delete", _write(decode.decode_delete_payload), "DeletePayload"),
    _route("POST", "/points/payload/clear", _write(decode.decode_clear_payload), "PointsSelector"),
    _route("POST", "/points/batch", update_batch, "UpdateOperations", "UpdateResult[]"),
    _route("PUT", "/index", _alter(_create_index), "CreateFieldIndex"),
    _route("DELETE", "/index/{field_name}", _alter(_delete_index), None),
    _route("PUT", "/vectors/{vector_name}", _alter(_create_vector), "VectorNameConfig"),
    _route("DELETE", "/vectors/{vector_name}", _alter(_delete_vector), None),
)
