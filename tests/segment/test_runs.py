"""Bitmaps of stretches of a run are those of its entries; runs merged a part at a time are those sorted as a whole."""

from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from qdrantlite.segment import runs
from qdrantlite.segment.runs import Entries, Run, VisibleRun, make_run, merged_run


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


ENTRIES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 30)), max_size=30)


@given(
    runs_of=st.lists(ENTRIES, min_size=1, max_size=4), dead=st.frozensets(st.integers(0, 30)), step=st.integers(1, 9)
)
def test_runs_merged_in_parts_hold_what_is_alive_in_order(
    runs_of: list[list[tuple[int, int]]], dead: frozenset[int], step: int
) -> None:
    pieces, wanted = list[VisibleRun[np.uint32]](), list[tuple[int, int, int]]()
    for number, entries in enumerate(runs_of):
        distinct = sorted(set(entries))
        keys, offsets = (np.array([entry[at] for entry in distinct], dtype=np.uint32) for at in (0, 1))
        weights = np.full(len(distinct), number, dtype=np.float32)
        gone = BitMap(dead if number % 2 else ())
        pieces.append(VisibleRun(make_run(Entries(keys, offsets, weights)), gone))
        wanted += [(key, offset, number) for key, offset in distinct if offset not in gone]
    with patch.object(runs, "SORTED_AT_ONCE", step):
        run = merged_run(pieces)
    assert run.weights is not None
    owners = np.repeat(run.keys, np.diff(run.starts)).tolist()
    found = list(zip(owners, run.offsets.tolist(), run.weights.tolist(), strict=True))
    assert found == sorted(wanted)
    assert run.keys.tolist() == sorted({key for key, _, _ in wanted})
    assert run.starts[0] == 0
