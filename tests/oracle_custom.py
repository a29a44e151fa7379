"""The oracle's custom scores and picks, written from the specification: loops over numbers, float32 as in Qdrant.

A similarity is larger for what is nearer, whatever the distance.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from qdrantlite.query import search as s

F = np.float32
Near = Callable[[s.VectorInput], float]
"""Similarity of one point to an example."""


def fast(x: np.float32) -> np.float32:
    """Between -1 and 1."""
    return F(x / (F(1) + abs(x)))


def sigmoid(x: np.float32) -> np.float32:
    """Between 0 and 1."""
    return F(F(0.5) * (fast(x) + F(1)))


def custom_score(query: s.Query | None, near: Near) -> float:
    """What the point is worth whose similarities ``near`` tells."""
    match query:
        case s.Recommend(positive, negative, s.RecommendStrategy.BEST_SCORE):
            best = max((near(each) for each in positive), default=-np.inf)
            worst = max((near(each) for each in negative), default=-np.inf)
            return float(sigmoid(F(best)) if best > worst else -sigmoid(F(worst)))
        case s.Recommend(positive, negative):
            return float(F(sum(map(near, positive)) - sum(map(near, negative))))
        case s.Discover(target, pairs):
            ranks = sum(int(np.sign(near(pair.positive) - near(pair.negative))) for pair in pairs)
            return float(F(F(ranks) + sigmoid(F(near(target)))))
        case s.Context(pairs):
            total = F(0)
            for pair in pairs:
                lack = F(near(pair.positive)) - F(near(pair.negative)) - np.finfo(F).eps
                total += fast(min(F(lack), F(0)))
            return float(total)
        case s.RelevanceFeedback(target, feedback, a, b, c):
            score = a * near(target)
            for surer in feedback:
                for other in feedback:
                    if surer.score > other.score:
                        gap = near(surer.example) - near(other.example)
                        score += (surer.score - other.score) ** b * c * gap
            return float(F(score))
        case _:
            raise NotImplementedError(query)


def picked(relevance: Sequence[float], between: Callable[[int, int], float], diversity: float, limit: int) -> list[int]:
    """Maximal marginal relevance: places of candidates, which come best first. ``between(i, j)`` compares two."""
    chosen: list[int] = []
    left = list(range(len(relevance)))
    while left and len(chosen) < limit:
        worth = [
            (1 - diversity) * relevance[i] - diversity * max(between(i, j) for j in chosen) if chosen else relevance[i]
            for i in left
        ]
        chosen.append(left.pop(max(range(len(left)), key=worth.__getitem__)))
    return chosen


def inputs(query: s.Query | None) -> Iterator[s.VectorInput]:
    """All examples of a query."""
    match query:
        case s.Nearest(given) | s.NearestMmr(given):
            yield given
        case s.Recommend(positive, negative):
            yield from (*positive, *negative)
        case s.Discover(target, pairs):
            yield target
            yield from (each for pair in pairs for each in (pair.positive, pair.negative))
        case s.Context(pairs):
            yield from (each for pair in pairs for each in (pair.positive, pair.negative))
        case s.RelevanceFeedback(target, feedback):
            yield target
            yield from (item.example for item in feedback)
        case _:
            return
