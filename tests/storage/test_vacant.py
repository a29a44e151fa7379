"""Ranges agree with sets of numbers."""

from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.storage.vacant import (
    NOTHING_VACANT,
    Ranges,
    Vacant,
    between,
    blocks_within,
    joined,
    ranges_of,
    size_of,
    without,
)

Pairs: TypeAlias = list[tuple[int, int]]

END = 60
PAIRS = st.lists(st.tuples(st.integers(0, END), st.integers(0, END)), max_size=6)


def numbers(pairs: Pairs | Ranges) -> set[int]:
    return {number for start, stop in np.asarray(pairs).reshape(-1, 2).tolist() for number in range(start, stop)}


@given(one=PAIRS, other=PAIRS)
def test_ranges_are_the_numbers_they_were_made_of(one: Pairs, other: Pairs) -> None:
    ranges = ranges_of(one)
    assert numbers(ranges) == numbers(one)
    assert (np.diff(ranges.ravel()) > 0).all()  # In order; none is empty, none touches the next.
    assert not ranges.flags.writeable
    assert size_of(ranges) == len(numbers(one))
    assert numbers(joined(ranges, ranges_of(other))) == numbers(one) | numbers(other)
    assert numbers(without(ranges, ranges_of(other))) == numbers(one) - numbers(other)


@given(pairs=PAIRS, start=st.integers(0, END), stop=st.integers(0, END))
def test_what_no_range_covers_lies_between(pairs: Pairs, start: int, stop: int) -> None:
    spans = between(ranges_of(pairs), start, stop)
    assert numbers(list(spans)) == set(range(start, stop)) - numbers(pairs)
    assert list(spans) == sorted(spans)
    assert all(first < end for first, end in spans)


@given(pairs=PAIRS, size=st.sampled_from((1, 4, 16)))
def test_only_blocks_wholly_within_count(pairs: Pairs, size: int) -> None:
    covered = numbers(pairs)
    whole = {block for block in range(END) if set(range(block * size, (block + 1) * size)) <= covered}
    assert numbers(blocks_within(ranges_of(pairs), size)) == whole


@given(offsets=PAIRS, rows=PAIRS, more=PAIRS)
def test_vacant_unites_and_survives_writing(offsets: Pairs, rows: Pairs, more: Pairs) -> None:
    one = Vacant(ranges_of(offsets), {3: ranges_of(rows)})
    both = Vacant.from_json(one.union(Vacant(ranges_of(more), {3: ranges_of(offsets), 5: ranges_of(more)})).to_json())
    assert numbers(both.offsets) == numbers(offsets) | numbers(more)
    assert numbers(both.of(3)) == numbers(rows) | numbers(offsets)
    assert numbers(both.of(5)) == numbers(more)
    assert numbers(both.of(7)) == set()
    assert bool(both) == bool(numbers(offsets) | numbers(rows) | numbers(more))
    assert set(both.among({5}).rows) == {5}
    assert not NOTHING_VACANT


def test_ranges_out_of_order_are_our_mistake() -> None:
    with pytest.raises(AssertionError):
        Vacant(np.array([[5, 9], [0, 3]], np.int64))
