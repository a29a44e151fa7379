"""NaN and infinities, stored and asked, in every kind of vector: what is no number is no hit."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import asinh, inf, isnan, nan
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

from tests.congruence.compare import differences
from tests.congruence.twin import Twin

MULTI = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
DENSE = {
    f"{distance.value} {datatype and datatype.value} {'rows' if multi else 'row'}": models.VectorParams(
        size=3, distance=distance, datatype=datatype, multivector_config=multi
    )
    for distance, datatype, multi in product(
        models.Distance, (None, models.Datatype.FLOAT16, models.Datatype.UINT8), (None, MULTI)
    )
}
SPARSE = {"sparse": models.SparseVectorParams(), "idf": models.SparseVectorParams(modifier=models.Modifier.IDF)}
NAMES = (*DENSE, *SPARSE)
ODD = (nan, inf, -inf, 65_520.0, -65_520.0, 1e20, -1e20, 3.4e38, 0.0)
"""65,520 is an infinity once rounded to half precision; squares of 1e20 are beyond single precision."""
DBSF = models.FusionQuery(fusion=models.Fusion.DBSF)
RRF = models.FusionQuery(fusion=models.Fusion.RRF)


class Random(random.Random):
    """Vectors of which many have something that is no common number."""

    def number(self, scale: float) -> float:
        return self.gauss(0.5, 1) * scale

    def vector(self, name: str, odd: float) -> Any:
        if name in SPARSE:
            indices = self.sample(range(6), self.randint(1, 4))
            return models.SparseVector(indices=indices, values=self.odd([self.number(1) for _ in indices], odd))
        params = DENSE[name]
        scale = 100 if params.datatype == models.Datatype.UINT8 else 1
        count = self.randint(1, 3) if params.multivector_config else 1
        rows = [self.odd([self.number(scale) for _ in range(3)], odd) for _ in range(count)]
        return rows if params.multivector_config else rows[0]

    def odd(self, values: list[float], odd: float) -> list[float]:
        if self.random() < odd:
            values[self.randrange(len(values))] = self.choice(ODD)
        return values


@pytest.fixture(scope="module")
def twin(client: QdrantClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    chance = Random(3)
    twin = Twin(client, tmp_path_factory.mktemp("odd"), name="odd", dense=DENSE, sparse=SPARSE)
    vectors = [{name: chance.vector(name, 0.5) for name in NAMES} for _ in range(60)]
    twin.upsert([models.PointStruct(id=at, vector=each, payload={}) for at, each in enumerate(vectors)])
    yield twin
    twin.close()


def check(twin: Twin, stage: models.Prefetch) -> int:
    # Large scores differ in their last digits: the inverse hyperbolic sine makes that small, and keeps their order.
    ours, theirs = ([replace(hit, score=asinh(hit.score)) for hit in side] for side in twin.hits(stage, beyond=200))
    assert stage.limit is not None
    found = list(differences(ours, theirs, limit=stage.limit))
    assert not found, (stage.model_dump(exclude_none=True), found)
    return len(ours)


@pytest.mark.parametrize("name", NAMES)
def test_leaves_and_rescoring(twin: Twin, name: str) -> None:
    chance = Random(name)
    everything = models.Prefetch(limit=200)
    hits = 0
    for odd in (0.0, 0.0, 1.0, 1.0, 1.0, 1.0):
        query = chance.vector(name, odd)
        leaf = models.Prefetch(query=query, using=name, limit=200)
        hits += check(twin, leaf)
        hits += check(twin, leaf.model_copy(update={"prefetch": [everything]}))
        hits += check(twin, leaf.model_copy(update={"limit": 5}))
    assert hits > 0


@pytest.mark.parametrize("fusion", [RRF, DBSF])
def test_fusion(twin: Twin, fusion: models.FusionQuery) -> None:
    """No source brings what is no number; so nothing that is fused is, also where the engine's sums overflow."""
    chance, compared = Random(5), 0
    for _ in range(45):
        names = chance.sample(NAMES, 2)
        sources = [models.Prefetch(query=chance.vector(name, 0.2), using=name, limit=12) for name in names]
        if chance.random() < 0.5:
            sources[0] = sources[0].model_copy(update={"prefetch": [models.Prefetch(limit=200)]})
        fused = models.Prefetch(prefetch=sources, query=fusion, limit=200)
        assert not any(isnan(hit.score) for hit in twin.hits(fused)[0])
        if not overflown(twin, fused) and not any(tied(twin, source) for source in sources):
            compared += check(twin, fused) > 0
    assert compared > 10


def overflown(twin: Twin, fused: models.Prefetch) -> bool:
    """Whether the engine's own sums are no numbers."""
    return any(isnan(hit.score) for hit in twin.hits(fused)[1])


def tied(twin: Twin, source: models.Prefetch) -> bool:
    """Whether the engine orders some hits by chance."""
    scores = [hit.score for hit in twin.hits(source, beyond=1)[1]]
    return len({*scores}) < len(scores)


@pytest.mark.parametrize("threshold", [nan, inf, -inf])
def test_thresholds(twin: Twin, threshold: float) -> None:
    chance = Random(9)
    for name in chance.sample(NAMES, 10):
        leaf = models.Prefetch(query=chance.vector(name, 0.0), using=name, limit=200)
        check(twin, leaf.model_copy(update={"score_threshold": threshold}))
        check(twin, leaf.model_copy(update={"score_threshold": threshold, "prefetch": [models.Prefetch(limit=200)]}))
        for fusion in (RRF, DBSF):
            fused = models.Prefetch(prefetch=[leaf], query=fusion, limit=200, score_threshold=threshold)
            ours, theirs = twin.hits(fused)
            if not overflown(twin, fused.model_copy(update={"score_threshold": None})):
                assert len(ours) == len(theirs)
                assert bool(ours) == (threshold == -inf)
