"""Bulk reads of a point store, as one transaction sees it.

Every method answers for the transaction that is open on its connection: a view's commit, or the writer's own open
transaction. Keys go to SQLite as one JSON array (``json_each``): one statement for any number of keys; the CROSS JOIN
keeps it the outer loop, so answers come in the order asked. Measured equal to an IN list for ten keys and quicker
beyond. Offsets come back as the text of one ``group_concat`` per chunk, eight times quicker than a row for each.

Threads: one at a time. Raises: Corrupted, StorageFailed.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import numpy as np
import orjson
from numpy.typing import NDArray

from qdrantlite.deadline import FOREVER, Ask
from qdrantlite.errors import Corrupted
from qdrantlite.storage.sqlite_file import PAGE_BYTES, SqliteErrors
from qdrantlite.storage.store_schema import (
    PRESENCE_BITS_INTEGER,
    StoredId,
    StoredPresence,
    decode_ids,
    decode_presence,
    encode_id,
    encode_ids,
)
from qdrantlite.storage.vacant import NOTHING_VACANT, Vacant
from qdrantlite.values.point_id import PointId

Offsets: TypeAlias = NDArray[np.uint32]
"""Row numbers inside the shard, ``(n,) uint32``."""

MISSING = 0xFFFFFFFF
"""The offset that stands for "no such point"."""

_CHUNK_OFFSETS = 65536
_CHUNK_ROWS = 1024
_CHUNK_IDS = 8192
_COUNTERS = "'operation_id', 'offset_next', 'points', 'touched_seq', 'touched_trimmed'"


@dataclass(frozen=True, slots=True)
class StoreState:
    """The counters of a store."""

    operation_id: int
    """Version of the newest operation applied; 0 before the first."""
    offset_next: int
    """The offset the next new point gets; offsets are never reused."""
    points: int
    """Live points."""
    touched_seq: int
    """Newest seq of the log of touched offsets; 0 before the first."""
    touched_trimmed: int
    """The log no longer holds entries up to this seq, inclusive."""


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Points in the order asked for."""

    ids: list[PointId]
    versions: list[int]
    payloads: list[bytes | None]
    """JSON text; None when empty or not asked for."""

    def part(self, start: int, stop: int) -> "Records":
        """The points at these places."""
        return Records(self.ids[start:stop], self.versions[start:stop], self.payloads[start:stop])


@dataclass(frozen=True, slots=True, eq=False)
class StoredPoints:
    """Points as they are stored, to be copied into another store."""

    offsets: Offsets
    rows: list[tuple[StoredId, int, StoredPresence, bytes | None]]
    """Id, version, presence and payload of each."""

    def having(self, vector: int) -> NDArray[np.bool_]:
        """Whether each has the vector of this id, ``(n,) bool``."""
        return np.array([decode_presence(row[2]) >> vector & 1 for row in self.rows], np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class SparseRows:
    """Sparse vectors: row i is ``indices[bounds[i]:bounds[i+1]]`` with the weights of the same places."""

    offsets: Offsets
    present: NDArray[np.bool_]
    """False = the point has no such vector (its row is empty)."""
    bounds: NDArray[np.int64]
    indices: NDArray[np.uint32]
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class RaggedRows:
    """Multivectors: point ``offsets[i]`` owns rows ``[starts[i], starts[i]+counts[i])`` of its vector's file; 0 =
    none.
    """

    offsets: Offsets
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Touched:
    """Offsets logged after a seq; ascending, without repeats."""

    seq: int
    """Caught up to here, inclusive."""
    changed: Offsets
    """Still live; read them again."""
    dead: Offsets
    """No longer points."""


@dataclass(frozen=True, slots=True)
class CommittedRows:
    """What the store knows of a vector file."""

    rows: int
    crc: int
    """Running CRC-32 of the unfinished block."""


@dataclass(frozen=True, slots=True)
class IdBound:
    """Where an order by id begins; None is the very beginning."""

    stored: StoredId | None
    included: bool = True

    @staticmethod
    def at(start: PointId | None) -> "IdBound":
        """From an id on, which need not exist."""
        return IdBound(None if start is None else encode_id(start))

    def condition(self, column: str) -> tuple[str, tuple[StoredId, ...]]:
        """SQL and its parameters."""
        if self.stored is None:
            return "TRUE", ()
        return f"{column}{'>=' if self.included else '>'}?", (self.stored,)


class StoreReader:
    """Reads on one connection, in whatever transaction is open there."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._errors = SqliteErrors(path)

    def state(self) -> StoreState:
        """The counters."""
        rows = self._all(f"SELECT key, value FROM state WHERE key IN ({_COUNTERS})", ())
        return StoreState(**dict(rows))

    def vector_ids(self) -> dict[str, int]:
        """Vector name -> id of its file, its sparse rows and its presence bit. Ids are never reused."""
        found: dict[str, int] = json.loads(self._value("vectors", "{}"))
        return found

    def committed_rows(self, file: int) -> CommittedRows:
        """Rows of a vector file that commits cover; (0, 0) before the first."""
        rows, crc = json.loads(self._value(f"rows:{file}", "[0, 0]"))
        return CommittedRows(rows, crc)

    def row_checksums(self, file: int) -> NDArray[np.uint32]:
        """CRC-32 of the finished blocks of a vector file, by block number."""
        rows = self._all("SELECT block, crc FROM row_checksums WHERE file=? ORDER BY block", (file,))
        if rows and rows[-1][0] != len(rows) - 1:
            raise Corrupted(
                "the database is damaged: a checksum is missing", detail=f"{self._path}, of vector file {file}"
            )
        return np.fromiter((crc for _, crc in rows), np.uint32, len(rows))

    def vacant(self) -> Vacant:
        """What was recorded as vacant; nothing before the first."""
        recorded = self._value("vacant", None)
        return NOTHING_VACANT if recorded is None else Vacant.from_json(recorded)

    def payload_schema(self) -> bytes:
        """JSON text as it was put; ``{}`` before the first."""
        return bytes(self._value("payload_schema", b"{}"))

    def free_bytes(self) -> int:
        """Bytes of pages that hold nothing any more; later writes use them, the file does not shrink."""
        return PAGE_BYTES * int(self._all("PRAGMA freelist_count", ())[0][0])

    def used_bytes(self) -> int:
        """Bytes of pages in use."""
        return PAGE_BYTES * int(self._all("PRAGMA page_count", ())[0][0]) - self.free_bytes()

    def stored_points(self, offset_from: int, offset_to: int, limit: int) -> StoredPoints:
        """The first live points with ``offset_from <= offset < offset_to``, ascending."""
        sql = (
            "SELECT offset, id, version, presence, payload FROM points WHERE offset>=? AND offset<?"
            " ORDER BY offset LIMIT ?"
        )
        rows = self._all(sql, (offset_from, offset_to, limit))
        return StoredPoints(np.array([row[0] for row in rows], np.uint32), [row[1:] for row in rows])

    def stored_points_at(self, offsets: Offsets) -> StoredPoints:
        """These points, in the order given. Every offset must be live."""
        return StoredPoints(offsets, self._by_offset("p.id, p.version, p.presence, p.payload", offsets))

    def ids(self, offsets: Offsets) -> list[PointId]:
        """Ids in the order given. Every offset must be live."""
        rows = self._by_offset("p.id", offsets)
        return decode_ids([stored for (stored,) in rows])

    def records(self, offsets: Offsets, *, with_payload: bool) -> Records:
        """Ids, versions and payloads in the order given. Every offset must be live."""
        rows = self._by_offset("p.id, p.version, p.payload" if with_payload else "p.id, p.version, NULL", offsets)
        if not rows:
            return Records([], [], [])
        ids, versions, payloads = zip(*rows, strict=True)
        return Records(decode_ids(ids), list(versions), list(payloads))

    def payloads(self, offsets: Offsets) -> list[bytes | None]:
        """JSON texts in the order given; None when empty. Every offset must be live."""
        return [payload for (payload,) in self._by_offset("p.payload", offsets)]

    def presence(self, offsets: Offsets) -> list[int]:
        """Masks of dense vectors, in the order given. Every offset must be live."""
        return [decode_presence(stored) for (stored,) in self._by_offset("p.presence", offsets)]

    def offsets_of(self, ids: Sequence[PointId], ask: Ask = FOREVER.check) -> Offsets:
        """Offset of each id, in the order given; MISSING for ids that are no points. ``ask`` is called between many."""
        if len(ids) <= _CHUNK_IDS:
            return self._offsets_of(ids)
        found: list[Offsets] = []
        for at in range(0, len(ids), _CHUNK_IDS):
            ask()
            found.append(self._offsets_of(ids[at : at + _CHUNK_IDS]))
        return np.concatenate(found)

    def _offsets_of(self, ids: Sequence[PointId]) -> Offsets:
        found = np.full(len(ids), MISSING, np.uint32)
        uuids = [i for i, point_id in enumerate(ids) if isinstance(point_id, UUID)]
        if len(uuids) < len(ids):
            keys = orjson.dumps(
                [None if isinstance(i, UUID) else encode_id(i) for i in ids] if uuids else encode_ids(ids)
            ).decode()
            sql = "SELECT j.key, p.offset FROM json_each(?) j CROSS JOIN points p ON p.id=j.value"
            self._scatter(found, self._all(sql, (keys,)))
        if uuids:
            packed = b"".join([i.bytes for i in ids if isinstance(i, UUID)])
            sql = "SELECT j.value, p.offset FROM json_each(?) j CROSS JOIN points p ON p.id=substr(?, 1+16*j.key, 16)"
            self._scatter(found, self._all(sql, (json.dumps(uuids), packed)))
        return found

    def walk_ids(self, bound: IdBound, limit: int) -> tuple[Offsets, IdBound]:
        """The first ``limit`` points by id, and the bound beyond the last of them; one index is read, and no table."""
        where, parameters = bound.condition("id")
        sql = f"SELECT id, offset FROM points WHERE {where} ORDER BY id LIMIT ?"
        ((joined, last),) = self._all(f"SELECT group_concat(offset), max(id) FROM ({sql})", (*parameters, limit))
        return _offsets(joined), bound if last is None else IdBound(last, included=False)

    def first_by_id(self, offsets: Offsets, bound: IdBound, limit: int) -> Offsets:
        """The first ``limit`` of these points by id. Every offset must be live."""
        where, parameters = bound.condition("p.id")
        sql = f"SELECT p.offset AS offset FROM json_each(?) j CROSS JOIN points p ON p.offset=j.value WHERE {where}"
        sql = f"SELECT group_concat(offset) FROM ({sql} ORDER BY p.id LIMIT ?)"
        return _offsets(self._all(sql, (_json(offsets), *parameters, limit))[0][0])

    def sparse(self, vector: int, offsets: Offsets) -> SparseRows:
        """Sparse vectors of these offsets, in the order given."""
        sql = "SELECT s.indices, s.weights FROM json_each(?) j LEFT JOIN sparse s ON s.vector=? AND s.offset=j.value"
        rows = self._all(sql, (_json(offsets), vector))
        return _sparse_rows(offsets, rows)

    def ragged(self, vector: int, offsets: Offsets) -> RaggedRows:
        """Row ranges of multivectors, in the order given."""
        sql = (
            "SELECT coalesce(r.start, 0), coalesce(r.count, 0) FROM json_each(?) j"
            " LEFT JOIN ragged r ON r.vector=? AND r.offset=j.value"
        )
        table = np.array(self._all(sql, (_json(offsets), vector)), np.int64).reshape(-1, 2)
        return RaggedRows(offsets, table[:, 0].copy(), table[:, 1].copy())

    def touched_since(self, seq: int) -> Touched | None:
        """What changed after ``seq``; None when the log was trimmed beyond it, so that only a rebuild helps."""
        state = self.state()
        if seq < state.touched_trimmed:
            return None
        sql = (
            "SELECT DISTINCT t.offset, p.offset IS NULL FROM touched t LEFT JOIN points p ON p.offset=t.offset"
            " WHERE t.seq>? ORDER BY t.offset"
        )
        rows = np.array(self._all(sql, (seq,)), np.uint32).reshape(-1, 2)
        dead = rows[:, 1] == 1
        return Touched(state.touched_seq, rows[~dead, 0], rows[dead, 0])

    def live_offsets(self, offset_from: int = 0) -> Iterator[Offsets]:
        """All live offsets from ``offset_from`` on, ascending, in chunks."""
        return self._offset_chunks("SELECT offset FROM points WHERE offset>=? ORDER BY offset LIMIT ?", (), offset_from)

    def present_offsets(self, vector: int, offset_from: int = 0) -> Iterator[Offsets]:
        """Live offsets that have dense vector ``vector``, ascending, in chunks."""
        if vector < PRESENCE_BITS_INTEGER:
            test = "CASE typeof(presence) WHEN 'integer' THEN presence >> ?3 & 1 ELSE presence_has(presence, ?3) END"
        else:
            test = "CASE typeof(presence) WHEN 'integer' THEN 0 ELSE presence_has(presence, ?3) END"
        sql = f"SELECT offset FROM points WHERE offset>=?1 AND {test} ORDER BY offset LIMIT ?2"
        return self._offset_chunks(sql, (vector,), offset_from)

    def iter_payloads(self, offset_from: int = 0) -> Iterator[tuple[Offsets, list[bytes | None]]]:
        """Offsets and payloads of all live points from ``offset_from`` on, ascending, in chunks; None when empty."""
        sql = "SELECT offset, payload FROM points WHERE offset>=? ORDER BY offset LIMIT ?"
        for rows in self._row_chunks(sql, (), offset_from):
            yield np.array([row[0] for row in rows], np.uint32), [row[1] for row in rows]

    def iter_ids(self, offset_from: int = 0) -> Iterator[tuple[Offsets, list[PointId]]]:
        """Offsets and ids of all live points from ``offset_from`` on, ascending, in chunks."""
        sql = "SELECT offset, id FROM points WHERE offset>=? ORDER BY offset LIMIT ?"
        for rows in self._row_chunks(sql, (), offset_from):
            yield np.array([row[0] for row in rows], np.uint32), decode_ids([row[1] for row in rows])

    def iter_sparse(self, vector: int, offset_from: int = 0) -> Iterator[SparseRows]:
        """All sparse vectors of this id from ``offset_from`` on, ascending by offset, in chunks."""
        sql = "SELECT offset, indices, weights FROM sparse WHERE offset>=? AND vector=?3 ORDER BY offset LIMIT ?2"
        for rows in self._row_chunks(sql, (vector,), offset_from):
            yield _sparse_rows(np.array([row[0] for row in rows], np.uint32), [row[1:] for row in rows])

    def iter_ragged(self, vector: int, offset_from: int = 0) -> Iterator[RaggedRows]:
        """All multivector ranges of this id from ``offset_from`` on, ascending by offset, in chunks."""
        sql = "SELECT offset, start, count FROM ragged WHERE offset>=? AND vector=?3 ORDER BY offset LIMIT ?2"
        for rows in self._row_chunks(sql, (vector,), offset_from):
            table = np.array(rows, np.int64)
            yield RaggedRows(table[:, 0].astype(np.uint32), table[:, 1].copy(), table[:, 2].copy())

    def _all(self, sql: str, parameters: tuple[object, ...]) -> list[Any]:
        with self._errors:
            return self._connection.execute(sql, parameters).fetchall()

    def _value(self, key: str, default: Any) -> Any:
        rows = self._all("SELECT value FROM state WHERE key=?", (key,))
        return rows[0][0] if rows else default

    def _by_offset(self, columns: str, offsets: Offsets) -> list[Any]:
        sql = f"SELECT {columns} FROM json_each(?) j CROSS JOIN points p ON p.offset=j.value"
        rows = self._all(sql, (_json(offsets),))
        assert len(rows) == len(offsets), "asked for an offset that is no point"
        return rows

    def _offset_chunks(self, sql: str, more: tuple[object, ...], offset_from: int) -> Iterator[Offsets]:
        while True:
            joined = self._all(f"SELECT group_concat(offset) FROM ({sql})", (offset_from, _CHUNK_OFFSETS, *more))[0][0]
            if joined is None:
                return
            chunk = _offsets(joined)
            yield chunk
            offset_from = int(chunk[-1]) + 1

    def _row_chunks(self, sql: str, more: tuple[object, ...], offset_from: int) -> Iterator[list[Any]]:
        while rows := self._all(sql, (offset_from, _CHUNK_ROWS, *more)):
            yield rows
            offset_from = rows[-1][0] + 1

    @staticmethod
    def _scatter(target: Offsets, rows: list[Any]) -> None:
        if rows:
            pairs = np.array(rows, np.int64)
            target[pairs[:, 0]] = pairs[:, 1]


def _offsets(joined: str | None) -> Offsets:
    """Of a group_concat, which is NULL of no rows."""
    return np.empty(0, np.uint32) if joined is None else np.fromstring(joined, np.int64, sep=",").astype(np.uint32)


def _json(offsets: Offsets) -> str:
    return str(offsets.tolist())


def _sparse_rows(offsets: Offsets, rows: list[Any]) -> SparseRows:
    indices = [row[0] or b"" for row in rows]
    bounds = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(blob) // 4 for blob in indices], out=bounds[1:])
    return SparseRows(
        offsets=offsets,
        present=np.array([row[0] is not None for row in rows], np.bool_),
        bounds=bounds,
        indices=np.frombuffer(b"".join(indices), "<u4").astype(np.uint32, copy=False),
        weights=np.frombuffer(b"".join([row[1] or b"" for row in rows]), "<f4").astype(np.float32, copy=False),
    )
