"""Random filters over random payloads, with and without indexes, against the reference engine."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

from qdrantlite.values.payload import Json
from tests.congruence.twin import Twin

KINDS = models.PayloadSchemaType
INDEXED = ("a", "b", "c", "a.a", "a.b", "a[].a", "a[].b", "b[]", "c[0]")
WORDS = ("x", "y", "xy", "")
NUMBERS = (0, 1, 2, 3, -1, 2**53 + 1)
BOUNDS = (None, None, 0.0, 1.0, 1.5, 2.0, -3.0, 1e30)
POINTS = 120


class Random(random.Random):
    """Payloads and filters."""

    depth_max = 2

    def value(self, depth: int = 0) -> Json:
        kind = self.random()
        if depth < 2 and kind < 0.2:
            return {key: self.value(depth + 1) for key in self.sample("abc", self.randint(0, 3))}
        if depth < 2 and kind < 0.5:
            return [self.value(depth + 1) for _ in range(self.randint(0, 3))]
        return self.choice([None, *NUMBERS, 1.0, 2.5, True, False, *WORDS, "X", [], {}])

    def path(self) -> str:
        steps = (".a", ".b", "[]", "[0]", "[1]", "[].a", "[].b")
        return self.choice("abc") + "".join(self.choice(steps) for _ in range(self.choice([0, 0, 0, 1, 1, 2])))

    def predicate(self) -> dict[str, Any]:
        several = self.choice([WORDS, NUMBERS])
        some: list[Any] = self.sample(several, self.randint(1, 2))
        match self.randint(0, 9):
            case 0:
                return {"match": models.MatchAny(any=some)}
            case 1:
                return {"match": models.MatchExcept(**{"except": some})}
            case 2:
                return {"match": models.MatchPrefix(prefix=self.choice(WORDS))}
            case 3:
                return {"match": models.MatchSubstring(substring=self.choice(WORDS))}
            case 4 | 5:
                # Of "gt" and "gte" together an index of the engine sees one only.
                low, high = self.choice(["gt", "gte"]), self.choice(["lt", "lte"])
                return {"range": models.Range(**{low: self.choice(BOUNDS), high: self.choice(BOUNDS)})}
            case 6:
                low, high = self.choice(["gt", "gte"]), self.choice(["lt", "lte"])
                bounds = {low: self.choice([None, 0, 1]), high: self.choice([None, 1, 2])}
                return {"values_count": models.ValuesCount(**bounds)}
            case 7:
                return {"is_empty": self.random() < 0.5}
            case 8:
                return {"is_null": self.random() < 0.5}
            case _:
                return {"match": models.MatchValue(value=some[0])}

    def condition(self, depth: int) -> Any:
        kind = self.random()
        if kind < 0.05:
            return models.HasIdCondition(has_id=self.sample(range(POINTS + 9), 30))
        if kind < 0.1:
            return models.HasVectorCondition(has_vector=self.choice(["v", "w", "unknown"]))
        if kind < 0.15:
            return models.IsEmptyCondition(is_empty=models.PayloadField(key=self.path()))
        if kind < 0.2:
            return models.IsNullCondition(is_null=models.PayloadField(key=self.path()))
        if kind < 0.35 and depth < self.depth_max:
            return models.NestedCondition(nested=models.Nested(key=self.path(), filter=self.filter(depth + 1)))
        if kind < 0.45 and depth < self.depth_max:
            return self.filter(depth + 1)
        return models.FieldCondition(key=self.path(), **self.predicate())

    def filter(self, depth: int = 0) -> models.Filter:
        def some(weight: int) -> list[Any] | None:
            wanted = self.choice([0] * 3 + [1] * weight)
            return [self.condition(depth) for _ in range(self.randint(1, 3))] if wanted else None

        least = None
        if self.random() < 0.15:
            conditions = [self.condition(depth) for _ in range(self.randint(1, 4))]
            least = models.MinShould(conditions=conditions, min_count=self.randint(1, 3))
        made = models.Filter(must=some(3), should=some(2), must_not=some(1), min_should=least)
        return made if made.model_dump(exclude_none=True) else models.Filter(must=[self.condition(depth)])


@pytest.mark.parametrize("kind", [None, KINDS.KEYWORD, KINDS.INTEGER, KINDS.FLOAT, KINDS.BOOL])
def test_filters_pass_the_same_points(make_twin: Callable[..., Twin], kind: models.PayloadSchemaType | None) -> None:
    chance = Random(f"{kind}")
    params = models.VectorParams(size=1, distance=models.Distance.DOT)
    twin = make_twin(dense={"v": params, "w": params})
    indexed = INDEXED if kind is not None else ()
    for field in indexed[::2]:
        twin.index(field, kind)  # type: ignore[arg-type]  # without a kind nothing is indexed
    both: Any = {"v": [1.0], "w": [2.0]}
    twin.upsert(
        [
            models.PointStruct(
                id=number,
                vector=both if number % 3 else {"v": [1.0]},
                payload={key: chance.value() for key in chance.sample("abc", chance.randint(0, 3))},
            )
            for number in range(POINTS)
        ]
    )
    for field in indexed[1::2]:
        twin.index(field, kind)  # type: ignore[arg-type]  # as above
    passed = 0
    for _ in range(140):
        given = chance.filter()
        ours, theirs = twin.passing(given)
        assert ours == theirs, given
        assert twin.ours.count(twin.name, given).count == len(ours)
        passed += len(ours)
    assert passed > 150


@pytest.fixture
def local() -> Iterator[QdrantClient]:
    client = QdrantClient(":memory:")
    yield client
    client.close()


def test_bools_are_no_numbers(client: QdrantClient, local: QdrantClient) -> None:
    """The engine's binding cannot ask for a bool, so the local mode answers."""
    fields: list[Json] = [True, False, 1, 0, "true", [True, 2], [False, None], None, [[True]]]
    found = []
    for each in (client, local):
        each.create_collection("bools", vectors_config={})
        points = [models.PointStruct(id=i, vector={}, payload={"k": field}) for i, field in enumerate(fields)]
        each.upsert("bools", points)
        for value in (True, False):
            condition = models.FieldCondition(key="k", match=models.MatchValue(value=value))
            found.append([p.id for p in each.scroll("bools", models.Filter(must=[condition]))[0]])
    client.create_payload_index("bools", "k", KINDS.BOOL)
    for value in (True, False):
        condition = models.FieldCondition(key="k", match=models.MatchValue(value=value))
        found.append([p.id for p in client.scroll("bools", models.Filter(must=[condition]))[0]])
    assert found[:2] == found[2:4] == found[4:] == [[0, 5], [1, 6]]
    client.delete_collection("bools")
