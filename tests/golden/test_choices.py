"""Which leaf the planner chooses for a dense search behind a graph, by size, selectivity and beam."""

import numpy as np

from qdrantlite.plan import bound as b
from qdrantlite.plan.custom import BestScore, CustomScore, DenseExamples, PairLosses, PairRanks, Scorer, WeightedSum
from qdrantlite.plan.nodes import ExactScan, GraphScan, GuidedScan, Node, SubsetScan, Top
from qdrantlite.plan.planner import plan
from qdrantlite.plan.statistics import VectorStatistics
from qdrantlite.query.search import SearchParams
from tests.golden.recorded import assert_as_recorded
from tests.plan.counted import Counted
from tests.plan.passing import Passing

SIZES = ((5_000, 384), (60_000, 384), (1_000_000, 128), (1_000_000, 1536))
SELECTIVITIES = (0.0001, 0.001, 0.01, 0.03, 0.1, 0.3, 0.5, 0.9, 1.0)
BEAMS = (None, 64, 512)
LIMIT = 10


def chosen(node: Node) -> str:
    match node:
        case Top():
            return chosen(node.source)
        case GraphScan():
            return f"graph {node.ef}"
        case SubsetScan():
            return "subset"
        case ExactScan():
            return "scan"
        case _:
            raise AssertionError(node)


def choice(points: int, dimension: int, share: float, beam: int | None, *, component_bytes: int = 4) -> str:
    facts = VectorStatistics(points, points, dimension, component_bytes, (points,), beam=100)
    query = b.NearestDense(np.zeros(dimension, dtype=np.float32), larger_is_better=True)
    selection = None if share == 1 else Passing(max(1, round(points * share)))
    stage = b.BoundStage(query=query, selection=selection, params=SearchParams(hnsw_ef=beam), limit=LIMIT)
    return chosen(plan(b.BoundSearch(stage), Counted(points, {"": facts})))


def test_choices_are_as_recorded() -> None:
    lines = [f"{'points':>9} {'dim':>4} {'beam':>5} " + " ".join(f"{share:>10.2%}" for share in SELECTIVITIES)]
    for points, dimension in SIZES:
        for beam in BEAMS:
            found = [choice(points, dimension, share, beam) for share in SELECTIVITIES]
            lines.append(f"{points:>9} {dimension:>4} {beam or '-':>5} " + " ".join(f"{each:>10}" for each in found))
    assert_as_recorded("choices.txt", "\n".join(lines) + "\n")


def guided(points: int, dimension: int, scorer: Scorer, examples: int, share: float) -> str:
    facts = VectorStatistics(points, points, dimension, 4, (points,), beam=100)
    query = CustomScore(DenseExamples(np.zeros((examples, dimension), dtype=np.float32)), scorer, larger_is_better=True)
    selection = None if share == 1 else Passing(max(1, round(points * share)))
    node = plan(
        b.BoundSearch(b.BoundStage(query=query, selection=selection, limit=LIMIT)), Counted(points, {"": facts})
    )
    return f"{len(node.sources)} x {node.sources[0].ef}" if isinstance(node, GuidedScan) else "all"


def test_choices_of_custom_scores_are_as_recorded() -> None:
    """Walks around guides and their beams, or all points that pass."""
    scorers: dict[str, tuple[Scorer, int]] = {
        "best of 1": (BestScore(1), 1),
        "best of 3 + 2": (BestScore(3), 5),
        "best of 40": (BestScore(40), 40),
        "best of 100": (BestScore(100), 100),
        "only negatives": (BestScore(0), 3),
        "ranks of 0 pairs": (PairRanks(0), 1),
        "ranks of 2 pairs": (PairRanks(2), 5),
        "ranks of 5 pairs": (PairRanks(5), 11),
        "ranks of 30 pairs": (PairRanks(30), 61),
        "losses of 2 pairs": (PairLosses(2), 4),
        "sum": (WeightedSum(np.ones(3, dtype=np.float32)), 3),
    }
    lines = [f"{'':>18} {'points':>9} {'dim':>4} " + " ".join(f"{share:>10.2%}" for share in SELECTIVITIES)]
    for name, (scorer, examples) in scorers.items():
        for points, dimension in SIZES:
            found = [guided(points, dimension, scorer, examples, share) for share in SELECTIVITIES]
            lines.append(f"{name:>18} {points:>9} {dimension:>4} " + " ".join(f"{each:>10}" for each in found))
    assert_as_recorded("custom_choices.txt", "\n".join(lines) + "\n")


def test_fewer_passing_points_never_turn_a_comparison_of_all_into_a_walk() -> None:
    for points, dimension in SIZES:
        leaves = [choice(points, dimension, share, None)[:5] == "graph" for share in SELECTIVITIES]
        assert leaves == sorted(leaves)


def test_settings_may_ask_for_all_that_pass_to_be_compared() -> None:
    facts = VectorStatistics(100_000, 100_000, 64, 4, (100_000,), full_scan=30_000)
    query = b.NearestDense(np.zeros(64, dtype=np.float32), larger_is_better=True)

    def leaf(passing: int, params: SearchParams) -> str:
        stage = b.BoundStage(query=query, selection=Passing(passing), params=params, limit=LIMIT)
        return chosen(plan(b.BoundSearch(stage), Counted(100_000, {"": facts})))

    assert leaf(30_000, SearchParams()) == "subset"
    assert leaf(30_001, SearchParams()).startswith("graph")
    assert leaf(100_000, SearchParams(exact=True)) == "scan"


def test_search_of_indexed_rows_leaves_out_those_beyond_the_graph_when_they_are_many() -> None:
    query = b.NearestDense(np.zeros(64, dtype=np.float32), larger_is_better=True)

    def reads_tail(beyond: int, large: int | None, *, indexed_only: bool = True) -> bool:
        rows = 100_000 + beyond
        facts = VectorStatistics(rows, rows, 64, 4, (100_000,), large=large)
        stage = b.BoundStage(query=query, params=SearchParams(indexed_only=indexed_only), limit=LIMIT)
        node = plan(b.BoundSearch(stage), Counted(rows, {"": facts}))
        assert isinstance(node, GraphScan)
        return node.tail

    assert reads_tail(999, 1000)
    assert not reads_tail(1000, 1000)
    assert reads_tail(1000, None)
    assert reads_tail(1000, 1000, indexed_only=False)
