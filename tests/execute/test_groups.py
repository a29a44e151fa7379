"""Grouping by a loop of requests, over a listed shard and the real executor."""

from collections.abc import Sequence
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.errors import TimedOut
from qdrantlite.execute import groups, sifting
from qdrantlite.execute.executor import execute
from qdrantlite.execute.groups import RankedGroup, group_keys, search_groups
from qdrantlite.execute.ranking import Ranking
from qdrantlite.execute.view import Sieve
from qdrantlite.plan.bound import BoundFusion, BoundOrderBy, BoundQuery, BoundSearch, BoundStage, NearestDense
from qdrantlite.plan.planner import plan
from qdrantlite.query.filter import Filter
from qdrantlite.query.search import FusionKind
from qdrantlite.segment.selection import Selection
from qdrantlite.values.distance import Distance
from qdrantlite.values.payload import Json, elements_at, parse_path
from qdrantlite.values.point_id import PointId
from qdrantlite.values.schema import CollectionConfig, VectorParams
from qdrantlite.values.vector import U32, DenseVector
from tests.execute.stored_shard import StoredShard
from tests.oracle_filter import Point, holds

CONFIG = CollectionConfig(vectors={name: VectorParams(1, Distance.DOT) for name in ("up", "down")})
UP = NearestDense(np.ones(1, dtype=np.float32), larger_is_better=True)
RRF = BoundFusion(FusionKind.RRF)


@dataclass(eq=False)
class ListedSieve:
    """A filter that payloads settle; ``indexed`` as if by an index."""

    shard: StoredShard
    filter: Filter
    indexed: bool
    settlings: int = 0

    @property
    def possible(self) -> Selection:
        return self.passing if self.indexed else self.shard.live

    @property
    def is_settled(self) -> bool:
        return self.indexed

    @property
    def passing(self) -> Selection:
        return self.shard.select([point for point in self.shard.points.values() if holds(self.filter, point)])

    def passes(self, offsets: U32) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return self.passing.contains(offsets)

    def settle(self) -> Selection:
        self.settlings += 1
        return self.passing


class Collection:
    """Points 0, 1, 2 …; ``up`` ranks the first ones first, ``down`` the last ones. Remembers what was run."""

    def __init__(self, values: Sequence[Json], *, indexed: bool = False) -> None:
        def rows(number: int) -> dict[str, DenseVector]:
            ups = np.array([-number], dtype=np.float32)
            return {"up": DenseVector(ups), "down": DenseVector(-ups)}

        points = [Point(at, rows(at), {} if value is None else {"key": value}) for at, value in enumerate(values)]
        self.shard = StoredShard(CONFIG, points)
        self.indexed = indexed
        self.runs: list[BoundSearch] = []
        self.sieves: list[ListedSieve] = []

    def run(self, search: BoundSearch, sieve: Sieve | None) -> Ranking:
        self.runs.append(search)
        return execute(plan(search, self.shard), self.shard, sieve=sieve)

    def sieve_of(self, filter: Filter) -> Sieve:
        self.sieves.append(ListedSieve(self.shard, filter, self.indexed))
        return self.sieves[-1]

    def elements_of(self, offsets: U32) -> list[list[Json]]:
        return [elements_at(self.shard.points[at].payload, parse_path("key")) for at in offsets.tolist()]

    def groups(self, stage: BoundStage, group_size: int) -> dict[int | str, list[PointId]]:
        return {group.key: self.shard.ids(group.hits.offsets).to_list() for group in self.ranked(stage, group_size)}

    def ranked(self, stage: BoundStage, group_size: int) -> tuple[RankedGroup, ...]:
        callables = {"run": self.run, "sieve_of": self.sieve_of, "elements_of": self.elements_of}
        return search_groups(BoundSearch(stage), group_by="key", group_size=group_size, **callables)  # type: ignore[arg-type]  # as named


def nearest(limit: int, using: str = "up") -> BoundStage:
    return BoundStage(query=UP, using=using, limit=limit)


def above(query: BoundQuery, *children: BoundStage, limit: int) -> BoundStage:
    return BoundStage(children=children, query=query, using="up" if query is UP else "", limit=limit)


def test_groups_come_by_their_best_point_and_hold_their_best() -> None:
    assert Collection(["b", "a", "b", "b", "c", "a"]).groups(nearest(2), 2) == {"b": [0, 2], "a": [1, 5]}


def test_point_joins_the_group_of_each_distinct_element() -> None:
    assert Collection([["a", "b", "a"], "b"]).groups(nearest(5), 5) == {"a": [0], "b": [0, 1]}


def test_integers_and_strings_are_different_keys() -> None:
    assert Collection([1, "1", -1]).groups(nearest(5), 5) == {1: [0], "1": [1], -1: [2]}


@pytest.mark.parametrize("stranger", [1.5, True, None, ["a"], {"a": 1}])
def test_point_with_an_element_that_cannot_be_a_key_joins_none(stranger: Json) -> None:
    assert group_keys(["a", stranger]) == ()


@pytest.mark.parametrize("indexed", [True, False])
def test_full_groups_on_top_do_not_hide_others(indexed: bool) -> None:
    collection = Collection([*["a"] * 300, "b", "c", "b"], indexed=indexed)
    assert collection.groups(nearest(3), 1) == {"a": [0], "b": [300], "c": [301]}
    assert [search.stage.limit for search in collection.runs] == ([24, 3] if indexed else [24, 96, 384])


@pytest.mark.parametrize("indexed", [True, False])
def test_later_requests_reach_deeper_into_prefetches(indexed: bool) -> None:
    collection = Collection([*["a"] * 12, *["b"] * 12, "c"], indexed=indexed)
    assert collection.groups(above(UP, nearest(10), limit=3), 1) == {"a": [0], "b": [12], "c": [24]}


def test_groups_are_filled_without_asking_for_others() -> None:
    values = [f"g{number % 40}" for number in range(120)]
    collection = Collection(values)
    assert collection.groups(nearest(2), 3) == {"g0": [0, 40, 80], "g1": [1, 41, 81]}
    assert len(collection.sieves) > 5
    assert len(collection.runs) < 4


@patch.object(groups, "KEPT_MAX", 0)
def test_all_payloads_are_read_only_after_a_leaf_has_reached_far() -> None:
    near = Collection([*["a"] * 60, "b"])
    assert near.groups(nearest(2), 1) == {"a": [0], "b": [60]}
    assert sum(sieve.settlings for sieve in near.sieves) == 0
    far = Collection([*["a"] * 600, "b"])
    assert far.groups(nearest(2), 1) == {"a": [0], "b": [600]}
    assert sum(sieve.settlings for sieve in far.sieves) == 0
    with patch.object(sifting, "READ_MAX", 300):
        farther = Collection([*["a"] * 600, "b"])
        assert farther.groups(nearest(2), 1) == {"a": [0], "b": [600]}
    assert sum(sieve.settlings for sieve in farther.sieves) == 1


def test_thousand_groups() -> None:
    found = Collection([number // 2 for number in range(2100)]).groups(nearest(1000), 2)
    assert found == {number: [2 * number, 2 * number + 1] for number in range(1000)}


def test_prefetch_limits_are_multiplied_at_every_depth_once() -> None:
    inner = above(RRF, nearest(5), limit=4)
    collection = Collection(["a"] * 40)
    collection.groups(above(UP, inner, nearest(5, "down"), limit=2), 3)
    assert len(collection.runs) > 1
    for search in collection.runs:
        first, second = search.stage.children
        assert (search.stage.limit, first.limit, first.children[0].limit, second.limit) == (6, 12, 15, 15)


def test_fusion_scores_what_later_requests_find_as_the_plain_query_does() -> None:
    collection = Collection([*["a"] * 6, "b", "c", *["a"] * 6])
    weighted = BoundFusion(FusionKind.RRF, weights=(1.0, 2.0))
    found = collection.ranked(above(weighted, nearest(2), nearest(2, "down"), limit=3), 1)
    scores = {group.key: group.hits.scores.tolist() for group in found}
    # The best of all ranks first in the second source; b and c are met when both are read to their ends.
    assert scores["a"] == pytest.approx([1 / (1 / 2 + 1)])
    assert scores["b"] == pytest.approx([1 / (7 + 1) + 1 / (8 / 2 + 1)])
    assert scores["c"] == pytest.approx([1 / (8 + 1) + 1 / (7 / 2 + 1)])
    assert [group.key for group in found] == ["a", "c", "b"]


def test_point_repeated_by_an_order_joins_a_group_once() -> None:
    collection = Collection([[2, 2], [2, 3], [4]])
    assert collection.groups(BoundStage(query=BoundOrderBy("key"), limit=3), 3) == {2: [0, 1], 3: [1], 4: [2]}


def test_deadline_is_asked_for_each_request() -> None:
    class Late(Collection):
        def run(self, search: BoundSearch, sieve: Sieve | None) -> Ranking:
            if len(self.runs) == 2:
                raise TimedOut("late")
            return super().run(search, sieve)

    with pytest.raises(TimedOut):
        Late([f"g{number % 40}" for number in range(120)]).groups(above(UP, nearest(2), limit=2), 3)


KEYS = st.sampled_from([None, "a", "b", "c", 1, 2, ["a", "b"], [1, "c"], 1.5])


@given(st.lists(KEYS, max_size=60), st.integers(1, 5), st.integers(1, 4), st.booleans(), st.integers(1, 8))
def test_groups_of_kept_points_are_those_of_points_asked_for_anew(
    values: list[Json], limit: int, group_size: int, indexed: bool, first: int
) -> None:
    found: list[list[object]] = []
    for kept_max in (0, 5, 2048):
        collection = Collection(values, indexed=indexed)
        with patch.multiple(groups, KEPT_MAX=kept_max, KEPT_FIRST=first):
            ranked = collection.ranked(nearest(limit), group_size)
        found.append([(each.key, each.hits.offsets.tolist(), each.hits.scores.tolist()) for each in ranked])
    assert found[0] == found[1] == found[2]
