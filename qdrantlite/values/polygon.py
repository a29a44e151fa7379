"""Polygons on the globe: which points are inside, exactly.

The edges of a ring are kept by bands of latitude, so that a point meets those alone that reach into its band: of a ring
whose edges are short, a few, however many it has.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdrantlite.values.geo import F64, Bools, GeoPoint

PAIRS_MAX = 1 << 19
"""Pairs of a point and an edge that are compared at a time."""
BANDS_MAX = 1 << 14
REPEATS = 4
"""An edge stands in so many bands in the mean, at most."""
SCALE_MAX = 1e300
ORIENTATION_ERROR = 4e-16
"""Of the sum of both products: below it the sign of their difference is in doubt (J. R. Shewchuk, "Adaptive Precision
Floating-Point Arithmetic", 1997, has 3.3e-16)."""

Numbers: TypeAlias = NDArray[np.int64]
Edges: TypeAlias = tuple[F64, F64, F64, F64]
"""From ``(ax, ay)`` to ``(bx, by)``."""

_OUTSIDE, _EDGE, _INSIDE = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Polygon:
    """What is inside the exterior ring and neither inside an interior one nor on any edge; rings are closed.

    A ring holds what it winds around, however often and in whatever direction.
    """

    exterior: "_Ring"
    interiors: "tuple[_Ring, ...]"

    @staticmethod
    def of(exterior: Sequence[GeoPoint], interiors: Sequence[Sequence[GeoPoint]]) -> "Polygon":
        """Takes time in proportion to the edges."""
        return Polygon(_Ring.of(exterior), tuple([_Ring.of(ring) for ring in interiors]))

    def holds(self, lon: F64, lat: F64) -> Bools:
        """Which points are inside, ``(n,) bool``."""
        inside: Bools = self.exterior.places(lon, lat) == _INSIDE
        for ring in self.interiors:
            held = np.flatnonzero(inside)
            inside[held] = ring.places(lon[held], lat[held]) == _OUTSIDE
        return inside


@dataclass(frozen=True, slots=True, eq=False)
class _Ring:
    """Edges, and those that reach into band ``i``: ``members[starts[i] : starts[i + 1]]``."""

    edges: Edges
    scale: float
    """Bands to a degree."""
    starts: Numbers
    members: Numbers

    @staticmethod
    def of(ring: Sequence[GeoPoint]) -> "_Ring":
        """As many bands as there may be while edges stand in few of them."""
        x, y = np.array([(point.lon, point.lat) for point in ring], dtype=np.float64).T
        edges = (x[:-1], y[:-1], x[1:], y[1:])
        low, high = np.minimum(y[:-1], y[1:]) - y.min(), np.maximum(y[:-1], y[1:]) - y.min()
        bands, height = min(len(low), BANDS_MAX), float(y.max() - y.min())
        while True:
            scale = min(bands / height, SCALE_MAX) if height else 0.0
            first, last = _bands(low, scale, bands), _bands(high, scale, bands)
            if bands == 1 or (last - first + 1).sum() <= REPEATS * len(low):
                break
            bands = bands // 2
        owners = np.repeat(np.arange(len(low)), last - first + 1)
        band = np.arange(len(owners)) - np.repeat(np.cumsum(last - first + 1) - (last + 1), last - first + 1)
        starts = np.concatenate(([0], np.cumsum(np.bincount(band, minlength=bands))))
        return _Ring(edges, scale, starts, owners[np.argsort(band, kind="stable")])

    def places(self, lon: F64, lat: F64) -> NDArray[np.int8]:
        """Where each point is, by its winding number (D. Sunday, "Inclusion of a Point in a Polygon"), ``(n,)``."""
        _, y, x, _ = self.edges  # Each corner begins an edge and ends one.
        places = np.full(len(lon), _OUTSIDE, dtype=np.int8)
        near = np.flatnonzero((x.min() <= lon) & (lon <= x.max()) & (y.min() <= lat) & (lat <= y.max()))
        band = _bands(lat[near] - y.min(), self.scale, len(self.starts) - 1)
        first, counts = self.starts[band], self.starts[band + 1] - self.starts[band]
        for start, stop in _pieces(counts):
            some = slice(start, stop)
            places[near[some]] = self._places(lon[near[some]], lat[near[some]], first[some], counts[some])
        return places

    def _places(self, lon: F64, lat: F64, first: Numbers, counts: Numbers) -> NDArray[np.int8]:
        """Of points that meet so many members each."""
        points, ends = np.repeat(np.arange(len(lon)), counts), np.cumsum(counts)
        members = self.members[np.arange(len(points)) + np.repeat(first - (ends - counts), counts)]
        px, py = lon[points], lat[points]
        ax, ay, bx, by = (side[members] for side in self.edges)
        side = _side(px, py, (ax, ay, bx, by))
        up, down = (ay <= py) & (py < by) & (side > 0), (by <= py) & (py < ay) & (side < 0)
        winding = np.bincount(points, up.astype(np.float64) - down, minlength=len(lon))
        beside = (np.minimum(ax, bx) <= px) & (px <= np.maximum(ax, bx))
        beside &= (np.minimum(ay, by) <= py) & (py <= np.maximum(ay, by))
        places = np.where(winding != 0, _INSIDE, _OUTSIDE).astype(np.int8)
        places[points[beside & (side == 0)]] = _EDGE
        return places


def _bands(heights: F64, scale: float, bands: int) -> Numbers:
    """The band of each height above the lowest corner. Higher is never in a lower band, whatever rounding does."""
    found: Numbers = np.minimum((heights * scale).astype(np.int64), bands - 1)
    return found


def _pieces(counts: Numbers) -> Iterator[tuple[int, int]]:
    """Stretches of points that meet no more than ``PAIRS_MAX`` edges together, or are alone."""
    ends, start = np.cumsum(counts), 0
    while start < len(counts):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + PAIRS_MAX, side="right")))
        yield start, stop
        start = stop


def _side(px: F64, py: F64, edges: Edges) -> F64:
    """Positive where a point is to the left of an edge, 0 on its line, ``(n,)``; exact in sign beside the edge."""
    ax, ay, bx, by = edges
    left, right = (bx - ax) * (py - ay), (by - ay) * (px - ax)
    side: F64 = left - right
    doubtful = np.abs(side) < ORIENTATION_ERROR * (np.abs(left) + np.abs(right))
    doubtful &= (np.minimum(ay, by) <= py) & (py <= np.maximum(ay, by))
    for at in np.flatnonzero(doubtful).tolist():
        p, q, a, b, c, d = (Fraction(float(each[at])) for each in (px, py, ax, ay, bx, by))
        turn = (c - a) * (q - b) - (d - b) * (p - a)
        side[at] = (turn > 0) - (turn < 0)
    return side
