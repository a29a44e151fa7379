"""What an area on the globe makes of whole rectangles of degrees: all their points are inside, none, or it is open.

Only sure answers are given: rectangles are taken a little larger than they are, distances a little nearer and farther,
and an index tests the points of open rectangles one by one (``values.geo``). Rectangles end at the antimeridian and at
the poles, so areas across them need no care: the haversine formula knows that both sides meet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdrantlite.values.geo import EARTH_RADIUS_M, F64, GeoPoint
from qdrantlite.values.polygon import Polygon

OUTSIDE, OPEN, INSIDE = 0, 1, 2
MARGIN_DEG = 1e-9
"""A tenth of a millimetre; far above what degrees lose by rounding."""
MARGIN = 1e-12
"""The same for shares of the globe's diameter, squared."""

Verdicts: TypeAlias = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Rectangles:
    """Degrees of their edges, each ``(n,) float64``; ``west < east`` and ``south < north``."""

    west: F64
    east: F64
    south: F64
    north: F64

    def __len__(self) -> int:
        return len(self.west)

    def widened(self) -> "Rectangles":
        """With the margin on all sides."""
        west, east = self.west - MARGIN_DEG, self.east + MARGIN_DEG
        return Rectangles(west, east, self.south - MARGIN_DEG, self.north + MARGIN_DEG)


def radius_verdicts(cells: Rectangles, *, center: GeoPoint, radius_m: float) -> Verdicts:
    """Of the points nearer than the radius, by bounds on each factor of the haversine formula."""
    if not radius_m > 0:
        return np.full(len(cells), OUTSIDE, dtype=np.int8)
    wide = cells.widened()
    across_min, across_max = _squared_sines(wide.west - center.lon, wide.east - center.lon)
    along_min, along_max = _squared_sines(wide.south - center.lat, wide.north - center.lat)
    cosine_min, cosine_max = _cosines(wide.south, wide.north)
    at_center = np.cos(np.radians(center.lat))
    ends = at_center * cosine_min * across_min, at_center * cosine_max * across_max
    share = np.sin(min(radius_m / (2 * EARTH_RADIUS_M), np.pi / 2)) ** 2
    verdicts = np.full(len(cells), OPEN, dtype=np.int8)
    verdicts[along_max + np.maximum(*ends) + MARGIN < share] = INSIDE
    verdicts[along_min + np.minimum(*ends) - MARGIN > share] = OUTSIDE
    return verdicts


def box_verdicts(cells: Rectangles, *, top_left: GeoPoint, bottom_right: GeoPoint) -> Verdicts:
    """Of the points inside a box, which may go across the antimeridian."""
    wide = cells.widened()
    left_all, left_none = wide.west > top_left.lon, wide.east <= top_left.lon
    right_all, right_none = wide.east < bottom_right.lon, wide.west >= bottom_right.lon
    if top_left.lon > bottom_right.lon:
        across_all, across_none = left_all | right_all, left_none & right_none
    else:
        across_all, across_none = left_all & right_all, left_none | right_none
    along_all = (wide.south > bottom_right.lat) & (wide.north < top_left.lat)
    along_none = (wide.north <= bottom_right.lat) | (wide.south >= top_left.lat)
    verdicts = np.full(len(cells), OPEN, dtype=np.int8)
    verdicts[across_all & along_all] = INSIDE
    verdicts[across_none | along_none] = OUTSIDE
    return verdicts


def polygon_verdicts(
    cells: Rectangles, *, exterior: Sequence[GeoPoint], interiors: Sequence[Sequence[GeoPoint]]
) -> Verdicts:
    """Of the points inside a polygon: a rectangle that no edge comes near is where its middle is."""
    wide = cells.widened()
    touched = np.zeros(len(cells), dtype=np.bool_)
    for ring in (exterior, *interiors):
        x, y = np.array([(point.lon, point.lat) for point in ring], dtype=np.float64).T
        touched |= _touched(wide, x, y)
    verdicts = np.full(len(cells), OPEN, dtype=np.int8)
    apart = np.flatnonzero(~touched)
    lon, lat = (cells.west[apart] + cells.east[apart]) / 2, (cells.south[apart] + cells.north[apart]) / 2
    inside = Polygon.of(exterior, interiors).holds(lon, lat)
    verdicts[apart] = np.where(inside, INSIDE, OUTSIDE)
    return verdicts


def _touched(cells: Rectangles, x: F64, y: F64) -> NDArray[np.bool_]:
    """Which rectangles an edge of the ring ``(k,)`` may go through, ``(n,) bool``: it does not pass by on one side."""
    ax, ay, bx, by = x[:-1], y[:-1], x[1:], y[1:]
    west, east, south, north = (side[:, None] for side in (cells.west, cells.east, cells.south, cells.north))
    near = (np.minimum(ax, bx) <= east) & (np.maximum(ax, bx) >= west)
    near &= (np.minimum(ay, by) <= north) & (np.maximum(ay, by) >= south)
    rows, edges = np.nonzero(near)
    ax, ay, dx, dy = ax[edges], ay[edges], (bx - ax)[edges], (by - ay)[edges]
    turns = np.array(
        [
            dx * (lat[rows] - ay) - dy * (lon[rows] - ax)
            for lon in (cells.west, cells.east)
            for lat in (cells.south, cells.north)
        ]
    )
    touched = np.zeros(len(cells), dtype=np.bool_)
    touched[rows[(turns.min(axis=0) <= 0) & (turns.max(axis=0) >= 0)]] = True
    return touched


def _squared_sines(low: F64, high: F64) -> tuple[F64, F64]:
    """The least and the greatest squared sine of half an angle between both, in degrees; ``low <= high``."""
    ends = np.sin(np.radians(low) / 2) ** 2, np.sin(np.radians(high) / 2) ** 2
    least: F64 = np.where(_multiple_between(low, high, 0.0), 0.0, np.minimum(*ends))
    greatest: F64 = np.where(_multiple_between(low, high, 180.0), 1.0, np.maximum(*ends))
    return least, greatest


def _multiple_between(low: F64, high: F64, angle: float) -> NDArray[np.bool_]:
    """Whether the angle, or one that is whole turns away from it, is between both."""
    found: NDArray[np.bool_] = np.floor((high - angle) / 360) >= np.ceil((low - angle) / 360)
    return found


def _cosines(south: F64, north: F64) -> tuple[F64, F64]:
    """The least and the greatest cosine of a latitude between both."""
    ends = np.maximum(np.cos(np.radians(south)), 0.0), np.maximum(np.cos(np.radians(north)), 0.0)
    greatest: F64 = np.where((south <= 0) & (north >= 0), 1.0, np.maximum(*ends))
    return np.minimum(*ends), greatest
