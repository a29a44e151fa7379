"""Picking rows that are like a query and unlike each other: maximal marginal relevance.

Carbonell and Goldstein 1998. Each step compares all candidates with the row picked last, as one product; so memory
grows with the candidates, not with their pairs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

from qdrantlite.deadline import Deadline
from qdrantlite.execute.ranking import Positions
from qdrantlite.execute.view import ShardView
from qdrantlite.plan.bound import NearestDense, NearestMulti, NearestQuery, NearestSparse
from qdrantlite.segment.runs import found_in
from qdrantlite.values.vector import F32, U32, SparseVector

Toward: TypeAlias = Callable[[int], F32]
"""Similarities ``(n,) float32`` of all candidates to the one at a position."""


def diversified(
    query: NearestQuery,
    diversity: float,
    view: ShardView,
    using: str,
    offsets: U32,
    *,
    limit: int,
    deadline: Deadline,
) -> Positions:
    """Positions of the candidates picked, in that order: first the most relevant, ties to the first.

    ``offsets`` ``(n,)`` all have the vector.
    """
    relevance, toward = _compared(query, view, using, offsets)
    gain = np.float32(1 - diversity) * relevance
    loss = np.float32(diversity)
    picks = np.empty(min(limit, len(offsets)), dtype=np.intp)
    nearest = np.full(len(offsets), -np.inf, dtype=np.float32)
    open_ = np.ones(len(offsets), dtype=np.bool_)
    for step in range(len(picks)):
        deadline.pause()
        if step == 0:
            worth = relevance
        else:
            np.maximum(nearest, toward(int(picks[step - 1])), out=nearest)
            worth = gain - loss * nearest
        picks[step] = pick = int(np.argmax(np.where(open_, np.nan_to_num(worth, nan=-np.inf), -np.inf)))
        open_[pick] = False
    return picks


def _compared(query: NearestQuery, view: ShardView, using: str, offsets: U32) -> tuple[F32, Toward]:
    """How near each candidate is to the query, and to another candidate."""
    places = np.arange(len(offsets), dtype=np.uint32)
    match query:
        case NearestDense(vector):
            held = view.dense(using).only(offsets)
            relevance = held.similarities(vector[np.newaxis], places)[0]
            return relevance, lambda at: held.similarities(held.vectors(places[at : at + 1]), places)[0]
        case NearestMulti(rows):
            multi = view.multi(using)
            return multi.similarity(rows, offsets), lambda at: multi.toward(offsets, int(offsets[at]))
        case NearestSparse(vector):
            candidates = _Sparse.of(view.sparse_vectors(using, offsets))
            return candidates.toward(vector), lambda at: candidates.toward(candidates.vector(at))
        case _:
            assert_never(query)


@dataclass(frozen=True, slots=True, eq=False)
class _Sparse:
    """Sparse vectors one after the other: vector ``i`` lies in ``bounds[i] : bounds[i + 1]``."""

    indices: U32
    weights: F32
    bounds: NDArray[np.int64]

    @staticmethod
    def of(vectors: Sequence[SparseVector]) -> "_Sparse":
        bounds = np.zeros(len(vectors) + 1, dtype=np.int64)
        np.cumsum([len(vector.indices) for vector in vectors], out=bounds[1:])
        indices = np.concatenate([vector.indices for vector in vectors])
        return _Sparse(indices, np.concatenate([vector.weights for vector in vectors]), bounds)

    def vector(self, at: int) -> SparseVector:
        """One of them."""
        part = slice(self.bounds[at], self.bounds[at + 1])
        return SparseVector(self.indices[part], self.weights[part])

    def toward(self, vector: SparseVector) -> F32:
        """Dot products of all with another one, ``(n,) float32``, 0 without a shared index."""
        products = np.zeros(len(self.indices) + 1, dtype=np.float64)
        shared, places = found_in(vector.indices, self.indices)
        products[1:][shared] = vector.weights[places] * self.weights[shared]
        sums: F32 = np.diff(np.cumsum(products)[self.bounds]).astype(np.float32)
        return sums
