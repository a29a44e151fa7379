"""Grouping as one walk down one ranking."""

from collections.abc import Sequence

import numpy as np
import pytest

from qdrantlite.execute.groups import REACH_MAX, RankedGroup, group_keys, group_ranking, search_groups
from qdrantlite.execute.ranking import Ranking
from qdrantlite.plan.bound import BoundFusion, BoundSearch, BoundStage
from qdrantlite.query.search import FusionKind
from qdrantlite.values.payload import Json
from qdrantlite.values.vector import U32


def ranking(count: int) -> Ranking:
    return Ranking.scored(np.arange(count, dtype=np.uint32), np.arange(count, 0, -1, dtype=np.float32))


def listed(groups: Sequence[RankedGroup]) -> dict[int | str, list[int]]:
    return {group.key: group.hits.offsets.tolist() for group in groups}


def test_groups_come_by_their_best_point_and_hold_their_best() -> None:
    elements: list[list[Json]] = [["b"], ["a"], ["b"], ["b"], ["c"], ["a"]]
    assert listed(group_ranking(ranking(6), elements, groups_max=2, group_size=2)) == {"b": [0, 2], "a": [1, 5]}


def test_point_joins_the_group_of_each_distinct_element() -> None:
    elements: list[list[Json]] = [["a", "b", "a"], ["b"]]
    assert listed(group_ranking(ranking(2), elements, groups_max=5, group_size=5)) == {"a": [0], "b": [0, 1]}


def test_integers_and_strings_are_different_keys() -> None:
    assert listed(group_ranking(ranking(2), [[1], ["1"]], groups_max=5, group_size=5)) == {1: [0], "1": [1]}


@pytest.mark.parametrize("stranger", [1.5, True, None, ["a"], {"a": 1}])
def test_point_with_an_element_that_cannot_be_a_key_joins_none(stranger: Json) -> None:
    assert group_keys(["a", stranger]) == ()


def test_point_repeated_by_an_order_joins_a_group_once() -> None:
    rows = Ranking.unscored(np.array([4, 5, 4], dtype=np.uint32))
    assert listed(group_ranking(rows, [["a"], ["a"], ["a"]], groups_max=1, group_size=3)) == {"a": [4, 5]}


class Collection:
    """Points 0, 1, 2 … best first, with a group field; remembers what was run."""

    def __init__(self, elements: Sequence[Sequence[Json]]) -> None:
        self.elements = elements
        self.runs: list[BoundSearch] = []

    def run(self, search: BoundSearch) -> Ranking:
        self.runs.append(search)
        return ranking(min(search.stage.limit, len(self.elements)))

    def elements_of(self, offsets: U32) -> list[Sequence[Json]]:
        return [self.elements[offset] for offset in offsets.tolist()]

    def groups(self, stage: BoundStage, group_size: int) -> dict[int | str, list[int]]:
        search = BoundSearch(stage)
        return listed(search_groups(search, group_size=group_size, run=self.run, elements_of=self.elements_of))


def test_reach_grows_until_groups_are_full() -> None:
    collection = Collection([*[["a"]] * 30, ["b"], ["b"]])
    assert collection.groups(BoundStage(limit=2), 2) == {"a": [0, 1], "b": [30, 31]}
    assert [search.stage.limit for search in collection.runs] == [4, 16, 64]


def test_reach_stops_when_the_ranking_ends_or_has_gone_far_enough() -> None:
    assert Collection([["a"]] * 3).groups(BoundStage(limit=2), 2) == {"a": [0, 1]}
    endless = Collection([["a"]] * 1000)
    assert endless.groups(BoundStage(limit=2), 2) == {"a": [0, 1]}
    assert endless.runs[-1].stage.limit == 4 * REACH_MAX


def test_prefetch_limits_are_multiplied_at_every_depth_once() -> None:
    fusion = BoundFusion(FusionKind.RRF)
    leaf = BoundStage(limit=5)
    inner = BoundStage(children=(leaf,), query=fusion, limit=4)
    collection = Collection([["a"]] * 40)
    collection.groups(BoundStage(children=(inner, leaf), query=fusion, limit=2), 3)
    for search in collection.runs:
        first, second = search.stage.children
        assert (first.limit, first.children[0].limit, second.limit) == (12, 15, 15)
