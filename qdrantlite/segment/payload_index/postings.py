"""Points by key: exact, one-of, none-of and range lookups over a sorted run, for whatever the keys stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.segment.bitmaps import Offsets, bitmap_of
from qdrantlite.segment.payload_index.parts import Part, Parts, array_of, bitmap_from, bitmap_part
from qdrantlite.segment.runs import Entries, Key, Run, VisibleRun, alive, found_in, make_run, merged_run, ranges
from qdrantlite.segment.selection import Selection
from qdrantlite.values.vector import F32

SCATTER_RATIO = 32
"""Looking an offset up in a group takes as long as passing over so many."""


@dataclass(frozen=True, slots=True, eq=False)
class Postings(Generic[Key]):
    """Entries ``(key, offset)``; a point may have several keys, each once. Immutable, and so are all results."""

    run: Run[Key]
    indexed: AbstractBitMap
    """Points that have a key."""
    several: AbstractBitMap
    """Points that have several."""

    @staticmethod
    def of(keys: npt.NDArray[Key], offsets: Offsets, weights: F32 | None = None) -> "Postings[Key]":
        """Of entries ``(n,)``; those of one point stand together. ``weights`` are kept with them."""
        several = bitmap_of(offsets[1:][offsets[1:] == offsets[:-1]])
        entries: Entries[Key] = Entries(keys, offsets, weights)
        run: Run[Key] = make_run(entries)
        return Postings(run, bitmap_of(offsets), several)

    def with_one_of(self, keys: npt.NDArray[Key]) -> AbstractBitMap:
        """Points that have at least one of the keys, which are distinct."""
        if len(keys) == 1:
            number = self.run.number_of(keys[0])
            return BitMap() if number is None else self.run.group(number)
        return bitmap_of(self._offsets_of(self.run.locate(keys)[1]))

    def with_all_of(self, keys: npt.NDArray[Key]) -> AbstractBitMap:
        """Points that have each of the keys, which are distinct; no point without keys."""
        found, numbers = self.run.locate(keys)
        if not len(keys) or not found.all():
            return BitMap()
        first, *others = sorted(numbers.tolist(), key=self.run.size_of)
        if others and self.run.size_of(first) * SCATTER_RATIO < self.run.size_of(others[-1]):
            return bitmap_of(self._common(first, others))
        return self.run.group(first).intersection(*map(self.run.group, others))

    def _common(self, first: int, others: Sequence[int]) -> Offsets:
        """Offsets of a small group that are in all the others, looked up one by one."""
        common = self.run.offsets_of(first)
        for other in others:
            common = common[found_in(self.run.offsets_of(other), common)[0]]
        return common

    def with_other_than(self, keys: npt.NDArray[Key]) -> AbstractBitMap:
        """Points that have at least one key that is not among these distinct ones."""
        excluded = self.with_one_of(keys)
        mixed = excluded & self.several
        found = self.indexed - excluded
        if mixed:
            others = np.ones(len(self.run.keys), dtype=np.bool_)
            others[self.run.locate(keys)[1]] = False
            found |= bitmap_of(self._offsets_of(np.flatnonzero(others))) & mixed
        return found

    def between(self, low: npt.NDArray[Key], high: npt.NDArray[Key]) -> AbstractBitMap:
        """Points that have a key of ``low[0] <= key <= high[0]``; both are arrays of one."""
        first = int(self.run.keys.searchsorted(low[0], side="left"))
        stop = int(self.run.keys.searchsorted(high[0], side="right"))
        return self.groups(first, stop)

    def groups(self, first: int, stop: int) -> AbstractBitMap:
        """Points of the keys numbered ``first <= number < stop``."""
        if first >= stop:
            return BitMap()
        if stop - first == len(self.run.keys):
            return self.indexed
        return self.run.between(int(self.run.starts[first]), int(self.run.starts[stop]))

    def counts(self, selection: Selection, forgotten: AbstractBitMap) -> npt.NDArray[np.int64]:
        """How many points of the selection that are not forgotten have each key, ``(keys,)``."""
        if not len(self.run.keys):
            return np.zeros(0, dtype=np.int64)
        counted = selection.contains(self.run.offsets) & alive(self.run.offsets, forgotten)
        counts: npt.NDArray[np.int64] = np.add.reduceat(counted, self.run.starts[:-1].astype(np.intp), dtype=np.int64)
        return counts

    def dump(self) -> list[Part]:
        """Everything needed to ``load``."""
        return [
            ("keys", self.run.keys),
            ("starts", self.run.starts),
            ("offsets", self.run.offsets),
            *([("weights", self.run.weights)] if self.run.weights is not None else []),
            bitmap_part("indexed", self.indexed),
            bitmap_part("several", self.several),
        ]

    @staticmethod
    def load(parts: Parts, dtype: type[Key], *, weighted: bool = False) -> "Postings[Key]":
        """From a dump of postings with weights or without. Raises KeyError."""
        keys = array_of(parts, "keys").astype(dtype, copy=False)
        starts = array_of(parts, "starts").astype(np.uint32, copy=False)
        offsets = array_of(parts, "offsets").astype(np.uint32, copy=False)
        weights = array_of(parts, "weights").astype(np.float32, copy=False) if weighted else None
        run: Run[Key] = Run(keys, starts, offsets, weights)
        return Postings(run, bitmap_from(parts, "indexed"), bitmap_from(parts, "several"))

    def _offsets_of(self, numbers: npt.NDArray[np.int64]) -> Offsets:
        """Offsets of the groups of these numbers, one after the other."""
        starts = self.run.starts[numbers]
        return self.run.offsets[ranges(starts, self.run.starts[numbers + 1] - starts)]


def merged_postings(
    pieces: Sequence[tuple[Postings[Key], AbstractBitMap]], keys: Sequence[npt.NDArray[Key]] | None = None
) -> Postings[Key]:
    """One of several, at least one, each without the offsets forgotten there; ``keys[i]`` takes the place of the keys
    of piece ``i``, and does not descend.
    """
    runs: list[VisibleRun[Key]] = []
    for number, (postings, forgotten) in enumerate(pieces):
        run = postings.run
        renamed: Run[Key] = run if keys is None else Run(keys[number], run.starts, run.offsets, run.weights)
        runs.append(VisibleRun(renamed, forgotten))
    run = merged_run(runs)
    indexed, several = BitMap(), BitMap()
    for postings, forgotten in pieces:
        indexed |= postings.indexed - forgotten
        several |= postings.several - forgotten
    return Postings(run, indexed, several)
