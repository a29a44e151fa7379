"""What a point store looks like inside SQLite: tables, and how point ids are written so that SQLite sorts as Qdrant
does.

    points(offset, id, version, presence, payload)   offset = row number in the shard; payload JSON, NULL when empty;
                                                     presence: bit v set = the point has dense vector v;
                                                     an integer, or little-endian bytes once a bit beyond 62 is set
    sparse(vector, offset, indices, weights)         uint32 LE and float32 LE, equally many
    ragged(vector, offset, start, count)             multivectors: rows [start, start+count) of the vector's file
    touched(seq, offset)                             log of offsets changed or dead; dead = no longer in points
    row_checksums(file, block, crc)                  CRC-32 of finished blocks of the vector files
    state(key, value)                                counters, vector ids, payload schema, committed rows per file,
                                                     what is vacant

Ids: an integer below 2**63 is an INTEGER, one above is TEXT of 20 digits, a UUID is a BLOB of 16 bytes. SQLite orders
INTEGER < TEXT < BLOB, each ascending: all integers, then all UUIDs. The id column has no affinity, so nothing is
converted.
"""

import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import TypeAlias
from uuid import UUID

from qdrantlite.storage import sqlite_file
from qdrantlite.values.point_id import PointId

APPLICATION_ID = 0x71646C70
VERSION = 1
PRESENCE_BITS_INTEGER = 63

StoredId: TypeAlias = int | str | bytes
StoredPresence: TypeAlias = int | bytes

_INTEGER_END = 1 << 63
_STATEMENTS = """
CREATE TABLE points(offset INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, version INTEGER NOT NULL,
                    presence BLOB NOT NULL, payload BLOB);
CREATE TABLE sparse(vector INTEGER NOT NULL, offset INTEGER NOT NULL, indices BLOB NOT NULL, weights BLOB NOT NULL,
                    PRIMARY KEY(vector, offset)) WITHOUT ROWID;
CREATE TABLE ragged(vector INTEGER NOT NULL, offset INTEGER NOT NULL, start INTEGER NOT NULL, count INTEGER NOT NULL,
                    PRIMARY KEY(vector, offset)) WITHOUT ROWID;
CREATE TABLE touched(seq INTEGER PRIMARY KEY, offset INTEGER NOT NULL);
CREATE TABLE row_checksums(file INTEGER NOT NULL, block INTEGER NOT NULL, crc INTEGER NOT NULL,
                           PRIMARY KEY(file, block)) WITHOUT ROWID;
CREATE TABLE state(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO state VALUES('operation_id', 0), ('offset_next', 0), ('points', 0), ('touched_seq', 0),
                        ('touched_trimmed', 0), ('vector_next', 0), ('vectors', '{}');
"""


@cache
def image() -> bytes:
    """An empty store; every new one is a copy of these bytes."""
    return sqlite_file.image(_STATEMENTS, application_id=APPLICATION_ID, version=VERSION)


def encode_id(point_id: PointId) -> StoredId:
    """The stored form; order of stored forms = order of ids."""
    if isinstance(point_id, UUID):
        return point_id.bytes
    return point_id if point_id < _INTEGER_END else f"{point_id:020d}"


def encode_ids(ids: Sequence[PointId]) -> list[StoredId]:
    """``encode_id`` of each."""
    return [i if type(i) is int and i < _INTEGER_END else encode_id(i) for i in ids]


def decode_id(stored: StoredId) -> PointId:
    """Inverse of ``encode_id``."""
    if isinstance(stored, int):
        return stored
    return int(stored) if isinstance(stored, str) else UUID(bytes=stored)


def decode_ids(stored: Sequence[StoredId]) -> list[PointId]:
    """``decode_id`` of each."""
    return [i if type(i) is int else decode_id(i) for i in stored]


def encode_presence(masks: Sequence[int]) -> list[StoredPresence]:
    """Bit masks as they are stored."""
    return [m if m >> PRESENCE_BITS_INTEGER == 0 else m.to_bytes((m.bit_length() + 7) // 8, "little") for m in masks]


def decode_presence(stored: StoredPresence) -> int:
    """Inverse of ``encode_presence`` for one mask."""
    return stored if isinstance(stored, int) else int.from_bytes(stored, "little")


def presence_has(stored: StoredPresence, vector: int) -> int:
    """SQL function for masks beyond 63 bits: 1 when the bit is set."""
    return decode_presence(stored) >> vector & 1


def add_functions(connection: sqlite3.Connection) -> None:
    """What the statements of a point store need on a connection."""
    connection.create_function("presence_has", 2, presence_has, deterministic=True)
