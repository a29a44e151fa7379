"""The oracle's scores of one point, in float64, written from the specification."""

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector, Vector


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


def similarity(distance: Distance, query: NDArray[np.float64], rows: NDArray[np.float64]) -> float:
    """Larger for what is nearer, whatever the distance; Euclid's is squared."""
    score = max_sim(distance, query, rows)
    if distance is Distance.EUCLID:
        return -float(np.square(query[:, None, :] - rows[None, :, :]).sum(axis=2).min(axis=1).sum())
    return score if distance.larger_is_better else -score


def _mean(vectors: Sequence[Vector]) -> NDArray[np.float32]:
    rows = [rows_of(vector)[0].astype(np.float32) for vector in vectors]
    return np.asarray(sum(rows) / np.float32(max(1, len(rows))), dtype=np.float32)


def average(positive: Sequence[Vector], negative: Sequence[Vector]) -> Vector:
    """The mean of the positives, moved away from the mean of the negatives."""
    if isinstance(positive[0], DenseVector):
        # In float32: of bytes the fraction is cut off, and there a last bit can make a whole.
        mean, far = (_mean(side) for side in (positive, negative))
        return DenseVector(mean + mean - far if negative else mean)
    if isinstance(positive[0], MultiVector):
        rows = [*(rows_of(vector) for vector in positive), *(-rows_of(vector) for vector in negative)]
        return MultiVector(np.concatenate(rows).astype(np.float32))
    total: dict[int, float] = {}
    factors = ((positive, (2 if negative else 1) / len(positive)), (negative, -1 / max(1, len(negative))))
    for vectors, factor in factors:
        for vector in vectors:
            assert isinstance(vector, SparseVector)
            for index, weight in zip(vector.indices.tolist(), vector.weights.tolist(), strict=True):
                total[index] = total.get(index, 0.0) + factor * weight
    indices = sorted(total)
    weights = np.array([total[index] for index in indices], dtype=np.float32)
    return SparseVector(np.array(indices, dtype=np.uint32), weights)
