"""Random texts, dates and places in payloads, and random conditions on them, no path indexed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from qdrant_client import models

from qdrantlite.values.payload import Json
from tests.congruence import test_filters

TEXTS = (
    *("red car", "Red CAR blue", "car", "carpet", "I\u0307stanbul", "\u0130STANBUL", "über Straße", "STRASSE", "_"),
    *("foo_bar-baz", "foo bar", "ΣΊΣΥΦΟΣ", "中文 字", "😀 car", "caf\u00e9", "cafe\u0301", "the car", "", "1 2 3"),
)
ASKED = (*TEXTS, "blue red", "car red", "bar", "Foo!", "i\u0307stanbul", "strasse", "中文", "2 3", "2 1")
MOMENT = datetime(2020, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
STEPS = [timedelta(microseconds=1), timedelta(seconds=1), timedelta(hours=1), timedelta(days=1), timedelta(days=366)]
ZONES = ("", "Z", "z", " UTC", "+01:00", "-0130", "+05", " +00:00", "+24:00", "+1")
SHAPES = ("%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y/%m/%d")
ODD_DATES = (
    *("2020-02-29T23:59:60Z", "2020-2-9", " 2020-03-01", "+12020-01-01", "0000-01-01", "2021-02-29", "now", "2020-03"),
)
DEGREES = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 89.9, 90.0)


class RandomConditions(test_filters.Random):
    """Payloads and filters with values of every kind and conditions on them."""

    depth_max = 4

    def value(self, depth: int = 0) -> Json:
        kind = self.random()
        if kind < 0.2 and depth < 2:
            return [self.value(depth + 1) for _ in range(self.randint(0, 3))]
        if kind < 0.3:
            return super().value(depth)
        if kind < 0.55:
            return self.choice(TEXTS)
        return self.date() if kind < 0.75 else self.place()

    def moment(self) -> datetime:
        return MOMENT + self.choice(STEPS) * self.randint(-2, 2)

    def date(self) -> str:
        if self.random() < 0.2:
            return self.choice(ODD_DATES)
        return self.moment().strftime(self.choice(SHAPES)) + self.choice(ZONES)

    def degrees(self, limit: float) -> float:
        near = self.choice(DEGREES)
        return self.choice([near, -near, limit - near, near - limit, round(self.uniform(-limit, limit), 3)])

    def place(self) -> Json:
        place: dict[str, Json] = {"lon": self.degrees(180), "lat": self.degrees(90)}
        if self.random() < 0.2:
            place[self.choice(["lon", "lat"])] = self.choice([1, 500.0, "1", None, True])
        return place

    def point(self) -> models.GeoPoint:
        return models.GeoPoint(lon=self.degrees(180), lat=max(-90, min(90, self.degrees(90))))

    def ring(self) -> models.GeoLineString:
        points = [self.point() for _ in range(self.randint(3, 6))]
        return models.GeoLineString(points=[*points, points[0]])

    def predicate(self) -> dict[str, Any]:
        match self.randint(0, 9):
            case 0:
                return {"match": models.MatchText(text=self.choice(ASKED))}
            case 1:
                return {"match": models.MatchTextAny(text_any=self.choice(ASKED))}
            case 2:
                return {"match": models.MatchPhrase(phrase=self.choice(ASKED))}
            case 3 | 4:
                low, high = self.choice(["gt", "gte"]), self.choice(["lt", "lte"])
                bounds = {name: self.choice([None, self.moment(), self.moment()]) for name in (low, high)}
                return {"range": models.DatetimeRange(**bounds)}
            case 5:
                radius = float(np.float32(self.choice([1.0, 1e5, 2e6, 1e7, 2.1e7]) * self.random()))
                return {"geo_radius": models.GeoRadius(center=self.point(), radius=radius)}
            case 6:
                top, bottom = sorted([self.point(), self.point()], key=lambda point: -point.lat)
                return {"geo_bounding_box": models.GeoBoundingBox(top_left=top, bottom_right=bottom)}
            case 7:
                holes = [self.ring() for _ in range(self.choice([0, 0, 1, 2]))]
                return {"geo_polygon": models.GeoPolygon(exterior=self.ring(), interiors=holes)}
            case _:
                return super().predicate()

    def condition(self, depth: int) -> Any:
        if self.random() < 0.08:
            total = self.choice([1, 2, 3, 7])
            return models.SliceCondition(slice=models.Slice(total=total, index=self.randrange(total)))
        return super().condition(depth)
