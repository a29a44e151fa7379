"""Areas on the globe: what is inside them, to the edge."""

import math
from itertools import pairwise
from time import process_time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.values.geo import EARTH_RADIUS_M, GeoPoint, distance_m, within_box, within_radius
from qdrantlite.values.polygon import Polygon

COORDINATES = st.integers(-6, 6).map(float)
POINTS = st.builds(GeoPoint, COORDINATES, COORDINATES)
GRID = [GeoPoint(x / 2, y / 2) for x in range(-14, 15) for y in range(-14, 15)]
LON, LAT = np.array([(point.lon, point.lat) for point in GRID]).T


def closed(points: list[GeoPoint]) -> list[GeoPoint]:
    return [*points, points[0]]


def polygon(exterior: list[GeoPoint], interiors: list[list[GeoPoint]]) -> list[bool]:
    found: list[bool] = Polygon.of(exterior, interiors).holds(LON, LAT).tolist()
    return found


def angle_around(point: GeoPoint, ring: list[GeoPoint]) -> float | None:
    """The sum of the turns a watcher makes who follows the ring; None for one who stands on it."""
    total = 0.0
    for a, b in pairwise(ring):
        ax, ay, bx, by = a.lon - point.lon, a.lat - point.lat, b.lon - point.lon, b.lat - point.lat
        cross, dot = ax * by - ay * bx, ax * bx + ay * by
        if cross == 0 and dot <= 0:
            return None
        total += math.atan2(cross, dot)
    return total


@given(st.lists(POINTS, min_size=3, max_size=7).map(closed), st.lists(POINTS, min_size=3, max_size=5).map(closed))
def test_polygon_holds_what_its_ring_winds_around(exterior: list[GeoPoint], interior: list[GeoPoint]) -> None:
    around = [angle_around(point, exterior) for point in GRID]
    inside = [angle is not None and abs(angle) > 1 for angle in around]
    assert polygon(exterior, []) == inside
    holes = [angle_around(point, interior) for point in GRID]
    outside = [angle is not None and abs(angle) < 1 for angle in holes]
    assert polygon(exterior, [interior]) == [a and b for a, b in zip(inside, outside, strict=True)]


def test_box_across_the_antimeridian_holds_both_sides() -> None:
    lon = np.array([179.0, -179.0, 180.0, 170.0, 0.0])
    found = within_box(lon, np.zeros(5), top_left=GeoPoint(170, 1), bottom_right=GeoPoint(-170, -1))
    assert found.tolist() == [True, True, True, False, False]


def test_quarter_of_a_great_circle_is_its_length() -> None:
    metres = distance_m(np.array([90.0, 0.0, 0.0]), np.array([0.0, 90.0, 0.0]), GeoPoint(0, 0))
    assert metres == pytest.approx([EARTH_RADIUS_M * math.pi / 2, EARTH_RADIUS_M * math.pi / 2, 0])
    assert not within_radius(np.zeros(1), np.zeros(1), center=GeoPoint(0, 0), radius_m=0.0).any()
    assert not within_radius(np.zeros(1), np.zeros(1), center=GeoPoint(0, 0), radius_m=math.nan).any()


def test_ring_of_many_points_is_compared_where_it_is_near() -> None:
    turns = np.linspace(0, 2 * math.pi, 100_000)
    ring = closed([GeoPoint(*place) for place in np.column_stack([np.cos(turns), np.sin(turns)])[:-1].tolist()])
    lon, lat = np.random.default_rng(1).uniform(-1, 1, (2, 20_000))
    started = process_time()
    assert Polygon.of(ring, []).holds(lon, lat).tolist() == (np.hypot(lon, lat) < 1).tolist()
    assert process_time() - started < 5
