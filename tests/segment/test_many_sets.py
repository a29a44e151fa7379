"""Any number of sets together, against counting."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap, FrozenBitMap

from qdrantlite.segment.many_sets import SETS_AT_ONCE, in_at_least, intersection_of, union_of

SETS = st.lists(st.frozensets(st.integers(0, 40), max_size=30), min_size=1, max_size=20)


class Asked:
    """Counts the steps."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@given(SETS, st.integers(-1, 22))
def test_sets_together_are_what_counting_gives(sets: list[frozenset[int]], count: int) -> None:
    bitmaps, every = [FrozenBitMap(each) for each in sets], FrozenBitMap(range(41))
    lies_in = Counter(offset for each in sets for offset in each)
    assert union_of(bitmaps, Asked()) == BitMap(frozenset[int]().union(*sets))
    assert intersection_of(bitmaps, Asked()) == BitMap(sets[0].intersection(*sets))
    assert in_at_least(count, bitmaps, every, Asked()) == BitMap(o for o in range(41) if lies_in[o] >= count)
    assert bitmaps == [FrozenBitMap(each) for each in sets], "what is kept was changed"


def test_steps_follow_the_number_of_sets_and_not_the_count() -> None:
    bitmaps = [FrozenBitMap({number % 7, 50}) for number in range(10 * SETS_AT_ONCE)]
    for combine in (union_of, intersection_of):
        asked = Asked()
        combine(bitmaps, asked)
        assert asked.times in (10, 11)
    asked = Asked()
    assert in_at_least(len(bitmaps) // 2, bitmaps, FrozenBitMap(), asked) == BitMap({50})
    assert asked.times == 10
