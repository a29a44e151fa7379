"""Guides of a custom score: vectors around which its best points lie, if there are any.

What is best by its best positive is near a positive; what meets most pairs and is near the target is found near the
target, unless the pairs forbid. Sums, losses of pairs, and what is only kept away from have no such places. Pure.
"""

from typing import assert_never

from qdrantlite.plan.bound import NearestDense
from qdrantlite.plan.custom import BestScore, CustomScore, DenseExamples, PairLosses, PairRanks, WeightedSum
from qdrantlite.values.vector import F32

GUIDES_MAX = 64
"""With more of them a matrix product over all rows is what a walk about each costs."""


def guides(query: CustomScore) -> tuple[NearestDense, ...]:
    """A search for the nearest of each guide; none where all points must be scored."""
    examples = query.examples
    if not isinstance(examples, DenseExamples):
        return ()
    around = _guiding(query, examples.vectors)
    return () if len(around) > GUIDES_MAX else tuple([NearestDense(row, query.larger_is_better) for row in around])


def _guiding(query: CustomScore, vectors: F32) -> F32:
    """``(g, dim)``: those of the examples that are guides."""
    match query.scorer:
        case BestScore(positives):
            return vectors[:positives]
        case PairRanks():
            return vectors[-1:]
        case WeightedSum() | PairLosses():
            return vectors[:0]
        case _:
            assert_never(query.scorer)
