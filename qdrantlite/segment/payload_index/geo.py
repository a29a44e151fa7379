"""Geo index: points in the order of a Z-curve over squares of the map, so that each square is one stretch of them.

The map of 360 by 180 degrees is cut into 4 by 4 rectangles, each of these again, ``DEPTH`` times; the code of a point
tells its rectangle at every depth (G. M. Morton, "A computer oriented geodetic data base", 1966). An area is found by
going down from the whole map: rectangles inside are taken as they are, those in doubt are cut further for as long as
that spares more than it costs, and what is left of them is tested point by point. Coordinates beyond the globe are not
held.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.query.elements import area_test, geo_point_of
from qdrantlite.query.filter import GeoBoundingBox, GeoPolygon, GeoRadius, Predicate
from qdrantlite.segment.bitmaps import Offsets, bitmap_of
from qdrantlite.segment.payload_index.kind import Piece
from qdrantlite.segment.payload_index.parts import Part, Parts, array_of
from qdrantlite.segment.runs import alive, ranges
from qdrantlite.values.geo import F64, GeoPoint
from qdrantlite.values.geo_cover import (
    INSIDE,
    OPEN,
    Rectangles,
    Verdicts,
    box_verdicts,
    polygon_verdicts,
    radius_verdicts,
)
from qdrantlite.values.payload import Json

Area: TypeAlias = GeoRadius | GeoBoundingBox | GeoPolygon
Codes: TypeAlias = NDArray[np.int64]

DEPTH = 15
CHILDREN = 16
AXIS_BITS = 2 * DEPTH
FEW = 4096
"""So many points are sooner tested than spared by cutting further,"""
POINTS_FOR_CHECK = 4
"""and so many for each rectangle that would have to be looked at."""
CHECKS_MAX = 1 << 13
"""Rectangles looked at in one step, for a polygon times its edges divided by ``EDGES_ALIKE``."""
EDGES_ALIKE = 64
"""Edges that cost together as much as a radius or a box."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """See ``kind.Values``. Arrays ``(n,)`` by ascending code: codes int64, degrees float64. 28 bytes per entry."""

    codes: Codes
    lon: F64
    lat: F64
    offsets: Offsets
    indexed: AbstractBitMap

    @staticmethod
    def of(lon: F64, lat: F64, offsets: Offsets) -> "Places":
        """Of points in any order, all on the globe."""
        codes = _codes_of(lon, lat)
        order = np.argsort(codes, kind="stable")
        return Places(codes[order], lon[order], lat[order], offsets[order], bitmap_of(offsets))

    @property
    def entries(self) -> int:
        """See ``kind.Values``."""
        return len(self.codes)

    def match(self, predicate: Predicate) -> AbstractBitMap | None:
        """See ``kind.Values``."""
        match predicate:
            case GeoRadius() | GeoBoundingBox() | GeoPolygon():
                return self._inside(predicate)
            case _:
                return None

    def dump(self) -> list[Part]:
        """See ``kind.Values``."""
        return [("codes", self.codes), ("lon", self.lon), ("lat", self.lat), ("offsets", self.offsets)]

    def _inside(self, area: Area) -> BitMap:
        """Going down: ``open`` are codes of rectangles in doubt, their points are ``first <= entry < stop``."""
        taken, open = [np.empty(0, dtype=np.uint32)], np.zeros(1, dtype=np.int64)
        first, stop = np.zeros(1, dtype=np.int64), np.array([self.entries])
        edges_max = CHECKS_MAX * EDGES_ALIKE // max(_edges(area), EDGES_ALIKE)
        for depth in range(1, DEPTH + 1):
            checks = CHILDREN * len(open)
            if (stop - first).sum() <= max(FEW, POINTS_FOR_CHECK * checks) or (depth > 1 and checks > edges_max):
                break
            children = (CHILDREN * open[:, None] + np.arange(CHILDREN)).ravel()
            bounds = CHILDREN * open[:, None] + np.arange(CHILDREN + 1)
            places = np.searchsorted(self.codes, bounds << (4 * (DEPTH - depth)))
            first, stop = places[:, :-1].ravel(), places[:, 1:].ravel()
            filled = stop > first
            children, first, stop = children[filled], first[filled], stop[filled]
            verdicts = _verdicts(area, _rectangles(children, depth))
            inside, doubtful = verdicts == INSIDE, verdicts == OPEN
            bounds_inside = zip(first[inside].tolist(), stop[inside].tolist(), strict=True)
            taken.extend([self.offsets[start:end] for start, end in bounds_inside])
            open, first, stop = children[doubtful], first[doubtful], stop[doubtful]
        entries = ranges(first, stop - first)
        held = area_test(area)(self.lon[entries], self.lat[entries])
        return bitmap_of(np.concatenate([*taken, self.offsets[entries[held]]]))


class GeoKind:
    """See ``kind.Kind``."""

    def build(self, offsets: Offsets, elements: Sequence[list[Json]]) -> Places:
        """See ``kind.Kind``."""
        points, owners = list[GeoPoint](), list[int]()
        for offset, found in zip(offsets.tolist(), elements, strict=True):
            for element in found:
                point = held_point(element)
                if point is not None:
                    points.append(point)
                    owners.append(offset)
        lon = np.fromiter((point.lon for point in points), np.float64, len(points))
        lat = np.fromiter((point.lat for point in points), np.float64, len(points))
        return Places.of(lon, lat, np.array(owners, dtype=np.uint32))

    def merge(self, pieces: Sequence[Piece]) -> Places:
        """See ``kind.Kind``."""
        every = [_places(piece) for piece in pieces]
        kept = [alive(places.offsets, piece.forgotten) for places, piece in zip(every, pieces, strict=True)]
        lon = np.concatenate([places.lon[keep] for places, keep in zip(every, kept, strict=True)])
        lat = np.concatenate([places.lat[keep] for places, keep in zip(every, kept, strict=True)])
        return Places.of(lon, lat, np.concatenate([one.offsets[keep] for one, keep in zip(every, kept, strict=True)]))

    def load(self, parts: Parts) -> Places:
        """See ``kind.Kind``."""
        codes = array_of(parts, "codes").astype(np.int64, copy=False)
        lon, lat = (array_of(parts, name).astype(np.float64, copy=False) for name in ("lon", "lat"))
        offsets = array_of(parts, "offsets").astype(np.uint32, copy=False)
        return Places(codes, lon, lat, offsets, bitmap_of(offsets))


def held_point(element: Json) -> GeoPoint | None:
    """The point that an element means, if it is one on the globe."""
    point = geo_point_of(element)
    return point if point is not None and abs(point.lon) <= 180 and abs(point.lat) <= 90 else None


def _places(piece: Piece) -> Places:
    assert isinstance(piece.values, Places)
    return piece.values


def _verdicts(area: Area, cells: Rectangles) -> Verdicts:
    match area:
        case GeoRadius(center, radius):
            return radius_verdicts(cells, center=center, radius_m=radius)
        case GeoBoundingBox(top_left, bottom_right):
            return box_verdicts(cells, top_left=top_left, bottom_right=bottom_right)
        case GeoPolygon(exterior, interiors):
            return polygon_verdicts(cells, exterior=exterior, interiors=interiors)
        case _:
            assert_never(area)


def _edges(area: Area) -> int:
    return sum(map(len, (area.exterior, *area.interiors))) if isinstance(area, GeoPolygon) else 1


def _codes_of(lon: F64, lat: F64) -> Codes:
    """Bits of the column at even places, of the row at odd ones."""
    last = (1 << AXIS_BITS) - 1
    columns = np.minimum(((lon + 180) / 360 * (1 << AXIS_BITS)).astype(np.int64), last)
    rows = np.minimum(((lat + 90) / 180 * (1 << AXIS_BITS)).astype(np.int64), last)
    return _spread(columns) | (_spread(rows) << 1)


def _rectangles(codes: Codes, depth: int) -> Rectangles:
    """The rectangles of a depth."""
    columns, rows = _gathered(codes).astype(np.float64), _gathered(codes >> 1).astype(np.float64)
    width, height = 360 / 4**depth, 180 / 4**depth
    west, south = columns * width - 180, rows * height - 90
    return Rectangles(west, west + width, south, south + height)


_MASKS = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


def _spread(numbers: Codes) -> Codes:
    """The 32 lower bits of each, a zero between any two."""
    for shift, mask in _MASKS:
        numbers = (numbers | (numbers << shift)) & mask
    return numbers


def _gathered(numbers: Codes) -> Codes:
    """The bits at even places of each; undoes ``_spread``."""
    numbers = numbers & _MASKS[-1][1]
    for (shift, _), mask in zip(
        reversed(_MASKS), [mask for _, mask in reversed(_MASKS[:-1])] + [0xFFFFFFFF], strict=True
    ):
        numbers = (numbers | (numbers >> shift)) & mask
    return numbers
