"""Points on the globe and the areas that hold them; all degrees float64, points as arrays ``lon`` and ``lat`` ``(n,)``.

Coordinates beyond the globe are taken as they are. Nothing here is near enough: a point on the edge of an area is
outside it, as exactly as float64 can name the edge.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

EARTH_RADIUS_M = 6_371_008.8

F64: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class GeoPoint:
    """Degrees."""

    lon: float
    lat: float


def distance_m(lon: F64, lat: F64, origin: GeoPoint) -> F64:
    """Metres along the sphere from the origin to each point by the haversine formula, ``(n,) float64``."""
    with np.errstate(invalid="ignore", over="ignore"):
        across = np.sin(np.radians(lon - origin.lon) / 2) ** 2
        along = np.sin(np.radians(lat - origin.lat) / 2) ** 2
        share = along + np.cos(np.radians(origin.lat)) * np.cos(np.radians(lat)) * across
        metres: F64 = 2 * np.arcsin(np.sqrt(share)) * EARTH_RADIUS_M
    return metres


def within_radius(lon: F64, lat: F64, *, center: GeoPoint, radius_m: float) -> Bools:
    """Which points are nearer than the radius."""
    near: Bools = distance_m(lon, lat, center) < radius_m
    return near


def within_box(lon: F64, lat: F64, *, top_left: GeoPoint, bottom_right: GeoPoint) -> Bools:
    """Which points are inside; a box whose left is to the right of its right goes across the antimeridian."""
    left, right = top_left.lon < lon, lon < bottom_right.lon
    between = left | right if top_left.lon > bottom_right.lon else left & right
    inside: Bools = between & (bottom_right.lat < lat) & (lat < top_left.lat)
    return inside
