"""The oracle's scores of one point, in float64, written from the specification."""

from collections.abc import Mapping
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import MultiVector, SparseVector, Vector


def stored(rows: NDArray[np.float64], distance: Distance, datatype: Datatype) -> NDArray[np.float64]:
    """Rows ``(n, dim)`` after what storing does to them; bytes compared by cosine are of norm 1 here already."""
    if datatype is Datatype.UINT8:
        rows = np.clip(np.trunc(rows), 0, 255)
    if distance is Distance.COSINE:
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / np.where(norms**2 < np.finfo(np.float32).eps, 1, norms)
    return rows.astype(np.float16).astype(np.float64) if datatype is Datatype.FLOAT16 else rows


def rows_of(vector: Vector) -> NDArray[np.float64]:
    """A dense vector as one row, a multivector as several, ``(n, dim)``."""
    assert not isinstance(vector, SparseVector)
    values = vector.rows if isinstance(vector, MultiVector) else vector.values
    return np.atleast_2d(values).astype(np.float64)


def max_sim(distance: Distance, query: NDArray[np.float64], rows: NDArray[np.float64]) -> float:
    """Similarity of two sets of rows; for single rows it is the plain similarity."""
    if distance.larger_is_better:
        return float((query @ rows.T).max(axis=1).sum())
    apart = query[:, None, :] - rows[None, :, :]
    if distance is Distance.MANHATTAN:
        return float(np.abs(apart).sum(axis=2).min(axis=1).sum())
    return sqrt(np.square(apart).sum(axis=2).min(axis=1).sum())


def sparse_score(weights: Mapping[int, float], vector: Vector) -> float | None:
    """Dot product, or None when no index is shared."""
    assert isinstance(vector, SparseVector)
    pairs = zip(vector.indices.tolist(), vector.weights.tolist(), strict=True)
    shared = [weights[index] * weight for index, weight in pairs if index in weights]
    return sum(shared) if shared else None
