"""The best of many scores, whatever is told to be too low before they are sorted."""

from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.segment import best as module
from qdrantlite.segment.best import best_of, reached

SCORES = st.lists(st.sampled_from([*map(float, range(-6, 7)), np.inf, -np.inf, np.nan]), max_size=60)


@given(SCORES, st.integers(0, 20), st.booleans(), st.integers(1, 9))
def test_best_are_those_of_sorting_all(given: list[float], limit: int, larger_is_better: bool, groups: int) -> None:
    scores, offsets = np.array(given, dtype=np.float32), np.arange(3, 3 + len(given), dtype=np.uint32)
    worst = -np.inf if larger_is_better else np.inf
    hits = [(score, offset) for score, offset in zip(given, offsets.tolist(), strict=True) if not np.isnan(score)]
    hits = [(score, offset) for score, offset in hits if score != worst]
    hits.sort(key=lambda hit: (-hit[0] if larger_is_better else hit[0], hit[1]))
    with (
        patch.object(module, "PREFILTERED_FROM", 1),
        patch.object(module, "PREFILTERED_SHARE", 1),
        patch.object(module, "GROUPS_OF", groups),
    ):
        found, near = best_of(offsets, scores, limit=limit, larger_is_better=larger_is_better)
    assert found.tolist() == [offset for _, offset in hits[:limit]]
    assert near.tolist() == [score for score, _ in hits[:limit]]


@given(st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=200), st.integers(1, 40))
def test_what_is_said_to_be_reached_is_reached_by_as_many(given: list[float], limit: int) -> None:
    scores = np.array(given, dtype=np.float32)
    least = reached(scores, limit)
    assert np.isneginf(least) or np.count_nonzero(scores >= least) >= limit
    assert np.isneginf(least) == (len(given) < limit)
