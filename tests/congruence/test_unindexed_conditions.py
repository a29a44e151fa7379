"""Conditions on texts, dates, places and slices of ids, at the ends of paths and in nested filters, without indexes."""

from collections.abc import Callable
from uuid import UUID

import pytest
from qdrant_client import models

from tests.congruence.random_conditions import RandomConditions
from tests.congruence.test_filters import POINTS
from tests.congruence.twin import Twin

SCATTER = 0x9E3779B97F4A7C15F39CC0605CEDC835


def filled(make_twin: Callable[..., Twin], chance: RandomConditions) -> Twin:
    """A twin of points with ids of both kinds."""
    params = models.VectorParams(size=1, distance=models.Distance.DOT)
    twin = make_twin(dense={"v": params, "w": params})
    uuids = [str(UUID(int=number * SCATTER % 2**128)) for number in range(POINTS)]
    ids = [number if number % 3 else uuids[number] for number in range(POINTS)]
    payloads = [{key: chance.value() for key in chance.sample("abc", chance.randint(1, 3))} for _ in ids]
    points = [
        models.PointStruct(id=point_id, vector={"v": [1.0]}, payload=payload)
        for point_id, payload in zip(ids, payloads, strict=True)
    ]
    twin.upsert(points)
    return twin


def compare(twin: Twin, chance: RandomConditions, filters: int) -> None:
    """Both sides let the same points through."""
    passed = 0
    for _ in range(filters):
        given = chance.filter()
        ours, theirs = twin.passing(given)
        assert ours == theirs, given
        passed += 0 < len(ours) < POINTS
    assert passed > filters / 8


@pytest.mark.parametrize("seed", range(2))
def test_filters_pass_the_same_points(make_twin: Callable[..., Twin], seed: int) -> None:
    chance = RandomConditions(seed)
    compare(filled(make_twin, chance), chance, 280)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_many_filters_pass_the_same_points(make_twin: Callable[..., Twin], seed: int) -> None:
    chance = RandomConditions(seed)
    compare(filled(make_twin, chance), chance, 520)


def test_writes_by_filter_choose_the_same_points(make_twin: Callable[..., Twin]) -> None:
    chance = RandomConditions("writes")
    twin = filled(make_twin, chance)
    for number in range(60):
        twin.set_payload_where(chance.filter(), {"b": chance.value(), "n": number}, None)
    ours, theirs = twin.contents(with_vectors=False)
    assert ours == theirs
