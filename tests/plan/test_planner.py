"""What the planner chooses, and that a plan promises no more than it can hand up."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.plan.bound import BoundFusion, BoundOrderBy, BoundSearch, BoundStage, NearestDense
from qdrantlite.plan.estimate import scan_cost, subset_cost
from qdrantlite.plan.nodes import ExactScan, Fuse, IdScan, Node, Nothing, Order, OrderScan, SubsetScan, Top
from qdrantlite.plan.planner import plan
from qdrantlite.plan.statistics import VectorStatistics
from qdrantlite.query.search import FusionKind
from tests.plan.counted import PACKAGES, Counted
from tests.plan.passing import Passing

NEAREST = NearestDense(np.zeros(384, dtype=np.float32), larger_is_better=True)
RRF = BoundFusion(FusionKind.RRF)
BY_SIZE = BoundOrderBy("size")


def nearest(using: str, passing: int | None) -> BoundStage:
    return BoundStage(query=NEAREST, using=using, selection=None if passing is None else Passing(passing))


@pytest.mark.parametrize(
    ("using", "passing", "expected"),
    [
        ("dense", None, ExactScan),
        ("dense", 60_000, ExactScan),
        ("dense", 59_000, ExactScan),
        ("dense", 600, SubsetScan),
        ("dense", 0, Nothing),
        ("half", 100, SubsetScan),
        ("half", 20_000, ExactScan),
        ("byte", 300, SubsetScan),
        ("byte", 40_000, SubsetScan),
    ],
)
def test_leaf_is_chosen_by_how_many_points_pass(using: str, passing: int | None, expected: type) -> None:
    assert type(plan(BoundSearch(nearest(using, passing)), PACKAGES)) is expected


def test_filter_that_lets_every_point_through_is_forgotten() -> None:
    node = plan(BoundSearch(nearest("dense", 60_000)), PACKAGES)
    assert isinstance(node, ExactScan)
    assert node.selection is None


def test_filter_that_reading_must_settle_is_kept_however_many_may_pass() -> None:
    stage = replace(nearest("dense", 60_000), selection=Passing(60_000, is_settled=False))
    node = plan(BoundSearch(stage), PACKAGES)
    assert isinstance(node, ExactScan)
    assert node.selection is stage.selection
    assert "filter<=60000" in node.details


@given(st.integers(1, 2_000_000), st.integers(1, 4096), st.sampled_from([1, 2, 4]), st.data())
def test_cheaper_scan_is_chosen(rows: int, dimension: int, size: int, data: st.DataObject) -> None:
    facts = VectorStatistics(rows, rows, dimension, size)
    passing = data.draw(st.integers(1, rows))
    node = plan(BoundSearch(nearest("v", passing)), Counted(rows, {"v": facts}))
    costs = [scan_cost(facts, None if passing == rows else passing)]
    if passing < rows:
        costs.append(subset_cost(facts, passing))
    assert node.estimate.cost_us == min(costs)


def test_root_reaches_as_far_as_its_offset_and_sources_do_not() -> None:
    stage = BoundStage(children=(BoundStage(limit=5), BoundStage(limit=6)), query=RRF, limit=3)
    node = plan(BoundSearch(stage, offset=4), PACKAGES)
    assert isinstance(node, Top)
    fuse = node.source
    assert isinstance(fuse, Fuse)
    assert (node.offset, node.limit, fuse.limit) == (4, 3, 7)
    assert [source.limit for source in fuse.sources if isinstance(source, IdScan)] == [5, 6]


def test_only_an_order_at_the_root_drops_repeats() -> None:
    stage = BoundStage(children=(BoundStage(query=BY_SIZE),), query=BY_SIZE)
    node = plan(BoundSearch(stage), PACKAGES)
    assert isinstance(node, Order)
    assert isinstance(node.sources[0], OrderScan)
    assert (node.repeats, node.sources[0].repeats) == (False, True)
    scrolled = plan(BoundSearch(BoundStage(query=BY_SIZE), repeats=True), PACKAGES)
    assert isinstance(scrolled, OrderScan)
    assert scrolled.repeats


def test_empty_source_of_a_fusion_keeps_its_place() -> None:
    stage = BoundStage(children=(nearest("dense", 0), BoundStage()), query=BoundFusion(FusionKind.RRF, weights=(1, 2)))
    node = plan(BoundSearch(stage), PACKAGES)
    assert isinstance(node, Fuse)
    assert [type(source) for source in node.sources] == [Nothing, IdScan]


def test_whatever_works_on_nothing_is_nothing() -> None:
    empty = nearest("dense", 0)
    for query in (NEAREST, RRF, BY_SIZE):
        using = "dense" if query is NEAREST else ""
        stage = BoundStage(children=(empty, empty), query=query, using=using)
        assert isinstance(plan(BoundSearch(stage, offset=2), PACKAGES), Nothing)


def test_known_row_counts_are_told_as_known() -> None:
    assert plan(BoundSearch(nearest("dense", 7)), PACKAGES).estimate.rows.low == 7
    assert plan(BoundSearch(nearest("byte", 7)), PACKAGES).estimate.rows.low == 0
    assert plan(BoundSearch(nearest("dense", 7), offset=5), PACKAGES).estimate.rows.high == 2


def limits(node: Node) -> list[int]:
    own = [node.limit] if not isinstance(node, Nothing) else []
    return [*own, *(limit for source in node.sources for limit in limits(source))]


def test_no_node_keeps_more_rows_than_there_can_be() -> None:
    leaves = (nearest("dense", None), nearest("dense", 60), BoundStage(), BoundStage(query=BY_SIZE))
    for end in (2**31, 2**63, 2**64 - 1):
        children = tuple([replace(stage, limit=end) for stage in leaves])
        for stage in (*children, BoundStage(children=children, query=RRF, limit=end)):
            node = plan(BoundSearch(stage, offset=end), PACKAGES)
            assert isinstance(node, Top)
            assert max(limits(node.source)) <= max(PACKAGES.live_points, PACKAGES.ordered_entries("size"))
