"""Filters at every level of trees of prefetches, over keys that need quotes and indexes of all kinds at once."""

from collections.abc import Callable
from typing import Any

import pytest
from qdrant_client import models

from qdrantlite.values.payload import Json
from tests.congruence.compare import assert_same
from tests.congruence.random_conditions import RandomConditions
from tests.congruence.test_unindexed_conditions import compare
from tests.congruence.twin import Twin

KINDS = models.PayloadSchemaType
INDEXES = (KINDS.KEYWORD, KINDS.INTEGER, KINDS.FLOAT, KINDS.BOOL, KINDS.TEXT, KINDS.DATETIME, KINDS.UUID)
KEYS = {"a": "a", '"b.c"': "b.c", '"d[]"': "d[]", "é-ü_1": "é-ü_1", '"sp ace"': "sp ace", '"中[0]"': "中[0]", '""': ""}
"""Keys as paths spell them, and as payloads do."""
STEPS = (*(f".{key}" for key in KEYS), "[]", "[0]", "[1]", "[].a", '[]."b.c"')
INTEGERS = (2**63 - 1, 2**63 - 2, -(2**63), 0, 1, -1, 2**53, 2**53 + 1)
FLOATS = (0.0, -0.0, 1.0, 1.5, 2.0**53, 1e300, -1e-300)
# No UUIDs: numeric indexes of the engine find no strings that are UUIDs.
WORDS = ("x", "y", "", "red car", "Red")
POINTS = 120


class Mixed(RandomConditions):
    """Values of every type at one key, and trees of searches over them."""

    depth_max = 3

    def payload(self, depth: int = 0) -> dict[str, Json]:
        """Some of the keys."""
        return {KEYS[key]: self.value(depth) for key in self.sample(list(KEYS), self.randint(1, 5))}

    def value(self, depth: int = 0) -> Json:
        kind = self.random()
        if kind < 0.15 and depth < 3:
            return self.payload(depth + 1)
        if kind < 0.35 and depth < 3:
            return [self.value(depth + 1) for _ in range(self.randint(0, 3))]
        if kind < 0.55:
            scalars: list[Json] = [*INTEGERS, *FLOATS, *WORDS]
            return self.choice(scalars)
        return super().value(depth=2)

    def path(self) -> str:
        steps = [self.choice(STEPS) for _ in range(self.choice([0, 0, 0, 1, 1, 2]))]
        return "".join([self.choice(list(KEYS)), *steps])

    def predicate(self) -> dict[str, Any]:
        if self.random() < 0.7:
            return super().predicate()
        some: list[Any] = self.sample(self.choice([INTEGERS, WORDS]), self.randint(0, 3))
        one = models.MatchValue(value=some[0]) if some else models.MatchAny(any=some)
        return {"match": self.choice([models.MatchAny(any=some), models.MatchExcept(**{"except": some}), one])}

    def row(self) -> list[float]:
        """A vector of two components."""
        return [self.gauss(0, 1), self.gauss(0, 1)]

    def loose(self) -> models.Filter:
        """A filter that lets many points through, in one of its lists."""
        half = models.HasIdCondition(has_id=self.sample(range(POINTS), POINTS // 2))
        one, other = self.condition(2), self.condition(2)
        least = models.MinShould(conditions=[half, one, other], min_count=1)
        return self.choice(
            [
                models.Filter(should=[half, one]),
                models.Filter(must=[models.Filter(should=[half, one])]),
                models.Filter(must_not=[one]),
                models.Filter(min_should=least),
            ]
        )

    def stage(self, depth: int) -> models.Prefetch:
        """A tree of searches; so many hits are asked for that no tie decides who goes up."""
        below = [self.stage(depth - 1) for _ in range(self.randint(1, 2))] if depth and self.random() < 0.8 else None
        return models.Prefetch(
            prefetch=below,
            query=self.row(),
            using=self.choice("vw"),
            filter=self.loose() if self.random() < 0.7 else None,
            limit=2 * POINTS,
        )


def filled(make_twin: Callable[..., Twin], chance: Mixed) -> Twin:
    """A twin whose points lack some vectors; half of the indexes are made before them."""
    row = models.VectorParams(size=2, distance=models.Distance.DOT)
    twin = make_twin(dense={"v": row, "w": row})
    indexed = {chance.path(): chance.choice(INDEXES) for _ in range(12)}
    early, late = list(indexed.items())[::2], list(indexed.items())[1::2]
    for path, kind in early:
        twin.index(path, kind)
    vectors: list[Any] = [{name: chance.row() for name in "vw" if chance.random() < 0.8} for _ in range(POINTS)]
    twin.upsert([models.PointStruct(id=at, vector=each, payload=chance.payload()) for at, each in enumerate(vectors)])
    for path, kind in late:
        twin.index(path, kind)
    return twin


def check(make_twin: Callable[..., Twin], seed: int, count: int) -> None:
    """So many filters, and half as many trees."""
    chance = Mixed(f"mixed {seed}")
    twin = filled(make_twin, chance)
    compare(twin, chance, count)
    cut = 0
    for _ in range(count // 2):
        tree = chance.stage(depth=2)
        ours, theirs = twin.hits(tree)
        assert_same(ours, theirs, limit=2 * POINTS)
        cut += 0 < len(ours) < POINTS // 2
    assert cut > count / 8


def test_filters_at_every_level(make_twin: Callable[..., Twin]) -> None:
    check(make_twin, 0, 100)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 20))
def test_many_filters_at_every_level(make_twin: Callable[..., Twin], seed: int) -> None:
    check(make_twin, seed, 400)
