"""Ranges with open and closed ends as closed intervals of the numbers an index can hold."""

import math
from collections.abc import Callable

from qdrantlite.query.filter import DatetimeRange, Range
from qdrantlite.values.dates import Instant

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def closed_integers(bounds: Range) -> tuple[int, int] | None:
    """The least and the greatest int64 within the bounds; None when there is none.

    Bounds become integers as in Qdrant: rounded towards the numbers they let through, then as Rust's ``as i64`` has it.
    So a bound beyond 64 bits is the last number of its side, which ``gte`` and ``lte`` include and ``gt`` and ``lt``
    do not, and NaN is 0.
    """
    low, high = INT64_MIN, INT64_MAX
    if bounds.gte is not None:
        low = max(low, _as_int64(bounds.gte, math.ceil))
    if bounds.gt is not None:
        low = max(low, _as_int64(bounds.gt, math.floor) + 1)
    if bounds.lte is not None:
        high = min(high, _as_int64(bounds.lte, math.floor))
    if bounds.lt is not None:
        high = min(high, _as_int64(bounds.lt, math.ceil) - 1)
    return (low, high) if low <= high else None


def _as_int64(number: float, rounded: Callable[[float], int]) -> int:
    if math.isnan(number):
        return 0
    return rounded(min(max(number, INT64_MIN), INT64_MAX))


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


def in_micros(bounds: DatetimeRange) -> Range:
    """Bounds on microseconds since 1970."""
    return Range(lt=_micros(bounds.lt), gt=_micros(bounds.gt), gte=_micros(bounds.gte), lte=_micros(bounds.lte))


def _micros(moment: Instant | None) -> int | None:
    return None if moment is None else moment.micros
