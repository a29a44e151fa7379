"""The whole engine below the collection against the reference engine: same points, same searches, same answers."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from qdrantlite.execute.executor import execute
from qdrantlite.plan.planner import plan
from qdrantlite.query import filter as f
from qdrantlite.query import search as s
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.payload import Json
from qdrantlite.values.schema import CollectionConfig, Modifier, SparseVectorParams, VectorParams
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector, Vector
from tests.congruence.compare import assert_same
from tests.congruence.edge_engine import EdgeEngine
from tests.execute.listed_binding import bind
from tests.execute.stored_shard import StoredShard
from tests.oracle import Hit, Oracle
from tests.oracle_filter import Point

DIMENSION = 8
DENSE = {distance.value: VectorParams(DIMENSION, distance) for distance in Distance}
CONFIG = CollectionConfig(
    vectors={
        **DENSE,
        "half": VectorParams(DIMENSION, Distance.COSINE, datatype=Datatype.FLOAT16),
        "byte": VectorParams(DIMENSION, Distance.EUCLID, datatype=Datatype.UINT8),
        "byte cosine": VectorParams(DIMENSION, Distance.COSINE, datatype=Datatype.UINT8),
        "tokens": VectorParams(DIMENSION, Distance.COSINE, multivector=True),
        "far tokens": VectorParams(DIMENSION, Distance.EUCLID, multivector=True),
    },
    sparse_vectors={"sparse": SparseVectorParams(), "idf": SparseVectorParams(modifier=Modifier.IDF)},
)
NAMES = (*CONFIG.vectors, *CONFIG.sparse_vectors)
RANDOM = np.random.default_rng(7)


def vector_for(name: str) -> Vector:
    params = CONFIG.vectors.get(name)
    if params is None:
        indices = np.unique(RANDOM.integers(0, 30, size=6)).astype(np.uint32)
        return SparseVector(indices, RANDOM.normal(size=len(indices)).astype(np.float32))
    scale = 60 if params.datatype is Datatype.UINT8 else 1
    rows = (RANDOM.normal(size=(3, params.size)) * scale + scale).astype(np.float32)
    return MultiVector(rows[: RANDOM.integers(1, 4)]) if params.multivector else DenseVector(rows[0])


def point(number: int) -> Point:
    vectors = {name: vector_for(name) for place, name in enumerate(NAMES) if (number + place) % 9}
    size: Json = [number % 5, number % 7 + 10] if number % 6 == 1 else number % 11
    return Point(number, vectors, {"size": size} if number % 4 else {})


class Pair:
    """Both engines over the same points."""

    def __init__(self, edge: EdgeEngine, points: list[Point]) -> None:
        self.edge = edge
        self.oracle = Oracle(CONFIG, points)
        self.shard = StoredShard(CONFIG, points)

    def ours(self, search: s.Search) -> list[Hit]:
        ranking = execute(plan(bind(search, self.oracle, self.shard), self.shard), self.shard)
        values = [None if ranking.order is None else ranking.order.at(place) for place in range(len(ranking))]
        ids = self.shard.ids(ranking.offsets).to_list()
        return [Hit(*hit) for hit in zip(ids, ranking.scores.tolist(), values, strict=True)]

    def compare(self, stage: s.Prefetch, offset: int = 0) -> int:
        """Raises AssertionError where they differ; the number of hits, so that a test can demand some."""
        search = s.Search(stage, offset)
        actual = self.ours(search)
        assert_same(actual, self.edge.search(search, beyond=200), limit=stage.limit)
        return len(actual)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    points = [point(number) for number in range(150)]
    engine = EdgeEngine(tmp_path_factory.mktemp("edge"), CONFIG, points, ("size",))
    yield Pair(engine, points)
    engine.shard.close()


def nearest(name: str, *, limit: int = 20, filter: f.Filter | None = None) -> s.Prefetch:
    return s.Prefetch(query=s.Nearest(vector_for(name)), using=name, filter=filter, limit=limit)


def below(*children: s.Prefetch, query: s.Query, using: str = "", limit: int = 12) -> s.Prefetch:
    return s.Prefetch(prefetch=children, query=query, using=using, limit=limit)


RRF = s.Fusion(s.FusionKind.RRF)
DBSF = s.Fusion(s.FusionKind.DBSF)
BY_SIZE = s.OrderBy("size", s.Direction.DESC)
SMALL = f.Filter(must=(f.FieldCondition("size", f.Range(gte=2, lt=8)),))


@pytest.mark.parametrize("name", NAMES)
def test_nearest(pair: Pair, name: str) -> None:
    for stage in (nearest(name), nearest(name, limit=3), nearest(name, filter=SMALL), nearest(name, limit=500)):
        assert pair.compare(stage) > 0
        pair.compare(stage, offset=2)


@pytest.mark.parametrize("name", NAMES)
def test_rescoring_drops_scores_and_points_without_the_vector(pair: Pair, name: str) -> None:
    sources = (nearest("Dot", limit=30), nearest("sparse", limit=30))
    assert pair.compare(below(*sources, query=s.Nearest(vector_for(name)), using=name, limit=200)) > 0


@pytest.mark.parametrize("name", NAMES)
def test_threshold_of_a_vector_query(pair: Pair, name: str) -> None:
    stage = nearest(name, limit=100)
    scores = [hit.score for hit in pair.ours(s.Search(stage))]
    widest = max(range(len(scores) // 4, 3 * len(scores) // 4), key=lambda at: abs(scores[at] - scores[at + 1]))
    between = (scores[widest] + scores[widest + 1]) / 2
    assert pair.compare(replace(stage, score_threshold=between)) == widest + 1
    rescored = s.Prefetch(prefetch=(s.Prefetch(limit=100),), query=stage.query, using=name, limit=50)
    assert pair.compare(replace(rescored, score_threshold=between)) > 0


def test_threshold_of_a_vector_query_is_strict(pair: Pair) -> None:
    axis = DenseVector(np.eye(DIMENSION, dtype=np.float32)[0])
    stage = s.Prefetch(query=s.Nearest(axis), using="Dot", limit=100)
    fifth = pair.ours(s.Search(stage))[4].score
    assert pair.compare(replace(stage, score_threshold=fifth)) == 4


@pytest.mark.parametrize(
    ("k", "weights"), [(2, None), (1, None), (60, None), (2, (0.7, 3.1, 1.0)), (5, (0.0, 1.0, 2.5))]
)
def test_rank_fusion(pair: Pair, k: int, weights: tuple[float, ...] | None) -> None:
    sources = (nearest("Cosine"), nearest("idf", limit=35), nearest("Manhattan", filter=SMALL))
    for limit in (5, 12, 200):
        fusion = s.Fusion(s.FusionKind.RRF, k, weights)
        assert pair.compare(below(*sources, query=fusion, limit=limit)) > 0


@pytest.mark.parametrize(("first", "second"), [("Cosine", "sparse"), ("Euclid", "Dot"), ("tokens", "byte")])
def test_spread_fusion(pair: Pair, first: str, second: str) -> None:
    for one, other in product((1, 2, 3, 40), (2, 25)):
        assert pair.compare(below(nearest(first, limit=one), nearest(second, limit=other), query=DBSF)) > 0


@pytest.mark.parametrize("fusion", [RRF, DBSF])
@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 0.55])
def test_threshold_of_a_fusion_is_inclusive(pair: Pair, fusion: s.Fusion, threshold: float) -> None:
    stage = below(nearest("Cosine"), nearest("Dot"), query=fusion, limit=100)
    found = pair.compare(replace(stage, score_threshold=threshold))
    if fusion is RRF and threshold == 0.5:
        assert found > 0


@pytest.mark.parametrize("fusion", [RRF, DBSF])
def test_order_value_survives_fusion(pair: Pair, fusion: s.Fusion) -> None:
    order = s.Prefetch(query=s.OrderBy("size"), filter=f.Filter(must=(f.HasId((3, 7, 17, 22)),)), limit=9)
    for sources in ((nearest("Cosine"), order), (order, nearest("Cosine"))):
        assert pair.compare(below(*sources, query=fusion, limit=40)) > 0


def test_stages_nest_and_filters_flow_down(pair: Pair) -> None:
    byte = nearest("byte", limit=80)
    dense = below(byte, nearest("sparse", limit=10), query=s.Nearest(vector_for("Cosine")), using="Cosine", limit=30)
    tokens = below(dense, query=s.Nearest(vector_for("tokens")), using="tokens", limit=9)
    assert pair.compare(tokens) == 9
    assert pair.compare(replace(tokens, filter=SMALL), offset=1) > 0
    untied = s.Fusion(s.FusionKind.RRF, weights=(1.0, 1.7))
    fused = below(replace(dense, filter=SMALL), nearest("idf", limit=10), query=untied, limit=15)
    assert pair.compare(below(fused, nearest("Dot", limit=5), query=DBSF, limit=30)) > 0


@pytest.mark.parametrize("direction", s.Direction)
@pytest.mark.parametrize("start", [None, 4, 10])
def test_order_by_value(pair: Pair, direction: s.Direction, start: int | None) -> None:
    order = s.OrderBy("size", direction, start)
    singles = f.Filter(must=(f.HasId(tuple(number for number in range(150) if number % 6 != 1)),))
    assert pair.compare(s.Prefetch(query=order, filter=singles, limit=200)) > 0
    assert pair.compare(replace(below(nearest("Dot"), nearest("sparse"), query=order, limit=50), filter=singles)) > 0


def test_points_by_id(pair: Pair) -> None:
    assert pair.compare(s.Prefetch(limit=30)) == 30
    assert pair.compare(s.Prefetch(limit=30, filter=SMALL)) == 30
    assert pair.compare(below(s.Prefetch(limit=30), query=s.Nearest(vector_for("Dot")), using="Dot")) == 12
