"""The one writer of a point store. Its reads see the open transaction.

Callers hold the collection's writer lock. A transaction holds any number of requests, each inside a savepoint, so
that one that fails is undone alone. ``commit`` makes the transaction visible to new views; ``PointStore.sync``
makes it durable. Rows of vector files that a transaction refers to must be synced before it commits.

The log of touched offsets tells derived structures what to read again: every change of a live offset is entered, new
points are not (they are found beyond the offset that was covered). Numbers of the log only grow, also across
trimming.

Raises everywhere: Corrupted, StorageFailed.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdrantlite.storage.readers import Readers
from qdrantlite.storage.store_reader import CommittedRows, Offsets, RaggedRows, StoredPoints, StoreReader, StoreState
from qdrantlite.storage.store_schema import encode_ids, encode_presence
from qdrantlite.storage.vacant import Vacant
from qdrantlite.storage.wal_sync import WalSync
from qdrantlite.values.point_id import PointId

_PUT_STATE = "INSERT INTO state VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value=excluded.value"
_ROWS_AT_ONCE = 64
"""Rows that one statement inserts: with so many a row takes two thirds of the time that it takes alone. Other threads
may run between statements, and a writer waits for its turn again each time.
"""


class StoreWriter(StoreReader):
    """Bulk writes; every array and list of one call has the same length and order."""

    def __init__(self, connection: sqlite3.Connection, path: Path, wal: WalSync, readers: Readers) -> None:
        super().__init__(connection, path)
        self._wal = wal
        self._readers = readers
        self._saved = self._counters = StoreReader.state(self)
        self._at_savepoints: list[StoreState] = []
        self._rows: dict[int, CommittedRows] = {}
        """Of vector files, as far as they were asked for or put."""

    def state(self) -> StoreState:
        """The counters, the open transaction's changes included."""
        return self._counters

    def committed_rows(self, file: int) -> CommittedRows:
        """Rows of a vector file that commits cover, the open transaction included."""
        known = self._rows.get(file)
        if known is None:
            known = self._rows[file] = super().committed_rows(file)
        return known

    @property
    def in_transaction(self) -> bool:
        """Between ``begin`` and ``commit`` or ``rollback``."""
        return self._connection.in_transaction

    def begin(self) -> None:
        """Opens a transaction; there must be none. Refuses once a sync has failed."""
        assert not self.in_transaction
        self._wal.check()
        self._readers.writing()
        try:
            self._run("BEGIN IMMEDIATE")
        except BaseException:
            self._readers.written()
            raise

    @contextmanager
    def begun(self) -> Iterator[None]:
        """A transaction; what fails before the commit is taken back, so that the next writer finds nothing open."""
        self.begin()
        try:
            yield
        except BaseException:
            self.rollback()
            raise

    def commit(self) -> int:
        """Makes the transaction visible; returns the number that ``PointStore.sync`` makes durable. No savepoint is
        open.

        When it fails, nothing of the transaction is visible or will be.
        """
        assert not self._at_savepoints
        try:
            self._put_counters()
            self._run("COMMIT")
        except BaseException:
            self.rollback()
            raise
        self._saved = self._counters
        self._readers.written()
        return self._wal.committed()

    def rollback(self) -> None:
        """Undoes all since ``begin``; does nothing outside a transaction."""
        self._at_savepoints.clear()
        self._rows.clear()
        self._counters = self._saved
        try:
            if self.in_transaction:
                self._run("ROLLBACK")
        finally:
            self._readers.written()

    def savepoint(self) -> None:
        """Opens a savepoint, within the last one if that has not ended."""
        assert self.in_transaction
        self._run("SAVEPOINT request")
        self._at_savepoints.append(self._counters)

    def rollback_to(self) -> None:
        """Undoes all since the last ``savepoint`` and ends it."""
        self._counters = self._at_savepoints.pop()
        self._rows.clear()
        self._run("ROLLBACK TO request")
        self._run("RELEASE request")

    def release(self) -> None:
        """Ends the last savepoint, keeping what was done."""
        self._at_savepoints.pop()
        self._run("RELEASE request")

    def insert_points(
        self,
        offsets: Offsets,
        ids: Sequence[PointId],
        *,
        version: int,
        payloads: Sequence[bytes | None],
        presence: Sequence[int],
    ) -> None:
        """New points at new offsets; ``presence[i]`` has bit v set when the point has dense vector v. Not logged."""
        rows = zip(
            offsets.tolist(), encode_ids(ids), repeat(version), encode_presence(presence), payloads, strict=False
        )
        assert len(offsets) == len(ids) == len(payloads) == len(presence)
        self._insert("INSERT INTO points", rows)
        self._counters = replace(self._counters, points=self._counters.points + len(ids))

    def copy_points(self, offsets: Offsets, points: StoredPoints) -> None:
        """Points of another store at new offsets of this one. Not logged."""
        rows = ((offset, *row) for offset, row in zip(offsets.tolist(), points.rows, strict=True))
        self._insert("INSERT INTO points", rows)
        self._counters = replace(self._counters, points=self._counters.points + len(offsets))

    def recopy_points(self, offsets: Offsets, points: StoredPoints) -> None:
        """Versions, presence and payloads anew for points copied before. Logged."""
        rows = ((*row[1:], offset) for offset, row in zip(offsets.tolist(), points.rows, strict=True))
        self._many("UPDATE points SET version=?, presence=?, payload=? WHERE offset=?", rows)
        self._touch(offsets)

    def delete_offsets(self, offsets: Offsets) -> int:
        """Deletes points with their sparse vectors and multivectors; returns how many there were. Logged."""
        keys = [(offset,) for offset in offsets.tolist()]
        deleted = self._many("DELETE FROM points WHERE offset=?", keys)
        for vector in self.vector_ids().values():
            self._delete_side("sparse", vector, offsets)
            self._delete_side("ragged", vector, offsets)
        self._counters = replace(self._counters, points=self._counters.points - deleted)
        self._touch(offsets)
        return deleted

    def set_payloads(self, offsets: Offsets, payloads: Sequence[bytes | None], *, version: int) -> None:
        """Replaces payloads of live points. Logged."""
        rows = zip(payloads, repeat(version), offsets.tolist(), strict=False)
        assert len(offsets) == len(payloads)
        self._many("UPDATE points SET payload=?, version=? WHERE offset=?", rows)
        self._touch(offsets)

    def set_presence(self, offsets: Offsets, presence: Sequence[int], *, version: int) -> None:
        """Replaces the masks of dense vectors of live points. Logged."""
        rows = zip(encode_presence(presence), repeat(version), offsets.tolist(), strict=False)
        assert len(offsets) == len(presence)
        self._many("UPDATE points SET presence=?, version=? WHERE offset=?", rows)
        self._touch(offsets)

    def put_sparse(
        self,
        vector: int,
        offsets: Offsets,
        *,
        indices: Sequence[NDArray[np.uint32]],
        weights: Sequence[NDArray[np.float32]],
        fresh: bool,
    ) -> None:
        """Sparse vectors, new or replaced. ``fresh``: the points are new in this transaction, so nothing is logged."""
        assert len(offsets) == len(indices) == len(weights)
        index_bytes = [np.asarray(row, "<u4").tobytes() for row in indices]
        weight_bytes = [np.asarray(row, "<f4").tobytes() for row in weights]
        rows = zip(repeat(vector), offsets.tolist(), index_bytes, weight_bytes, strict=False)
        self._insert("INSERT OR REPLACE INTO sparse", rows)
        if not fresh:
            self._touch(offsets)

    def delete_sparse(self, vector: int, offsets: Offsets) -> None:
        """Takes a sparse vector from live points; points without it are no error. Logged."""
        self._delete_side("sparse", vector, offsets)
        self._touch(offsets)

    def put_ragged(self, vector: int, rows: RaggedRows, *, fresh: bool) -> None:
        """Row ranges of multivectors, new or replaced. ``fresh`` as in ``put_sparse``."""
        table = zip(repeat(vector), rows.offsets.tolist(), rows.starts.tolist(), rows.counts.tolist(), strict=False)
        self._insert("INSERT OR REPLACE INTO ragged", table)
        if not fresh:
            self._touch(rows.offsets)

    def delete_ragged(self, vector: int, offsets: Offsets) -> None:
        """Takes a multivector from live points; points without it are no error. Logged."""
        self._delete_side("ragged", vector, offsets)
        self._touch(offsets)

    def put_rows(self, file: int, *, rows: int, crc: int, finished: Sequence[tuple[int, int]]) -> None:
        """What a vector file holds, already synced: a ``RowTail``, field by field."""
        self._put_state(f"rows:{file}", f"[{rows}, {crc}]")
        self._rows[file] = CommittedRows(rows, crc)
        if finished:
            blocks = ((file, block, block_crc) for block, block_crc in finished)
            self._insert("INSERT INTO row_checksums", blocks)

    def put_vacant(self, vacant: Vacant) -> None:
        """What is vacant from now on, all that was before included; nothing may live there."""
        self._put_state("vacant", vacant.to_json())

    def put_operation(self, operation_id: int) -> None:
        """The newest operation applied."""
        self._counters = replace(self._counters, operation_id=operation_id)

    def put_offset_next(self, offset: int) -> None:
        """The offset the next new point gets; it never falls."""
        assert offset >= self._counters.offset_next
        self._counters = replace(self._counters, offset_next=offset)

    def put_payload_schema(self, schema: bytes) -> None:
        """JSON text, kept as it is."""
        self._put_state("payload_schema", schema)

    def create_vector(self, name: str) -> int:
        """A new id for a vector name that has none."""
        ids = self.vector_ids()
        assert name not in ids
        number: int = self._value("vector_next", 0)
        ids[name] = number
        self._put_state("vector_next", number + 1)
        self._put_state("vectors", json.dumps(ids))
        return number

    def copy_vectors(self, source: StoreReader) -> None:
        """The vector names of another store with their ids, and the id that the next one gets."""
        assert not self.vector_ids()
        self._put_state("vectors", json.dumps(source.vector_ids()))
        self._put_state("vector_next", source._value("vector_next", 0))

    def drop_vector(self, name: str) -> int:
        """Forgets a vector name with its sparse rows, ranges and checksums; returns its id, which is never used again.

        The caller removes the vector file once this is durable. Presence bits stay and mean nothing.
        """
        ids = self.vector_ids()
        number = ids.pop(name)
        self._rows.pop(number, None)
        self._put_state("vectors", json.dumps(ids))
        self._run("DELETE FROM sparse WHERE vector=?", number)
        self._run("DELETE FROM ragged WHERE vector=?", number)
        self._run("DELETE FROM row_checksums WHERE file=?", number)
        self._run("DELETE FROM state WHERE key=?", f"rows:{number}")
        vacant = self.vacant()
        if number in vacant.rows:
            self.put_vacant(vacant.among(ids.values()))
        return number

    def trim_touched(self, seq: int) -> None:
        """Forgets the log up to ``seq``, inclusive: every derived structure worth keeping covers it."""
        seq = min(seq, self._counters.touched_seq)
        if seq > self._counters.touched_trimmed:
            self._run("DELETE FROM touched WHERE seq<=?", seq)
            self._counters = replace(self._counters, touched_trimmed=seq)

    def _touch(self, offsets: Offsets) -> None:
        start = self._counters.touched_seq + 1
        self._insert("INSERT INTO touched", enumerate(offsets.tolist(), start))
        self._counters = replace(self._counters, touched_seq=start - 1 + len(offsets))

    def _delete_side(self, table: str, vector: int, offsets: Offsets) -> None:
        if self._all(f"SELECT 1 FROM {table} WHERE vector=? LIMIT 1", (vector,)):
            rows = zip(repeat(vector), offsets.tolist(), strict=False)
            self._many(f"DELETE FROM {table} WHERE vector=? AND offset=?", rows)

    def _put_counters(self) -> None:
        old, new = self._saved, self._counters
        changed = [
            (key, getattr(new, key))
            for key in StoreState.__dataclass_fields__
            if getattr(new, key) != getattr(old, key)
        ]
        self._many(_PUT_STATE, changed)

    def _put_state(self, key: str, value: object) -> None:
        self._run(_PUT_STATE, key, value)

    def _run(self, sql: str, *parameters: object) -> None:
        with self._errors:
            self._connection.execute(sql, parameters)

    def _insert(self, into: str, rows: Iterable[Sequence[Any]]) -> None:
        """Rows of whole columns."""
        given = list(rows)
        full = len(given) - len(given) % _ROWS_AT_ONCE
        for at in range(0, full, _ROWS_AT_ONCE):
            some = given[at : at + _ROWS_AT_ONCE]
            self._run(_inserting(into, len(some[0]), _ROWS_AT_ONCE), *chain.from_iterable(some))
        if full < len(given):
            self._many(_inserting(into, len(given[0]), 1), given[full:])

    def _many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        with self._errors:
            return self._connection.executemany(sql, rows).rowcount


@cache
def _inserting(into: str, columns: int, rows: int) -> str:
    """A statement that inserts so many rows."""
    row = f"({', '.join('?' * columns)})"
    return f"{into} VALUES {', '.join([row] * rows)}"
