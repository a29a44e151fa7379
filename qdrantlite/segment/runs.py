"""Entries ``(key, offset[, weight])`` in immutable sorted runs, merged log-structured.

The one mechanism below keyword, numeric and sparse indexes. New entries gather in a short tail; a full tail becomes a
run; a run is merged with the one before it while that is not much larger, so there are few runs and each entry is
merged a logarithmic number of times. Forgetting an offset marks it in every run there is at that moment: entries added
for it later are alive. Knows neither what keys mean nor which offsets are live.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.segment.bitmaps import Offsets, bitmap_of, bits_at, packed_bits

Key = TypeVar("Key", np.uint32, np.int64, np.float64)
F32 = npt.NDArray[np.float32]

TAIL_MAX = 1024
TAIL_PIECES = 32
NONE_DEAD = BitMap()
EVERYTHING = -1
MERGE_RATIO = 2
REWRITE_RATIO = 4
CACHED_FROM = 512
"""Groups of at least this many entries keep their bitmap once it was asked for."""


def ranges(starts: npt.NDArray[np.integer], counts: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """The numbers ``starts[i] .. starts[i] + counts[i] - 1`` for each ``i``, one after the other."""
    ends = np.cumsum(counts, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts.astype(np.int64) - (ends - counts), counts) + np.arange(total, dtype=np.int64)


def alive(offsets: Offsets, dead: AbstractBitMap) -> npt.NDArray[np.bool_]:
    """Whether each of these offsets is not among the dead, ``(n,) bool``."""
    if not dead or not len(offsets):
        return np.ones(len(offsets), dtype=np.bool_)
    return ~bits_at(packed_bits(dead, 0, int(offsets.max()) + 1), offsets)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Run(Generic[Key]):
    """Sorted entries: those of ``keys[i]`` (distinct, ascending) are ``offsets[starts[i] : starts[i + 1]]``, ascending.

    Others may remember what they derived from a run for as long as it lives.
    """

    keys: npt.NDArray[Key]
    starts: npt.NDArray[np.uint32]
    offsets: Offsets
    weights: F32 | None
    _groups: dict[int, BitMap] = field(default_factory=dict, repr=False)

    def everything(self) -> BitMap:
        """All offsets as a bitmap, not to be changed."""
        found = self._groups.get(EVERYTHING)
        if found is None:
            found = self._groups[EVERYTHING] = bitmap_of(self.offsets)
        return found

    def group(self, number: int) -> BitMap:
        """The offsets of one key as a bitmap, not to be changed."""
        found = self._groups.get(number)
        if found is None:
            found = bitmap_of(self.offsets[self.starts[number] : self.starts[number + 1]])
            if len(found) >= CACHED_FROM:
                self._groups[number] = found
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Entries(Generic[Key]):
    """Entries in no order of keys, all arrays of one length."""

    keys: npt.NDArray[Key]
    offsets: Offsets
    weights: F32 | None

    def __len__(self) -> int:
        return len(self.offsets)

    def without(self, dead: AbstractBitMap) -> "Entries[Key]":
        """The entries whose offsets are not among these."""
        kept = alive(self.offsets, dead)
        return Entries(self.keys[kept], self.offsets[kept], None if self.weights is None else self.weights[kept])


@dataclass(frozen=True, slots=True, eq=False)
class VisibleRun(Generic[Key]):
    """A run and the offsets forgotten since it was made; immutable."""

    run: Run[Key]
    dead: AbstractBitMap

    def locate(self, keys: npt.NDArray[Key]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        """Which of the keys are here, ``(n,) bool``, and the numbers of their groups, in the order of ``keys``."""
        if not len(self.run.keys):
            return np.zeros(len(keys), dtype=np.bool_), np.empty(0, dtype=np.int64)
        places: npt.NDArray[np.int64] = np.searchsorted(self.run.keys, keys)
        places[places == len(self.run.keys)] = 0
        found: npt.NDArray[np.bool_] = self.run.keys[places] == keys
        return found, places[found]

    def number_of(self, key: Key) -> int | None:
        """The group of one key, ``None`` when it is not here."""
        keys = self.run.keys
        place = int(keys.searchsorted(key))
        return place if place < len(keys) and keys[place] == key else None

    def group(self, number: int) -> AbstractBitMap:
        """Offsets of one group, not to be changed."""
        group = self.run.group(number)
        return group - self.dead if self.dead else group

    def offsets(self, first: int, stop: int) -> Offsets:
        """Offsets of the groups ``first <= number < stop``; one with several keys occurs several times."""
        found = self.run.offsets[self.run.starts[first] : self.run.starts[stop]]
        return found[alive(found, self.dead)] if self.dead else found

    def offsets_of(self, numbers: npt.NDArray[np.int64]) -> Offsets:
        """Offsets of these groups."""
        starts = self.run.starts[numbers]
        found = self.run.offsets[ranges(starts, self.run.starts[numbers + 1] - starts)]
        return found[alive(found, self.dead)] if self.dead else found

    def entries(self) -> Entries[Key]:
        """All entries that are not forgotten, by key."""
        run = self.run
        found: Entries[Key] = Entries(np.repeat(run.keys, np.diff(run.starts)), run.offsets, run.weights)
        return found.without(self.dead) if self.dead else found


def make_run(entries: Entries[Key]) -> Run[Key]:
    """Sort entries into a run, by key and then by offset."""
    order = np.argsort(entries.keys, kind="stable")
    keys, offsets = entries.keys[order], entries.offsets[order]
    if np.any((keys[1:] == keys[:-1]) & (offsets[1:] < offsets[:-1])):  # Seldom: entries come by ascending offset.
        order = np.lexsort((entries.offsets, entries.keys))
        keys, offsets = entries.keys[order], entries.offsets[order]
    size = len(keys)
    first = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    starts = np.concatenate(([0], first, [size])) if size else np.zeros(1)
    return Run(
        keys[starts[:-1].astype(np.int64)],
        starts.astype(np.uint32),
        offsets,
        None if entries.weights is None else entries.weights[order],
    )


def concatenated(pieces: Sequence[Entries[Key]]) -> Entries[Key]:
    """All entries of at least one piece, in order; all have weights or none has."""
    if len(pieces) == 1:
        return pieces[0]
    weights = [piece.weights for piece in pieces if piece.weights is not None]
    return Entries(
        np.concatenate([piece.keys for piece in pieces]),
        np.concatenate([piece.offsets for piece in pieces]),
        np.concatenate(weights) if weights else None,
    )


class _RunSlot(Generic[Key]):
    """A run of a log; its dead set is copied before a change once a view has seen it."""

    __slots__ = ("_shared", "dead", "run")

    def __init__(self, run: Run[Key]) -> None:
        self.run: Run[Key] = run
        self.dead = BitMap()
        self._shared = False

    def __len__(self) -> int:
        return len(self.run.offsets)

    def visible(self) -> VisibleRun[Key]:
        """The run as it is now."""
        self._shared = True
        return VisibleRun(self.run, self.dead)

    def forget(self, offsets: AbstractBitMap) -> None:
        """Mark offsets dead; rewrites the run when that pays."""
        if self._shared:
            self.dead = self.dead.copy()
            self._shared = False
        self.dead.update(offsets)
        if len(self.dead) * REWRITE_RATIO > len(self):
            rewritten: Run[Key] = make_run(VisibleRun(self.run, self.dead).entries())
            self.run, self.dead = rewritten, BitMap()


class LogView(Generic[Key]):
    """A log at one moment, immutable; the tail is sorted when somebody first looks."""

    __slots__ = ("_runs", "_sealed", "_tail")

    def __init__(self, sealed: tuple[VisibleRun[Key], ...], tail: tuple[Entries[Key], ...]) -> None:
        self._sealed: tuple[VisibleRun[Key], ...] = sealed
        self._tail: tuple[Entries[Key], ...] = tail
        self._runs: tuple[VisibleRun[Key], ...] | None = None

    @property
    def size(self) -> int:
        """Number of entries, forgotten ones included."""
        sealed = sum([len(visible.run.offsets) for visible in self._sealed])
        return sealed + sum([len(entries.offsets) for entries in self._tail])

    def runs(self) -> tuple[VisibleRun[Key], ...]:
        """All runs, oldest first. Two threads asking at once do the same work twice and agree."""
        if self._runs is None:
            if self._tail:
                last: tuple[VisibleRun[Key], ...] = (VisibleRun(make_run(concatenated(self._tail)), NONE_DEAD),)
                self._runs = self._sealed + last
            else:
                self._runs = self._sealed
        return self._runs


class RunLog(Generic[Key]):
    """A growing set of entries. Not thread-safe; what ``view`` returns is immutable."""

    def __init__(self, dtype: type[Key], *, weighted: bool = False) -> None:
        self._dtype: type[Key] = dtype
        self._weighted = weighted
        self._slots: list[_RunSlot[Key]] = []
        self._tail: list[Entries[Key]] = []
        self._tail_size = 0
        self._view: LogView[Key] | None = None

    def add(self, keys: npt.NDArray[Key], offsets: Offsets, weights: F32 | None = None) -> None:
        """Take up entries, arrays of one length; they are kept, not copied."""
        assert len(keys) == len(offsets)
        assert (weights is not None) == self._weighted
        if not len(keys):
            return
        self._view = None
        self._tail.append(Entries(keys, offsets, weights))
        self._tail_size += len(keys)
        if self._tail_size >= TAIL_MAX:
            self._push(make_run(concatenated(self._tail)))
            self._tail, self._tail_size = [], 0
        elif len(self._tail) >= TAIL_PIECES:
            self._tail = [concatenated(self._tail)]

    def discard(self, offsets: AbstractBitMap) -> None:
        """Forget all entries of these offsets."""
        self._view = None
        for slot in self._slots:
            slot.forget(offsets)
        if self._tail:
            kept = concatenated(self._tail).without(offsets)
            self._tail, self._tail_size = ([kept] if len(kept) else []), len(kept)

    def view(self) -> LogView[Key]:
        """Everything that is in now; takes time in proportion to the number of runs only."""
        if self._view is None:
            sealed = tuple(slot.visible() for slot in self._slots)
            self._view = LogView(sealed, tuple(self._tail))
        return self._view

    def compacted(self) -> Run[Key]:
        """All living entries as one run, which the log goes on with."""
        visible = self.view().runs()
        if len(visible) == 1 and not visible[0].dead:
            whole = visible[0].run
        else:
            pieces = [one.entries() for one in visible] or [self._nothing()]
            whole = make_run(concatenated(pieces))
        self.restore(whole)
        return whole

    def restore(self, run: Run[Key]) -> None:
        """Hold exactly the entries of this run."""
        self._slots = [_RunSlot(run)] if len(run.offsets) else []
        self._tail, self._tail_size, self._view = [], 0, None

    def _push(self, run: Run[Key]) -> None:
        while self._slots and len(self._slots[-1]) <= MERGE_RATIO * len(run.offsets):
            older: VisibleRun[Key] = self._slots[-1].visible()
            newer: VisibleRun[Key] = VisibleRun(run, NONE_DEAD)
            del self._slots[-1]
            run = make_run(concatenated([older.entries(), newer.entries()]))
        self._slots.append(_RunSlot(run))

    def _nothing(self) -> Entries[Key]:
        return Entries(
            np.empty(0, dtype=self._dtype),
            np.empty(0, dtype=np.uint32),
            np.empty(0, dtype=np.float32) if self._weighted else None,
        )
