"""Integers and floats at the ends of 64 bits: ranges, matches and orders, with and without indexes."""

from collections.abc import Iterator, Sequence
from itertools import product
from math import inf, nan

import pytest
from qdrant_client import QdrantClient, models

from tests.congruence.twin import Twin

# The engine reads a float from its JSON with an error of up to one bit: these are read right.
ENDS = (2**63 - 1, 2**63 - 2, 2**63 - 1024, -(2**63), 1 - 2**63, 2.0**63, -(2.0**63), 1e19, -1e19, 1e300)
VALUES = (*ENDS, 0, 1, 2, -1, -2, 1.0, -0.0, 2.5, -1.5, 5e-324)
BOUNDS = (2.0**63, 2.0**63 - 1024, -(2.0**63), 1e19, -1e19, inf, -inf, 0.0, 1.0, 0.5, -0.5, 1.5, -1.5, 2.5)
KEYS = ("plain", "integer", "float")


@pytest.fixture(scope="module")
def twin(client: QdrantClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    dense = models.VectorParams(size=1, distance=models.Distance.DOT)
    twin = Twin(client, tmp_path_factory.mktemp("numbers"), name="numbers", dense=dense)
    twin.index("integer", models.PayloadSchemaType.INTEGER)
    twin.index("float", models.PayloadSchemaType.FLOAT)
    points = [models.PointStruct(id=at, vector=[1.0], payload=dict.fromkeys(KEYS, v)) for at, v in enumerate(VALUES)]
    twin.upsert(points)
    yield twin
    twin.close()


def check(twin: Twin, conditions: Sequence[models.FieldCondition]) -> None:
    for condition in conditions:
        ours, theirs = twin.passing(models.Filter(must=[condition]))
        assert ours == theirs, condition


@pytest.mark.parametrize("bound", ["gt", "gte", "lt", "lte"])
def test_ranges(twin: Twin, bound: str) -> None:
    ranges = [models.Range(**{bound: number}) for number in BOUNDS]
    check(twin, [models.FieldCondition(key=key, range=each) for key, each in product(KEYS, ranges)])
    # Under a float index the engine breaks down at NaN.
    missing = models.Range(**{bound: nan})
    check(twin, [models.FieldCondition(key=key, range=missing) for key in ("plain", "integer")])


@pytest.mark.parametrize("key", KEYS)
def test_matches(twin: Twin, key: str) -> None:
    for number in (number for number in VALUES if isinstance(number, int)):
        matches = (
            models.MatchValue(value=number),
            models.MatchAny(any=[number]),
            models.MatchExcept(**{"except": [number]}),
        )
        check(twin, [models.FieldCondition(key=key, match=match) for match in matches])


@pytest.mark.parametrize("key", ["integer", "float"])
@pytest.mark.parametrize("direction", models.Direction)
def test_orders(twin: Twin, key: str, direction: models.Direction) -> None:
    for start in (None, *(number for number in BOUNDS if abs(number) != inf)):
        order = models.OrderBy(key=key, direction=direction, start_from=start)
        ours, theirs = twin.ordered(order, limit=100)
        assert [value for _, value in ours] == [value for _, value in theirs], start
        assert {point_id for point_id, _ in ours} == {point_id for point_id, _ in theirs}


def test_counts_of_indexed_points(twin: Twin) -> None:
    schema = twin.ours.get_collection(twin.name).payload_schema
    assert {key: info.points for key, info in schema.items()} == twin.indexed_points()
