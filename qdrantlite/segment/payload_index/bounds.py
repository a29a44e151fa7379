"""Ranges with open and closed ends as closed intervals of the numbers an index can hold."""

import math

from qdrantlite.query.filter import Range

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def closed_integers(bounds: Range) -> tuple[int, int] | None:
    """The least and the greatest int64 within the bounds; None when there is none. NaN is above every number."""
    low, high = INT64_MIN, INT64_MAX
    for bound, is_open in ((bounds.gte, False), (bounds.gt, True)):
        if bound is None or bound == -math.inf:
            continue
        if math.isnan(bound) or bound == math.inf:
            return None
        low = max(low, math.floor(bound) + 1 if is_open else math.ceil(bound))
    for bound, is_open in ((bounds.lte, False), (bounds.lt, True)):
        if bound is None or math.isnan(bound) or bound == math.inf:
            continue
        if bound == -math.inf:
            return None
        high = min(high, math.ceil(bound) - 1 if is_open else math.floor(bound))
    return (low, high) if low <= high else None


def closed_floats(bounds: Range) -> tuple[float, float] | None:
    """The least and the greatest float within the bounds; None when there is none. NaN is above every number."""
    low, high = -math.inf, math.inf
    if bounds.gte is not None:
        low = max(low, math.inf if math.isnan(bounds.gte) else bounds.gte)
    if bounds.gt is not None:
        low = max(low, math.inf if math.isnan(bounds.gt) else math.nextafter(bounds.gt, math.inf))
    if bounds.lte is not None and not math.isnan(bounds.lte):
        high = min(high, bounds.lte)
    if bounds.lt is not None and not math.isnan(bounds.lt):
        high = min(high, math.nextafter(bounds.lt, -math.inf))
    return (low, high) if low <= high else None
