"""Checks of a request against a collection's settings: names, kinds and dimensions of vectors.

Pure; raises BadInput with Qdrant's texts. Texts and images are turned into vectors before they come here.
"""

from typing import Literal, TypeAlias

import numpy as np

from qdrantlite.errors import BadInput
from qdrantlite.values.schema import CollectionConfig, VectorParams
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector, Vector

VectorKind: TypeAlias = Literal["dense", "sparse", "multi"]


def vector_kind(config: CollectionConfig, name: str) -> VectorKind:
    """What the slot ``name`` holds. Raises BadInput when there is no such slot."""
    params = config.vectors.get(name)
    if params is not None:
        return "multi" if params.multivector else "dense"
    if name in config.sparse_vectors:
        return "sparse"
    raise BadInput(f"Not existing vector name error: {name}")


def fit_vector(config: CollectionConfig, name: str, vector: Vector) -> Vector:
    """The vector as its slot wants it: a dense row given to a multivector slot becomes one row. Raises BadInput."""
    params = config.vectors.get(name)
    if params is None:
        if name not in config.sparse_vectors:
            raise BadInput(f"Not existing vector name error: {name}")
        if not isinstance(vector, SparseVector):
            raise BadInput("Conversion between sparse and regular vectors failed")
        return vector
    return _fit_dense(params, vector)


def _fit_dense(params: VectorParams, vector: Vector) -> Vector:
    match vector:
        case SparseVector():
            raise BadInput("Conversion between sparse and regular vectors failed")
        case DenseVector(values):
            require_dimension(params, vector)
            return MultiVector(np.reshape(values, (1, -1))) if params.multivector else vector
        case MultiVector():
            if not params.multivector:
                raise BadInput("Conversion between multi and regular vectors failed")
            require_dimension(params, vector)
            return vector


def require_dimension(params: VectorParams, vector: DenseVector | MultiVector) -> None:
    """Raises BadInput for a vector whose rows are not as long as the slot's."""
    got = len(vector.values) if isinstance(vector, DenseVector) else vector.rows.shape[1]
    if params.size != got:
        raise BadInput(f"Vector dimension error: expected dim: {params.size}, got {got}")
