"""Random trees of searches over every kind of vector, from the client to the vectors and back, against the engine.

Vectors and values are drawn so that ties are rare: a tie cut by a limit below may change everything above it, and the
engine settles it by chance. Where one happened, sources are compared instead (``Twin.hits`` of each of them).
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from qdrant_client import QdrantClient, models

from tests.congruence.compare import differences
from tests.congruence.twin import Twin
from tests.oracle import Hit

MULTI = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
DATATYPES = (None, models.Datatype.FLOAT16, models.Datatype.UINT8)
DENSE = {
    f"{distance.value} {datatype} {'rows' if multi else 'row'}": models.VectorParams(
        size=5, distance=distance, datatype=datatype, multivector_config=multi
    )
    for distance in models.Distance
    for datatype in DATATYPES
    for multi in (None, MULTI)
}
SPARSE = {"sparse": models.SparseVectorParams(), "idf": models.SparseVectorParams(modifier=models.Modifier.IDF)}
NAMES = (*DENSE, *SPARSE)
FUSED = (models.FusionQuery(fusion=models.Fusion.RRF), models.FusionQuery(fusion=models.Fusion.DBSF))


class Random(random.Random):
    """Points and searches."""

    def vector(self, name: str, *, empty: bool = True) -> Any:
        if name in SPARSE:
            indices = self.sample(range(12), self.randint(0 if empty else 1, 5))
            return models.SparseVector(indices=indices, values=[self.gauss(0.2, 1) for _ in indices])
        params = DENSE[name]
        scale = 150 if params.datatype is models.Datatype.UINT8 else 1
        rows = [[self.gauss(0.5, 0.6) * scale for _ in range(params.size)] for _ in range(self.randint(1, 3))]
        return rows if params.multivector_config else rows[0]

    def point(self, number: int) -> models.PointStruct:
        def number_or_two(one: Callable[[], float]) -> Any:
            return one() if self.random() < 0.7 else [one(), one()]

        # Few digits: the engine reads a float from its JSON with an error of up to one bit.
        payload = {
            "n": number_or_two(lambda: self.randint(0, 10**9)),
            "f": number_or_two(lambda: round(self.gauss(0, 3), 6)),
        }
        return models.PointStruct(
            id=number if number % 5 else str(UUID(int=number)),
            vector={name: self.vector(name) for name in NAMES if self.random() < 0.85},
            payload={key: value for key, value in payload.items() if self.random() < 0.8},
        )

    def filter(self) -> models.Filter | None:
        bounds = models.Range(gte=self.gauss(-3, 2), lt=self.choice([1.0, 5e8]))
        condition: Any = models.FieldCondition(key=self.choice("nf"), range=bounds)
        kind = self.choice(["must", "should", "must_not"])
        return models.Filter.model_validate({kind: [condition]}) if self.random() < 0.3 else None

    def threshold(self) -> float | None:
        return self.choice([None] * 4 + [0.0, 0.2, 0.5, 3.0, -1.0])

    def order(self) -> models.OrderByQuery:
        direction, start = self.choice([None, *models.Direction]), self.choice([None, None, 3, 2.5, -1, 5 * 10**8])
        return models.OrderByQuery(
            order_by=models.OrderBy(key=self.choice("nf"), direction=direction, start_from=start)
        )

    def leaf(self) -> models.Prefetch:
        limit = self.choice([1, 2, 10, 30, 300])
        if self.random() < 0.15:
            return models.Prefetch(limit=limit, filter=self.filter(), query=self.order())
        name = self.choice(NAMES)
        return models.Prefetch(
            query=self.vector(name), using=name, limit=limit, filter=self.filter(), score_threshold=self.threshold()
        )

    def tree(self, depth: int) -> models.Prefetch:
        if depth == 0 or self.random() < 0.2:
            return self.leaf()
        children = [self.tree(depth - 1) for _ in range(self.randint(1, 3))]
        asked: dict[str, Any] = {"score_threshold": self.threshold()}
        kind = self.random()
        if kind < 0.3:
            asked["query"] = self.choice(FUSED)
        elif kind < 0.5:
            weights = [self.choice([0.5, 1.0, 3.3]) for _ in children]
            rrf = models.Rrf(k=self.choice([None, 1, 7, 60]), weights=self.choice([None, weights]))
            asked["query"] = models.RrfQuery(rrf=rrf)
        elif kind < 0.6:
            asked = {"query": self.order()}
        else:
            name = self.choice(NAMES)
            asked |= {"query": self.vector(name), "using": name}
        return models.Prefetch(prefetch=children, limit=self.choice([1, 5, 40, 300]), filter=self.filter(), **asked)


@pytest.fixture(scope="module")
def twin(client: QdrantClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    chance = Random(7)
    twin = Twin(client, tmp_path_factory.mktemp("searches"), name="searches", dense=DENSE, sparse=SPARSE)
    twin.index("n", models.PayloadSchemaType.INTEGER)
    twin.upsert([chance.point(number) for number in range(60)])
    twin.index("f", models.PayloadSchemaType.FLOAT)
    twin.upsert([chance.point(number) for number in range(60, 110)])
    yield twin
    twin.close()


def once(hits: list[Hit]) -> list[Hit]:
    """What the Query API leaves of an order by value: no point twice in a row."""
    return [hit for before, hit in zip([None, *hits], hits, strict=False) if before is None or before.id != hit.id]


def check(twin: Twin, stage: models.Prefetch, offset: int = 0) -> int:
    """Compares one search; the page is cut out of the whole answer, so that ties may lie across its start."""
    assert stage.limit is not None
    ours, theirs = twin.hits(stage, beyond=300)
    if isinstance(stage.query, models.OrderByQuery):
        theirs = once(theirs)
    found = list(differences(ours, theirs, limit=stage.limit))
    assert not found, (stage.model_dump(exclude_none=True), found)
    if offset:
        page, _ = twin.hits(stage, offset=offset)
        longer, _ = twin.hits(stage.model_copy(update={"limit": stage.limit + offset}))
        assert page == longer[offset:]
    return len(ours)


def tied(twin: Twin, stage: models.Prefetch) -> bool:
    """Whether equal scores below the root could be settled in another way."""
    assert stage.prefetch is None or isinstance(stage.prefetch, list)
    for child in stage.prefetch or []:
        narrowed = child.model_copy(update={"filter": both(stage.filter, child.filter)})
        _, hits = twin.hits(narrowed, beyond=1)
        keys = Counter(hit.score if hit.order_value is None else hit.order_value for hit in hits)
        if any(count > 1 for count in keys.values()) or tied(twin, narrowed):
            return True
    return False


def both(outer: models.Filter | None, inner: models.Filter | None) -> models.Filter | None:
    """The filter of a stage below another: the lists of both, as they flow down."""
    if outer is None or inner is None:
        return outer or inner
    lists = {
        kind: [*(getattr(outer, kind) or []), *(getattr(inner, kind) or [])] for kind in ("must", "should", "must_not")
    }
    return models.Filter.model_validate({kind: conditions or None for kind, conditions in lists.items()})


@pytest.mark.parametrize("name", NAMES)
def test_nearest(twin: Twin, name: str) -> None:
    chance = Random(name)
    for _ in range(4):
        vector = chance.vector(name, empty=False)
        for limit in (1, 7, 300):
            check(twin, models.Prefetch(query=vector, using=name, limit=limit, filter=chance.filter()), offset=2)


def test_trees(twin: Twin) -> None:
    chance, compared, hits = Random(3), 0, 0
    for _ in range(160):
        stage = chance.tree(chance.choice([1, 1, 2]))
        if not tied(twin, stage):
            compared += 1
            hits += check(twin, stage, offset=chance.choice([0, 3]))
    assert compared > 70
    assert hits > 700


def test_idf_counts_points(twin: Twin) -> None:
    """Of all points those whose vector has entries count; of a corpus given, every one that has the vector."""
    chance = Random(5)
    found = 0
    for _ in range(12):
        corpus = models.Filter(must=[models.FieldCondition(key="n", range=models.Range(lt=chance.randint(0, 10**9)))])
        for given in (models.IdfScope.GLOBAL, models.IdfCorpusParams(corpus=corpus)):
            stage = models.Prefetch(query=chance.vector("idf", empty=False), using="idf", limit=200)
            found += check(twin, stage.model_copy(update={"params": models.SearchParams(idf=given)}))
    assert found > 200


@pytest.mark.parametrize("key", ["n", "f"])
@pytest.mark.parametrize("direction", models.Direction)
def test_scroll_by_value(twin: Twin, key: str, direction: models.Direction) -> None:
    """A point with two values comes twice; equal values do not occur."""
    for start in (None, 0, 2.5, 10**8):
        order = models.OrderBy(key=key, direction=direction, start_from=start)
        ours, theirs = twin.ordered(order, limit=60)
        assert ours == theirs


def test_stored_vectors(twin: Twin) -> None:
    ours, theirs = twin.contents(with_payload=False)
    for (our_id, _, ours_of_it), (their_id, _, theirs_of_it) in zip(ours, theirs, strict=True):
        assert our_id == their_id
        assert ours_of_it.keys() == theirs_of_it.keys()
        for name, vector in ours_of_it.items():
            expected = theirs_of_it[name]
            assert (vector if name in SPARSE else flat(vector)) == (
                expected if name in SPARSE else pytest.approx(flat(expected), rel=1e-6, abs=1e-9)
            )


def flat(vector: Any) -> list[float]:
    return [each for part in vector for each in flat(part)] if isinstance(vector, list) else [vector]
