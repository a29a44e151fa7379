"""Picks are those of the formula, one by one."""

import numpy as np
import pytest

from qdrantlite.deadline import FOREVER
from qdrantlite.execute.diversify import diversified
from qdrantlite.plan.bound import NearestDense, NearestMulti, NearestQuery, NearestSparse
from qdrantlite.segment.vector_index.row_encoding import prepare_query
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.schema import CollectionConfig, SparseVectorParams, VectorParams
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector, Vector
from tests.execute.listed_shard import ListedShard
from tests.execute.stored_shard import StoredShard
from tests.oracle_custom import picked
from tests.oracle_filter import Point
from tests.oracle_scores import rows_of, similarity, sparse_score, stored

DIM, COUNT = 6, 40


def vector(chance: np.random.Generator, params: VectorParams | None) -> Vector:
    if params is None:
        indices = np.unique(chance.integers(0, 20, size=5)).astype(np.uint32)
        return SparseVector(indices, chance.normal(size=len(indices)).astype(np.float32))
    scale = 60 if params.datatype is Datatype.UINT8 else 1
    rows = (chance.normal(size=(3, DIM)) * scale + scale).astype(np.float32)
    return MultiVector(rows[: chance.integers(1, 4)]) if params.multivector else DenseVector(rows[0])


def near(params: VectorParams | None, one: Vector, other: Vector) -> float:
    if params is None:
        assert isinstance(one, SparseVector)
        return sparse_score(dict(zip(one.indices.tolist(), one.weights.tolist(), strict=True)), other) or 0.0
    datatype = params.datatype or Datatype.FLOAT32
    rows, others = (stored(rows_of(each), params.distance, datatype) for each in (one, other))
    return similarity(params.distance, rows, others)


SLOTS = {
    **{each.value: VectorParams(DIM, each) for each in Distance},
    "byte": VectorParams(DIM, Distance.COSINE, datatype=Datatype.UINT8),
    "tokens": VectorParams(DIM, Distance.COSINE, multivector=True),
    "far tokens": VectorParams(DIM, Distance.EUCLID, multivector=True),
    "near tokens": VectorParams(DIM, Distance.MANHATTAN, multivector=True),
    "sparse": None,
}


@pytest.mark.parametrize("name", SLOTS)
@pytest.mark.parametrize("diversity", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("kind", [ListedShard, StoredShard])
def test_picks_are_those_of_the_formula(name: str, diversity: float, kind: type[ListedShard]) -> None:
    chance, params = np.random.default_rng(2), SLOTS[name]
    points = [Point(number, {name: vector(chance, params)}) for number in range(COUNT)]
    dense = {} if params is None else {name: params}
    sparse = {name: SparseVectorParams()} if params is None else {}
    shard = kind(CollectionConfig(vectors=dense, sparse_vectors=sparse), points)
    asked = vector(chance, params)
    query: NearestQuery
    if isinstance(asked, SparseVector):
        query = NearestSparse(asked)
    else:
        assert params is not None
        rows = prepare_query(rows_of(asked), params.distance, params.datatype or Datatype.FLOAT32)
        query = NearestMulti(rows, True) if params.multivector else NearestDense(rows[0], True)
    offsets = np.array(list(shard.points), dtype=np.uint32)
    given = [point.vectors[name] for point in shard.points.values()]
    expected = picked(
        [near(params, asked, each) for each in given],
        lambda i, j: near(params, given[i], given[j]),
        diversity,
        15,
    )
    found = diversified(query, diversity, shard, name, offsets, limit=15, deadline=FOREVER)
    assert found.tolist() == expected
