"""Conditions of filters within their bounds."""

from collections.abc import Sequence

from qdrantlite.errors import ValidationFailed
from qdrantlite.query.filter import (
    Condition,
    FieldCondition,
    Filter,
    Predicate,
    Slice,
)
from qdrantlite.values.geo import GeoPoint
from qdrantlite.wire.bounds import at_least, within

RING_POINTS_MIN = 4


def slice_of(total: int, index: int) -> Slice:
    """Raises ValidationFailed for no parts, and for a part beyond them."""
    at_least("total", total, 1)
    if index >= total:
        raise ValidationFailed(f"index: value {index} invalid, must be less than total {total}")
    return Slice(total=total, index=index)


def field(key: str, predicates: Sequence[Predicate]) -> Condition:
    """Several predicates on one field mean any of them. Raises ValidationFailed for none."""
    if not predicates:
        raise ValidationFailed("match: At least one field condition must be specified")
    if len(predicates) == 1:
        return FieldCondition(key, predicates[0])
    return Filter(should=tuple(FieldCondition(key, predicate) for predicate in predicates))


def geo_point(lon: float, lat: float) -> GeoPoint:
    """Raises ValidationFailed for what is not on the globe."""
    within("lon", lon, -180.0, 180.0)
    within("lat", lat, -90.0, 90.0)
    return GeoPoint(lon=lon, lat=lat)


def ring(points: tuple[GeoPoint, ...]) -> tuple[GeoPoint, ...]:
    """A closed line. Raises ValidationFailed for one that is open or encloses nothing."""
    if len(points) < RING_POINTS_MIN:
        text = f"points: polygon invalid, the size must be at least {RING_POINTS_MIN}, got {len(points)}"
        raise ValidationFailed(text)
    if points[0] != points[-1]:
        raise ValidationFailed("points: polygon invalid, the first and the last points should be the same")
    return points
