"""Custom scores: folded in chunks as at once, found around guides as among all points, ended early without a loss."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qdrantlite.deadline import Deadline
from qdrantlite.errors import BadInput, TimedOut
from qdrantlite.execute import custom, executor
from qdrantlite.execute.custom import folded, passing_custom_threshold, unseen_best
from qdrantlite.execute.executor import execute
from qdrantlite.execute.ranking import Ranking
from qdrantlite.plan.bound import BoundSearch, BoundStage
from qdrantlite.plan.custom import (
    CONFIDENCES_MAX,
    BestScore,
    CustomScore,
    DenseExamples,
    PairLosses,
    PairRanks,
    Scorer,
    WeightedSum,
    feedback_weights,
)
from qdrantlite.plan.guides import guides
from qdrantlite.plan.nodes import CustomScan, Estimate, GraphScan, GuidedScan
from qdrantlite.plan.planner import plan
from qdrantlite.query.search import SearchParams
from qdrantlite.segment import sealed
from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.sealed import GraphParams
from qdrantlite.segment.selection import Selection
from qdrantlite.values.cardinality import Cardinality
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.point_ids import PointIds
from qdrantlite.values.schema import CollectionConfig, VectorParams
from tests.execute.listed_shard import ListedShard

DIM, ROWS = 16, 3000
SCORERS: tuple[Scorer, ...] = (
    BestScore(4),
    BestScore(0),
    BestScore(9),
    PairRanks(4),
    PairLosses(4),
    WeightedSum(np.arange(-4, 5, dtype=np.float32)),
)
EXAMPLES = 9
"""Of all but losses, which have no target."""


class GraphShard(ListedShard):
    """Rows of one vector, all of them live; behind a graph when asked."""

    def __init__(self, rows: np.ndarray, distance: Distance, *, graph: bool = True) -> None:
        super().__init__(CollectionConfig(vectors={"": VectorParams(DIM, distance)}), [])
        self.live = Selection.of_range(0, len(rows))
        params = GraphParams(16, 100)
        segments = (sealed.seal(rows, self.live, distance=distance, params=params, threads=1),) if graph else ()
        self.view = DenseView(rows, distance, Datatype.FLOAT32, None, segments, verify=lambda _: None)

    def dense(self, name: str) -> DenseView:
        assert name == ""
        return self.view

    def present(self, name: str) -> Selection:
        assert name == ""
        return self.live

    def ids(self, offsets: np.ndarray) -> PointIds:  # Offsets are ids here.
        return PointIds(offsets.astype(np.uint64))


def test_weighted_sum_of_a_point_is_the_same_alone_as_among_many() -> None:
    chance = np.random.default_rng(6)
    near = chance.normal(size=(37, 501)).astype(np.float32)
    scorer = WeightedSum(chance.normal(size=37).astype(np.float32))
    alone = [folded(scorer, 1, [(0, near[:, [at]])])[0] for at in range(501)]
    assert folded(scorer, 501, [(0, near)]).tolist() == alone


def drawn(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


@pytest.fixture(scope="module", params=[Distance.DOT, Distance.EUCLID, Distance.MANHATTAN])
def shard(request: pytest.FixtureRequest) -> GraphShard:
    return GraphShard(drawn(1, ROWS), request.param)


@given(st.sampled_from(SCORERS), st.integers(1, 5), st.data())
def test_chunks_of_examples_score_as_all_at_once(scorer: Scorer, pairs: int, data: st.DataObject) -> None:
    count = EXAMPLES - isinstance(scorer, PairLosses)
    near = data.draw(arrays(np.float32, (count, 7), elements=st.integers(-4, 4).map(float)))
    at_once = folded(scorer, 7, [(0, near)])
    size = 2 * pairs
    chunks = [(first, near[first : first + size]) for first in range(0, count, size)]
    assert folded(scorer, 7, chunks).tolist() == pytest.approx(at_once.tolist(), rel=1e-6)
    assert at_once.dtype == np.float32


def guided(shard: GraphShard, scorer: Scorer, examples: np.ndarray, *, sought: int, wider: int = 1) -> GuidedScan:
    """Walks with narrow beams, as if they were cheap."""
    larger = shard.view.distance.larger_is_better
    query = CustomScore(DenseExamples(examples), scorer, larger)
    estimate = Estimate(Cardinality.exactly(10), 1.0)
    scan = CustomScan("", query, None, 10, None, estimate)
    walks = tuple(GraphScan("", guide, None, sought, None, 200, True, False, estimate) for guide in guides(query))
    return GuidedScan(walks, scan, wider, estimate)


@pytest.mark.parametrize("scorer", [BestScore(2), BestScore(3), PairRanks(0), PairRanks(2)])
@pytest.mark.parametrize("sought", [11, 60])
def test_what_guides_find_is_the_best_of_all(shard: GraphShard, scorer: Scorer, sought: int) -> None:
    found = []
    for seed in range(20):
        count = 2 * scorer.pairs + 1 if isinstance(scorer, PairRanks) else 5
        node = guided(shard, scorer, drawn(100 + seed, count), sought=sought)
        best = execute(node.otherwise, shard)
        with patch.object(executor, "_custom", side_effect=executor._custom) as scanned:
            ranking = execute(node, shard)
        found.append(np.mean(ranking.scores >= best.scores[-1] - 1e-6))
        if scanned.called:
            assert ranking.offsets.tolist() == best.offsets.tolist()
    assert np.mean(found) > 0.97


def test_points_that_the_pairs_forbid_around_the_target_end_in_scoring_all(shard: GraphShard) -> None:
    target = drawn(7, 1)
    pairs = np.concatenate([-target, target] * 3)
    node = guided(shard, PairRanks(3), np.concatenate([pairs, target]), sought=20)
    with patch.object(executor, "_custom", side_effect=executor._custom) as scanned:
        ranking = execute(node, shard)
    assert scanned.called
    assert ranking.offsets.tolist() == execute(node.otherwise, shard).offsets.tolist()


@given(
    st.sampled_from([BestScore(2), PairRanks(2)]),
    arrays(np.float32, (5, 6), elements=st.floats(-5, 5, width=32)),
    arrays(np.float32, 2, elements=st.floats(-5, 5, width=32)),
)
def test_nothing_unseen_is_better_than_its_bound(scorer: Scorer, near: np.ndarray, last: np.ndarray) -> None:
    around = near[:2] if isinstance(scorer, BestScore) else near[-1:]
    unseen = (around <= last[: len(around), np.newaxis]).all(axis=0)
    scores = folded(scorer, 6, [(0, near)])
    assert (scores[unseen] <= unseen_best(scorer, last[: len(around)])).all()


def test_exact_search_never_walks(shard: GraphShard) -> None:
    query = CustomScore(DenseExamples(drawn(3, 5)), BestScore(3), larger_is_better=True)
    stage = BoundStage(query=query, params=SearchParams(exact=True))
    assert isinstance(plan(BoundSearch(stage), shard), CustomScan)


@pytest.mark.parametrize(("pairs", "blocks"), [(2, 1), (7, 4)])
def test_losses_end_early_where_enough_have_none_with_what_scoring_all_finds(pairs: int, blocks: int) -> None:
    shard = GraphShard(drawn(1, 30_000), Distance.DOT, graph=False)
    query = CustomScore(DenseExamples(drawn(5, 2 * pairs)), PairLosses(pairs), larger_is_better=True)
    node = CustomScan("", query, None, 10, None, Estimate(Cardinality.exactly(10), 1.0))
    with patch.object(custom, "TIED_ROWS_MAX", 1 << 30):
        whole = execute(node, shard)
    with patch.object(DenseView, "similarities", autospec=True, side_effect=DenseView.similarities) as asked:
        ranking = execute(node, shard)
    assert asked.call_count == blocks
    assert ranking.offsets.tolist() == whole.offsets.tolist()
    assert (ranking.scores == 0).all()


def test_deadline_ends_the_scoring_of_many_points() -> None:
    shard = GraphShard(drawn(1, 30_000), Distance.DOT, graph=False)
    query = CustomScore(DenseExamples(drawn(5, 2)), BestScore(1), larger_is_better=True)
    node = CustomScan("", query, None, 10, None, Estimate(Cardinality.exactly(10), 1.0))
    with pytest.raises(TimedOut):
        execute(node, shard, deadline=Deadline(-1.0))


@pytest.mark.parametrize(
    ("threshold", "larger_is_better", "kept"),
    [(0.3, True, 2), (0.5, True, 1), (0.3, False, 0), (0.7, False, 0), (10.0, False, 3), (float("nan"), False, 0)],
)
def test_threshold_is_compared_as_distances_go(threshold: float, larger_is_better: bool, kept: int) -> None:
    scores = np.array([0.7, 0.5, 0.2], dtype=np.float32)
    ranking = Ranking.scored(np.arange(3, dtype=np.uint32), scores)
    assert len(passing_custom_threshold(ranking, threshold, larger_is_better=larger_is_better)) == kept


def test_feedback_of_many_alike_is_added_up_and_of_too_many_kinds_refused() -> None:
    scores = np.array([1.0, 0.5, 0.5, -1.0] * 25_000, dtype=np.float32)
    weights = feedback_weights(scores, 2.0, 1.0, 3.0)
    assert len(weights) == 100_001
    assert weights[0] == 2
    assert weights[1] == 3 * (0.5 * 50_000 + 2 * 25_000)
    assert weights[4] == -3 * (2 * 25_000 + 1.5 * 50_000)
    with pytest.raises(BadInput, match="feedback has 4097 different scores"):
        feedback_weights(np.arange(CONFIDENCES_MAX + 1, dtype=np.float32), 1.0, 1.0, 1.0)
