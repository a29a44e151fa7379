"""The names: collections and the aliases that point at them, in one small SQLite file.

A collection's folder is named by its uuid, so a name can be given up and taken again while the old folder is still
being removed. Order: the folder and its store are made durable before the catalogue names them; a collection leaves
the catalogue before its folder is removed. So whatever folder the catalogue does not name is rubbish.

Unlike a point store, commits here are ``synchronous=FULL``: durable when the method returns. Must not know what a
configuration says.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import assert_never
from uuid import UUID

from qdrantlite.errors import AlreadyExists, BadInput, NotFound
from qdrantlite.storage import file_names, sqlite_file
from qdrantlite.storage.files import Files, write_file
from qdrantlite.storage.sqlite_file import SqliteErrors
from qdrantlite.values.record import AliasAction, CreateAlias, DeleteAlias, RenameAlias

_APPLICATION_ID = 0x71646C63
_VERSION = 1
_STATEMENTS = """
CREATE TABLE collections(name TEXT PRIMARY KEY, uuid TEXT NOT NULL, config TEXT NOT NULL, created_at REAL NOT NULL)
    WITHOUT ROWID;
CREATE TABLE aliases(alias TEXT PRIMARY KEY, collection TEXT NOT NULL) WITHOUT ROWID;
"""
_ALIASES = "SELECT alias, collection FROM aliases ORDER BY alias"
_PRAGMAS = "PRAGMA synchronous=FULL; PRAGMA fullfsync=1; PRAGMA checkpoint_fullfsync=1; PRAGMA cache_size=-1024;"


@dataclass(frozen=True, slots=True)
class CollectionRecord:
    """One collection, as the catalogue knows it."""

    name: str
    uuid: UUID
    config: str
    """JSON text, the collection's own affair."""
    created_at: float
    """Seconds since the epoch."""


@cache
def _image() -> bytes:
    return sqlite_file.image(_STATEMENTS, application_id=_APPLICATION_ID, version=_VERSION)


class Catalogue:
    """Threads may share it. Each change is one transaction. Raises everywhere: StorageFailed, Corrupted."""

    def __init__(self, path: Path, *, files: Files) -> None:
        """Opens the catalogue, making an empty one if there is none."""
        self._errors = SqliteErrors(path)
        self._lock = Lock()
        if not files.exists(path):
            temporary = file_names.temporary(path)
            write_file(temporary, _image(), files=files)
            files.replace(temporary, path)
            files.sync_directory(path.parent)
        self._connection = sqlite_file.connect(path, pragmas=_PRAGMAS)
        try:
            sqlite_file.check_identity(self._connection, path, application_id=_APPLICATION_ID, version=_VERSION)
        except BaseException:
            self._connection.close()
            raise

    def collections(self) -> tuple[CollectionRecord, ...]:
        """All collections, by name."""
        with self._lock, self._errors:
            rows = self._connection.execute(
                "SELECT name, uuid, config, created_at FROM collections ORDER BY name"
            ).fetchall()
        return tuple(CollectionRecord(name, UUID(uuid), config, created) for name, uuid, config, created in rows)

    def aliases(self) -> dict[str, str]:
        """Alias -> collection, by alias."""
        with self._lock, self._errors:
            return dict(self._connection.execute(_ALIASES).fetchall())

    def create_collection(self, record: CollectionRecord) -> None:
        """Adds a name. Raises AlreadyExists; BadInput when an alias has it."""
        with self._transaction() as connection:
            if _has(connection, "collections", "name", record.name):
                raise AlreadyExists(f"Collection `{record.name}` already exists!")
            if _has(connection, "aliases", "alias", record.name):
                raise BadInput(
                    f"Can't create collection with name {record.name}. Alias with the same name already exists"
                )
            row = (record.name, record.uuid.hex, record.config, record.created_at)
            connection.execute("INSERT INTO collections VALUES(?, ?, ?, ?)", row)

    def update_config(self, name: str, config: str) -> None:
        """Replaces a configuration. Raises NotFound."""
        with self._transaction() as connection:
            changed = connection.execute("UPDATE collections SET config=? WHERE name=?", (config, name)).rowcount
            if not changed:
                raise NotFound(f"Collection `{name}` doesn't exist!")

    def move_collection(self, name: str, *, source: UUID, target: UUID) -> None:
        """Gives a name another folder. Raises NotFound when the name does not lead to ``source``.

        Raises StorageFailed when the commit failed: which folder the disk names is then unknown until a later commit
        succeeds. ``source`` as ``target`` makes such a commit: the record is taken out and put in again, because an
        update to the same value would write nothing.
        """
        with self._transaction() as connection:
            row = connection.execute(
                "DELETE FROM collections WHERE name=? AND uuid=? RETURNING config, created_at", (name, source.hex)
            ).fetchone()
            if row is None:
                raise NotFound(f"Collection `{name}` doesn't exist!")
            connection.execute("INSERT INTO collections VALUES(?, ?, ?, ?)", (name, target.hex, *row))

    def delete_collection(self, name: str) -> bool:
        """Removes a name and its aliases; False when there is none. The folder is the caller's, afterwards."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM aliases WHERE collection=?", (name,))
            return bool(connection.execute("DELETE FROM collections WHERE name=?", (name,)).rowcount)

    def change_aliases(self, changes: Sequence[AliasAction]) -> dict[str, str]:
        """Applies the changes in order, all or none; all aliases afterwards. Raises NotFound, AlreadyExists."""
        with self._transaction() as connection:
            for change in changes:
                _change_alias(connection, change)
            return dict(connection.execute(_ALIASES).fetchall())

    def close(self) -> None:
        """Idempotent."""
        with self._lock, self._errors:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._errors:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def _has(connection: sqlite3.Connection, table: str, column: str, value: str) -> bool:
    return connection.execute(f"SELECT 1 FROM {table} WHERE {column}=?", (value,)).fetchone() is not None


def _change_alias(connection: sqlite3.Connection, change: AliasAction) -> None:
    match change:
        case CreateAlias(alias, collection):
            _point_alias(connection, alias, collection)
        case RenameAlias(alias, alias_new):
            row = connection.execute("DELETE FROM aliases WHERE alias=? RETURNING collection", (alias,)).fetchone()
            if row is None:
                raise NotFound(f"Alias {alias} does not exists!")
            _point_alias(connection, alias_new, row[0])
        case DeleteAlias(alias):
            connection.execute("DELETE FROM aliases WHERE alias=?", (alias,))
        case _:
            assert_never(change)


def _point_alias(connection: sqlite3.Connection, alias: str, collection: str) -> None:
    if not _has(connection, "collections", "name", collection):
        raise NotFound(f"Collection `{collection}` doesn't exist!")
    if _has(connection, "collections", "name", alias):
        raise AlreadyExists(f"Collection `{alias}` already exists!")
    connection.execute("INSERT OR REPLACE INTO aliases VALUES(?, ?)", (alias, collection))
