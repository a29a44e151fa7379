"""Conditions on texts, dates and UUIDs, at the ends of paths and in nested filters, with indexes on some paths."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from qdrant_client import models

from qdrantlite.values.payload import Json
from tests.congruence.random_conditions import RandomConditions
from tests.congruence.test_filters import INDEXED, POINTS
from tests.congruence.test_unindexed_conditions import compare
from tests.congruence.twin import Twin

KINDS = models.PayloadSchemaType
UUIDS = (f"{UUID(int=1)}", f"{UUID(int=2**127)}".upper(), UUID(int=2**127).hex, f"urn:uuid:{UUID(int=3)}")


class RandomUuids(RandomConditions):
    """With UUIDs among the values and the matches. (A datetime index of the engine finds no strings that are UUIDs.)"""

    def value(self, depth: int = 0) -> Json:
        return self.choice(UUIDS) if self.random() < 0.15 else super().value(depth)

    def predicate(self) -> dict[str, Any]:
        if self.random() < 0.8:
            return super().predicate()
        some = self.sample([*UUIDS, "x"], self.randint(1, 3))
        return {
            "match": self.choice(
                [models.MatchAny(any=some), models.MatchExcept(**{"except": some}), models.MatchValue(value=some[0])]
            )
        }


def chance_of(kind: models.PayloadSchemaType, seed: int) -> RandomConditions:
    return RandomUuids(f"{seed}") if kind is KINDS.UUID else RandomConditions(f"{kind.value} {seed}")


def filled(make_twin: Callable[..., Twin], chance: RandomConditions, kind: models.PayloadSchemaType) -> Twin:
    """A twin with indexes, half of them made when the points are there."""
    twin = make_twin(dense=models.VectorParams(size=1, distance=models.Distance.DOT))
    for field in INDEXED[::2]:
        twin.index(field, kind)
    payloads = [{key: chance.value() for key in chance.sample("abc", chance.randint(1, 3))} for _ in range(POINTS)]
    twin.upsert([models.PointStruct(id=at, vector=[1.0], payload=each) for at, each in enumerate(payloads)])
    for field in INDEXED[1::2]:
        twin.index(field, kind)
    twin.set_payload(range(0, POINTS, 9), {"a": chance.value()})
    return twin


@pytest.mark.parametrize("kind", [KINDS.DATETIME, KINDS.UUID, KINDS.TEXT])
def test_filters_pass_the_same_points(make_twin: Callable[..., Twin], kind: models.PayloadSchemaType) -> None:
    chance = chance_of(kind, 0)
    twin = filled(make_twin, chance, kind)
    ours = twin.ours.get_collection(twin.name).payload_schema
    assert {key: info.points for key, info in ours.items()} == twin.indexed_points()
    compare(twin, chance, 200)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
@pytest.mark.parametrize("kind", [KINDS.DATETIME, KINDS.UUID, KINDS.TEXT])
def test_many_filters_pass_the_same_points(
    make_twin: Callable[..., Twin], kind: models.PayloadSchemaType, seed: int
) -> None:
    chance = chance_of(kind, seed)
    compare(filled(make_twin, chance, kind), chance, 400)


def test_points_come_in_the_order_of_dates(make_twin: Callable[..., Twin]) -> None:
    chance = RandomConditions("order")
    twin = filled(make_twin, chance, KINDS.DATETIME)
    for key in ("a", "b", "a[].a"):
        for direction in models.Direction:
            for start in (None, 1_582_934_400_000_000, chance.moment()):
                order = models.OrderBy(key=key, direction=direction, start_from=start)
                ours, theirs = twin.ordered(order, POINTS)
                assert [value for _, value in ours] == [value for _, value in theirs], order
                assert sorted(ours) == sorted(theirs), order
