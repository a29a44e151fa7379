"""Fusion by rank and by spread, against sums written out."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.execute.fuse import Fused, fuse_dbsf, fuse_rrf
from qdrantlite.execute.ranking import OrderValues, Ranking


def scored(offsets: Sequence[int], scores: Sequence[float]) -> Ranking:
    return Ranking.scored(np.array(offsets, dtype=np.uint32), np.array(scores, dtype=np.float32))


def ordered(offsets: Sequence[int], values: Sequence[int] | Sequence[float]) -> Ranking:
    return Ranking.unscored(np.array(offsets, dtype=np.uint32), OrderValues.of(np.array(values)))


def scores_of(fused: Fused) -> dict[int, float]:
    return dict(zip(fused.ranking.offsets.tolist(), fused.ranking.scores.tolist(), strict=True))


def test_rank_counts_from_k_and_the_score_itself_is_ignored() -> None:
    fused = fuse_rrf([scored([7, 3], [0.1, 0.0]), scored([3, 9], [100, 50])], k=2, weights=None)
    assert fused.ranking.offsets.tolist() == [3, 7, 9]
    assert fused.ranking.scores.tolist() == [np.float32(1 / 2) + np.float32(1 / 3), 0.5, np.float32(1 / 3)]


def test_weight_stretches_ranks() -> None:
    fused = scores_of(fuse_rrf([scored([1, 2], [9, 8]), scored([3], [9])], k=2, weights=[4.0, 0.5]))
    assert fused == pytest.approx({1: 1 / (1 / 4 + 1), 2: 1 / (2 / 4 + 1), 3: 1 / (2 + 1)})


def test_source_of_no_weight_lists_its_points_with_score_zero() -> None:
    assert scores_of(fuse_rrf([scored([1], [9]), scored([2], [9])], k=2, weights=[0.0, 1.0])) == {2: 0.5, 1: 0.0}


def test_point_listed_twice_by_a_source_counts_twice() -> None:
    assert scores_of(fuse_rrf([ordered([5, 5], [1, 2])], k=2, weights=None)) == {
        5: np.float32(1 / 2) + np.float32(1 / 3)
    }


def test_spread_places_scores_within_three_deviations() -> None:
    fused = scores_of(fuse_dbsf([scored([1, 2, 3], [3, 2, 1]), scored([3], [40])]))
    assert fused == pytest.approx({1: 4 / 6, 2: 3 / 6, 3: 2 / 6 + 0.5})


@pytest.mark.parametrize("scores", [[2.5], [2.5, 2.5], [0.1] * 7])
def test_source_without_spread_gives_one_half(scores: list[float]) -> None:
    assert set(scores_of(fuse_dbsf([scored(range(len(scores)), scores)])).values()) == {0.5}


def test_scores_are_not_clamped() -> None:
    fused = scores_of(fuse_dbsf([scored(range(30), [100.0, *[0.0] * 29])]))
    assert fused[0] > 1


def test_infinite_and_huge_scores_spoil_no_other_place() -> None:
    finite = scores_of(fuse_dbsf([scored([2, 3, 4], [3, 2, 1])]))
    assert scores_of(fuse_dbsf([scored([1, 2, 3, 4], [np.inf, 3, 2, 1])])) == {1: np.inf, **finite}
    huge = scores_of(fuse_dbsf([scored([2, 3, 4], [3e38, 0, -3e38])]))
    assert huge == pytest.approx(finite)
    assert scores_of(fuse_dbsf([scored([1, 2], [3e38, 3e38])])) == {1: 0.5, 2: 0.5}
    assert scores_of(fuse_dbsf([scored([1, 2], [np.inf, np.inf])])) == {1: np.inf, 2: np.inf}


def test_point_with_order_value_comes_first_in_spread_fusion_only() -> None:
    sources = [scored([1, 2], [9, 8]), ordered([3, 4], [5, 6])]
    assert fuse_dbsf(sources).ranking.offsets.tolist()[:2] == [4, 3]
    assert fuse_rrf(sources, k=2, weights=None).ranking.offsets.tolist() == [1, 3, 2, 4]


def test_integer_and_float_order_values_compare_as_numbers() -> None:
    fused = fuse_dbsf([ordered([1, 2], [1, 3]), ordered([3, 4], [0.5, 2.5])])
    assert fused.ranking.offsets.tolist() == [2, 4, 1, 3]


def test_fused_row_is_that_of_the_first_source_holding_it() -> None:
    fused = fuse_rrf([scored([1], [9]), ordered([1, 2], [7, 8])], k=2, weights=None).ranking
    assert fused.order is not None
    assert fused.offsets.tolist() == [1, 2]
    assert fused.versioned.tolist() == [True, False]
    assert [fused.order.at(0), fused.order.at(1)] == [None, 8]


def test_keys_tell_ties_apart_where_value_and_score_meet() -> None:
    fused = fuse_dbsf([scored([1], [9]), ordered([2, 3], [0.5, 0.5])])
    assert fused.ranking.offsets.tolist() == [2, 3, 1]
    assert fused.keys.tolist() == [0, 0, 1]


def test_sources_without_rows_add_nothing() -> None:
    for fused in (fuse_rrf([Ranking.empty(), Ranking.empty()], k=2, weights=None), fuse_dbsf([Ranking.empty()])):
        assert len(fused.ranking) == 0
    assert scores_of(fuse_rrf([Ranking.empty(), scored([4], [1])], k=2, weights=None)) == {4: 0.5}


@given(st.lists(st.lists(st.integers(0, 30), unique=True, max_size=20), min_size=1, max_size=4), st.integers(1, 60))
def test_rank_fusion_adds_up_in_float32_in_the_order_of_sources(sources: list[list[int]], k: int) -> None:
    expected: dict[int, np.float32] = {}
    for source in sources:
        for position, offset in enumerate(source):
            share = np.float32(1) / (np.float32(position + 1) + np.float32(k) - np.float32(1))
            expected[offset] = expected.get(offset, np.float32(0)) + share
    fused = fuse_rrf([scored(source, range(len(source))) for source in sources], k=k, weights=None)
    assert scores_of(fused) == expected
    assert fused.ranking.offsets.tolist() == sorted(expected, key=lambda offset: (-expected[offset], offset))
