"""Comparison of two answers to one search: lengths first, then scores place by place, then who holds each score.

Engines order equal scores as they like, so ids are compared by groups of equal score; the group that the limit cuts
through may hold any of the tied points. Differences are absolute.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import isnan

from tests.oracle import Hit

TOLERANCE = 2e-5


def assert_same(actual: Sequence[Hit], expected: Sequence[Hit], *, limit: int, tolerance: float = TOLERANCE) -> None:
    """Raises AssertionError with every difference found, see ``differences``."""
    found = list(differences(actual, expected, limit=limit, tolerance=tolerance))
    assert not found, "\n".join(found)


def differences(
    actual: Sequence[Hit], expected: Sequence[Hit], *, limit: int, tolerance: float = TOLERANCE
) -> Iterator[str]:
    """What is wrong with ``actual``, an answer of at most ``limit`` hits.

    ``expected`` may be longer than the limit: what lies beyond it may stand in for hits tied with the last one. If it
    is not, the ids of the last group are compared only when the answer is shorter than the limit, that is, not cut.
    """
    wanted = min(limit, len(expected))
    if len(actual) != wanted:
        yield f"{len(actual)} hits instead of {wanted}"
        return
    for place, (hit, other) in enumerate(zip(actual, expected, strict=False)):
        if not _close(hit.score, other.score, tolerance):
            yield f"place {place}: score {hit.score} instead of {other.score}"
    for start, stop in score_groups(expected, tolerance):
        if start >= wanted:
            return
        if stop == len(expected) == limit:
            return  # the answer was cut here and nobody knows who else is tied
        found = Counter((hit.id, hit.order_value) for hit in actual[start:stop])
        group = Counter((hit.id, hit.order_value) for hit in expected[start:stop])
        strangers, missing = found - group, group - found
        if strangers or (missing and stop <= wanted):
            places = f"places {start} to {min(stop, wanted) - 1}"
            yield f"{places}: {sorted(found, key=str)} instead of {sorted(group, key=str)}"


def score_groups(hits: Sequence[Hit], tolerance: float) -> Iterator[tuple[int, int]]:
    """Ranges of places whose neighbours have equal scores (NaN equals NaN)."""
    start = 0
    for place, (hit, following) in enumerate(pairwise(hits), start=1):
        if not _close(hit.score, following.score, tolerance):
            yield start, place
            start = place
    if hits:
        yield start, len(hits)


def _close(left: float, right: float, tolerance: float) -> bool:
    return (isnan(left) and isnan(right)) or left == right or abs(left - right) <= tolerance
