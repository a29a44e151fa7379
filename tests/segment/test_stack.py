"""Stacks of segments against a dict, through commits, merges behind them and old values."""

from collections.abc import Sequence
from dataclasses import dataclass
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.segment import merge_policy
from qdrantlite.segment.merge_policy import SegmentSize, choose_merge
from qdrantlite.segment.stack import Layer, Stack


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A segment of one value an offset."""

    values: dict[int, int]

    @property
    def size(self) -> int:
        return len(self.values)

    @property
    def held(self) -> AbstractBitMap:
        return BitMap(self.values)


def merged(layers: Sequence[Layer[Table]]) -> Table:
    values: dict[int, int] = {}
    for layer in layers:
        kept = {offset: value for offset, value in layer.segment.values.items() if offset not in layer.forgotten}
        assert not kept.keys() & values.keys(), "an offset counts in one segment only"
        values.update(kept)
    return Table(values)


def content(stack: Stack[Table]) -> dict[int, int]:
    return merged(stack.layers).values


OFFSETS = st.frozensets(st.integers(0, 12), min_size=1, max_size=5)
STEP = st.one_of(
    OFFSETS.map(lambda offsets: ("take", offsets)),
    OFFSETS.map(lambda offsets: ("forget", offsets)),
    st.tuples(st.integers(0, 5), st.integers(1, 4)).map(lambda span: ("begin", span)),
    st.just(("finish", None)),
)


@given(st.lists(STEP, max_size=25), st.sampled_from([(2, 2), (3, 8), (100, 100)]))
def test_stack_holds_what_a_dict_would_and_old_ones_stay_as_they_were(
    steps: list[tuple[str, object]], bounds: tuple[int, int]
) -> None:
    stack: Stack[Table] = Stack()
    model: dict[int, int] = {}
    seen: list[tuple[Stack[Table], dict[int, int]]] = []
    under_way: tuple[Layer[Table], ...] = ()
    with patch.multiple(merge_policy, TINY_MAX=bounds[0], TINY_RATIO=bounds[1]):
        for number, (name, argument) in enumerate(steps):
            if isinstance(argument, frozenset):
                stack = stack.without(BitMap(argument))
                model = {offset: value for offset, value in model.items() if offset not in argument}
                if name == "take":
                    taken = dict.fromkeys(sorted(argument), number)
                    stack = stack.added(Table(taken), merged)
                    model = {**model, **taken}
            elif isinstance(argument, tuple):
                under_way = stack.layers[argument[0] : argument[0] + argument[1]]
            elif under_way:
                replaced = stack.replaced(under_way, merged(under_way))
                gone = {id(layer.segment) for layer in under_way} - {id(layer.segment) for layer in stack}
                assert (replaced is None) == bool(gone)
                stack, under_way = replaced or stack, ()
            seen.append((stack, model))
        for old, wanted in seen:
            assert content(old) == wanted
        assert content(stack.settled(merged)) == model
        assert stack.settled(merged).due() is None


def test_what_is_forgotten_during_a_merge_stays_forgotten() -> None:
    tables = [Table({0: 1, 1: 1, 2: 1}), Table({3: 1, 4: 1}), Table({5: 1})]
    stack = Stack(tuple(map(Layer, tables))).without(BitMap([2]))
    under_way = stack.layers[:2]
    segment = merged(under_way)
    with patch.multiple(merge_policy, TINY_MAX=3):
        later = stack.without(BitMap([1, 3])).added(Table({2: 9, 3: 9}), merged)
    replaced = later.replaced(under_way, segment)
    assert replaced is not None
    assert content(replaced) == content(later) == {0: 1, 2: 9, 3: 9, 4: 1, 5: 1}
    assert replaced.layers[0].segment is segment


def test_segments_of_which_nothing_counts_are_let_go() -> None:
    stack = Stack((Layer(Table({1: 1})), Layer(Table({2: 1, 3: 1}))))
    assert [layer.segment.values for layer in stack.without(BitMap([1]))] == [{2: 1, 3: 1}]
    under_way = stack.layers
    gone = stack.without(BitMap([2])).replaced(under_way, merged(under_way))
    assert gone is not None
    assert content(gone) == {1: 1, 3: 1}
    empty: Stack[Table] = Stack()
    assert empty.added(Table({}), merged).layers == ()


def test_segments_are_replaced_by_what_their_files_hold() -> None:
    stack = Stack((Layer(Table({1: 1}), file="old"), Layer(Table({2: 1, 3: 1}))))
    later = stack.without(BitMap([1, 2])).added(Table(dict.fromkeys(range(10, 9000), 1)), merged)
    mapped = Table({2: 1, 3: 1})
    kept = later.kept({id(stack.layers[1].segment): ("new", mapped)}, lambda table: table)
    assert [layer.file for layer in kept] == ["new", None]
    assert kept.layers[0].segment is mapped
    assert kept.layers[0].forgotten == BitMap([2])
    assert kept.layers[1] is later.layers[1]


# -- when segments are merged


@pytest.mark.parametrize(
    ("entries", "chosen"),
    [
        ([], None),
        ([5], None),
        ([100, 100, 100], None),
        ([10_000, 10_000], range(2)),
        ([30_000, 10_000], None),
        ([30_000, 10_000, 5_000], range(3)),
        ([100_000, 30_000, 10_000, 6_000], range(1, 4)),
        ([1_000_000, 400_000, 90_000, 8_000], None),
        ([1_000_000, 8_000, 8_000], range(1, 3)),
    ],
)
def test_segment_is_merged_once_younger_ones_are_half_as_large(entries: list[int], chosen: range | None) -> None:
    assert choose_merge([SegmentSize(count) for count in entries]) == chosen


@pytest.mark.parametrize(
    ("entries", "chosen"),
    [
        ([5], None),
        ([100, 100, 100], range(3)),
        ([900_000, 400_000, 90_000, 8_000], range(4)),
        ([1_000_000, 40_000, 8_000], range(1, 3)),
        ([1_000_000, 1_000], None),
        ([16, 1], range(2)),
        ([17, 1], None),
    ],
)
def test_at_rest_fewer_segments_are_left(entries: list[int], chosen: range | None) -> None:
    assert choose_merge([SegmentSize(count) for count in entries], at_rest=True) == chosen


@pytest.mark.parametrize("batch", [1, 100, 5000])
def test_rests_between_all_writes_do_not_write_entries_much_more_often(batch: int) -> None:
    sizes: list[int] = []
    written = 0
    for _ in range(3_000):
        sizes.append(batch)
        while len(sizes) > 1 and merge_policy.merges_at_once(sizes[-2], sizes[-1]):
            sizes[-2:] = [sum(sizes[-2:])]
        while (chosen := choose_merge([SegmentSize(size) for size in sizes], at_rest=True)) is not None:
            sizes[chosen.start : chosen.stop] = [sum(sizes[chosen.start : chosen.stop])]
            written += sizes[chosen.start]
        assert len(sizes) <= 5
    assert written <= 30 * 3_000 * batch


def test_segment_full_of_what_is_forgotten_is_written_anew() -> None:
    sizes = [SegmentSize(1_000_000, 0.2), SegmentSize(100_000, 0.26), SegmentSize(9_000, 0.9)]
    assert choose_merge(sizes) == range(1, 2)
    assert choose_merge([SegmentSize(1_000_000, 0.25)]) is None


@pytest.mark.parametrize("batch", [1, 100, 5000])
def test_segments_stay_few_and_entries_are_written_seldom(batch: int) -> None:
    """A load in batches of one size, merged behind every 16 commits: numbers of entries alone are moved."""
    sizes: list[int] = []
    total, written, most = 2_000 * batch if batch < 5000 else 3_000_000, 0, 0
    for at in range(total // batch):
        sizes.append(batch)
        while len(sizes) > 1 and merge_policy.merges_at_once(sizes[-2], sizes[-1]):
            sizes[-2:] = [sum(sizes[-2:])]
        if at % 16 == 15:
            while (chosen := choose_merge([SegmentSize(size) for size in sizes])) is not None:
                together = sum(sizes[chosen.start : chosen.stop])
                sizes[chosen.start : chosen.stop] = [together]
                written += together
        most = max(most, len(sizes))
    assert sum(sizes) == total
    assert most <= 16 + 8
    assert written <= 9 * total
