"""Points in the order of a payload value."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from qdrantlite.deadline import FOREVER, Ask
from qdrantlite.query.filter import Range
from qdrantlite.segment.bitmaps import Offsets, bits_at
from qdrantlite.segment.payload_index.bounds import closed_floats, closed_integers
from qdrantlite.segment.runs import VisibleRun, alive
from qdrantlite.segment.selection import Selection

Numbers: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.float64]
NumberRun: TypeAlias = VisibleRun[np.int64] | VisibleRun[np.float64]

CHUNK = 64
GROWTH = 4
ENTRIES_READ_MAX = 1 << 18
"""In more entries than so many, looking for a few points takes longer than reading their payloads."""


@dataclass(frozen=True, slots=True, eq=False)
class OrderedValues:
    """The runs of a numeric index at one moment; dead points are among its entries."""

    runs: tuple[NumberRun, ...]
    integers: bool

    def page(
        self,
        selection: Selection,
        *,
        ascending: bool,
        start_from: int | float | None,
        limit: int,
        ask: Ask = FOREVER.check,
    ) -> tuple[Offsets, Numbers]:
        """The first ``limit`` entries of the selection by value, and all further ones tied with the last.

        ``(offsets (k,) uint32, values (k,) int64 | float64)``, one entry per value of a point; ``start_from`` counts.
        Entries of equal value come in no particular order: the caller settles ties by id. ``ask`` is called each time
        that more is read.
        """
        spans = self._spans(ascending, start_from) if len(selection) and limit else []
        passing = selection.mask(0, selection.bitmap.max() + 1) if spans else np.empty(0, dtype=np.uint8)
        size = min(
            max(CHUNK, 2 * limit * 8 * len(passing) // max(len(selection), 1)),
            sum([len(visible.run.offsets) for visible in self.runs]),
        )
        while True:
            ask()
            pieces = [span.read(size, passing) for span in spans]
            offsets = np.concatenate([np.empty(0, dtype=np.uint32), *(piece[0] for piece in pieces)])
            values = _joined(self.integers, [piece[1] for piece in pieces])
            horizons = [piece[2] for piece in pieces if piece[2] is not None]
            if horizons:
                complete = values < min(horizons) if ascending else values > max(horizons)
                offsets, values = offsets[complete], values[complete]
            if len(values) >= limit or not horizons:
                return _first(offsets, values, ascending=ascending, limit=limit)
            size *= GROWTH

    def only(self, offsets: Offsets) -> Numbers | None:
        """The value of each of these points ``(n,)``, ascending; None unless each has one and no more, or where finding
        them takes long.
        """
        if not len(offsets) or sum([len(visible.run.offsets) for visible in self.runs]) > ENTRIES_READ_MAX:
            return None
        stop = int(offsets[-1]) + 1
        numbered = np.zeros(stop + 1, dtype=np.int32)  # The last place stands for all offsets beyond.
        numbered[offsets] = np.arange(1, len(offsets) + 1, dtype=np.int32)
        values: Numbers = np.empty(len(offsets), dtype=np.int64)
        if not self.integers:
            values = np.empty(len(offsets), dtype=np.float64)
        counts = np.zeros(len(offsets), dtype=np.int64)
        for visible in self.runs:
            run = visible.run
            found = numbered.take(run.offsets, mode="clip")
            met = found.nonzero()[0]
            if visible.dead:
                met = met[alive(run.offsets[met], visible.dead)]
            places = found[met] - 1
            counts += np.bincount(places, minlength=len(offsets))
            values[places] = run.keys[run.starts.searchsorted(met, side="right") - 1]
        return values if (counts == 1).all() else None

    def _spans(self, ascending: bool, start_from: int | float | None) -> "list[_Span]":
        """The part of each run that a walk from ``start_from`` may reach."""
        bounds = Range(gte=start_from) if ascending else Range(lte=start_from)
        closed = closed_integers(bounds) if self.integers else closed_floats(bounds)
        if closed is None:
            return []
        spans = []
        for visible in self.runs:
            keys = visible.run.keys
            first = int(np.searchsorted(keys, np.array([closed[0]], dtype=keys.dtype), side="left")[0])
            stop = int(np.searchsorted(keys, np.array([closed[1]], dtype=keys.dtype), side="right")[0])
            if first < stop:
                spans.append(_Span(visible, first, stop, ascending))
        return spans


@dataclass(frozen=True, slots=True, eq=False)
class _Span:
    """The groups ``first <= number < stop`` of a run, read from one end."""

    visible: NumberRun
    first: int
    stop: int
    ascending: bool

    def read(self, size: int, passing: npt.NDArray[np.uint8]) -> tuple[Offsets, Numbers, np.int64 | np.float64 | None]:
        """Whole groups from the near end, together at least ``size`` entries if there are so many.

        Offsets and values of those that pass, and the value of the next group, ``None`` when all were read.
        """
        run = self.visible.run
        starts = run.starts
        if self.ascending:
            first = self.first
            wanted = np.array([int(starts[first]) + size], dtype=np.int64)
            stop = min(self.stop, int(np.searchsorted(starts[: self.stop + 1], wanted, side="left")[0]))
            horizon = run.keys[stop] if stop < self.stop else None
        else:
            stop = self.stop
            wanted = np.array([int(starts[stop]) - size], dtype=np.int64)
            first = max(self.first, int(np.searchsorted(starts[: stop + 1], wanted, side="right")[0]) - 1)
            horizon = run.keys[first - 1] if first > self.first else None
        offsets = run.offsets[starts[first] : starts[stop]]
        keys: Numbers = run.keys[first:stop]
        values: Numbers = keys.repeat(np.diff(starts[first : stop + 1]))
        within = offsets < 8 * len(passing)
        keep = within & bits_at(passing, np.where(within, offsets, 0).astype(np.uint32, copy=False))
        keep &= alive(offsets, self.visible.dead)
        return offsets[keep], values[keep], horizon


def _joined(integers: bool, pieces: list[Numbers]) -> Numbers:
    """All values in one array of the right dtype, also of no pieces."""
    if integers:
        return np.concatenate([np.empty(0, dtype=np.int64), *pieces], dtype=np.int64)
    return np.concatenate([np.empty(0, dtype=np.float64), *pieces], dtype=np.float64)


def _first(offsets: Offsets, values: Numbers, *, ascending: bool, limit: int) -> tuple[Offsets, Numbers]:
    """The first ``limit`` by value and those tied with the last of them."""
    order = np.argsort(values, kind="stable")
    if not ascending:
        order = order[::-1]
    count = len(order)
    if 0 < limit < count:
        last = values[order[limit - 1]]
        count = int(np.count_nonzero(values <= last if ascending else values >= last))
    return offsets[order[:count]], values[order[:count]]
