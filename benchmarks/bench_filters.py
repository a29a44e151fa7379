"""How fast payload indexes find the points of one condition, how fast they are built and what they take.

A million points (``--points``), one field of each kind; every condition is asked alone, in one thread, and never twice
with the same value. ``--engine`` asks the reference engine in this process the same, as counts over its indexes. Bytes
are those of the dump, which are mapped when a collection is opened.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias
from uuid import UUID

import numpy as np
import qdrant_edge as edge
from pyroaring import AbstractBitMap

from qdrantlite.query import filter as f
from qdrantlite.segment.payload_index.index import IndexSegment, PayloadIndex, make_index
from qdrantlite.segment.payload_index.parts import Part
from qdrantlite.segment.stack import Layer, Stack
from qdrantlite.values.dates import MICROSECONDS, Instant
from qdrantlite.values.geo import GeoPoint
from qdrantlite.values.payload import Json
from qdrantlite.values.schema import FieldIndex, FieldKind, FieldParams

BATCH = 50_000
ASKED = 60
VOCABULARY = 50_000
SECONDS = 10**8
FIRST_SECOND = 1_577_836_800

Ask: TypeAlias = Callable[[random.Random], f.Predicate]


@dataclass(frozen=True)
class Field:
    """A field of all points: its index, a value of a point, and the conditions that are asked, by name."""

    schema: FieldIndex
    value: Callable[[random.Random], Json]
    asked: dict[str, Ask]


def zipf(count: int) -> Callable[[random.Random], int]:
    """Numbers below ``count``, number k as often as 1 / (k + 1)."""
    weights = np.cumsum(1 / np.arange(1, count + 1))
    return lambda chance: int(np.searchsorted(weights, chance.random() * weights[-1]))


WORD, SOME = zipf(VOCABULARY), zipf(50)


def text(chance: random.Random, count: int) -> str:
    """Words by how often they are said."""
    return " ".join([f"w{WORD(chance)}" for _ in range(count)])


def rare(chance: random.Random) -> str:
    """A word that is not among the most frequent."""
    return f"w{chance.randrange(20, VOCABULARY // 10)}"


def between(share: float) -> Ask:
    """A range that so many pass."""

    def ask(chance: random.Random) -> f.Predicate:
        low = chance.random() * (1 - share)
        return f.Range(gte=low * 10**6, lt=(low + share) * 10**6)

    return ask


def while_(share: float) -> Ask:
    """A time in which so many of the dates are."""

    def ask(chance: random.Random) -> f.Predicate:
        first = FIRST_SECOND + int(chance.random() * (1 - share) * SECONDS)
        return f.DatetimeRange(
            gte=Instant(first, chance.randrange(MICROSECONDS)), lt=Instant(first + int(share * SECONDS), 0)
        )

    return ask


def place(chance: random.Random) -> GeoPoint:
    """Anywhere in a country of ten degrees, denser at its middle."""
    return GeoPoint(10 + chance.gauss(0, 2.5), 50 + chance.gauss(0, 2.5))


def box(chance: random.Random) -> f.Predicate:
    """A box of half a degree."""
    middle = place(chance)
    return f.GeoBoundingBox(
        GeoPoint(middle.lon - 0.25, middle.lat + 0.25), GeoPoint(middle.lon + 0.25, middle.lat - 0.25)
    )


def ring(chance: random.Random) -> f.Predicate:
    """A polygon of 20 corners, half a degree wide."""
    middle = place(chance)
    angles = sorted(chance.random() * 2 * np.pi for _ in range(20))
    corners = [GeoPoint(middle.lon + 0.25 * float(np.cos(a)), middle.lat + 0.25 * float(np.sin(a))) for a in angles]
    return f.GeoPolygon((*corners, corners[0]))


def spot(chance: random.Random) -> Json:
    """A place as payloads have it."""
    found = place(chance)
    return {"lon": found.lon, "lat": found.lat}


def moment(chance: random.Random) -> Json:
    """A date to the second, within three years."""
    return f"{np.datetime64(FIRST_SECOND + chance.randrange(SECONDS), 's')}Z"


FIELDS = {
    "keyword": Field(
        FieldIndex(FieldKind.KEYWORD),
        lambda chance: f"kind {SOME(chance)}",
        {"match (50 values)": lambda chance: f.MatchKeyword(f"kind {SOME(chance)}")},
    ),
    "tenant": Field(
        FieldIndex(FieldKind.KEYWORD),
        lambda chance: f"tenant {chance.randrange(10_000)}",
        {
            "match (10,000 values)": lambda chance: f.MatchKeyword(f"tenant {chance.randrange(10_000)}"),
            "match any of 10": lambda chance: f.MatchAnyKeyword(
                tuple(f"tenant {chance.randrange(10_000)}" for _ in range(10))
            ),
        },
    ),
    "uuid": Field(
        FieldIndex(FieldKind.UUID),
        lambda chance: str(UUID(int=chance.randrange(10_000) << 100)),
        {"match (10,000 values)": lambda chance: f.MatchKeyword(str(UUID(int=chance.randrange(10_000) << 100)))},
    ),
    "integer": Field(
        FieldIndex(FieldKind.INTEGER),
        lambda chance: chance.randrange(10**6),
        {
            "range of 0.1 %": between(0.001),
            "range of 10 %": between(0.1),
            "range of 80 %": between(0.8),
        },
    ),
    "float": Field(
        FieldIndex(FieldKind.FLOAT), lambda chance: chance.random() * 10**6, {"range of 10 %": between(0.1)}
    ),
    "datetime": Field(
        FieldIndex(FieldKind.DATETIME),
        moment,
        {"range of 0.1 %": while_(0.001), "range of 10 %": while_(0.1), "range of 80 %": while_(0.8)},
    ),
    "bool": Field(
        FieldIndex(FieldKind.BOOL),
        lambda chance: chance.random() < 0.3,
        {"match": lambda chance: f.MatchBool(chance.random() < 0.5)},
    ),
    "geo": Field(
        FieldIndex(FieldKind.GEO),
        spot,
        {
            "radius 1 km": lambda chance: f.GeoRadius(place(chance), 1e3),
            "radius 50 km": lambda chance: f.GeoRadius(place(chance), 5e4),
            "radius 300 km": lambda chance: f.GeoRadius(place(chance), 3e5),
            "box": box,
            "polygon of 20": ring,
        },
    ),
    "text": Field(
        FieldIndex(FieldKind.TEXT, FieldParams(phrase_matching=True)),
        lambda chance: text(chance, 20),
        {
            "text, one rare word": lambda chance: f.MatchText(rare(chance)),
            "text, two frequent words": lambda chance: f.MatchText(text(chance, 2)),
            "any of two rare words": lambda chance: f.MatchTextAny(f"{rare(chance)} {rare(chance)}"),
            "phrase of two words": lambda chance: f.MatchPhrase(text(chance, 2)),
        },
    ),
}


def built(field: Field, values: Sequence[Json]) -> tuple[PayloadIndex, float]:
    """An index of one segment, and how many values a second it took."""
    started = time.perf_counter()
    index = make_index(field.schema)
    layers: list[Layer[IndexSegment]] = []
    for start in range(0, len(values), BATCH):
        batch = [[value] for value in values[start : start + BATCH]]
        layers.append(Layer(index.segment_of(np.arange(start, start + len(batch), dtype=np.uint32), batch)))
    index = PayloadIndex(index.schema, index.kind, Stack((Layer(index.merged(layers)),)))
    return index, len(values) / (time.perf_counter() - started)


def size(parts: Sequence[Part]) -> int:
    """Bytes of a dump."""
    return sum(data.nbytes if isinstance(data, np.ndarray) else len(data) for _, data in parts)


def timed(work: Callable[[f.Predicate], int], predicates: Sequence[f.Predicate]) -> tuple[float, float, float]:
    """Milliseconds: the median and the slowest of ten; and how many pass in the mean."""
    spent, passed = [], 0
    for predicate in predicates:
        started = time.perf_counter()
        passed += work(predicate)
        spent.append(1000 * (time.perf_counter() - started))
    return float(np.median(spent)), float(np.quantile(spent, 0.9)), passed / len(predicates)


def counted(index: PayloadIndex) -> Callable[[f.Predicate], int]:
    """How many points the index finds."""

    def count(predicate: f.Predicate) -> int:
        found: AbstractBitMap | None = index.match(predicate)
        assert found is not None
        return len(found)

    return count


class Engine:
    """The reference engine over one field."""

    def __init__(self, folder: Path, field: Field, values: Sequence[Json]) -> None:
        params = edge.EdgeVectorParams(size=1, distance=edge.Distance.Dot)
        self.shard = edge.EdgeShard.create(str(folder), edge.EdgeConfig(vectors={"v": params}))
        kind: Any = getattr(edge.PayloadSchemaType, field.schema.kind.value.capitalize())
        if field.schema.params is not None:
            kind = edge.TextIndexParams(phrase_matching=True)
        self.shard.update(edge.UpdateOperation.create_field_index("k", kind))
        for start in range(0, len(values), BATCH):
            points = [
                edge.Point(start + at, {"v": [1.0]}, {"k": value})
                for at, value in enumerate(values[start : start + BATCH])
            ]
            self.shard.update(edge.UpdateOperation.upsert_points(points))

    def count(self, predicate: f.Predicate) -> int:
        """How many points it counts."""
        condition = edge.FieldCondition("k", **self._said(predicate))
        request = edge.CountRequest(exact=True, filter=edge.Filter(must=[condition]))
        return int(self.shard.count(request))

    def _said(self, predicate: f.Predicate) -> dict[str, Any]:
        match predicate:
            case f.MatchKeyword(value) | f.MatchBool(value):
                return {"match": edge.MatchValue(value)}
            case f.MatchAnyKeyword(values):
                return {"match": edge.MatchAny(list(values))}
            case f.MatchText(value):
                return {"match": edge.MatchText(value)}
            case f.MatchTextAny(value):
                return {"match": edge.MatchTextAny(value)}
            case f.MatchPhrase(value):
                return {"match": edge.MatchPhrase(value)}
            case f.Range(lt=high, gte=low):
                return {"range": edge.RangeFloat(gte=low, lt=high)}
            case f.DatetimeRange(lt=high, gte=low):
                ends = [f"{np.datetime64(end.micros, 'us')}Z" for end in (low, high) if end is not None]
                return {"range": edge.RangeDateTime(gte=ends[0], lt=ends[1])}
            case f.GeoRadius(center, radius):
                return {"geo_radius": edge.GeoRadius(edge.GeoPoint(center.lon, center.lat), radius)}
            case f.GeoBoundingBox(top, bottom):
                corners = [edge.GeoPoint(each.lon, each.lat) for each in (top, bottom)]
                return {"geo_bounding_box": edge.GeoBoundingBox(*corners)}
            case f.GeoPolygon(exterior):
                return {"geo_polygon": edge.GeoPolygon([edge.GeoPoint(each.lon, each.lat) for each in exterior], [])}
            case _:
                raise NotImplementedError(predicate)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--fields", nargs="*", default=list(FIELDS), choices=list(FIELDS))
    parser.add_argument("--engine", action="store_true")
    given = parser.parse_args()
    print("| field | values/s built | bytes per value | condition | passing | p50 ms | p90 ms |", end="")
    print(" engine p50 ms |" if given.engine else "")
    for name in given.fields:
        field, chance = FIELDS[name], random.Random(name)
        values = [field.value(chance) for _ in range(given.points)]
        index, rate = built(field, values)
        per_value = size(index.stack.layers[0].segment.dump()) / given.points
        with TemporaryDirectory() as folder:
            engine = Engine(Path(folder) / "shard", field, values) if given.engine else None
            for said, ask in field.asked.items():
                predicates = list({ask(chance): None for _ in range(ASKED)})
                p50, p90, passed = timed(counted(index), predicates)
                row = f"| {name} | {rate:,.0f} | {per_value:.1f} | {said} | {passed:,.0f} | {p50:.3f} | {p90:.3f} |"
                print(row if engine is None else f"{row} {timed(engine.count, predicates)[0]:.3f} |", flush=True)


if __name__ == "__main__":
    main()
