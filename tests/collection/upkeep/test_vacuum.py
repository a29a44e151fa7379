"""When dead points give back what they hold, how, and which: decisions from counts and settings alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.collection.upkeep.vacuum import (
    OFFSET_BYTES,
    STRETCH_MAX,
    WORTH_BYTES,
    Stretches,
    Vacuum,
    Waste,
    choose,
    deadest,
    is_worn,
    stretches_of,
)
from qdrantlite.segment.selection import Selection
from qdrantlite.storage.store_reader import MISSING
from qdrantlite.storage.vacant import NO_RANGES, ranges_of, size_of
from qdrantlite.values.schema import OPTIMIZERS_DEFAULT

NOTHING, IN_PLACE, COPY = Vacuum.NOTHING, Vacuum.IN_PLACE, Vacuum.COPY
WORN = Waste(10_000, 0, 7_999, dead_bytes=WORTH_BYTES, free_bytes=0, live_bytes=WORTH_BYTES << 10)
"""A fifth of the offsets, and one, are dead."""
LARGE = replace(WORN, offsets=1_000_000, live=300_000, vacant=690_000, dead_bytes=0)


@pytest.mark.parametrize(
    ("waste", "holes", "none"),
    [
        (WORN, IN_PLACE, COPY),
        (replace(WORN, live=8_000, dead_bytes=1 << 40), NOTHING, NOTHING),
        (replace(WORN, dead_bytes=WORTH_BYTES - 1), NOTHING, NOTHING),
        (replace(WORN, dead_bytes=WORTH_BYTES - 1, free_bytes=1), NOTHING, COPY),
        (replace(WORN, offsets=999, live=100), NOTHING, NOTHING),
        (replace(WORN, offsets=1_000, live=400), IN_PLACE, COPY),
        # What is vacant is given back already.
        (replace(WORN, offsets=16_000, vacant=6_000), IN_PLACE, COPY),
        (replace(WORN, offsets=16_000, vacant=6_002), NOTHING, NOTHING),
        # Offsets for which there are too few points are numbered anew, once that is worth it.
        (replace(WORN, offsets=4 * 7_999, vacant=0), IN_PLACE, COPY),
        (replace(WORN, offsets=4 * 7_999 + 1, vacant=0), COPY, COPY),
        (replace(WORN, offsets=40_000, vacant=31_000, dead_bytes=0), NOTHING, NOTHING),
        (LARGE, NOTHING, NOTHING),
        (replace(LARGE, live=249_999), COPY, COPY),
        (replace(LARGE, offsets=WORTH_BYTES // OFFSET_BYTES, live=0), COPY, COPY),
        (replace(LARGE, offsets=WORTH_BYTES // OFFSET_BYTES - 1, vacant=500_000, live=0), NOTHING, NOTHING),
        # Or before they run out.
        (replace(WORN, offsets=MISSING // 2, live=MISSING // 3, vacant=MISSING // 6), NOTHING, NOTHING),
        (replace(WORN, offsets=MISSING // 2 + 1, live=MISSING // 3, vacant=MISSING // 6), COPY, COPY),
        (replace(WORN, offsets=MISSING - 9, live=MISSING - 99), NOTHING, NOTHING),
        # Pages of the store are given back by copying alone; it must bring more than it costs.
        (replace(WORN, free_bytes=WORN.live_bytes), IN_PLACE, COPY),
        (replace(WORN, free_bytes=WORN.live_bytes + 1), COPY, COPY),
        (replace(WORN, dead_bytes=0, free_bytes=WORTH_BYTES - 1, live_bytes=0), NOTHING, NOTHING),
    ],
)
def test_what_is_done(waste: Waste, holes: Vacuum, none: Vacuum) -> None:
    """Where files have holes, and where they have none."""
    assert choose(waste, OPTIMIZERS_DEFAULT, in_place=True) is holes
    assert choose(waste, OPTIMIZERS_DEFAULT, in_place=False) is none


def test_settings_say_how_many_dead_points_are_borne() -> None:
    settings = replace(OPTIMIZERS_DEFAULT, deleted_threshold=0.5, vacuum_min_vector_number=100)
    assert not is_worn(99, 0, settings)
    assert not is_worn(100, 50, settings)
    assert is_worn(100, 49, settings)


@pytest.mark.parametrize(
    ("offsets", "size", "count"),
    [(0, 1, 0), (63, 1, 63), (100, 1, 100), (128, 2, 64), (1_000_000, 8192, 122), (100_000_000, STRETCH_MAX, 1525)],
)
def test_stretches_are_smaller_where_a_shard_is_small(offsets: int, size: int, count: int) -> None:
    stretches = stretches_of(Selection.of_range(0, min(offsets, 10)), offsets, NO_RANGES)
    assert (stretches.size, len(stretches.held)) == (size, count)


@given(
    offsets=st.integers(0, 700),
    live=st.sets(st.integers(0, 699)),
    vacant=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 700))),
)
def test_stretches_count_what_is_held_and_what_lives(
    offsets: int, live: set[int], vacant: list[tuple[int, int]]
) -> None:
    gone = {number for start, stop in vacant for number in range(start, min(stop, offsets))}
    living = {number for number in live if number < offsets} - gone
    ranges = ranges_of([(start, min(stop, offsets)) for start, stop in vacant])
    stretches = stretches_of(Selection.from_offsets(np.array(sorted(living), dtype=np.uint32)), offsets, ranges)
    for at, (held, lives) in enumerate(zip(stretches.held.tolist(), stretches.living.tolist(), strict=True)):
        numbers = set(range(at * stretches.size, (at + 1) * stretches.size))
        assert (held, lives) == (len(numbers - gone), len(numbers & living))
        assert size_of(stretches.ranges(np.array([at]))) == stretches.size
    assert offsets - len(stretches.held) * stretches.size < stretches.size


def chosen(living: list[int], held: int = 100, moves_max: int = 10**9) -> list[int]:
    """Of stretches of a hundred."""
    stretches = Stretches(100, np.full(len(living), held), np.array(living))
    total = held * len(living)
    found = deadest(stretches, held=total, live=sum(living), settings=OPTIMIZERS_DEFAULT, moves_max=moves_max)
    return [int(at) for at in found]


@pytest.mark.parametrize(
    ("living", "moves_max", "expected"),
    [
        ([0, 0, 0] + [100] * 8, 0, [0, 1, 2]),  # With two, 100 of 900 would be left.
        ([0, 0, 0] + [100] * 9, 0, [0, 1]),
        ([100] * 9 + [0, 0, 0], 0, [9, 10]),
        ([70] * 10, 10**9, [0, 1, 2, 3, 4, 5, 6, 7]),
        ([70] * 10, 150, [0, 1]),
        ([70] * 10, 69, []),
        ([90, 10, 90, 90, 90, 90], 10**9, [1]),
        ([90] * 10, 10**9, []),
        ([100] * 10, 10**9, []),
        ([0] * 10, 0, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_the_deadest_go_first_until_few_enough_are_left(living: list[int], moves_max: int, expected: list[int]) -> None:
    assert chosen(living, moves_max=moves_max) == expected


@given(living=st.lists(st.integers(0, 100), min_size=1, max_size=40), moves_max=st.integers(0, 2000))
def test_emptying_what_is_chosen_comes_to_an_end(living: list[int], moves_max: int) -> None:
    """Whatever is chosen again and again, with what is moved in stretches of its own."""
    held, numbers = [100] * len(living), list(living)
    total, rounds = sum(held), 0
    while True:
        stretches = Stretches(100, np.array(held), np.array(numbers))
        now = deadest(stretches, held=total, live=sum(living), settings=OPTIMIZERS_DEFAULT, moves_max=moves_max)
        if not len(now):
            break
        moved = sum(numbers[at] for at in now.tolist())
        assert moved <= moves_max
        for at in now.tolist():
            assert held[at] > numbers[at]
            total -= held[at]
            held[at] = numbers[at] = 0
        total, rounds = total + moved, rounds + 1
        held, numbers = [*held, moved], [*numbers, moved]
        assert rounds <= 2 * len(living)
    if moves_max >= 100:
        share = (total - sum(living)) / max(1, total)
        assert share <= 0.1
