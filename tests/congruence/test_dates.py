"""Texts near to dates: by its index on them the reference engine tells which are dates and what moments they mean."""

import random
from pathlib import Path

import pytest
import qdrant_edge as edge

from qdrantlite.values.dates import parse_instant

TEXTS = ("2020-01-02T03:04:05Z", "2020-01-02T03:04:05+01:00", "2020-01-02T03:04:05.25-0130", "2020-01-02 03:04:05")
MORE = (
    "2020-01-02 03:04",
    "2020-01-02",
    "2024-02-29 03:04:05.5 UTC",
    "-0001-12-31T23:59:60.999999+23:59",
    "2020-1-2T3:4:5+01",
)
PIECES = (
    "203:04",
    "02903:",
    " ",
    "  ",
    ":",
    "-",
    "+",
    "Z",
    "z",
    "T",
    "t",
    ".",
    "0",
    "1",
    "9",
    "60",
    "59",
    "23",
    "24",
    "12",
)
OTHERS = ("13", "31", "30", "29", "00", "UTC", "\u2212", "\u00a0", "\t", "5", "", "\x1c", "\u3000", "\u0663")


def garbled(chance: random.Random) -> str:
    """A date with up to three pieces put in, taken out or replaced."""
    text = chance.choice(TEXTS + MORE)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 2, 3])):
        at, kept = chance.randrange(len(text) + 1), chance.choice([0, 1, 2])
        text = text[:at] + chance.choice(PIECES + OTHERS) + text[at + kept :]
    return text


def compare(folder: Path, texts: list[str]) -> None:
    """Both sides read the same moments."""
    params = edge.EdgeVectorParams(size=1, distance=edge.Distance.Dot)
    shard = edge.EdgeShard.create(str(folder / "dates"), edge.EdgeConfig(vectors={"v": params}))
    shard.update(edge.UpdateOperation.create_field_index("k", edge.PayloadSchemaType.Datetime))
    points = [edge.Point(number, {"v": [1.0]}, {"k": text}) for number, text in enumerate(texts)]
    shard.update(edge.UpdateOperation.upsert_points(points))
    order = edge.OrderBy("k", edge.Direction.Asc, None)
    theirs = {
        int(f"{hit.id}"): hit.order_value for hit in shard.query(edge.QueryRequest(limit=len(texts), query=order))
    }
    shard.close()
    read = [(number, parse_instant(text)) for number, text in enumerate(texts)]
    ours = {number: moment.micros for number, moment in read if moment is not None}
    assert [(number, ours.get(number), moment) for number, moment in theirs.items() if ours.get(number) != moment] == []
    assert ours.keys() == theirs.keys()
    assert len(ours) > len(texts) / 5


def test_garbled_dates_are_read_alike(tmp_path: Path) -> None:
    chance = random.Random(1)
    compare(tmp_path, [garbled(chance) for _ in range(3000)])


@pytest.mark.slow
def test_many_garbled_dates_are_read_alike(tmp_path: Path) -> None:
    chance = random.Random(2)
    compare(tmp_path, [garbled(chance) for _ in range(100_000)])
