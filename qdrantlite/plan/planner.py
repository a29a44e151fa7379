"""From a bound search to a plan: one node for each stage.

Qdrant's rules of what a stage does are decided here: a stage without children reads the shard, one with children
merges them, the root alone knows an offset. How a leaf reads is decided in ``leaves``. Pure: the same search and
statistics give the same plan.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

from qdrantlite.plan import estimate
from qdrantlite.plan.bound import (
    BoundDiversity,
    BoundFormula,
    BoundFusion,
    BoundOrderBy,
    BoundSample,
    BoundSearch,
    BoundStage,
    BoundText,
    BoundVectorQuery,
    NearestDense,
    NearestMulti,
    NearestSparse,
)
from qdrantlite.plan.custom import CustomScore
from qdrantlite.plan.guides import guides
from qdrantlite.plan.leaves import leaf
from qdrantlite.plan.nodes import (
    CustomScan,
    Diversify,
    Estimate,
    ExactScan,
    Formula,
    Fuse,
    GraphScan,
    GuidedScan,
    Merge,
    MultiScan,
    Node,
    Nothing,
    Order,
    Rescore,
    SampleOf,
    SparseScan,
    SubsetScan,
    Top,
)
from qdrantlite.plan.rules import RULES
from qdrantlite.plan.statistics import Statistics


def plan(search: BoundSearch, statistics: Statistics) -> Node:
    """The plan of a search. The root stage works with ``limit + offset``; what is skipped is skipped last."""
    stage = search.stage
    if search.offset == 0:
        return _node(stage, statistics, repeats=search.repeats)
    reach = replace(stage, limit=stage.limit + search.offset)
    node = _node(reach, statistics, repeats=search.repeats)
    candidates = node.estimate.rows
    rows = estimate.rows_up(
        max(candidates.high - search.offset, 0), stage.limit, certain=candidates.low == candidates.high
    )
    top = Top(node, search.offset, stage.limit, Estimate(rows, node.estimate.cost_us + estimate.TOP_US))
    return _improved(top)


def plan_alike(known: Node, queries: Iterator[BoundVectorQuery]) -> Node:
    """The plan of a search that differs from the one planned in nothing but the vectors it names.

    ``queries`` come as nodes do: those of the sources before that of what merges them.
    """
    match known:
        case Nothing():
            deque(queries, maxlen=0)  # Whoever binds them refuses what does not fit.
            return known
        case Top():
            return replace(known, source=plan_alike(known.source, queries))
        case Fuse():
            return replace(known, sources=tuple([plan_alike(source, queries) for source in known.sources]))
        case Rescore():
            sources = tuple([plan_alike(source, queries) for source in known.sources])
            return replace(known, sources=sources, query=next(queries))
        case GuidedScan():
            query = next(queries)
            assert isinstance(query, CustomScore)
            walks = tuple(
                [replace(walk, query=guide) for walk, guide in zip(known.sources, guides(query), strict=True)]
            )
            return replace(known, sources=walks, otherwise=replace(known.otherwise, query=query))
        case GraphScan() | ExactScan() | SubsetScan() | SparseScan() | MultiScan() | CustomScan():
            query = next(queries)
            assert type(query) is type(known.query)
            return replace(known, query=query)  # type: ignore[arg-type] # of the same type
        case _:
            raise AssertionError("a search that names nothing but vectors")


def can_be_alike(node: Node) -> bool:
    """Whether the plan holds for searches alike: not when a filter is settled by reading, or a part of it cut away."""
    return isinstance(node, Nothing) or _is_whole(node)


def _is_whole(node: Node) -> bool:
    if isinstance(node, Nothing) or (node.selection is not None and not node.selection.is_settled):
        return False
    return all(map(_is_whole, node.sources))


def _node(stage: BoundStage, statistics: Statistics, *, repeats: bool) -> Node:
    """``repeats``: whether this very stage, when it orders by value, keeps neighbouring repeats of a point."""
    stage = _attainable(stage, statistics)
    if not stage.children:
        return _improved(leaf(stage, statistics, repeats=repeats))
    sources = tuple([_node(child, statistics, repeats=True) for child in stage.children])
    return _improved(_merge(stage, sources, statistics, repeats=repeats))


def _attainable(stage: BoundStage, statistics: Statistics) -> BoundStage:
    """The stage with a limit no larger than what it can hand up: whatever was asked for, memory follows what exists."""
    query = stage.query
    most = statistics.ordered_entries(query.key) if isinstance(query, BoundOrderBy) else statistics.live_points
    return stage if stage.limit <= max(most, 1) else replace(stage, limit=max(most, 1))


def _improved(node: Node) -> Node:
    """The node after every rule; a rule may not promise rows that were not there before."""
    for rule in RULES:
        better = rule(node)
        assert better.estimate.rows.high <= node.estimate.rows.high, rule
        node = better
    return node


def _merge(stage: BoundStage, sources: tuple[Node, ...], statistics: Statistics, *, repeats: bool) -> Merge:
    """The inner node of a stage. Points may come from several sources or drop out: only bounds are known."""
    given = estimate.rows_of(sources)
    below_us = estimate.cost_of(sources)
    match stage.query:
        case NearestDense() | NearestSparse() | NearestMulti() | CustomScore():
            rows = estimate.rows_up(given, stage.limit, certain=False)
            rescore_us = estimate.rescore_cost(statistics.vector(stage.using), given, stage.query)
            return Rescore(
                *(sources, stage.using, stage.query, stage.limit, stage.score_threshold),
                Estimate(rows, below_us + rescore_us),
            )
        case BoundDiversity(query, diversity):
            rows = estimate.rows_up(given, stage.limit, certain=False)
            picking_us = estimate.pick_cost(statistics.vector(stage.using), given, rows.expected)
            expected = Estimate(rows, below_us + picking_us)
            return Diversify(sources, stage.using, query, diversity, stage.limit, expected)
        case BoundFusion(kind, k, weights):
            rows = estimate.rows_up(given, stage.limit, certain=False)
            expected = Estimate(rows, below_us + estimate.fuse_cost(given))
            return Fuse(sources, kind, k, weights, stage.limit, stage.score_threshold, expected)
        case BoundFormula():
            rows = estimate.rows_up(given, stage.limit, certain=False)
            expected = Estimate(rows, below_us + estimate.formula_cost(given, stage.query.parts))
            return Formula(sources, stage.query, stage.limit, stage.score_threshold, expected)
        case BoundOrderBy(key, direction, start_from):
            entries = statistics.ordered_entries(key)
            rows = estimate.rows_up(entries, stage.limit, certain=False)
            expected = Estimate(rows, below_us + estimate.order_cost(entries))
            return Order(sources, key, direction, start_from, repeats, stage.limit, expected)
        case BoundSample():
            rows = estimate.rows_up(given, stage.limit, certain=False)
            return SampleOf(sources, stage.limit, Estimate(rows, below_us + estimate.sample_cost(given)))
        case BoundText() | None:
            raise AssertionError("a stage with children has a query that merges them")
        case _:
            assert_never(stage.query)
