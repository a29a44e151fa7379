"""Plans run over a listed shard answer as the oracle does, for every tree of stages."""

import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qdrantlite.errors import Cancelled
from qdrantlite.execute.executor import execute
from qdrantlite.execute.ranking import Ranking
from qdrantlite.plan.bound import BoundFusion, BoundOrderBy, BoundSample, BoundSearch, BoundStage, NearestDense
from qdrantlite.plan.explain import explain
from qdrantlite.plan.nodes import Estimate, GraphScan
from qdrantlite.plan.planner import plan
from qdrantlite.plan.trace import Trace
from qdrantlite.query import search as s
from qdrantlite.query.search import FusionKind
from qdrantlite.values.cardinality import Cardinality
from qdrantlite.values.distance import Distance
from qdrantlite.values.point_id import PointId
from qdrantlite.values.schema import CollectionConfig, VectorParams
from qdrantlite.values.vector import DenseVector
from tests.congruence.compare import assert_same
from tests.deadlines import CountedDeadline
from tests.execute.listed_binding import bind
from tests.execute.listed_shard import ListedShard
from tests.execute.stored_shard import StoredShard
from tests.oracle import Hit, Oracle
from tests.oracle_filter import Point
from tests.strategies import NUMBER_KEY, configs, points, searches


def hits_of(ranking: Ranking, shard: ListedShard) -> list[Hit]:
    ids = shard.ids(ranking.offsets).to_list()
    values = [None if ranking.order is None else ranking.order.at(place) for place in range(len(ranking))]
    return [Hit(*hit) for hit in zip(ids, ranking.scores.tolist(), values, strict=True)]


def run(search: s.Search, oracle: Oracle, shard: ListedShard) -> list[Hit]:
    return hits_of(execute(plan(bind(search, oracle, shard), shard), shard), shard)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_every_tree_of_stages_answers_as_the_oracle(data: st.DataObject) -> None:
    config = data.draw(configs())
    stored = data.draw(points(config))
    oracle, seed = Oracle(config, stored), data.draw(st.integers(0, 3))
    shards = (ListedShard(config, stored, seed=seed), StoredShard(config, stored, seed=seed))
    for search in data.draw(st.lists(searches(config, stored), min_size=1, max_size=4)):
        for shard in shards:
            assert run(search, oracle, shard) == oracle.search(search)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_every_leaf_answers_as_the_oracle(data: st.DataObject) -> None:
    """Trees hold one leaf of a kind seldom: what is off by a last bit shows here."""
    config = data.draw(configs())
    stored = data.draw(points(config))
    oracle, shard = Oracle(config, stored), StoredShard(config, stored)
    for search in data.draw(st.lists(searches(config, stored, depth=0), min_size=6, max_size=10)):
        assert run(search, oracle, shard) == oracle.search(search)


CONFIG = CollectionConfig(vectors={"": VectorParams(2, Distance.DOT)})
STORED = [
    Point(number, {"": DenseVector(np.array([number, 1], dtype=np.float32))}, {NUMBER_KEY: number % 3})
    for number in range(20)
]
SHARD = ListedShard(CONFIG, STORED)
UP = NearestDense(np.array([1, 0], dtype=np.float32), larger_is_better=True)
DOWN = NearestDense(np.array([-1, 0], dtype=np.float32), larger_is_better=True)
FLAT = NearestDense(np.array([0, 1], dtype=np.float32), larger_is_better=True)


def ids_of(stage: BoundStage, offset: int = 0) -> list[PointId]:
    return SHARD.ids(execute(plan(BoundSearch(stage, offset), SHARD), SHARD).offsets).to_list()


def test_offset_is_skipped_last_and_enlarges_only_the_root() -> None:
    assert ids_of(BoundStage(query=UP, limit=3), offset=2) == [17, 16, 15]
    below = BoundStage(query=UP, limit=4)
    assert ids_of(BoundStage(children=(below,), query=DOWN, limit=3), offset=2) == [18, 19]


def test_pages_of_tied_points_fit_together() -> None:
    pages = [ids_of(BoundStage(query=FLAT, limit=3), offset) for offset in range(0, 20, 3)]
    assert [point_id for page in pages for point_id in page] == list(range(20))


def test_points_without_the_vector_are_dropped_by_rescoring() -> None:
    shard = ListedShard(CONFIG, [Point(1), *STORED[5:7]])
    stage = BoundStage(children=(BoundStage(limit=10),), query=UP, limit=10)
    assert shard.ids(execute(plan(BoundSearch(stage), shard), shard).offsets).to_list() == [6, 5]


def test_sample_draws_different_points_that_pass() -> None:
    passing = SHARD.select(STORED[3:9])
    drawn = ids_of(BoundStage(query=BoundSample(), selection=passing, limit=4))
    assert len(set(drawn)) == 4
    assert set(drawn) <= set(range(3, 9))
    assert set(ids_of(BoundStage(query=BoundSample(), selection=passing, limit=40))) == set(range(3, 9))


def test_sample_of_sources_draws_from_their_union() -> None:
    sources = (BoundStage(query=UP, limit=2), BoundStage(query=DOWN, limit=2))
    drawn = ids_of(BoundStage(children=sources, query=BoundSample(), limit=3))
    assert len(set(drawn)) == 3
    assert set(drawn) <= {19, 18, 0, 1}


def test_only_vector_queries_carry_versions() -> None:
    order = BoundStage(query=BoundOrderBy(NUMBER_KEY), limit=2)
    for stage, versioned in ((order, False), (BoundStage(limit=2), False), (BoundStage(query=UP, limit=2), True)):
        assert execute(plan(BoundSearch(stage), SHARD), SHARD).versioned.tolist() == [versioned] * 2


def test_repeats_are_dropped_only_next_to_each_other_and_the_page_is_filled() -> None:
    stored = [Point(1, {}, {NUMBER_KEY: [1, 2, 9]}), Point(2, {}, {NUMBER_KEY: [5, 6]}), Point(3, {}, {NUMBER_KEY: 8})]
    shard = ListedShard(CONFIG, stored)
    stage = BoundStage(query=BoundOrderBy(NUMBER_KEY), limit=4)
    found = execute(plan(BoundSearch(stage), shard), shard)
    assert [hit.id for hit in hits_of(found, shard)] == [1, 2, 3, 1]
    kept = execute(plan(BoundSearch(stage, repeats=True), shard), shard)
    assert [hit.order_value for hit in hits_of(kept, shard)] == [1, 2, 5, 6]


def test_spread_fusion_answers_as_the_oracle() -> None:
    vector = DenseVector(np.array([1, 0], dtype=np.float32))
    sources = (
        s.Prefetch(query=s.Nearest(vector), limit=7),
        s.Prefetch(query=s.OrderBy(NUMBER_KEY), limit=4),
        s.Prefetch(query=s.Nearest(5), limit=3),
    )
    oracle = Oracle(CONFIG, STORED)
    for number in (1, 2, 3):
        fused = s.Prefetch(prefetch=sources[:number], query=s.Fusion(FusionKind.DBSF), limit=20)
        assert_same(run(s.Search(fused), oracle, SHARD), oracle.search(s.Search(fused)), limit=20)


def test_fusion_threshold_stops_at_the_first_score_below() -> None:
    sources = (BoundStage(query=UP, limit=8), BoundStage(query=BoundOrderBy(NUMBER_KEY), limit=5))
    fused = BoundStage(children=sources, query=BoundFusion(FusionKind.DBSF), score_threshold=0.6, limit=20)
    assert ids_of(fused) == []


def test_fusion_threshold_is_inclusive() -> None:
    fused = BoundStage(
        children=(BoundStage(query=UP, limit=8),), query=BoundFusion(FusionKind.RRF), score_threshold=0.25, limit=20
    )
    assert ids_of(fused) == [19, 18, 17]


def test_empty_filter_result_reads_nothing() -> None:
    stage = BoundStage(query=UP, selection=SHARD.select([]), limit=3)
    fused = BoundStage(children=(stage, stage), query=BoundFusion(FusionKind.RRF), limit=3)
    for empty in (stage, fused):
        assert len(execute(plan(BoundSearch(empty), SHARD), SHARD)) == 0


def test_deadline_is_asked_between_nodes() -> None:
    stage = BoundStage(children=(BoundStage(query=UP), BoundStage(query=DOWN)), query=UP)
    with pytest.raises(Cancelled):
        execute(plan(BoundSearch(stage), SHARD), SHARD, deadline=CountedDeadline(1))


def test_trace_tells_rows_of_each_node_in_post_order() -> None:
    sources = (BoundStage(query=UP, limit=6), BoundStage(query=DOWN, limit=2, selection=SHARD.select(STORED[:5])))
    stage = BoundStage(children=sources, query=BoundFusion(FusionKind.RRF), limit=3)
    trace = Trace()
    execute(plan(BoundSearch(stage, 1), SHARD), SHARD, trace)
    assert [(step.rows_in, step.rows_out) for step in trace.steps] == [(20, 6), (5, 2), (8, 4), (4, 3)]
    assert all(step.elapsed_us > 0 for step in trace.steps)


def test_graph_walk_scans_the_rows_that_no_graph_covers() -> None:
    shard = StoredShard(CONFIG, STORED)
    selection = shard.select(STORED[:9])
    node = GraphScan("", UP, selection, 3, None, 64, True, False, Estimate(Cardinality.exactly(3), 1.0))
    assert shard.ids(execute(node, shard).offsets).to_list() == [8, 7, 6]


def test_bound_searches_plans_and_rankings_travel_as_bytes() -> None:
    sources = (BoundStage(query=UP, limit=6, selection=SHARD.select(STORED[:9])), BoundStage(query=DOWN, limit=2))
    search = BoundSearch(BoundStage(children=sources, query=BoundFusion(FusionKind.RRF), limit=3), 1)
    here = execute(plan(search, SHARD), SHARD)
    there = pickle.loads(pickle.dumps(execute(pickle.loads(pickle.dumps(plan(search, SHARD))), SHARD)))
    assert hits_of(there, SHARD) == hits_of(here, SHARD)
    assert explain(plan(pickle.loads(pickle.dumps(search)), SHARD)) == explain(plan(search, SHARD))
