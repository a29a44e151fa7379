"""Vectors and ids: what a point may have, and what a query may ask for.

JSON does not tag them: a list of numbers is dense, a list of lists a multivector, an object with indices and values is
sparse. Lists of numbers become arrays in C (``floats``); why by ``struct``, ``docs/decisions`` tells.
"""

from collections.abc import Callable
from functools import lru_cache
from struct import Struct, error

import numpy as np
from numpy.typing import NDArray

from qdrantlite.errors import MalformedRequest
from qdrantlite.query.search import VectorInput
from qdrantlite.values.payload import Json
from qdrantlite.values.point_id import PointId, parse_uuid
from qdrantlite.values.vector import (
    F32,
    U32,
    DenseVector,
    Document,
    InferenceInput,
    MultiVector,
    NamedVectors,
    SparseVector,
    VectorSource,
)
from qdrantlite.wire.checked import vector as checked
from qdrantlite.wire.rest.reading import U64_MAX, Misread, fields, inside, payload, text, unexpected

_INFERENCE = ("image", "object")


@lru_cache(maxsize=256)
def _packing(kind: str, count: int) -> Struct:
    return Struct(f"={count}{kind}")


def floats(values: list[Json]) -> F32:
    """Numbers as ``(len(values),) float32``, infinite beyond its range. Raises Misread."""
    try:
        packed = _packed_floats(values)
    except error:
        unexpected(next(value for value in values if not isinstance(value, int | float)), "a number")
    singles = np.frombuffer(packed, np.float32)
    _refuse_booleans(values, (singles == 0) | (singles == 1))
    return singles


def _packed_floats(values: list[Json]) -> bytes:
    try:
        return _packing("f", len(values)).pack(*values)
    except OverflowError:
        doubles = np.frombuffer(_packing("d", len(values)).pack(*values), np.float64)
    with np.errstate(over="ignore"):
        return doubles.astype(np.float32).tobytes()


def _indices(values: list[Json]) -> U32:
    try:
        packed = _packing("I", len(values)).pack(*values)
    except error:
        wrong = next(v for v in values if not (isinstance(v, int) and 0 <= v < 2**32))
        if isinstance(wrong, int):
            raise Misread(f"invalid value: integer `{wrong}`, expected u32") from None
        unexpected(wrong, "u32")
    indices = np.frombuffer(packed, np.uint32)
    _refuse_booleans(values, indices <= 1)
    return indices


def _refuse_booleans(values: list[Json], suspects: NDArray[np.bool_]) -> None:
    """Python packs them as 0 and 1, so types are looked at where those are."""
    for at in suspects.nonzero()[0].tolist():
        if isinstance(values[at], bool):
            unexpected(values[at], "a number")


def point_id(value: Json) -> PointId:
    """An integer of 64 bits without sign, or the text of a UUID. Raises Misread."""
    if isinstance(value, str):
        try:
            return parse_uuid(value)
        except MalformedRequest:
            pass
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= U64_MAX:
        return value
    raise Misread(
        f"value {_shown(value)} is not a valid point ID, valid values are either an unsigned integer or a UUID"
    )


def _shown(value: Json) -> str:
    """As JSON has it, of what may be long its kind."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return str(value)


def vector(value: Json) -> VectorSource:
    """One vector to store, or what is to become one. Raises InvalidRequest."""
    found = _listed(value, checked.dense) if isinstance(value, list) else _tagged(value)
    if found is None:
        raise Misread("data did not match any variant of untagged enum Vector")
    return found


def stored(value: Json) -> NamedVectors:
    """All vectors of a point: one without a name, or an object from names. Raises InvalidRequest."""
    if isinstance(value, dict) and all(isinstance(item, list | dict) for item in value.values()):
        return {name: inside(name, vector, item) for name, item in value.items()}
    found = _listed(value, checked.dense) if isinstance(value, list) else _tagged(value)
    if found is None:
        raise Misread("data did not match any variant of untagged enum VectorStruct")
    return checked.unnamed(found)


def asked(value: Json) -> VectorInput:
    """A vector of a query, or the id of the point whose vector it is. Raises InvalidRequest."""
    found: VectorInput | None = None
    match value:
        case list():
            found = listed(value)
        case dict():
            found = _tagged(value)
        case bool() | float() | None:
            pass
        case str() | int():
            return point_id(value)
    if found is None:
        raise Misread("Expected some form of vector, id, or a type of query")
    return found


def listed(value: list[Json]) -> DenseVector | MultiVector:
    """A vector of a query. How long it should be, an empty one too, the collection will say. Raises InvalidRequest."""
    return _listed(value, DenseVector)


def _listed(value: list[Json], dense: Callable[[F32], DenseVector]) -> DenseVector | MultiVector:
    if value and isinstance(value[0], list):
        return checked.multi([_row(row) for row in value])
    return dense(floats(value))


def _row(value: Json) -> F32:
    if not isinstance(value, list):
        unexpected(value, "a sequence")
    return floats(value)


def _tagged(value: Json) -> VectorSource | None:
    """None for what is no vector and nothing that a model could make one of."""
    if not isinstance(value, dict):
        return None
    if "indices" in value and "values" in value:
        return sparse(value)
    if "model" not in value:
        return None
    members = fields(value)
    if "text" in value:
        options = members.read("options", payload) or {}
        return Document(members.needed("text", text), members.needed("model", text), options)
    kind = next((name for name in _INFERENCE if name in value), None)
    return None if kind is None else InferenceInput(kind, members.needed("model", text))


def sparse(value: Json) -> SparseVector:
    """Indices and values. Raises InvalidRequest."""
    members = fields(value)
    return checked.sparse(members.needed("indices", _index_list), members.needed("values", _row))


def _index_list(value: Json) -> U32:
    if not isinstance(value, list):
        unexpected(value, "a sequence")
    return _indices(value)
