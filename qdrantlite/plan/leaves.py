"""How a stage without children reads the shard: the leaf of each kind of query, by cost where there is a choice.

Pure functions of the bound stage and the statistics.
"""

from dataclasses import replace
from typing import assert_never

from qdrantlite.plan import estimate
from qdrantlite.plan.bound import (
    BoundDiversity,
    BoundFormula,
    BoundFusion,
    BoundOrderBy,
    BoundSample,
    BoundStage,
    BoundText,
    NearestDense,
    NearestMulti,
    NearestSparse,
    OffsetSet,
)
from qdrantlite.plan.custom import CustomScore
from qdrantlite.plan.guides import guides
from qdrantlite.plan.nodes import (
    CustomScan,
    DenseLeaf,
    Estimate,
    ExactScan,
    GraphScan,
    GuidedScan,
    IdScan,
    MultiScan,
    OrderScan,
    ReadingLeaf,
    SampleScan,
    SparseScan,
    SubsetScan,
    TextScan,
)
from qdrantlite.plan.statistics import Statistics, VectorStatistics
from qdrantlite.values.cardinality import Cardinality

GUIDED_WIDER = 4
"""How much more walks cost each time they are repeated with a wider beam."""
WIDEST_SHARE = 0.25
"""Of the cost of comparing all that pass: what the widest beam may be expected to cost. It may be in vain, and wide
beams cost more than in proportion."""


def leaf(stage: BoundStage, statistics: Statistics, *, repeats: bool) -> ReadingLeaf | GuidedScan:
    """The leaf for a stage without children. ``repeats`` is for orders by value, see ``OrderScan``."""
    match stage.query:
        case NearestDense():
            return _dense(stage, stage.query, statistics)
        case NearestSparse():
            return _sparse(stage, stage.query, statistics)
        case NearestMulti():
            return _multi(stage, stage.query, statistics)
        case CustomScore():
            return _custom(stage, stage.query, statistics)
        case BoundText():
            return _text(stage, stage.query, statistics)
        case BoundOrderBy():
            return _ordered(stage, stage.query, statistics, repeats=repeats)
        case BoundSample():
            return _sample(stage, statistics)
        case None:
            return _by_id(stage, statistics)
        case BoundFusion() | BoundFormula() | BoundDiversity():
            raise AssertionError("a stage that fuses, computes or picks has children")
        case _:
            assert_never(stage.query)


def _dense(stage: BoundStage, query: NearestDense, statistics: Statistics) -> DenseLeaf:
    """A walk along graphs when it is cheaper than comparing every point that passes, else the cheaper exact leaf."""
    facts = statistics.vector(stage.using)
    selection = _narrowing(stage, statistics)
    passing = None if selection is None else min(len(selection), facts.points)
    exact = _exact(stage, query, facts, passing, statistics)
    few = passing is not None and passing <= facts.full_scan
    if not facts.sealed or stage.params.exact or few:
        return exact
    beam = max(stage.params.hnsw_ef or estimate.default_beam(facts), stage.limit)
    widened = estimate.widened_beam(beam, stage.limit, facts, passing)
    cost_us = estimate.graph_cost(facts, passing, widened)
    if cost_us >= exact.estimate.cost_us:
        return exact
    expected = Estimate(exact.estimate.rows, cost_us)
    large = facts.large is not None and facts.rows - sum(facts.sealed) >= facts.large
    tail, one_by_one = not (stage.params.indexed_only and large), isinstance(exact, SubsetScan)
    shared = (stage.using, query, exact.selection, stage.limit, stage.score_threshold)
    widest = int(widened * WIDEST_SHARE * exact.estimate.cost_us / max(cost_us, 1.0))
    return GraphScan(*shared, widened, tail, one_by_one, expected, stage.params.quantization, widest)


def _exact(
    stage: BoundStage, query: NearestDense, facts: VectorStatistics, passing: int | None, statistics: Statistics
) -> ExactScan | SubsetScan:
    selection = _narrowing(stage, statistics)
    rows = _vector_rows(stage, facts, passing, statistics)
    scan_us = estimate.scan_cost(facts, passing)
    if selection is not None and passing is not None:
        subset_us = estimate.subset_cost(facts, passing)
        if subset_us <= scan_us:
            expected = Estimate(rows, subset_us)
            return SubsetScan(stage.using, query, selection, stage.limit, stage.score_threshold, expected)
    return ExactScan(stage.using, query, selection, stage.limit, stage.score_threshold, Estimate(rows, scan_us))


def _sparse(stage: BoundStage, query: NearestSparse, statistics: Statistics) -> SparseScan:
    facts = statistics.vector(stage.using)
    selection = _narrowing(stage, statistics)
    passing = facts.points if selection is None else min(len(selection), facts.points)
    rows = estimate.rows_up(passing, stage.limit, certain=False)
    expected = Estimate(rows, estimate.sparse_cost(facts, len(query.vector.indices)))
    return SparseScan(stage.using, query, selection, stage.limit, stage.score_threshold, expected)


def _text(stage: BoundStage, query: BoundText, statistics: Statistics) -> TextScan:
    selection = _narrowing(stage, statistics)
    passing = min(query.postings, _passing(selection, statistics))
    expected = Estimate(estimate.rows_up(passing, stage.limit, certain=False), estimate.text_cost(query.postings))
    return TextScan(query.key, query, selection, stage.limit, stage.score_threshold, expected)


def _multi(stage: BoundStage, query: NearestMulti, statistics: Statistics) -> MultiScan:
    facts = statistics.vector(stage.using)
    selection = _narrowing(stage, statistics)
    passing = None if selection is None else min(len(selection), facts.points)
    rows = _vector_rows(stage, facts, passing, statistics)
    cost_us = estimate.multi_cost(facts, facts.points if passing is None else passing, len(query.rows))
    return MultiScan(stage.using, query, selection, stage.limit, stage.score_threshold, Estimate(rows, cost_us))


def _custom(stage: BoundStage, query: CustomScore, statistics: Statistics) -> CustomScan | GuidedScan:
    """Walks around the guides of the score when together they are cheaper than scoring all points, else that."""
    facts = statistics.vector(stage.using)
    selection = _narrowing(stage, statistics)
    passing = facts.points if selection is None else min(len(selection), facts.points)
    rows = estimate.rows_up(passing, stage.limit, certain=False)
    exact_us = estimate.custom_cost(facts, passing, query)
    scan = CustomScan(stage.using, query, selection, stage.limit, stage.score_threshold, Estimate(rows, exact_us))
    around = guides(query)
    if not len(around) or not facts.sealed or stage.params.exact:
        return scan
    sought = estimate.guided_limit(query, stage.limit)
    walk = _dense(replace(stage, query=around[0], score_threshold=None, limit=sought), around[0], statistics)
    if isinstance(walk, GraphScan):
        ef, sought = estimate.guided_beam(query, walk.ef, sought, guides=len(around))
        shared = estimate.graph_cost(facts, None if selection is None else passing, ef)
        walk = replace(walk, ef=ef, limit=sought, estimate=replace(walk.estimate, cost_us=shared))
    found = min(len(around) * sought, passing)
    cost_us = len(around) * walk.estimate.cost_us + estimate.rescore_cost(facts, found, query)
    if not isinstance(walk, GraphScan) or cost_us >= exact_us:
        return scan
    wider = sum([cost_us * GUIDED_WIDER**times <= exact_us for times in (1, 2)])
    return GuidedScan(tuple([replace(walk, query=guide) for guide in around]), scan, wider, Estimate(rows, cost_us))


def _ordered(stage: BoundStage, query: BoundOrderBy, statistics: Statistics, *, repeats: bool) -> OrderScan:
    selection = _narrowing(stage, statistics)
    entries = statistics.ordered_entries(query.key)
    rows = estimate.rows_up(entries, stage.limit, certain=False)
    expected = Estimate(rows, estimate.order_cost(entries))
    return OrderScan(query.key, query.direction, query.start_from, repeats, selection, stage.limit, expected)


def _sample(stage: BoundStage, statistics: Statistics) -> SampleScan:
    selection = _narrowing(stage, statistics)
    passing = _passing(selection, statistics)
    rows = estimate.rows_up(passing, stage.limit, certain=True)
    return SampleScan(selection, stage.limit, Estimate(rows, estimate.sample_cost(passing)))


def _by_id(stage: BoundStage, statistics: Statistics) -> IdScan:
    selection = _narrowing(stage, statistics)
    rows = estimate.rows_up(_passing(selection, statistics), stage.limit, certain=True)
    return IdScan(selection, stage.limit, Estimate(rows, estimate.id_cost(rows.expected)))


def _narrowing(stage: BoundStage, statistics: Statistics) -> OffsetSet | None:
    """The stage's selection, or None when it lets every live point through and so need not be asked."""
    selection = stage.selection
    if selection is None or (selection.is_settled and len(selection) >= statistics.live_points > 0):
        return None
    return selection


def _passing(selection: OffsetSet | None, statistics: Statistics) -> int:
    return statistics.live_points if selection is None else len(selection)


def _vector_rows(
    stage: BoundStage, facts: VectorStatistics, passing: int | None, statistics: Statistics
) -> Cardinality:
    """Rows of a dense or multi leaf: known unless a threshold or a point without the vector may drop some."""
    everybody_has_it = passing is None or facts.points >= statistics.live_points
    certain = stage.score_threshold is None and everybody_has_it
    return estimate.rows_up(facts.points if passing is None else passing, stage.limit, certain=certain)
