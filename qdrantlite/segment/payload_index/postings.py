"""Points by key: exact, one-of, none-of and range lookups over sorted runs, for whatever the keys stand for."""

from typing import Generic

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.segment.bitmaps import Offsets, bitmap_of
from qdrantlite.segment.payload_index.parts import Part, Parts, array_of, bitmap_from, bitmap_part
from qdrantlite.segment.runs import Key, LogView, Run, RunLog


class Postings(Generic[Key]):
    """Entries ``(key, offset)``; a point may have several keys, each once. Results are the caller's own bitmaps."""

    def __init__(self, dtype: type[Key]) -> None:
        self._dtype: type[Key] = dtype
        self._log: RunLog[Key] = RunLog(dtype)
        self._indexed = BitMap()
        self._several = BitMap()

    def add(self, keys: npt.NDArray[Key], offsets: Offsets) -> None:
        """Take up entries; those of one point stand together."""
        if not len(keys):
            return
        self._log.add(keys, offsets)
        self._indexed |= bitmap_of(offsets)
        again = offsets[1:][offsets[1:] == offsets[:-1]]
        if len(again):
            self._several |= bitmap_of(again)

    def discard(self, offsets: AbstractBitMap) -> None:
        """Forget points."""
        self._log.discard(offsets)
        self._indexed -= offsets
        self._several -= offsets

    def with_one_of(self, keys: npt.NDArray[Key]) -> BitMap:
        """Points that have at least one of the keys, which are distinct."""
        found = BitMap()
        if len(keys) == 1:
            for visible in self._log.view().runs():
                number = visible.number_of(keys[0])
                if number is not None:
                    found |= visible.group(number)
        elif len(keys):
            runs = self._log.view().runs()
            found = _bitmap_of([visible.offsets_of(visible.locate(keys)[1]) for visible in runs])
        return found

    def with_other_than(self, keys: npt.NDArray[Key]) -> BitMap:
        """Points that have at least one key that is not among these distinct ones."""
        excluded = self.with_one_of(keys)
        found = self._indexed - excluded
        mixed = excluded & self._several
        if mixed:
            found |= self._remaining(keys, mixed)
        return found

    def between(self, low: npt.NDArray[Key], high: npt.NDArray[Key]) -> BitMap:
        """Points that have a key of ``low[0] <= key <= high[0]``; both are arrays of one."""
        pieces: list[Offsets] = []
        for visible in self._log.view().runs():
            first = int(visible.run.keys.searchsorted(low[0], side="left"))
            stop = int(visible.run.keys.searchsorted(high[0], side="right"))
            if first < stop:
                pieces.append(visible.offsets(first, stop))
        return _bitmap_of(pieces)

    def points(self, live: AbstractBitMap) -> int:
        """Number of live points that have a key."""
        return self._indexed.intersection_cardinality(live)

    def view(self) -> LogView[Key]:
        """The entries at this moment."""
        return self._log.view()

    def compacted(self) -> Run[Key]:
        """All entries as one run."""
        return self._log.compacted()

    def dump(self) -> list[Part]:
        """Everything needed to ``load``."""
        run = self.compacted()
        return [
            ("keys", run.keys),
            ("starts", run.starts),
            ("offsets", run.offsets),
            bitmap_part("indexed", self._indexed),
            bitmap_part("several", self._several),
        ]

    def load(self, parts: Parts) -> None:
        """Take the state of a dump. Raises KeyError."""
        keys = array_of(parts, "keys").astype(self._dtype, copy=False)
        starts = array_of(parts, "starts").astype(np.uint32, copy=False)
        offsets = array_of(parts, "offsets").astype(np.uint32, copy=False)
        run: Run[Key] = Run(keys, starts, offsets, None)
        self._log.restore(run)
        self._indexed = bitmap_from(parts, "indexed")
        self._several = bitmap_from(parts, "several")

    def _remaining(self, keys: npt.NDArray[Key], points: BitMap) -> BitMap:
        """Those of the points that have an entry besides these keys; reads every entry."""
        pieces = []
        for visible in self._log.view().runs():
            others = np.ones(len(visible.run.keys), dtype=np.bool_)
            others[visible.locate(keys)[1]] = False
            pieces.append(visible.offsets_of(np.flatnonzero(others)))
        return _bitmap_of(pieces) & points


def _bitmap_of(pieces: list[Offsets]) -> BitMap:
    """All offsets of all pieces: one conversion costs less than one per run and their union."""
    if not pieces:
        return BitMap()
    return bitmap_of(np.concatenate(pieces) if len(pieces) > 1 else pieces[0])
