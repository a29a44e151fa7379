"""The best rows in a total order: by score, then by id; large groups of ties by offset."""

from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.execute import merge
from qdrantlite.execute.merge import TIED_ROWS_MAX, fetch_best, passing_threshold, settled
from qdrantlite.execute.ranking import Ranking
from qdrantlite.values.point_id import PointId
from qdrantlite.values.point_ids import PointIds
from qdrantlite.values.vector import F32, U32


class Shelf:
    """Rows by score, then offset; the id of offset n is ``1_000_000 - n``, so that ids run against offsets."""

    def __init__(self, scores: list[float]) -> None:
        self.scores = np.array(scores, dtype=np.float32)
        self.asked = self.fetched = 0

    def fetch(self, limit: int) -> tuple[U32, F32]:
        self.fetched += 1
        order = np.argsort(-self.scores, kind="stable")[:limit]
        return order.astype(np.uint32), self.scores[order]

    def ids(self, offsets: U32) -> PointIds:
        self.asked += len(offsets)
        return PointIds.of([1_000_000 - offset for offset in offsets.tolist()])

    def best(self, limit: int, spare: int = 1) -> list[int]:
        return [int(offset) for offset in fetch_best(self.fetch, limit, self.ids, spare=spare).offsets]

    def in_order(self) -> list[int]:
        return sorted(range(len(self.scores)), key=lambda offset: (-self.scores[offset], -offset))


@given(st.lists(st.integers(0, 4).map(float), max_size=30), st.integers(1, 35), st.integers(1, 6))
def test_every_page_is_a_prefix_of_one_order(scores: list[float], limit: int, spare: int) -> None:
    shelf = Shelf(scores)
    assert shelf.best(limit, spare) == shelf.in_order()[:limit]


def test_tie_that_ends_among_the_spare_rows_is_not_fetched_again() -> None:
    for spare, fetched in ((1, 2), (2, 2), (3, 1)):
        shelf = Shelf([9, 8, 8, 8, 7, 6])
        assert shelf.best(2, spare) == [0, 3]
        assert shelf.fetched == fetched


def test_ids_are_asked_for_tied_rows_only() -> None:
    shelf = Shelf([9, 8, 8, 7, 6, 6, 6])
    assert shelf.best(4) == [0, 2, 1, 3]
    assert shelf.asked == 2
    assert Shelf([3, 2, 1]).asked == 0


@pytest.mark.parametrize("limit", [1, 5, TIED_ROWS_MAX, TIED_ROWS_MAX + 1, TIED_ROWS_MAX + 10])
def test_group_too_large_to_name_stays_in_the_order_of_offsets_on_every_page(limit: int) -> None:
    shelf = Shelf([2.0, *[1.0] * (TIED_ROWS_MAX + 1), 0.0, 0.0])
    expected = [*range(TIED_ROWS_MAX + 2), TIED_ROWS_MAX + 3, TIED_ROWS_MAX + 2]
    assert shelf.best(limit) == expected[:limit]


def test_largest_group_that_is_named_is_in_the_order_of_ids_on_every_page() -> None:
    shelf = Shelf([2.0, *[1.0] * TIED_ROWS_MAX, 0.0])
    expected = [0, *range(TIED_ROWS_MAX, 0, -1), TIED_ROWS_MAX + 1]
    for limit in (1, 2, 700, TIED_ROWS_MAX, TIED_ROWS_MAX + 2):
        assert shelf.best(limit) == expected[:limit]


def test_uuids_come_after_integers_and_a_descending_order_turns_ids_round() -> None:
    names: dict[int, PointId] = {0: UUID(int=1), 1: 5, 2: UUID(int=0), 3: 2**64 - 1}
    rows = Ranking.scored(np.arange(4, dtype=np.uint32), np.ones(4, dtype=np.float32))

    def ids(offsets: U32) -> PointIds:
        return PointIds.of([names[offset] for offset in offsets.tolist()])

    assert settled(rows, rows.scores, 4, ids).offsets.tolist() == [1, 3, 2, 0]
    assert settled(rows, rows.scores, 2, ids, ascending=False).offsets.tolist() == [0, 2]


def test_threshold_is_strict_in_both_directions_and_compared_as_float32() -> None:
    rows = Ranking.scored(np.arange(3, dtype=np.uint32), np.array([0.1, 0.2, 0.3], dtype=np.float32))
    assert passing_threshold(rows, 0.2, larger_is_better=True).offsets.tolist() == [2]
    assert passing_threshold(rows, 0.2, larger_is_better=False).offsets.tolist() == [0]
    assert passing_threshold(rows, None, larger_is_better=True) is rows


def test_scores_that_are_not_numbers_come_last_and_are_never_tied() -> None:
    scores = np.array([np.nan, 1, np.nan, 2], dtype=np.float32)
    for larger, expected in ((True, [3, 1, 0, 2]), (False, [1, 3, 0, 2])):
        order = merge.best_first(scores, larger_is_better=larger)
        assert order.tolist() == expected
        rows = Ranking.scored(order.astype(np.uint32), scores[order])
        assert (
            settled(rows, rows.scores, 9, lambda offsets: PointIds.of([0] * len(offsets))).offsets.tolist() == expected
        )
