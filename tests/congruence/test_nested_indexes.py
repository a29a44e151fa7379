"""Over an index that is nested in an array, emptiness is asked of each object of the array, as the engine does."""

from collections.abc import Callable
from random import Random

import pytest
import qdrant_edge as edge
from qdrant_client import models

from qdrantlite.values.payload import Json
from tests.congruence.twin import Twin

POINTS, FIELD = 150, "o[].p"


class Arrays(Random):
    """Draws arrays of objects, some of whose fields are missing or hold nothing, and filters on them."""

    def value(self) -> Json:
        some: list[Json] = [1, 2, "x", None, [], [None], [1, None], [2, 3], {"q": 1}]
        return self.choice(some)

    def element(self) -> Json:
        some: list[Json] = [{"p": self.value()}, {"p": self.value(), "q": 1}, {"q": 2}, {}, 5, None, [{"p": 1}]]
        return self.choice(some)

    def payload(self) -> dict[str, Json]:
        array: list[Json] = [self.element() for _ in range(self.randint(0, 3))]
        others: list[Json] = [{"p": self.value()}, None, [array], 5]
        return {"o": array if self.random() < 0.8 else self.choice(others)} if self.random() < 0.9 else {}

    def condition(self, key: str = FIELD) -> models.Condition:
        some: list[models.Condition] = [
            models.IsEmptyCondition(is_empty=models.PayloadField(key=key)),
            models.IsNullCondition(is_null=models.PayloadField(key=key)),
            models.FieldCondition(key=key, is_empty=self.random() < 0.5),
            models.FieldCondition(key=key, is_null=self.random() < 0.5),
            models.FieldCondition(key=key, match=models.MatchValue(value=self.choice([1, 2]))),
            models.FieldCondition(key=key, range=models.Range(gte=2)),
            models.FieldCondition(key=key, values_count=models.ValuesCount(gte=self.randint(1, 2))),
        ]
        return self.choice(some)

    def filter(self) -> models.Filter:
        lists = [[self.condition() for _ in range(self.choice([0, 1, 2]))] for _ in range(3)]
        least = [self.condition() for _ in range(3)]
        return models.Filter(
            must=[*lists[0], models.Filter(should=[self.condition()])],
            should=lists[1] or None,
            must_not=lists[2] or None,
            min_should=models.MinShould(conditions=least, min_count=2) if self.random() < 0.2 else None,
        )


@pytest.mark.parametrize("nested", ["o", "o[]", None])
def test_emptiness_is_asked_of_each_object(make_twin: Callable[..., Twin], nested: str | None) -> None:
    chance = Arrays(f"{nested}")
    twin = make_twin(dense=models.VectorParams(size=1, distance=models.Distance.DOT))
    ours = models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, nested=nested)
    twin.ours.create_payload_index(twin.name, FIELD, ours)
    twin.theirs.update(edge.UpdateOperation.create_field_index(FIELD, edge.IntegerIndexParams(nested=nested)))
    twin.upsert([models.PointStruct(id=at, vector=[1.0], payload=chance.payload()) for at in range(POINTS)])
    passed = 0
    for _ in range(80):
        given = chance.filter()
        ids, theirs = twin.passing(given)
        assert ids == theirs, given
        passed += 0 < len(ids) < POINTS
    assert passed > 20
