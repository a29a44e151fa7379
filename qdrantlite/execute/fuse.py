"""Fusion of rankings into one, by rank (RRF) or by normalised score (DBSF).

Pure functions over arrays; float32 as in Qdrant. A fused row keeps the order value and the version flag of the first
source that holds its point. A point that one source lists twice (an order by value may) counts twice.

RRF: Cormack, Clarke and Büttcher 2009, with Qdrant's weights, which stretch ranks instead of multiplying contributions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from qdrantlite.execute.merge import best_first
from qdrantlite.execute.ranking import FLOAT_VALUE, INTEGER_VALUE, NO_VALUE, OrderValues, Ranking
from qdrantlite.values.vector import F32

ONE = np.float32(1)
HALF = np.float32(0.5)
FLOAT32_HALF = float(np.finfo(np.float32).max) / 2
"""Bounds within it have a difference that float32 can hold."""


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """All fused rows, best first, ties by offset. ``keys`` ``(n,)``: neighbours with equal keys are tied."""

    ranking: Ranking
    keys: NDArray[np.generic]


def fuse_rrf(sources: Sequence[Ranking], *, k: int, weights: Sequence[float] | None) -> Fused:
    """Score of a point: the sum over sources of ``1 / ((position + 1) / weight + k - 1)``, positions from 0.

    A source of weight 0 or less adds 0; its points are still listed.
    """
    given = [1.0] * len(sources) if weights is None else weights
    shares = [_reciprocal_ranks(len(source), k, weight) for source, weight in zip(sources, given, strict=True)]
    ranking = _added_up(sources, shares)
    ranking = ranking.take(best_first(ranking.scores, larger_is_better=True))
    return Fused(ranking, ranking.scores)


def fuse_dbsf(sources: Sequence[Ranking]) -> Fused:
    """Score of a point: the sum over sources of its score within mean ± 3 standard deviations, not clamped.

    The order is that of Qdrant's points: one with an order value comes before any without and is compared by that
    value, larger first, whatever its score.
    """
    ranking = _added_up(sources, [_normalised(source.scores) for source in sources])
    if ranking.order is None:
        ranking = ranking.take(best_first(ranking.scores, larger_is_better=True))
        return Fused(ranking, ranking.scores)
    valued = ranking.order.kinds != NO_VALUE
    compared = np.where(valued, _as_floats(ranking.order), ranking.scores)
    order = np.lexsort((-compared, ~valued))
    valued, compared = valued[order], compared[order]
    changes = (valued[1:] != valued[:-1]) | (compared[1:] != compared[:-1])
    return Fused(ranking.take(order), np.concatenate([[0], np.cumsum(changes)]))


def _reciprocal_ranks(count: int, k: int, weight: float) -> F32:
    """What each place of a source is worth."""
    if weight <= 0:
        return np.zeros(count, dtype=np.float32)
    ranks = np.arange(1, count + 1, dtype=np.float32)
    if weight != 1:
        ranks /= np.float32(weight)
    return ONE / (ranks + np.float32(k) - ONE)


def _normalised(scores: F32) -> F32:
    """Places within the source's own spread; 0.5 where there is no spread.

    The moments are taken in float64: the engine adds them up one by one in float32, which differs by a few millionths,
    and overflows. Infinite products do not count among them, and keep an infinite place.
    """
    finite = np.isfinite(scores)
    if not finite.all():
        places = scores.copy()
        places[finite] = _normalised(scores[finite])
        return places
    if len(scores) < 2:
        return np.full(len(scores), HALF)
    wide = scores.astype(np.float64)
    mean = wide.sum() / len(wide)
    wide -= mean
    spread = 3 * sqrt(wide @ wide / (len(wide) - 1))
    if abs(mean) + spread > FLOAT32_HALF:
        return ((wide + spread) / (2 * spread)).astype(np.float32) if spread else np.full(len(scores), HALF)
    low, high = np.float32(mean - spread), np.float32(mean + spread)
    if low == high:
        return np.full(len(scores), HALF)
    placed: F32 = (scores - low) / (high - low)
    return placed


def _added_up(sources: Sequence[Ranking], shares: Sequence[F32]) -> Ranking:
    """One row a point, offsets ascending, with the sum of its shares added in the order of the sources."""
    offsets = np.concatenate([source.offsets for source in sources])
    by_offset = offsets.argsort(kind="stable")
    offsets = offsets[by_offset]
    starts = np.ones(len(offsets), dtype=np.bool_)
    np.not_equal(offsets[1:], offsets[:-1], out=starts[1:])
    first = by_offset[starts]
    totals = np.zeros(len(first), dtype=np.float32)
    np.add.at(totals, starts.cumsum() - 1, np.concatenate(shares)[by_offset])
    versioned = np.concatenate([source.versioned for source in sources])[first]
    order = None
    if any(source.order is not None for source in sources):
        values = [source.order or OrderValues.none(len(source)) for source in sources]
        kinds = np.concatenate([value.kinds for value in values])[first]
        order = OrderValues(kinds, np.concatenate([value.bits for value in values])[first])
    return Ranking(offsets[starts], totals, versioned, order)


def _as_floats(order: OrderValues) -> NDArray[np.float64]:
    """Order values as comparable numbers, 0 where there is none."""
    floats = np.where(order.kinds == INTEGER_VALUE, order.bits.astype(np.float64), 0.0)
    return np.where(order.kinds == FLOAT_VALUE, order.bits.view(np.float64), floats)
