"""Days and weeks of writing leave few segments, and nobody waits for more than a little."""

from collections.abc import Callable, Iterator

import pytest

from qdrantlite.segment import merge_policy
from tests.segment.merge_simulation import Commit, Simulation, bulk, nightly, stream, trickle, updates


@pytest.mark.parametrize(
    ("pattern", "days", "written_max", "segments_mean_max"),
    [(trickle, 14, 40, 4), (stream, 1, 10, 5), (bulk, 2, 6, 21), (nightly, 14, 7, 13), (updates, 14, 20, 5)],
)
def test_entries_are_written_seldom_and_segments_stay_few(
    pattern: Callable[[int], Iterator[Commit]], days: int, written_max: float, segments_mean_max: float
) -> None:
    found = Simulation().run(pattern(days))
    assert found.written <= written_max * found.committed
    assert found.searched <= segments_mean_max * found.commits
    assert found.segments_max <= 40
    assert found.waited_max <= merge_policy.TINY_MAX
    assert found.forgotten_max <= merge_policy.SHARE_FORGOTTEN_MAX


def test_what_is_replaced_leaves_as_many_offsets_counting() -> None:
    found = Simulation().run(updates(2))
    assert sum(each.counting for each in found.segments) == pytest.approx(1_000_000)
