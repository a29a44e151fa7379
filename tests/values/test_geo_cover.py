"""What is said of whole rectangles holds for the points in them."""

import numpy as np
import pytest

from qdrantlite.values.geo import EARTH_RADIUS_M, GeoPoint, within_radius
from qdrantlite.values.geo_cover import INSIDE, OPEN, OUTSIDE, Rectangles, radius_verdicts

GRID = np.linspace(0, 1, 21)


@pytest.mark.parametrize("width", [90.0, 22.5, 1.0])
def test_rectangles_are_as_their_points(width: float) -> None:
    """Around the middle of the circle, around the point opposite to it, and anywhere; small and large circles."""
    rng = np.random.default_rng(int(width))
    said = []
    for number in range(600):
        center = GeoPoint(float(rng.uniform(-180, 180)), float(rng.uniform(-90, 90)))
        opposite = (center.lon - 180 * np.sign(center.lon), -center.lat)
        lon, lat = ((center.lon, center.lat), opposite, rng.uniform((-180, -90), (180, 90)))[number % 3]
        west, south = lon - width * rng.random(), lat - width / 2 * rng.random()
        cell = Rectangles(*(np.array([edge]) for edge in (west, west + width, south, min(90, south + width / 2))))
        x, y = (side.ravel() for side in np.meshgrid(west + width * GRID, np.clip(south + width / 2 * GRID, -90, 90)))
        share = 10 ** rng.uniform(-4, 0)
        radius = float(np.pi * EARTH_RADIUS_M * (share, 1 - share)[number % 2])
        within = within_radius(x, y, center=center, radius_m=radius)
        verdict = int(radius_verdicts(cell, center=center, radius_m=radius)[0])
        assert verdict == OPEN or within.all() == within.any() == (verdict == INSIDE)
        said.append(verdict)
    assert min(said.count(each) for each in (OUTSIDE, OPEN, INSIDE)) > 30
