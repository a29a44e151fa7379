"""Points on the globe and the areas that hold them; all degrees float64, points as arrays ``lon`` and ``lat`` ``(n,)``.

Coordinates beyond the globe are taken as they are. Nothing here is near enough: a point on the edge of an area is
outside it, as exactly as float64 can name the edge.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

EARTH_RADIUS_M = 6_371_008.8
PAIRS_MAX = 1 << 20
"""Pairs of a point and an edge that are compared at a time."""
ORIENTATION_ERROR = 4e-16
"""Of the sum of both products: below it the sign of their difference is in doubt (J. R. Shewchuk, "Adaptive Precision
Floating-Point Arithmetic", 1997, has 3.3e-16)."""

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


def within_polygon(
    lon: F64, lat: F64, *, exterior: Sequence[GeoPoint], interiors: Sequence[Sequence[GeoPoint]]
) -> Bools:
    """Which points are inside the exterior ring and neither inside an interior one nor on any edge; rings are closed.

    A ring holds what it winds around, however often and in whatever direction.
    """
    inside: Bools = _around(lon, lat, exterior) == _INSIDE
    for ring in interiors:
        held = np.flatnonzero(inside)
        inside[held] = _around(lon[held], lat[held], ring) == _OUTSIDE
    return inside


_OUTSIDE, _EDGE, _INSIDE = 0, 1, 2


def _around(lon: F64, lat: F64, ring: Sequence[GeoPoint]) -> NDArray[np.int8]:
    """Where each point is as a ring sees it, by its winding number (D. Sunday, "Inclusion of a Point in a Polygon")."""
    x, y = np.array([(point.lon, point.lat) for point in ring], dtype=np.float64).T
    places = np.full(len(lon), _OUTSIDE, dtype=np.int8)
    near = np.flatnonzero((x.min() <= lon) & (lon <= x.max()) & (y.min() <= lat) & (lat <= y.max()))
    step = max(1, PAIRS_MAX // len(x))
    for start in range(0, len(near), step):
        some = near[start : start + step]
        places[some] = _places(lon[some, None], lat[some, None], x, y)
    return places


def _places(px: F64, py: F64, x: F64, y: F64) -> NDArray[np.int8]:
    """Places of points ``(n, 1)`` around the ring ``(k,)``; ``(n,)``."""
    ax, ay, bx, by = x[:-1], y[:-1], x[1:], y[1:]
    side = _side(px, py, ax, ay, bx, by)
    up, down = (ay <= py) & (py < by) & (side > 0), (by <= py) & (py < ay) & (side < 0)
    winding = up.sum(axis=1) - down.sum(axis=1)
    beside = (np.minimum(ax, bx) <= px) & (px <= np.maximum(ax, bx))
    beside &= (np.minimum(ay, by) <= py) & (py <= np.maximum(ay, by))
    edge = (beside & (side == 0)).any(axis=1)
    return np.where(edge, _EDGE, np.where(winding != 0, _INSIDE, _OUTSIDE)).astype(np.int8)


def _side(px: F64, py: F64, ax: F64, ay: F64, bx: F64, by: F64) -> F64:
    """Positive where a point is to the left of an edge, 0 on its line, ``(n, k)``; exact in sign beside the edge."""
    left, right = (bx - ax) * (py - ay), (by - ay) * (px - ax)
    side: F64 = left - right
    doubtful = np.abs(side) < ORIENTATION_ERROR * (np.abs(left) + np.abs(right))
    doubtful &= (np.minimum(ay, by) <= py) & (py <= np.maximum(ay, by))
    for at in np.argwhere(doubtful):
        n, k = int(at[0]), int(at[1])
        p, q = Fraction(float(px[n, 0])), Fraction(float(py[n, 0]))
        a, b = Fraction(float(ax[k])), Fraction(float(ay[k]))
        turn = (Fraction(float(bx[k])) - a) * (q - b) - (Fraction(float(by[k])) - b) * (p - a)
        side[n, k] = (turn > 0) - (turn < 0)
    return side
