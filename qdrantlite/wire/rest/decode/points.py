"""Writes on points: bodies to the operations of ``query.operation``.

``decode_upsert`` is the hot path of loading data: one loop over points, nothing else per point than ``_point``.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

from qdrantlite.errors import BadRequest, ValidationFailed
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
from qdrantlite.values.payload import Json, parse_path
from qdrantlite.values.vector import NamedVectors, VectorSource
from qdrantlite.wire.checked import points as checked
from qdrantlite.wire.rest.decode.filter import decode_filter
from qdrantlite.wire.rest.decode.selector import shards_written
from qdrantlite.wire.rest.decode.vector import point_id, stored, vector
from qdrantlite.wire.rest.parsing import Elements
from qdrantlite.wire.rest.reading import Fields, Misread, choice, fields, inside, items, path, payload, text

T = TypeVar("T")

_mode = choice(UpdateMode, by_name=True)
_Columns: TypeAlias = tuple[NamedVectors, ...] | dict[str, tuple[VectorSource, ...]]


def decode_upsert(value: Json, apart: Elements | None = None) -> Upsert:
    """A list of points, which may come ``apart``, or columns of them. Raises InvalidRequest."""
    members = fields(value)
    shards_written(members)
    if members.has("batch"):
        points = members.needed("batch", _columns)
    elif members.has("points"):
        points = _points(members, apart, _point)
    else:
        raise Misread("Invalid PointInsertOperations format")
    mode = members.read("update_mode", _mode)
    return checked.upsert(points, UpdateMode.UPSERT if mode is None else mode, _update_filter(members))


def _update_filter(members: Fields) -> Filter | None:
    return members.read("update_filter", decode_filter)


def _points(members: Fields, apart: Elements | None, decode: Callable[[Json], T]) -> tuple[T, ...]:
    if apart is None:
        return members.every("points", decode)
    return inside("points", lambda elements: items(elements, decode), apart)


def _point(value: Json) -> PointWrite:
    members = fields(value)
    return PointWrite(
        members.needed("id", point_id),
        members.needed("vector", stored, "vectors"),
        members.read("payload", payload) or {},
    )


def _columns(value: Json) -> tuple[PointWrite, ...]:
    members = fields(value)
    ids = members.every("ids", point_id)
    vectors = members.needed("vectors", _vector_column)
    payloads = members.each("payloads", lambda given: {} if given is None else payload(given))
    for length in _lengths(vectors):
        if length != len(ids):
            raise ValidationFailed(f"batch: number of ids and vectors must be equal ({len(ids)} != {length})")
    if payloads is None:
        payloads = ({},) * len(ids)
    if len(payloads) != len(ids):
        raise ValidationFailed(f"batch: number of ids and payloads must be equal ({len(ids)} != {len(payloads)})")
    rows: tuple[NamedVectors, ...] = (
        vectors
        if isinstance(vectors, tuple)
        else tuple({name: column[row] for name, column in vectors.items()} for row in range(len(ids)))
    )
    return tuple(map(PointWrite, ids, rows, payloads))


def _vector_column(value: Json) -> _Columns:
    """Vectors without a name, one for each point; or such a list for each name."""
    if isinstance(value, list):
        return items(value, stored)
    if not isinstance(value, dict):
        raise Misread("data did not match any variant of untagged enum BatchVectorStruct")
    return {name: inside(name, lambda column: items(column, vector), value[name]) for name in value}


def _lengths(vectors: _Columns) -> list[int]:
    return [len(vectors)] if isinstance(vectors, tuple) else [len(column) for column in vectors.values()]


def _selector_of(members: Fields) -> Selector | None:
    """Ids or a filter; both where the operation allows it; None when neither is given."""
    ids = members.each("points", point_id)
    filter = members.read("filter", decode_filter)
    return None if ids is None and filter is None else checked.selector(ids, filter)


def _points_selector(value: Json) -> Selector:
    """What deletes and clears take: an object with ids, or one with a filter."""
    members = fields(value)
    shards_written(members)
    if not (members.has("points") or members.has("filter")):
        raise Misread("data did not match any variant of untagged enum PointsSelector")
    members.only("points" if members.has("points") else "filter", "shard_key")
    selector = _selector_of(members)
    assert selector is not None
    return selector


def decode_delete(value: Json) -> DeletePoints:
    """Raises InvalidRequest."""
    return DeletePoints(_points_selector(value))


def decode_clear_payload(value: Json) -> ClearPayload:
    """Raises InvalidRequest."""
    return ClearPayload(_points_selector(value))


def decode_update_vectors(value: Json, apart: Elements | None = None) -> UpdateVectors:
    """The points may come ``apart``. Raises InvalidRequest."""
    members = fields(value)
    shards_written(members)
    points = _points(members, apart, _point_vectors)
    if not points:
        raise ValidationFailed("points: must specify points to update")
    return checked.update_vectors(points, _update_filter(members))


def _point_vectors(value: Json) -> VectorsWrite:
    members = fields(value)
    return checked.vectors_write(
        members.needed("id", point_id), members.needed("vector", stored, "vectors"), field="vector"
    )


def decode_delete_vectors(value: Json) -> DeleteVectors:
    """Raises InvalidRequest."""
    members = fields(value)
    shards_written(members)
    names = checked.vector_names(members.every(members.given("vector", "vectors"), text), field="vector")
    selector = _selector_of(members)
    if selector is None:
        raise BadRequest("No filter or points provided")
    return DeleteVectors(selector, names)


def decode_set_payload(value: Json) -> SetPayload:
    """Raises InvalidRequest."""
    members = fields(value)
    key = members.read("key", path)
    return SetPayload(
        members.needed("payload", payload), _payload_selector(members), None if key is None else parse_path(key)
    )


def decode_overwrite_payload(value: Json) -> OverwritePayload:
    """``key`` is ignored, as Qdrant does. Raises InvalidRequest."""
    members = fields(value)
    members.read("key", path)
    return OverwritePayload(members.needed("payload", payload), _payload_selector(members))


def decode_delete_payload(value: Json) -> DeletePayload:
    """Raises InvalidRequest."""
    members = fields(value)
    keys = members.every("keys", path)
    return DeletePayload(tuple(parse_path(key) for key in keys), _payload_selector(members))


def _payload_selector(members: Fields) -> Selector:
    """Of ids and a filter, the ids count."""
    shards_written(members)
    selector = _selector_of(members)
    if selector is None:
        raise Misread("Either list of point ids or filter must be provided")
    return selector if selector.ids is None else Selector(ids=selector.ids)


_OPERATIONS: Mapping[str, Callable[[Json], Operation]] = {
    "upsert": decode_upsert,
    "delete": decode_delete,
    "set_payload": decode_set_payload,
    "overwrite_payload": decode_overwrite_payload,
    "delete_payload": decode_delete_payload,
    "clear_payload": decode_clear_payload,
    "update_vectors": decode_update_vectors,
    "delete_vectors": decode_delete_vectors,
}


def decode_batch(value: Json) -> tuple[Operation, ...]:
    """In the order given; there may be none. Raises InvalidRequest."""
    return fields(value).every("operations", _operation)


def _operation(value: Json) -> Operation:
    for name, operation in fields(value).raw().items():
        if name in _OPERATIONS:
            return inside(name, _OPERATIONS[name], operation)
    raise Misread("data did not match any variant of untagged enum UpdateOperation")
