"""Grouped searches against Qdrant's own loop of requests, driven here over the reference engine.

The engine has no groups; the loop above it is short. Which groups and points there are must agree; where equal scores
leave that to chance nothing is compared. Scores agree, but those that a fusion gives to what later requests found.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

from tests.congruence import in_edge_words as words
from tests.congruence.twin import Twin

Key = int | str
REQUESTS = 5
DENSE = {
    "dot": models.VectorParams(size=4, distance=models.Distance.DOT),
    "euclid": models.VectorParams(size=4, distance=models.Distance.EUCLID),
}
SPARSE = {"sparse": models.SparseVectorParams()}
KEYS = ("number", "number_plain", "word", "word_plain", "several", "mixed", "mixed[]")
DBSF = models.FusionQuery(fusion=models.Fusion.DBSF)


class Random(random.Random):
    """Points of which many belong to one document, and searches with short prefetches."""

    def vector(self, name: str) -> Any:
        if name in SPARSE:
            indices = self.sample(range(8), self.randint(2, 5))
            return models.SparseVector(indices=indices, values=[self.gauss(0.5, 1) for _ in indices])
        return [self.gauss(0.3, 1) for _ in range(4)]

    def point(self, number: int) -> models.PointStruct:
        document = self.choice([1, 1, 1, 2, 2, 3, 4, 5, -6, 7, 8, 9, 10, 11])
        other = self.choice([1, 2, 3, 4, 5, 6])
        mixed: list[Any] = [document, f"d{document}", [document, other], [f"d{document}", document], [document, "d1"]]
        payload = {
            "number": document,
            "number_plain": document,
            "word": f"d{document}",
            "word_plain": f"d{document}",
            "several": [f"d{document}", f"d{other}", f"d{document}"],
            "mixed": self.choice([*mixed, [document, 1.5], None, [], True, {"a": 1}, [[document]]]),
            "order": number * 37 % 1009,
        }
        vectors = {name: self.vector(name) for name in (*DENSE, *SPARSE) if self.random() < 0.9}
        kept = {key: value for key, value in payload.items() if self.random() < 0.95}
        return models.PointStruct(id=number, vector=vectors, payload=kept)

    def leaf(self) -> models.Prefetch:
        name = self.choice([*DENSE, *SPARSE])
        query = self.vector(name)
        if self.random() < 0.1:
            return models.Prefetch(query=by_order(), limit=self.randint(3, 30))
        return models.Prefetch(query=query, using=name, limit=self.randint(3, 30), filter=self.filter())

    def filter(self) -> models.Filter | None:
        bounds = models.Range(lt=self.randint(300, 1009))
        return models.Filter(must=[models.FieldCondition(key="order", range=bounds)]) if self.random() < 0.3 else None

    def search(self) -> models.Prefetch:
        limit, name = self.randint(1, 6), self.choice([*DENSE, *SPARSE])
        kind = self.random()
        if kind < 0.15:
            return models.Prefetch(query=self.vector(name), using=name, limit=limit, filter=self.filter())
        if kind < 0.2:
            return models.Prefetch(query=by_order(), limit=limit)
        leaves = [self.leaf() for _ in range(self.randint(1, 3))]
        if self.random() < 0.3:
            rescored = {"query": self.vector("dot"), "using": "dot", "limit": self.randint(3, 20)}
            leaves[0] = models.Prefetch(prefetch=[leaves[0], self.leaf()], **rescored)
        asked: dict[str, Any] = {"prefetch": leaves, "limit": limit, "filter": self.filter()}
        if kind < 0.5:
            return models.Prefetch(query=self.vector(name), using=name, **asked)
        if kind < 0.7:
            weights = [1 + 0.37 * place for place in range(len(leaves))]
            return models.Prefetch(query=models.RrfQuery(rrf=models.Rrf(weights=weights)), **asked)
        return models.Prefetch(query=DBSF if kind < 0.93 else by_order(), **asked)


CHANCE = Random(11)
POINTS = [CHANCE.point(number) for number in range(200)]


def by_order() -> models.OrderByQuery:
    return models.OrderByQuery(order_by=models.OrderBy(key="order"))


@dataclass
class Loop:
    """What the requests have brought: by group its points, each with its place in the order from best to worst."""

    limit: int
    size: int
    smaller_is_better: bool
    late_first: bool
    groups: dict[Key, dict[Any, tuple[float, int]]] = field(default_factory=dict)
    scores: dict[Any, float] = field(default_factory=dict)
    seen: int = 0

    def add(self, hits: list[Any], group_by: str) -> None:
        for hit in hits:
            score = hit.score if self.smaller_is_better else -hit.score
            self.seen += 1
            place = score, -self.seen if self.late_first else self.seen
            for key in keys_of(POINTS[hit.id].payload or {}, group_by):
                self.groups.setdefault(key, {}).setdefault(hit.id, place)
                self.scores.setdefault(hit.id, hit.score)

    def full(self) -> list[Key]:
        return [key for key, points in self.groups.items() if len(points) >= self.size]

    def best(self) -> list[Key]:
        return sorted(self.groups, key=lambda key: min(self.groups[key].values()))[: self.limit]

    def unfilled(self) -> list[Key]:
        full = self.full()
        return [key for key in self.best() if key not in full]

    @property
    def done(self) -> bool:
        return len(self.groups) >= self.limit and not self.unfilled()

    def members(self) -> dict[Key, set[Any]]:
        return {key: {*sorted(self.groups[key], key=self.groups[key].__getitem__)[: self.size]} for key in self.best()}


def keys_of(payload: dict[str, Any], group_by: str) -> list[Key]:
    value = payload.get(group_by.removesuffix("[]"))
    if group_by.endswith("[]"):
        opened = (
            [part for each in value for part in (each if isinstance(each, list) else [each])]
            if isinstance(value, list)
            else []
        )
    else:
        opened = value if isinstance(value, list) else [value]
    if any(isinstance(each, bool) or not isinstance(each, int | str) for each in opened):
        return []
    return list(dict.fromkeys(opened))


def looped(twin: Twin, stage: models.Prefetch, group_by: str, size: int, *, late_first: bool) -> tuple[Loop, bool]:
    """The loop over the engine, and whether a tie was cut somewhere."""
    assert stage.limit is not None
    loop = Loop(stage.limit, size, stage.using == "euclid", late_first)
    widened = enlarged(stage, size)
    wanted, cut = stage.limit * size, False
    first: dict[Any, float] | None = None
    for collecting in (True, False):
        for _ in range(REQUESTS):
            asked = widened.model_copy(update={"filter": narrowed(stage.filter, loop, group_by, collecting=collecting)})
            request = words.search(asked.model_copy(update={"limit": wanted}), beyond=1)
            hits = twin.theirs.query(request)
            cut = cut or (len(hits) > wanted and hits[wanted].score == hits[wanted - 1].score and not ordered(stage))
            if not hits:
                break
            loop.add(hits[:wanted], group_by)
            if first is None:
                first = dict(loop.scores)
            if loop.done:
                break
        if loop.done:
            break
    loop.scores = first if fused(stage) and first is not None else loop.scores
    return loop, cut


def ordered(stage: models.Prefetch) -> bool:
    return isinstance(stage.query, models.OrderByQuery)


def fused(stage: models.Prefetch) -> bool:
    return isinstance(stage.query, models.FusionQuery | models.RrfQuery)


def enlarged(stage: models.Prefetch, size: int) -> models.Prefetch:
    assert stage.prefetch is None or isinstance(stage.prefetch, list)
    below = [enlarged(child, size) for child in stage.prefetch or []]
    longer = [child.model_copy(update={"limit": (child.limit or words.LIMIT) * size}) for child in below]
    return stage.model_copy(update={"prefetch": longer})


def narrowed(given: models.Filter | None, loop: Loop, group_by: str, *, collecting: bool) -> models.Filter:
    keys = loop.full() if collecting else loop.unfilled()
    kinds: list[list[Any]] = [[key for key in keys if isinstance(key, kind)] for kind in (int, str)]
    listed = [values for values in kinds if values]
    matches = [models.MatchExcept(**{"except": each}) if collecting else models.MatchAny(any=each) for each in listed]
    conditions: list[Any] = [models.FieldCondition(key=group_by, match=match) for match in matches]
    if conditions and not collecting:
        conditions = [models.Filter(should=conditions)]
    taken = [point for points in loop.groups.values() for point in points]
    missing: list[Any] = [models.IsEmptyCondition(is_empty=models.PayloadField(key=group_by))]
    return models.Filter(
        must=[*((given.must or []) if given else []), *conditions],
        must_not=[*missing, models.HasIdCondition(has_id=taken)] if taken else missing,
    )


def ours(twin: Twin, stage: models.Prefetch, group_by: str, size: int) -> list[models.PointGroup]:
    found = twin.ours.query_points_groups(
        twin.name,
        group_by,
        query=stage.query,
        prefetch=stage.prefetch,
        using=stage.using,
        query_filter=stage.filter,
        limit=stage.limit or words.LIMIT,
        group_size=size,
        with_payload=False,
    )
    return found.groups


def check(twin: Twin, stage: models.Prefetch, group_by: str, size: int) -> bool:
    """Whether there was something to compare; raises AssertionError where it differs."""
    loop, cut = looped(twin, stage, group_by, size, late_first=False)
    again, _ = looped(twin, stage, group_by, size, late_first=True)
    groups = ours(twin, stage, group_by, size)
    best = [group.hits[0].score for group in groups]
    assert best == sorted(best, reverse=not loop.smaller_is_better)
    if cut or (loop.members() != again.members() and not ordered(stage)):
        return False
    found = {group.id: {hit.id for hit in group.hits} for group in groups}
    assert found == loop.members(), (stage.model_dump(exclude_none=True), group_by, size)
    for group in groups:
        for hit in group.hits:
            assert hit.score == pytest.approx(loop.scores.get(hit.id, hit.score), abs=2e-5)
    return bool(found)


@pytest.fixture(scope="module")
def twin(client: QdrantClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    twin = Twin(client, tmp_path_factory.mktemp("groups"), name="groups", dense=DENSE, sparse=SPARSE)
    twin.index("order", models.PayloadSchemaType.INTEGER)
    twin.index("number", models.PayloadSchemaType.INTEGER)
    twin.index("word", models.PayloadSchemaType.KEYWORD)
    twin.index("several", models.PayloadSchemaType.KEYWORD)
    twin.upsert(POINTS)
    yield twin
    twin.close()


@pytest.mark.parametrize("key", KEYS)
def test_groups_follow_the_loop(twin: Twin, key: str) -> None:
    chance, compared = Random(key), 0
    for _ in range(18):
        compared += check(twin, chance.search(), key, chance.randint(1, 4))
    assert compared > 9
