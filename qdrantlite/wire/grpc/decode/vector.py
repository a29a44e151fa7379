"""Vectors of requests: stored ones (``Vector``, ``Vectors``) and those of queries (``VectorInput``).

Checks what needs no collection: parts present, equal lengths, unique indices. Dimension and kind are checked below.
The flat form of old clients (``data``, ``indices``, ``vectors_count``) is understood where the oneof is not set.
"""

from collections.abc import Sequence

import numpy as np

from qdrantlite.errors import MalformedRequest, ValidationFailed
from qdrantlite.query.search import VectorInput
from qdrantlite.values.vector import (
    DEFAULT_VECTOR,
    F32,
    DenseVector,
    Document,
    InferenceInput,
    MultiVector,
    NamedVectors,
    SparseVector,
    VectorSource,
)
from qdrantlite.wire.bounds import each_inside, inside
from qdrantlite.wire.checked import vector as checked
from qdrantlite.wire.grpc.id_codec import decode_id
from qdrantlite.wire.grpc.json_codec import decode_fields
from qdrantlite.wire.pb import points as pb

_LITTLE_F32 = np.dtype("<f4")


def decode_vectors(message: pb.Vectors) -> NamedVectors:
    """Vectors by name, ``""`` for the default one. Raises InvalidRequest."""
    match message.WhichOneof("vectors_options"):
        case "vector":
            only = message.vector
            if only.WhichOneof("vector") == "dense":
                return {DEFAULT_VECTOR: inside("vectors.vectors_options", decode_dense, only.dense)}
            return checked.unnamed(inside("vectors.vectors_options", decode_vector, only))
        case "vectors":
            named = message.vectors.vectors
            decoded = each_inside("vectors.vectors_options.vectors", decode_vector, [named[name] for name in named])
            return dict(zip(named, decoded, strict=True))
        case None:
            raise MalformedRequest("No Vector Provided")


def decode_vector(message: pb.Vector) -> VectorSource:
    """One vector to store. Raises InvalidRequest."""
    match message.WhichOneof("vector"):
        case "dense":
            return decode_dense(message.dense)
        case "sparse":
            return decode_sparse(message.sparse.indices, message.sparse.values)
        case "multi_dense":
            return decode_multi(message.multi_dense)
        case "document":
            return decode_document(message.document)
        case "image":
            return InferenceInput("image", message.image.model)
        case "object":
            return InferenceInput("object", message.object.model)
        case None:
            return _decode_flat(message)


def _decode_flat(message: pb.Vector) -> VectorSource:
    if message.HasField("indices"):
        return decode_sparse(message.indices.data, message.data)
    values = np.array(message.data, dtype=np.float32)
    if not message.HasField("vectors_count"):
        return checked.dense(values)
    rows = message.vectors_count
    if rows == 0 or len(values) == 0 or len(values) % rows:
        raise ValidationFailed(f"data: {len(values)} values cannot be {rows} rows of equal length")
    checked.check_size(len(values))
    return MultiVector(values.reshape(rows, -1))


def floats_of(message: pb.DenseVector) -> F32:
    """Components, ``(dim,) float32``, a fresh aligned array.

    Reads the packed floats out of the message's own bytes, several times faster than going through its list: a tag
    byte, the length as a varint, then little-endian floats; unknown fields, if any, come after.
    """
    count = len(message.data)
    if count == 0:
        return np.empty(0, dtype=np.float32)
    header = 1 + (max(1, (4 * count).bit_length()) + 6) // 7
    return packed_floats(message.SerializeToString(), count, header)


def packed_floats(encoded: bytes, count: int, start: int) -> F32:
    """Packed floats of a message's bytes, ``(count,) float32``, a fresh aligned array."""
    return np.frombuffer(encoded, _LITTLE_F32, count, start).astype(np.float32)


def decode_dense(message: pb.DenseVector) -> DenseVector:
    """Raises ValidationFailed for a vector without components."""
    return checked.dense(floats_of(message))


def decode_sparse(index_list: Sequence[int], weight_list: Sequence[float]) -> SparseVector:
    """Sorted by index. Raises ValidationFailed for unequal lengths and repeated indices."""
    return checked.sparse(np.array(index_list, dtype=np.uint32), np.array(weight_list, dtype=np.float32))


def _decode_sparse(message: pb.SparseVector) -> SparseVector:
    return decode_sparse(message.indices, message.values)


def decode_multi(message: pb.MultiDenseVector) -> MultiVector:
    """Raises ValidationFailed for no rows, empty rows and rows of unequal length."""
    return checked.multi([floats_of(row) for row in message.vectors])


def decode_document(message: pb.Document) -> Document:
    """A text with the model that is to embed it."""
    return Document(message.text, message.model, decode_fields(message.options))


def decode_input(message: pb.VectorInput) -> VectorInput:
    """A vector of a query, or the id of the point whose vector it is. Raises InvalidRequest."""
    match message.WhichOneof("variant"):
        case "dense":
            return inside("variant", decode_dense, message.dense)
        case "id":
            return decode_id(message.id)
        case "sparse":
            return inside("variant", _decode_sparse, message.sparse)
        case "multi_dense":
            return inside("variant", decode_multi, message.multi_dense)
        case "document":
            return decode_document(message.document)
        case "image":
            return InferenceInput("image", message.image.model)
        case "object":
            return InferenceInput("object", message.object.model)
        case None:
            raise MalformedRequest("VectorInput variant is missing")
