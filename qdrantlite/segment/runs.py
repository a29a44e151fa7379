"""Entries ``(key, offset[, weight])`` in immutable sorted runs: the form in which every segment holds its postings.

Knows neither what keys mean nor which offsets are live.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.segment.bitmaps import Offsets, bitmap_of, bits_at, packed_bits

Key = TypeVar("Key", np.uint32, np.int64, np.float64)
F32 = npt.NDArray[np.float32]

EVERYTHING = -1
CACHED_FROM = 512
"""Groups of at least this many entries keep their bitmap once it was asked for."""
STRETCH = 1 << 15
STRETCHES_LARGER = 8
"""Stretches of so many entries, and of so many times more each, keep their bitmaps, too."""
SORTED_AT_ONCE = 1 << 18
"""Entries merged at a time, at some 50 bytes each: what a merge takes beside its result does not grow with it."""


def ranges(starts: npt.NDArray[np.integer], counts: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """The numbers ``starts[i] .. starts[i] + counts[i] - 1`` for each ``i``, one after the other."""
    ends = np.cumsum(counts, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts.astype(np.int64) - (ends - counts), counts) + np.arange(total, dtype=np.int64)


def found_in(
    ascending: npt.NDArray[np.generic], wanted: npt.NDArray[np.generic]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Which of the wanted are there, ``(n,) bool``, and the places of those, in the order of ``wanted``."""
    if not len(ascending):
        return np.zeros(len(wanted), dtype=np.bool_), np.empty(0, dtype=np.int64)
    places: npt.NDArray[np.int64] = ascending.searchsorted(wanted)
    found: npt.NDArray[np.bool_] = ascending.take(places, mode="clip") == wanted
    return found, places[found]


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
    _stretches: dict[tuple[int, int], BitMap] = field(default_factory=dict, repr=False)

    def locate(self, keys: npt.NDArray[Key]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        """Which of the keys are here, ``(n,) bool``, and the numbers of their groups, in the order of ``keys``."""
        return found_in(self.keys, keys)

    def number_of(self, key: Key) -> int | None:
        """The group of one key, ``None`` when it is not here."""
        place = int(self.keys.searchsorted(key))
        return place if place < len(self.keys) and self.keys[place] == key else None

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
            found = bitmap_of(self.offsets_of(number))
            if len(found) >= CACHED_FROM:
                self._groups[number] = found
        return found

    def between(self, first: int, stop: int) -> BitMap:
        """The offsets of the entries ``first <= entry < stop`` as a bitmap: of stretches that are kept, and both ends.

        However long, it takes only a few of them, for larger stretches stand for those in them.
        """
        size: int = STRETCH
        low: int = -(-first // size) * size
        high: int = stop // size * size
        if low >= high:
            return bitmap_of(self.offsets[first:stop])
        pieces = [bitmap_of(np.concatenate((self.offsets[first:low], self.offsets[high:stop])))]
        while low < high:
            larger = size * STRETCHES_LARGER
            inner_low: int = -(-low // larger) * larger
            inner_high: int = high // larger * larger
            if inner_low >= inner_high:
                inner_low = inner_high = high
            starts = (*range(low, inner_low, size), *range(inner_high, high, size))
            pieces.extend([self._stretch(start, size) for start in starts])
            low, high, size = inner_low, inner_high, larger
        return pieces[0].union(*pieces[1:])

    def _stretch(self, start: int, size: int) -> BitMap:
        found = self._stretches.get((start, size))
        if found is None:
            found = self._stretches[start, size] = bitmap_of(self.offsets[start : start + size])
        return found

    def offsets_of(self, number: int) -> Offsets:
        """The offsets of one key, ascending."""
        return self.offsets[self.starts[number] : self.starts[number + 1]]

    def size_of(self, number: int) -> int:
        """How many offsets one key has."""
        return int(self.starts[number + 1]) - int(self.starts[number])


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

    def group(self, number: int) -> AbstractBitMap:
        """Offsets of one group, not to be changed."""
        group = self.run.group(number)
        return group - self.dead if self.dead else group

    def entries(self) -> Entries[Key]:
        """All entries that are not forgotten, by key."""
        run = self.run
        found: Entries[Key] = Entries(np.repeat(run.keys, np.diff(run.starts)), run.offsets, run.weights)
        return found.without(self.dead) if self.dead else found

    def part(self, first: int, stop: int) -> "VisibleRun[Key]":
        """The groups ``first <= number < stop`` alone."""
        run = self.run
        starts = run.starts[first : stop + 1]
        span = slice(int(starts[0]), int(starts[-1]))
        weights = None if run.weights is None else run.weights[span]
        return VisibleRun(Run(run.keys[first:stop], starts - starts[0], run.offsets[span], weights), self.dead)


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


def merged_run(runs: Sequence[VisibleRun[Key]]) -> Run[Key]:
    """One of several, at least one; keys may be repeated within a run, if they do not descend."""
    size = sum([len(each.run.offsets) for each in runs])
    if size <= SORTED_AT_ONCE:
        return make_run(_concatenated([each.entries() for each in runs]))
    offsets = np.empty(size, dtype=np.uint32)
    weights = None if runs[0].run.weights is None else np.empty(size, dtype=np.float32)
    keys: list[npt.NDArray[Key]] = []
    starts: list[npt.NDArray[np.uint32]] = []
    filled = 0
    for parts in _cut(runs, size):
        made: Run[Key] = make_run(_concatenated([each.entries() for each in parts]))
        stop = filled + len(made.offsets)
        offsets[filled:stop] = made.offsets
        if weights is not None and made.weights is not None:
            weights[filled:stop] = made.weights
        keys.append(made.keys)
        starts.append(made.starts[:-1] + np.uint32(filled))
        filled = stop
    every = np.concatenate([*starts, np.array([filled], dtype=np.uint32)])
    return Run(np.concatenate(keys), every, offsets[:filled], None if weights is None else weights[:filled])


def _cut(runs: Sequence[VisibleRun[Key]], size: int) -> Iterator[list[VisibleRun[Key]]]:
    """The parts of all runs between some keys and others, ascending; of ``size`` entries some ``SORTED_AT_ONCE`` at a
    time, more where a key has more.
    """
    sizes = [len(each.run.offsets) for each in runs]
    longest: Run[Key] = runs[sizes.index(max(sizes))].run
    entries = np.linspace(0, len(longest.offsets), -(-size // SORTED_AT_ONCE), endpoint=False, dtype=np.uint32)[1:]
    keys: npt.NDArray[Key] = np.unique(longest.keys[longest.starts.searchsorted(entries, side="right") - 1])
    bounds = [_bounds(each.run, keys) for each in runs]
    for at in range(len(keys) + 1):
        yield [one.part(own[at], own[at + 1]) for one, own in zip(runs, bounds, strict=True)]


def _bounds(run: Run[Key], keys: npt.NDArray[Key]) -> list[int]:
    """The numbers of the groups at which keys begin, and where the run does and ends."""
    return [0, *run.keys.searchsorted(keys).tolist(), len(run.keys)]


def _concatenated(pieces: Sequence[Entries[Key]]) -> Entries[Key]:
    """All entries of at least one piece, in order; all have weights or none has."""
    if len(pieces) == 1:
        return pieces[0]
    weights = [piece.weights for piece in pieces if piece.weights is not None]
    return Entries(
        np.concatenate([piece.keys for piece in pieces]),
        np.concatenate([piece.offsets for piece in pieces]),
        np.concatenate(weights) if weights else None,
    )
