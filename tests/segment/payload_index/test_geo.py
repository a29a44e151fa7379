"""Areas are found by going down rectangles of the map, and hold exactly the points that testing each of them tells."""

import numpy as np
import pytest

from qdrantlite.query.elements import area_test
from qdrantlite.query.filter import GeoBoundingBox, GeoPolygon, GeoRadius
from qdrantlite.segment.bitmaps import bitmap_of
from qdrantlite.segment.payload_index import geo
from qdrantlite.segment.payload_index.geo import Area, GeoKind, Places
from qdrantlite.values.geo import F64, GeoPoint
from qdrantlite.values.payload import Json

POINTS = 20_000


def scattered(rng: np.random.Generator) -> tuple[F64, F64]:
    """Points everywhere, in clusters, near the poles, along the antimeridian and on edges of rectangles."""
    size = POINTS // 5
    centers = rng.uniform((-180, -90), (180, 90), (8, 2))[rng.integers(0, 8, size)]
    parts = [
        rng.uniform((-180, -90), (180, 90), (size, 2)),
        centers + rng.normal(0, 0.01, (size, 2)),
        np.stack([rng.uniform(-180, 180, size), 90 - rng.exponential(0.5, size)], axis=1)
        * rng.choice([-1, 1], (size, 1)),
        np.stack([180 - rng.exponential(0.5, size), rng.normal(0, 30, size)], axis=1) * rng.choice([-1, 1], (size, 1)),
        np.stack([rng.integers(-16, 17, size) * 11.25, rng.integers(-16, 17, size) * 5.625], axis=1),
    ]
    lon, lat = np.concatenate(parts).T
    return np.clip(lon, -180, 180), np.clip(lat, -90, 90)


def an_area(rng: np.random.Generator, lon: F64, lat: F64) -> Area:
    """Around one of the points, of any size."""
    at = int(rng.integers(0, POINTS))
    x, y, size = float(lon[at]), float(lat[at]), float(10 ** rng.uniform(-3, 2))
    kind = rng.integers(0, 3)
    if kind == 0:
        return GeoRadius(GeoPoint(x, y), size * 200_000)
    if kind == 1:
        left, right = x - size * rng.random(), x + size * rng.random()
        top, bottom = min(90.0, y + size), max(-90.0, y - size)
        box = [left + 360 * (left < -180), right - 360 * (right > 180)]
        return GeoBoundingBox(
            GeoPoint(float(np.clip(box[0], -180, 180)), top), GeoPoint(float(np.clip(box[1], -180, 180)), bottom)
        )
    exterior, hole = (_ring(rng, x, y, size * part, int(rng.integers(3, 40))) for part in (1, 0.4))
    return GeoPolygon(exterior, (hole,) if rng.random() < 0.5 else ())


def _ring(rng: np.random.Generator, x: float, y: float, size: float, count: int) -> tuple[GeoPoint, ...]:
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    radii = size * rng.uniform(0.2, 1, count)
    lon, lat = np.clip(x + radii * np.cos(angles), -180, 180), np.clip(y + radii * np.sin(angles), -90, 90)
    points = [GeoPoint(*pair) for pair in zip(lon.tolist(), lat.tolist(), strict=True)]
    return (*points, points[0])


@pytest.mark.parametrize("few", [0, 500])
@pytest.mark.parametrize("seed", range(3))
def test_areas_hold_the_points_inside(seed: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geo, "FEW", few)
    rng = np.random.default_rng(seed)
    lon, lat = scattered(rng)
    offsets = rng.permutation(POINTS).astype(np.uint32)
    places = Places.of(lon, lat, offsets)
    sizes = []
    for _ in range(60):
        area = an_area(rng, lon, lat)
        wanted = bitmap_of(offsets[area_test(area)(lon, lat)])
        assert places.match(area) == wanted, area
        sizes.append(len(wanted))
    assert min(sizes) < 10
    assert max(sizes) > POINTS / 10


def test_whole_globe_and_nothing() -> None:
    lon, lat = scattered(np.random.default_rng(9))
    places = Places.of(lon, lat, np.arange(POINTS, dtype=np.uint32))
    everywhere = places.match(GeoRadius(GeoPoint(10.0, 50.0), 1e30))
    assert everywhere == bitmap_of(np.arange(POINTS, dtype=np.uint32))
    for radius in (0.0, -1.0, float("nan")):
        assert places.match(GeoRadius(GeoPoint(0.0, 0.0), radius)) == bitmap_of(np.empty(0, dtype=np.uint32))


def test_points_beyond_the_globe_are_not_held() -> None:
    elements: list[list[Json]] = [
        [{"lon": 180.0, "lat": -90.0}],
        [{"lon": 180.1, "lat": 0.0}],
        [{"lon": 0.0, "lat": 91.0}],
    ]
    places = GeoKind().build(np.arange(3, dtype=np.uint32), elements)
    assert places.offsets.tolist() == [0]
