"""The log of runs against a dict, through additions, forgetting, compaction and old views."""

from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from qdrantlite.segment import runs
from qdrantlite.segment.runs import LogView, RunLog, ranges

Content = list[tuple[int, int, float]]


def content(view: LogView[np.int64]) -> Content:
    found: Content = []
    for visible in view.runs():
        entries = visible.entries()
        assert entries.weights is not None
        found += zip(entries.keys.tolist(), entries.offsets.tolist(), entries.weights.tolist(), strict=True)
    return sorted(found)


ADDITION = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 15)), min_size=1, max_size=8)
STEP = st.one_of(
    ADDITION.map(lambda entries: ("add", entries)),
    st.frozensets(st.integers(0, 15), min_size=1, max_size=5).map(lambda offsets: ("discard", offsets)),
    st.just(("compact", None)),
)


@given(st.lists(STEP, max_size=25))
def test_log_holds_what_a_list_would_and_views_stay_as_they_were(steps: list[tuple[str, object]]) -> None:
    log: RunLog[np.int64] = RunLog(np.int64, weighted=True)
    model: Content = []
    views: list[tuple[LogView[np.int64], Content]] = []
    with patch.object(runs, "TAIL_MAX", 6), patch.object(runs, "TAIL_PIECES", 2):
        for number, (name, argument) in enumerate(steps):
            if name == "add":
                assert isinstance(argument, list)
                keys = np.array([key for key, _ in argument], dtype=np.int64)
                offsets = np.array([offset for _, offset in argument], dtype=np.uint32)
                log.add(keys, offsets, np.full(len(keys), number, dtype=np.float32))
                model += [(key, offset, float(number)) for key, offset in argument]
            elif name == "discard":
                assert isinstance(argument, frozenset)
                log.discard(BitMap(argument))
                model = [entry for entry in model if entry[1] not in argument]
            else:
                run = log.compacted()
                assert len(run.offsets) == len(model)
                assert run.keys.tolist() == sorted({key for key, _, _ in model})
            views.append((log.view(), sorted(model)))
        for view, wanted in views:
            assert content(view) == wanted


def test_runs_stay_few() -> None:
    log: RunLog[np.uint32] = RunLog(np.uint32)
    for start in range(0, 200_000, 500):
        log.add(np.arange(500, dtype=np.uint32), np.arange(start, start + 500, dtype=np.uint32))
    assert len(log.view().runs()) <= 8
    assert sum(len(visible.run.offsets) for visible in log.view().runs()) == 200_000


def test_ranges_are_laid_end_to_end() -> None:
    assert ranges(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]
    assert ranges(np.array([], dtype=np.int64), np.array([], dtype=np.int64)).tolist() == []
