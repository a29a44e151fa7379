"""Pages by value against sorting a list."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from qdrantlite.segment import merge_policy
from qdrantlite.segment.payload_index import ordered
from qdrantlite.segment.payload_index.index import make_index
from qdrantlite.segment.selection import Selection
from qdrantlite.values.payload import Json
from qdrantlite.values.schema import FieldIndex, FieldKind

START = st.one_of(st.none(), st.integers(-4, 6), st.sampled_from([-0.5, 1.5, 1e30, -1e30, float("inf"), float("-inf")]))


def wanted(
    entries: list[tuple[float, int]], *, ascending: bool, start: float | None, limit: int
) -> set[tuple[float, int]]:
    passing = [
        (value, offset)
        for value, offset in entries
        if start is None or (value >= start if ascending else value <= start)
    ]
    passing.sort(reverse=not ascending)
    if limit == 0:
        return set()
    last = passing[:limit][-1:]
    return {one for one in passing if (one[0] <= last[0][0] if ascending else one[0] >= last[0][0])}


@given(
    st.lists(st.lists(st.integers(-3, 5), max_size=3), max_size=40),
    st.frozensets(st.integers(0, 50), max_size=45),
    st.booleans(),
    START,
    st.integers(0, 12),
    st.booleans(),
    st.frozensets(st.integers(0, 50), max_size=4),
    st.one_of(st.none(), st.integers(-3, 5)),
)
def test_page_holds_the_first_entries_and_their_ties(
    points: list[list[int]],
    selected: frozenset[int],
    ascending: bool,
    start: int | float | None,
    limit: int,
    integers: bool,
    gone: frozenset[int],
    again: int | None,
) -> None:
    index = make_index(FieldIndex(FieldKind.INTEGER if integers else FieldKind.FLOAT))
    with (
        patch.multiple(merge_policy, TINY_MAX=4),
        patch.object(ordered, "CHUNK", 1),
        patch.object(ordered, "GROWTH", 2),
    ):
        for at in range(0, len(points), 7):
            chunk: list[list[Json]] = [list(values) for values in points[at : at + 7]]
            index = index.with_points(np.arange(at, at + len(chunk), dtype=np.uint32), chunk)
        for offset in gone:
            index = index.without(BitMap((offset,)))
        if again is not None:
            index = index.with_points(np.array(sorted(gone), dtype=np.uint32), [[again]] * len(gone))
        selection = Selection.from_offsets(np.array(sorted(selected), dtype=np.uint32))
        offsets, values = index.ordered().page(selection, ascending=ascending, start_from=start, limit=limit)
        alone = index.ordered().only(selection.offsets())
    held = [{again} - {None} if i in gone else {*dict(enumerate(points)).get(i, ())} for i in sorted(selected)]
    if held and all(len(each) == 1 for each in held):
        assert alone is not None
        assert alone.tolist() == [each.pop() for each in held]
    else:
        assert alone is None
    entries = [(float(v), i) for i, point in enumerate(points) for v in set(point) if i in selected - gone]
    entries += [(float(again), i) for i in selected & gone if again is not None]
    assert set(zip(values.tolist(), offsets.tolist(), strict=True)) == wanted(
        entries, ascending=ascending, start=start, limit=limit
    )
    assert values.tolist() == sorted(values.tolist(), reverse=not ascending)
    assert values.dtype == (np.int64 if integers else np.float64)


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("share", [1, 100, 5000])
def test_long_walks_find_rare_points(ascending: bool, share: int) -> None:
    rng = np.random.default_rng(2)
    numbers = rng.integers(0, 3000, 20_000)
    index = make_index(FieldIndex(FieldKind.INTEGER))
    for at in range(0, len(numbers), 1000):
        index = index.with_points(
            np.arange(at, at + 1000, dtype=np.uint32), [[value] for value in numbers[at : at + 1000].tolist()]
        )
    chosen = np.arange(0, len(numbers), share, dtype=np.uint32)
    view = index.ordered()
    index = index.with_points(np.array([20_000], dtype=np.uint32), [[-1]])
    offsets, values = view.page(Selection.from_offsets(chosen), ascending=ascending, start_from=None, limit=10)
    order = np.sort(numbers[chosen]) if ascending else np.sort(numbers[chosen])[::-1]
    last = order[:10][-1]
    tied = int(np.count_nonzero(order <= last if ascending else order >= last))
    np.testing.assert_array_equal(values, order[:tied])
    np.testing.assert_array_equal(numbers[offsets], values)


@pytest.mark.parametrize("value", range(15, 40))
def test_ties_with_the_first_value_not_read_yet_are_found(value: int) -> None:
    """One run holds ``value`` once, behind values that are not selected; the other holds it 41 times."""
    index = make_index(FieldIndex(FieldKind.INTEGER))
    with patch.multiple(merge_policy, TINY_MAX=1), patch.object(ordered, "CHUNK", 1):
        index = index.with_points(np.arange(100, dtype=np.uint32), [[i] for i in range(100)])
        index = index.with_points(np.arange(100, 141, dtype=np.uint32), [[value]] * 41)
        offsets, values = index.ordered().page(
            Selection.of_range(value, 141), ascending=True, start_from=None, limit=10
        )
    assert sorted(offsets.tolist()) == [value, *range(100, 141)]
    assert set(values.tolist()) == {value}


def test_removed_entries_are_passed_over_and_later_ones_of_the_point_found() -> None:
    index = make_index(FieldIndex(FieldKind.INTEGER))
    with patch.multiple(merge_policy, TINY_MAX=1):
        index = index.with_points(np.arange(100, dtype=np.uint32), [[i] for i in range(100)])
        index = index.without(BitMap((0,)))
        index = index.without(BitMap((1,)))
        index = index.with_points(np.array([1], dtype=np.uint32), [[3]])
    offsets, values = index.ordered().page(Selection.of_range(0, 100), ascending=True, start_from=None, limit=2)
    assert sorted(zip(values.tolist(), offsets.tolist(), strict=True)) == [(2, 2), (3, 1), (3, 3)]


def test_large_integers_keep_their_last_digits() -> None:
    index = make_index(FieldIndex(FieldKind.INTEGER))
    index = index.with_points(np.arange(3, dtype=np.uint32), [[2**53 + 1], [2**53], [2**53 + 2]])
    everything = Selection.of_range(0, 3)
    offsets, values = index.ordered().page(everything, ascending=True, start_from=2**53 + 1, limit=5)
    assert (offsets.tolist(), values.tolist()) == ([0, 2], [2**53 + 1, 2**53 + 2])
