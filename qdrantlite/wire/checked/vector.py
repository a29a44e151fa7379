"""Vectors that need no collection to be found wrong: empty, of unequal lengths, with repeated indices, too large."""

from collections.abc import Sequence

import numpy as np

from qdrantlite.errors import BadInput, ValidationFailed
from qdrantlite.values.vector import (
    DEFAULT_VECTOR,
    F32,
    U32,
    DenseVector,
    MultiVector,
    NamedVectors,
    SparseVector,
    VectorSource,
)

MULTIVECTOR_FLOATS_MAX = 1_048_576


def dense(values: F32) -> DenseVector:
    """A dense vector of at least one component. Raises ValidationFailed."""
    if len(values) == 0:
        raise ValidationFailed('data: value "[]" invalid, must be 1 or more elements')
    return DenseVector(values)


def sparse(indices: U32, weights: F32) -> SparseVector:
    """Sorted by index. Raises ValidationFailed for unequal lengths and repeated indices."""
    if len(indices) != len(weights):
        raise ValidationFailed("values: Validation error: must be the same length as indices [{}]")
    vector = SparseVector.from_unsorted(indices, weights)
    if (vector.indices[1:] == vector.indices[:-1]).any():
        raise ValidationFailed("indices: Validation error: must be unique [{}]")
    return vector


def multi(rows: Sequence[F32]) -> MultiVector:
    """Raises ValidationFailed for no rows, empty rows, rows of unequal length and too many components."""
    if not rows:
        raise ValidationFailed("vectors: multivector must have at least one vector")
    dimension = len(rows[0])
    if dimension == 0 or any(len(row) == 0 for row in rows):
        raise ValidationFailed("vectors: all vectors must be non-empty")
    if any(len(row) != dimension for row in rows):
        raise ValidationFailed("vectors: all vectors must have the same dimension")
    check_size(len(rows) * dimension)
    return MultiVector(np.stack(rows))


def check_size(floats: int) -> None:
    """Raises ValidationFailed for a multivector of too many components."""
    if floats >= MULTIVECTOR_FLOATS_MAX:
        raise ValidationFailed(f"vectors: value {floats} invalid, must be less than {MULTIVECTOR_FLOATS_MAX} floats")


def unnamed(vector: VectorSource) -> NamedVectors:
    """A vector given without a name. Raises BadInput for a sparse one."""
    if isinstance(vector, SparseVector):
        raise BadInput("Sparse vector must be named")
    return {DEFAULT_VECTOR: vector}
