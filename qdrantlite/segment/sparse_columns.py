"""Frequent postings as columns: a weight for each offset of a run, which are added up without jumping.

Scattering a posting over totals takes 5 ns; adding a column takes a quarter of a nanosecond an offset, so that a list
which one point in sixteen is in costs less as a column. Derived from immutable runs, made when a list is first asked
for, kept for as long as its run lives, within bounded memory. Knows no queries.
"""

from dataclasses import dataclass, field
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np

from qdrantlite.segment.runs import Run
from qdrantlite.values.vector import F32

FREQUENT_RATIO = 16
"""A list is frequent when it has one in so many of the offsets of its run."""
SPAN_MIN = 1 << 14
"""In runs of fewer offsets a list is scattered before a column is begun."""
SHARE = 3
"""Columns take at most one byte for so many of postings; lists for which there is no room are scattered."""
POSTING_BYTES = 8
WEIGHT_BYTES = 4

SparseRun = Run[np.uint32]
Column = F32
"""``(span,) float32``: the weight at offset ``first + i`` of the run, 0 where there is none."""


@dataclass(slots=True, eq=False)
class RunColumns:
    """The columns made so far of one run that covers offsets ``first <= offset < first + span``."""

    first: int
    span: int
    room: int
    """Bytes left for further columns."""
    peaks: dict[int, float] = field(default_factory=dict)
    """By number of the group: its largest weight, whatever the sign."""
    made: dict[int, Column | None] = field(default_factory=dict)
    """By number of the group; None for one that cannot have a column."""


class ColumnCache:
    """Columns by run. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._runs: WeakKeyDictionary[SparseRun, RunColumns] = WeakKeyDictionary()

    def of(self, run: SparseRun) -> RunColumns:
        """What is known of a run, which is not empty; its bounds are found when somebody first asks."""
        with self._lock:
            known = self._runs.get(run)
        if known is None:
            first, last = int(run.offsets.min()), int(run.offsets.max())
            known = RunColumns(first, last + 1 - first, POSTING_BYTES * len(run.offsets) // SHARE)
            with self._lock:
                known = self._runs.setdefault(run, known)
        return known

    def peak(self, run: SparseRun, number: int) -> float:
        """The largest weight of one group, whatever the sign; NaN when one is."""
        peaks = self.of(run).peaks
        if number not in peaks:
            assert run.weights is not None
            peaks[number] = float(np.abs(run.weights[run.starts[number] : run.starts[number + 1]]).max())
        return peaks[number]

    def column(self, run: SparseRun, number: int) -> Column | None:
        """The weights of one group; None when it is not frequent, there is no room, or a weight is not finite."""
        known = self.of(run)
        start, stop = int(run.starts[number]), int(run.starts[number + 1])
        if known.span < SPAN_MIN or (stop - start) * FREQUENT_RATIO < known.span:
            return None
        size = WEIGHT_BYTES * known.span
        with self._lock:
            if number in known.made:
                return known.made[number]
            if known.room < size:
                return None
            known.room -= size
        assert run.weights is not None
        column = None
        if np.isfinite(self.peak(run, number)):
            column = np.zeros(known.span, dtype=np.float32)
            column[run.offsets[start:stop] - np.uint32(known.first)] = run.weights[start:stop]
        with self._lock:
            if known.made.setdefault(number, column) is not column or column is None:
                known.room += size  # Somebody else was quicker, or nothing was made.
            return known.made[number]
