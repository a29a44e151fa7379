"""Append-only file of fixed-width rows: the dense vectors of one name, or the running rows of its multivectors.

Its bytes are those of ``row_format``.

Invariants:

* How many rows count is known to the point store alone, with the CRC-32 of each *block* (a power of two of rows,
  about 128 KiB) and the running CRC of the unfinished one. A counted row is never rewritten; rows are synced before
  the commit that counts them.
* Rows are written with ``write``, not through the map, so a full disk is an error and not a signal. The file is
  extended ahead of its rows by holes that cost no disk, so that the map is renewed rarely; maps in use stay valid
  until dropped.
* A block that was there at open is compared with its checksum before its rows are first trusted (``verify_rows``).
  Opening costs the same for any number of rows.
* Of blocks in which nothing lives any more (``vacant``) the disk may be given back (``punch``), once the record of that
  is durable; whatever they hold then, nobody compares or reads it.

One writer at a time; any number of readers, also while appends go on, of rows below a count they got from a commit.
"""

import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdrantlite.errors import Corrupted, StorageFailed
from qdrantlite.storage.block_checks import BlockChecks
from qdrantlite.storage.files import Bytes, Files, OpenFile, os_errors
from qdrantlite.storage.row_format import HEADER_BYTES, RowFormat, Rows, map_open
from qdrantlite.storage.vacant import NO_RANGES, Ranges, blocks_within, joined, ranges_of, size_of, without

_GROWTH_BYTES_MIN = 64 * 1024
_GROWTH_BYTES_MAX = 64 * 1024 * 1024
_PUNCHED_BYTES_MAX = 16 * 1024 * 1024
"""At a time: a file is not written to, nor its pages brought in, while a hole is made. Some 5 ms."""


@dataclass(frozen=True, slots=True)
class RowMark:
    """A place to rewind to."""

    rows: int
    crc: int
    finished: int


@dataclass(frozen=True, slots=True)
class RowTail:
    """What the point store is told of a file at a commit (``StoreWriter.put_rows``)."""

    rows: int
    crc: int
    """Running CRC-32 of the unfinished block."""
    finished: tuple[tuple[int, int], ...]
    """(block, crc) finished since the last ``settle``."""


class VectorFile:
    """Rows of one vector. Raises everywhere: StorageFailed; Corrupted where bytes are not what was written."""

    def __init__(
        self,
        path: Path,
        row_format: RowFormat,
        *,
        rows: int,
        crc: int,
        checksums: Callable[[], NDArray[np.uint32]],
        files: Files,
        vacant: Ranges = NO_RANGES,
    ) -> None:
        """Opens with what the store has committed: ``rows``, ``crc`` of the unfinished block, ``checksums()`` of the
        finished ones (called at most once, at the first verification), rows that are ``vacant``. With no rows there
        need be no file: the first append makes it.
        """
        self.path = path
        self.row_format = row_format
        self._files = files
        self._file: OpenFile | None = None
        self._rows, self._crc = rows, crc
        self._finished: list[tuple[int, int]] = []
        self._written_max = rows
        self._capacity = 0
        self._view: Rows = np.empty((0, row_format.dim), row_format.numpy)
        self._dirty = self._entry_dirty = False
        self._failed = False
        if rows:
            self._open(rows)
        self._checks = BlockChecks(path, self._view, row_format.block_rows, crc=crc, checksums=checksums)
        self._vacant = NO_RANGES
        self.vacate(vacant)

    @property
    def rows_appended(self) -> int:
        """Rows committed and pending: the number the next row gets."""
        return self._rows

    @property
    def rows_vacant(self) -> int:
        """Rows of the blocks that are given back, or about to be."""
        return size_of(self._vacant) * self.row_format.block_rows

    @property
    def held_bytes(self) -> int:
        """Bytes of its other rows."""
        return (self._rows - self.rows_vacant) * self.row_format.width

    def append(self, rows: Rows) -> None:
        """Writes rows after the last; pending until a commit counts them."""
        row_format = self.row_format
        assert rows.dtype == row_format.numpy
        assert rows.ndim == 2
        assert rows.shape[1] == row_format.dim
        if len(rows) == 0:
            return
        data = np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data
        self._write(data, self._rows)
        self._count(data)

    def append_zeros(self, count: int) -> None:
        """Rows of zeros, for points without this vector; takes no disk beyond what the file system needs for a hole."""
        if count == 0:
            return
        stale = min(count, self._written_max - self._rows)
        if stale > 0:
            self._write(memoryview(bytes(stale * self.row_format.width)), self._rows)
        self._reserve(self._rows + count)
        self._dirty = True
        block_rows, width = self.row_format.block_rows, self.row_format.width
        while count:
            piece = min(count, block_rows - self._rows % block_rows)
            if piece == block_rows:
                self._finish_block(self.row_format.zero_block_crc)
                self._rows += piece
            else:
                self._count(memoryview(bytes(piece * width)))
            count -= piece
        self._written_max = max(self._written_max, self._rows)

    def mark(self) -> RowMark:
        """Where ``rewind`` returns to."""
        return RowMark(self._rows, self._crc, len(self._finished))

    def rewind(self, mark: RowMark) -> None:
        """Forgets rows appended since ``mark``, which must not be older than the last ``settle``."""
        assert mark.rows <= self._rows
        self._rows, self._crc = mark.rows, mark.crc
        del self._finished[mark.finished :]

    def tail(self) -> RowTail:
        """What the next commit must record."""
        return RowTail(self._rows, self._crc, tuple(self._finished))

    def settle(self) -> None:
        """The commit that holds ``tail()`` is made."""
        self._finished.clear()

    def sync(self) -> None:
        """Makes all appended rows durable; before the commit that counts them. A failed sync is never retried."""
        if self._failed:
            raise StorageFailed("an earlier sync failed; reopen the storage before writing", detail=str(self.path))
        if self._file is None or not self._dirty:
            return
        self._dirty = False
        try:
            self._file.sync()
            if self._entry_dirty:
                self._files.sync_directory(self.path.parent)
                self._entry_dirty = False
        except StorageFailed:
            self._failed = True
            raise

    def rows(self, count: int) -> Rows:
        """Read-only view ``(count, dim)`` of the first rows; stays valid after appends, ``close`` and removal of the
        file.
        """
        assert count <= self._rows
        return self._view[:count]

    def is_current(self, rows: Rows) -> bool:
        """Whether a view that ``rows`` gave earlier shares the present mapping, and not one the file has outgrown."""
        return bool(np.shares_memory(rows[:1], self._view[:1])) if len(rows) else True

    def verify_rows(self, rows: NDArray[np.integer[Any]] | slice) -> None:
        """Compares the blocks of these row numbers with their checksums, those not compared since open.

        Does nothing once all are. Threads may call it together. Raises Corrupted naming file and block.
        """
        self._checks.verify_rows(rows)

    def verify_step(self, budget_bytes: int) -> bool:
        """Compares further blocks, about ``budget_bytes`` of them; True when none are left. Raises Corrupted."""
        return self._checks.step(max(1, budget_bytes // (self.row_format.block_rows * self.row_format.width)))

    def vacate(self, ranges: Ranges) -> Ranges:
        """Nothing lives in these rows, nor ever will: the blocks that lie wholly within are not compared any more, and
        may be punched. Returns the rows of those that were not vacant before. Rows beyond those appended are passed
        over. One thread at a time.
        """
        blocks = without(self._blocks_within(ranges), self._vacant)
        for first, stop in blocks.tolist():
            self._checks.vacate(first, stop)
        self._vacant = joined(self._vacant, blocks)
        return ranges_of(blocks * self.row_format.block_rows)

    def punch(self, ranges: Ranges) -> int:
        """Gives the blocks within these rows, all vacant, back to the file system; returns their bytes.

        The record that they are vacant must be durable. It may be done again. Beside readers and a writer.
        """
        file, punched = self._file, 0
        if file is None:
            return 0
        block_bytes = self.row_format.block_rows * self.row_format.width
        at_once = max(1, _PUNCHED_BYTES_MAX // block_bytes)
        for first, stop in self._blocks_within(ranges).tolist():
            for block in range(first, stop, at_once):
                size = min(at_once, stop - block) * block_bytes
                if not file.punch(size, HEADER_BYTES + block * block_bytes):
                    return punched
                punched += size
        return punched

    def _blocks_within(self, ranges: Ranges) -> Ranges:
        return blocks_within(np.minimum(ranges, self._rows), self.row_format.block_rows)

    def close(self) -> None:
        """Cuts the hole at the end and lets go of the file; views in use stay valid. Idempotent."""
        file, self._file = self._file, None
        if file is not None:
            try:
                if sys.platform != "win32" and not self._failed:
                    file.resize(self._position(self._rows))
            finally:
                file.close()

    def _position(self, row: int) -> int:
        return HEADER_BYTES + row * self.row_format.width

    def _open(self, rows: int) -> None:
        if not self._files.exists(self.path):
            raise Corrupted(f"a vector file is missing; {rows} rows were committed", detail=str(self.path))
        file, row_format = self._files.open(self.path, create=False), self.row_format
        try:
            if file.read_at(HEADER_BYTES, 0) != row_format.header:
                raise Corrupted(
                    f"a vector file is damaged: its header is not that of {row_format.dim} {row_format.dtype}",
                    detail=str(self.path),
                )
            size, needed = file.size(), self._position(rows)
            if size < needed:
                raise Corrupted(
                    f"a vector file is damaged: {size} bytes, {needed} were committed", detail=str(self.path)
                )
            if size > needed:
                file.resize(needed)
            self._map(file, rows)
        except BaseException:
            file.close()
            raise
        self._file = file

    def _create(self) -> OpenFile:
        folder = self.path.parent
        if not self._files.exists(folder):
            self._files.make_directory(folder)
            self._files.sync_directory(folder.parent)
        file = self._files.open(self.path, create=True)
        file.write_at(self.row_format.header, 0)
        self._entry_dirty = True
        return file

    def _reserve(self, rows: int) -> OpenFile:
        """The file, long enough for ``rows`` and mapped that far."""
        if self._failed:
            raise StorageFailed("an earlier sync failed; reopen the storage before writing", detail=str(self.path))
        if self._file is None:
            assert self._capacity == 0
            self._file = self._create()
        if rows > self._capacity:
            needed = self._position(rows)
            ahead = min(max(needed, _GROWTH_BYTES_MIN), _GROWTH_BYTES_MAX)
            capacity = (needed + ahead - HEADER_BYTES) // self.row_format.width
            self._file.resize(self._position(capacity))
            self._map(self._file, capacity)
        return self._file

    def _map(self, file: OpenFile, rows: int) -> None:
        with os_errors(self.path):
            self._view = map_open(file.fileno(), self.row_format, rows)
        self._capacity = rows

    def _write(self, data: memoryview, row: int) -> None:
        end = row + len(data) // self.row_format.width
        file = self._reserve(end)
        self._dirty = True
        self._written_max = max(self._written_max, end)
        file.write_at(data, self._position(row))

    def _count(self, data: Bytes) -> None:
        """Takes appended bytes into the checksums and the row count."""
        width, block_rows = self.row_format.width, self.row_format.block_rows
        view, position = memoryview(data), 0
        while position < len(view):
            piece = min(len(view) - position, (block_rows - self._rows % block_rows) * width)
            self._crc = zlib.crc32(view[position : position + piece], self._crc)
            position += piece
            rows = self._rows + piece // width
            if rows % block_rows == 0:
                self._finish_block(self._crc)
            self._rows = rows

    def _finish_block(self, crc: int) -> None:
        """The block that holds row ``self._rows`` is full."""
        self._finished.append((self._rows // self.row_format.block_rows, crc))
        self._crc = 0
