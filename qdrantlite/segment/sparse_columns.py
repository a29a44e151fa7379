"""Frequent postings as columns: a weight for each offset of a run, which are added up without jumping.

Scattering a posting over totals takes 3 to 5 ns; adding a column takes a quarter of a nanosecond an offset, so that a
list which one point in sixteen is in costs less as a column. Derived from immutable runs, made when a list is first
asked for, kept for as long as its run lives, within bounded memory. Knows no queries.
"""

from dataclasses import dataclass, field
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

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


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The weights of one list: ``weights[i]`` of offset ``first + i``, 0 where there is none.

    ``(span,) float32``, all finite, none beyond ``peak``, whatever the sign; no weight that is there is 0.
    """

    first: int
    weights: F32
    peak: float

    @property
    def stop(self) -> int:
        """One past the last offset covered."""
        return self.first + len(self.weights)

    def add_at(self, ascending: npt.NDArray[np.integer], factor: np.float32, totals: npt.NDArray[np.float64]) -> None:
        """Adds the weights of these offsets, times a factor, to their totals."""
        low, high = ascending.searchsorted((self.first, self.stop)).tolist()
        totals[low:high] += self.weights[ascending[low:high] - ascending.dtype.type(self.first)] * factor

    def has(self, ascending: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Which of these offsets are in the list."""
        low, high = ascending.searchsorted((self.first, self.stop)).tolist()
        held = np.zeros(len(ascending), dtype=np.bool_)
        held[low:high] = self.weights[ascending[low:high] - ascending.dtype.type(self.first)] != 0
        return held


@dataclass(slots=True, eq=False)
class RunColumns:
    """The columns made so far of one run that covers offsets ``first <= offset < first + span``."""

    first: int
    span: int
    room: int
    """Bytes left for further columns."""
    made: dict[int, Column | None] = field(default_factory=dict)
    """By number of the group; None for one that cannot have a column."""

    @property
    def stop(self) -> int:
        """One past the last offset covered."""
        return self.first + self.span

    @property
    def frequent_from(self) -> int:
        """Postings of a list from which on it is to have a column."""
        return -(-self.span // FREQUENT_RATIO) if self.span >= SPAN_MIN else self.span + 1


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

    def column(self, run: SparseRun, number: int) -> Column | None:
        """The weights of one group; None when it is not frequent, there is no room, or a weight is 0 or not finite."""
        known = self.of(run)
        if number in known.made:
            return known.made[number]
        size = WEIGHT_BYTES * known.span
        if run.size_of(number) < known.frequent_from:
            return None
        with self._lock:
            if known.room < size:
                return None
            known.room -= size
        column = _column_of(run, number, known)
        with self._lock:
            if known.made.setdefault(number, column) is not column or column is None:
                known.room += size  # Somebody else was quicker, or nothing was made.
            return known.made[number]


def _column_of(run: SparseRun, number: int, known: RunColumns) -> Column | None:
    assert run.weights is not None
    own = run.weights[run.starts[number] : run.starts[number + 1]]
    peak = float(np.abs(own).max())
    if not np.isfinite(peak) or not own.all():
        return None
    weights = np.zeros(known.span, dtype=np.float32)
    weights[run.offsets_of(number) - np.uint32(known.first)] = own
    return Column(known.first, weights, peak)
