"""Custom scores of points: their similarities to all examples, folded by a scorer, in blocks of bounded memory.

Scores are float32, as in Qdrant, larger is better whatever the distance. ``fast(x)`` is ``x / (1 + |x|)``;
``sigmoid`` is its half, moved into 0…1.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeAlias, TypeVar, assert_never

import numpy as np

from qdrantlite.deadline import Deadline
from qdrantlite.execute.merge import TIED_ROWS_MAX, passing_threshold
from qdrantlite.execute.ranking import Ranking
from qdrantlite.execute.view import ShardView
from qdrantlite.plan.custom import (
    BestScore,
    CustomScore,
    DenseExamples,
    MultiExamples,
    PairLosses,
    PairRanks,
    Scorer,
    SparseExamples,
    WeightedSum,
)
from qdrantlite.segment.sparse import SparseView
from qdrantlite.values.distance import Distance
from qdrantlite.values.vector import F32, U32, SparseVector

SIMILARITIES_MAX = 4 << 20
"""Similarities held at a time."""
BLOCK_POINTS = 8192
"""Points scored at a time: between blocks the deadline is asked, and whether the best there are have been found."""
BLOCK_SPARSE_POINTS = 1 << 18
"""Of sparse vectors, whose postings are gone through once for each block."""
EPSILON = np.float32(np.finfo(np.float32).eps)

Example = TypeVar("Example")
Chunk: TypeAlias = tuple[int, F32]
"""Similarities ``(c, n)`` of some of the examples, and the number of the first of them, which is even."""


def scored(
    query: CustomScore,
    view: ShardView,
    using: str,
    offsets: U32,
    *,
    deadline: Deadline,
    limit: int | None = None,
) -> tuple[U32, F32]:
    """The offsets, all with the vector, in the order given, with ``(n,) float32`` scores, some perhaps NaN.

    With a limit, it may end early, when more than enough have the best score there can be: then ties are so many that
    the first offsets win.
    """
    size = BLOCK_SPARSE_POINTS if isinstance(query.examples, SparseExamples) else BLOCK_POINTS
    perfect, enough = 0, None if limit is None else limit + TIED_ROWS_MAX + 1
    parts: list[F32] = [np.empty(0, dtype=np.float32)]
    for at in range(0, len(offsets), size):
        block = offsets[at : at + size]
        scores = folded(query.scorer, len(block), _chunks(query, view, using, block, deadline))
        parts.append(scores)
        if enough is not None and isinstance(query.scorer, PairLosses):
            perfect += int(np.count_nonzero(scores == 0))
            if perfect >= enough:
                break
    scores = np.concatenate(parts)
    return offsets[: len(scores)], scores


def _chunks(query: CustomScore, view: ShardView, using: str, offsets: U32, deadline: Deadline) -> Iterator[Chunk]:
    """Similarities of all examples with these points, a few examples at a time."""
    size = max(2, SIMILARITIES_MAX // max(1, len(offsets)) // 2 * 2)
    for first in range(0, len(query.examples), size):
        deadline.pause()
        match query.examples:
            case DenseExamples(vectors):
                yield first, view.dense(using).similarities(vectors[first : first + size], offsets)
            case SparseExamples(sparse):
                totals = partial(_totals, view.sparse(using), offsets)
                yield first, _one_by_one(totals, sparse[first : first + size], deadline)
            case MultiExamples(multi):
                near = partial(view.multi(using).similarity, offsets=offsets)
                yield first, _one_by_one(near, multi[first : first + size], deadline)
            case _:
                assert_never(query.examples)


def _totals(postings: SparseView, offsets: U32, vector: SparseVector) -> F32:
    return postings.score(vector, offsets)[0]


def _one_by_one(score: Callable[[Example], F32], examples: Sequence[Example], deadline: Deadline) -> F32:
    """Scores of points ``(c, n)`` against each of the examples, which may take long each."""
    lines: list[F32] = []
    for example in examples:
        deadline.pause()
        lines.append(score(example))
    return np.stack(lines)


def as_similarities(scores: F32, distance: Distance) -> F32:
    """What lies behind the API's scores: larger is nearer, and Euclid's distance is squared."""
    match distance:
        case Distance.COSINE | Distance.DOT:
            return scores
        case Distance.EUCLID:
            return -np.square(scores)
        case Distance.MANHATTAN:
            return -scores
        case _:
            assert_never(distance)


def folded(scorer: Scorer, points: int, chunks: Iterable[Chunk]) -> F32:
    """Scores ``(points,) float32`` from the similarities of all examples, which come in chunks, first things first."""
    with np.errstate(over="ignore", invalid="ignore"):
        match scorer:
            case BestScore(positives):
                return _best(positives, points, chunks)
            case WeightedSum(weights):
                # In float64: a product adds up in whatever order suits the number of points, and that must not show.
                sums = np.zeros(points, dtype=np.float64)
                for first, near in chunks:
                    sums += np.einsum("e,ep->p", weights[first : first + len(near)], near, dtype=np.float64)
                return sums.astype(np.float32)
            case PairRanks(pairs):
                return _ranked(pairs, points, chunks)
            case PairLosses():
                total = np.zeros(points, dtype=np.float32)
                for _, near in chunks:
                    total += fast(np.minimum(near[::2] - near[1::2] - EPSILON, np.float32(0))).sum(axis=0)
                return total
            case _:
                assert_never(scorer)


def _best(positives: int, points: int, chunks: Iterable[Chunk]) -> F32:
    best = np.full(points, -np.inf, dtype=np.float32)
    worst = best.copy()
    for first, near in chunks:
        split = min(max(positives - first, 0), len(near))
        np.maximum(best, near[:split].max(axis=0, initial=-np.inf), out=best)
        np.maximum(worst, near[split:].max(axis=0, initial=-np.inf), out=worst)
    return np.where(best > worst, sigmoid(best), -sigmoid(worst))


def _ranked(pairs: int, points: int, chunks: Iterable[Chunk]) -> F32:
    total = np.zeros(points, dtype=np.float32)
    for first, near in chunks:
        paired = near[: 2 * pairs - first]
        total += np.sign(paired[::2] - paired[1::2]).sum(axis=0)
        if len(near) > len(paired):
            total += sigmoid(near[-1])
    return total


def fast(values: F32) -> F32:
    """``x / (1 + |x|)``: between -1 and 1."""
    between: F32 = values / (1 + np.abs(values))
    return between


def sigmoid(values: F32) -> F32:
    """``fast`` moved between 0 and 1."""
    return np.divide(fast(values) + 1, 2, dtype=np.float32)


def unseen_best(scorer: Scorer, last: F32) -> np.float32:
    """What no point scores above that is less similar to each guide ``i`` than ``last[i]``, ``(g,) float32``.

    Guides as in ``plan.guides``; minus infinity where everything about a guide was seen. The bound of Fagin, Lotem and
    Naor 2003 (threshold algorithm), with the scorer as the aggregate.
    """
    with np.errstate(invalid="ignore"):
        match scorer:
            case BestScore():
                return _bounded(last.max())
            case PairRanks(pairs):
                return np.float32(pairs) + _bounded(last[0])
            case WeightedSum() | PairLosses():
                raise AssertionError("a score without guides")
            case _:
                assert_never(scorer)


def _bounded(similarity: np.float32) -> np.float32:
    """The sigmoid, minus infinity staying what it is."""
    return np.float32(-np.inf) if np.isneginf(similarity) else np.float32(sigmoid(np.atleast_1d(similarity))[0])


def passing_custom_threshold(ranking: Ranking, threshold: float | None, *, larger_is_better: bool) -> Ranking:
    """The rows that Qdrant keeps: it reads from the best on while a score is beyond the threshold *as distances go*.

    So for Euclid and Manhattan a threshold keeps all rows when the best is below it, and none otherwise.
    """
    if threshold is None or larger_is_better:
        return passing_threshold(ranking, threshold, larger_is_better=True)
    return ranking if len(ranking) and ranking.scores[0] < np.float32(threshold) else ranking.head(0)
