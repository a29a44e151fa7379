"""Bitmaps of stretches of a run are those of its entries."""

from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from qdrantlite.segment import runs
from qdrantlite.segment.runs import Entries, Run, make_run


@given(
    offsets=st.lists(st.integers(0, 50), max_size=90),
    spans=st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=1, max_size=9),
)
def test_entries_between_are_those_of_the_run(offsets: list[int], spans: list[tuple[int, int]]) -> None:
    entries = Entries(np.arange(len(offsets), dtype=np.uint32), np.array(offsets, dtype=np.uint32), None)
    run: Run[np.uint32] = make_run(entries)
    with patch.multiple(runs, STRETCH=2, STRETCHES_LARGER=3):
        for first, stop in spans:
            stop = min(stop, len(offsets))
            first = min(first, stop)
            assert run.between(first, stop) == BitMap(offsets[first:stop])
