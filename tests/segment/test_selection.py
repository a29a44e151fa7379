"""Selections against Python sets."""

import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.segment.selection import Selection

OFFSETS = st.frozensets(st.integers(0, 70_000), max_size=80)


def selected(offsets: frozenset[int]) -> Selection:
    return Selection.from_offsets(np.array(list(offsets), dtype=np.uint32))


@given(OFFSETS, OFFSETS)
def test_set_operations(a: frozenset[int], b: frozenset[int]) -> None:
    x, y = selected(a), selected(b)
    assert x.intersection(y).offsets().tolist() == sorted(a & b)
    assert x.union(y).offsets().tolist() == sorted(a | b)
    assert x.difference(y).offsets().tolist() == sorted(a - b)
    assert (len(x), x.offsets().tolist()) == (len(a), sorted(a))


@given(OFFSETS, st.lists(st.integers(0, 80_000), max_size=100))
def test_contains_answers_in_the_order_asked(a: frozenset[int], asked: list[int]) -> None:
    found = selected(a).contains(np.array(asked, dtype=np.uint32))
    assert found.dtype == np.bool_
    assert found.tolist() == [offset in a for offset in asked]


def test_survives_being_written() -> None:
    one = Selection.of_range(5, 100_000).difference(Selection.of_range(7, 9))
    assert pickle.loads(pickle.dumps(one)).bitmap == one.bitmap
    assert Selection.from_bytes(one.to_bytes()).bitmap == one.bitmap
