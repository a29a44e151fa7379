"""Rows of a vector file compared with their checksums, block by block, before they are first trusted."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdrantlite.errors import Corrupted


class BlockChecks:
    """Which blocks, of those there at open, were compared with their checksums. Later ones were written by us.

    Knows the rows as they were mapped then, and not its file: the two would keep each other from being let go of.
    """

    def __init__(
        self, path: Path, view: NDArray[Any], block_rows: int, *, crc: int, checksums: Callable[[], NDArray[np.uint32]]
    ) -> None:
        self._path = path
        self._view = view
        self._rows, self._crc, self._load = len(view), crc, checksums
        self._block_rows = block_rows
        self._blocks = -(-len(view) // block_rows)
        self._checksums: NDArray[np.uint32] | None = None
        self._verified = np.zeros(self._blocks, np.bool_)
        self._vacant: NDArray[np.bool_] | None = None
        self._next = 0
        self._done = self._blocks == 0

    def vacate(self, first: int, stop: int) -> None:
        """Nothing that lives is in the blocks ``first <= block < stop``: from now on they are not compared."""
        known = np.empty(0, np.bool_) if self._vacant is None else self._vacant
        vacant = np.zeros(max(len(known), stop + 1), np.bool_)  # Its last place stands for all blocks that follow.
        vacant[: len(known)] = known
        vacant[first:stop] = True
        self._vacant = vacant  # Before the blocks count as compared: whoever finds zeros looks here.
        self._verified[first:stop] = True
        self._finish()

    def verify_rows(self, rows: NDArray[np.integer[Any]] | slice) -> None:
        """Compares the blocks of these rows, those not compared before. Raises Corrupted.

        A slice passes over what is vacant; a row that is asked for by its number must not be.
        """
        view = self._view  # Taken first: it goes once all is done.
        if self._vacant is not None and not isinstance(rows, slice):
            self._require_held(rows, self._vacant)
        if self._done:
            return
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(self._rows)
            first, last = start // self._block_rows, -(-stop // self._block_rows)
            todo = (np.flatnonzero(~self._verified[first:last]) + first).tolist() if start < stop else []
        else:
            blocks = rows // self._block_rows
            asked = np.zeros(self._blocks, np.bool_)
            asked[blocks[blocks < self._blocks]] = True
            todo = np.flatnonzero(asked & ~self._verified).tolist()
        for block in todo:
            self._verify(block, view)
        if todo:
            self._finish()

    def step(self, blocks: int) -> bool:
        """Compares so many further blocks; True when none are left. Raises Corrupted."""
        stop = min(self._next + blocks, self._blocks)
        if not self._done:
            self.verify_rows(slice(self._next * self._block_rows, stop * self._block_rows))
        self._next = stop
        return self._next == self._blocks or self._done

    def _finish(self) -> None:
        if self._verified.all():
            self._done = True
            self._view = self._view[:0].copy()  # The mapping may go.

    def _require_held(self, rows: NDArray[np.integer[Any]], vacant: NDArray[np.bool_]) -> None:
        """What is asked for by number is believed to live: zeros must never be taken for it."""
        given_back = vacant.take(rows // self._block_rows, mode="clip").any()
        assert not given_back, "rows were asked for that have been given back"

    def _verify(self, block: int, view: NDArray[Any]) -> None:
        start = block * self._block_rows
        stop = min(start + self._block_rows, self._rows)
        rows = view[start:stop]
        found = zlib.crc32(rows.reshape(-1).view(np.uint8).data)
        if found != self._expected(block) and not self._is_vacant(block):
            raise Corrupted(
                f"a vector file is damaged: block {block} (rows {start} to {stop - 1}) has checksum {found:08x},"
                f" {self._expected(block):08x} was written",
                detail=str(self._path),
            )
        self._verified[block] = True

    def _is_vacant(self, block: int) -> bool:
        """Whether it became so, perhaps while it was compared."""
        return self._vacant is not None and bool(self._vacant.take(block, mode="clip"))

    def _expected(self, block: int) -> int:
        finished = self._rows // self._block_rows
        if block == finished:
            return self._crc
        if self._checksums is None:
            checksums = self._load()
            if len(checksums) < finished:
                raise Corrupted(
                    f"checksums of {finished - len(checksums)} blocks of a vector file are lost",
                    detail=str(self._path),
                )
            self._checksums = checksums
        return int(self._checksums[block])
