"""The commit: one SQLite file per shard, the single source of truth for what exists.

Visible, then durable. The writer commits with ``synchronous=NORMAL``: SQLite appends the transaction to its
write-ahead log and moves the end mark in shared memory, no sync; from here new views see it. Then ``sync`` brings
the log to the disk through a descriptor of its own, outside every lock, and many committers share one sync. Only then
may a write be acknowledged. So a reader may see a write that a power cut then takes back, but never one that was
acknowledged.

Why this is safe:

* Frames of the log are chained by checksums with the salt of the log's header. After a power cut SQLite keeps the
  longest intact prefix that ends in a commit: nothing half-applied, and everything synced is in that prefix, because
  frames are appended in commit order and one sync covers all bytes before it.
* A checkpoint (also under NORMAL) syncs the log before it copies pages into the database, and syncs the database
  before the log may be restarted or cut. So a commit whose frames were overwritten is in the synced database; syncing
  the log then is merely superfluous. When the log restarts, SQLite syncs its new header before frames follow.
* SQLite's POSIX locks are on the database and its ``-shm``; none are on ``-wal``, so opening and closing our descriptor
  there drops none. The database file itself must never be opened by other means while connections live.
* The log is one inode for as long as a connection is open (truncation keeps it; it is removed only with the last
  connection, before which our descriptor is closed).
* Rows of vector files are synced before the commit that counts them, so no durable commit refers to rows that are not.

Checkpoints happen only in ``checkpoint``, called from a background thread, and when the store closes; never inside a
request. A view held open keeps the log from being restarted, so it grows: hold them for one request. What views leave
behind for the next (``readers.py``) does not: the writer ends it first.

Must not know: collections, vectors' meaning, queries.
"""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock
from types import TracebackType

from qdrantlite.errors import StorageFailed
from qdrantlite.storage import file_names, sqlite_file, store_schema
from qdrantlite.storage.files import Files, write_file
from qdrantlite.storage.readers import Reader, Readers
from qdrantlite.storage.sqlite_file import SqliteErrors
from qdrantlite.storage.store_reader import StoreReader
from qdrantlite.storage.store_writer import StoreWriter
from qdrantlite.storage.wal_sync import WalSync

_PRAGMAS = (
    "PRAGMA synchronous=NORMAL; PRAGMA fullfsync=1; PRAGMA checkpoint_fullfsync=1; PRAGMA wal_autocheckpoint=0;"
    "PRAGMA temp_store=MEMORY;"
)
_PRAGMAS_WRITER = _PRAGMAS + "PRAGMA cache_size=-16384;"
_PRAGMAS_READER = _PRAGMAS + "PRAGMA cache_size=-512; PRAGMA query_only=1;"
"""The cache is in KiB, for each connection. Inner pages of a million points need a fraction of it, and leaves come
again too seldom to be kept: with 128, 256, 512 and 1,024 KiB, ten records of a million took 30, 28, 29 and 32 us.
Mapping the database halves that, and takes 250 us after each commit, when SQLite maps it anew.
"""
_PRAGMAS_CHECKPOINT = _PRAGMAS + "PRAGMA busy_timeout=0;"


_CLOSED = sqlite3.connect(":memory:")
_CLOSED.close()


class StoreView(StoreReader):
    """One commit, for as long as it is open. A context manager; threads may hand it on but not share it."""

    def __init__(self, reader: Reader, path: Path, give_back: Callable[[Reader], None]) -> None:
        super().__init__(reader.connection, path)
        self._reader = reader
        self._give_back = give_back

    def close(self) -> None:
        """Gives the read transaction back. Idempotent; reading afterwards, also by a stream made before, is a mistake
        that raises.
        """
        connection, self._connection = self._connection, _CLOSED
        if connection is not _CLOSED:
            with self._errors:
                self._give_back(self._reader)

    def __enter__(self) -> "StoreView":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def create_store(path: Path, *, files: Files) -> None:
    """Writes an empty store; durable, its entry in the folder too, when this returns. Raises StorageFailed."""
    write_file(path, store_schema.image(), files=files)


class PointStore:
    """One writer, many views. All methods may be called from any thread; ``writer`` under the caller's writer
    lock.
    """

    def __init__(self, path: Path, *, files: Files) -> None:
        """Opens an existing store, in time that does not depend on its size. Raises Corrupted, StorageFailed."""
        self._path = path
        self._wal_path = file_names.wal(path)
        self._wal = WalSync(self._wal_path, files=files)
        self._readers = Readers(self._connect_reader)
        self._checkpoint_lock = Lock()
        self._checkpointed = (b"", 0)
        connection = sqlite_file.connect(path, pragmas=_PRAGMAS_WRITER)
        try:
            sqlite_file.check_identity(
                connection, path, application_id=store_schema.APPLICATION_ID, version=store_schema.VERSION
            )
            store_schema.add_functions(connection)
            self.writer = StoreWriter(connection, path, self._wal, self._readers)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def open_view(self) -> StoreView:
        """The newest commit; everything read from it is of that commit, whatever the writer does. About 20 µs, fewer
        when nothing was written since the last view was closed.

        Raises StoreClosed, StorageFailed, Corrupted.
        """
        with SqliteErrors(self._path):
            return StoreView(self._readers.take(), self._path, self._readers.give_back)

    def _connect_reader(self) -> sqlite3.Connection:
        connection = sqlite_file.connect(self._path, pragmas=_PRAGMAS_READER)
        store_schema.add_functions(connection)
        return connection

    @property
    def is_read(self) -> bool:
        """Whether a view is open."""
        return self._readers.taken > 0

    @property
    def failure(self) -> StorageFailed | None:
        """Why writes are refused; None while they are not."""
        return self._wal.failure

    def refuse_writes(self, reason: StorageFailed) -> None:
        """Every write and sync raises StorageFailed from now on; reading goes on."""
        self._wal.refuse(reason)

    def sync(self, commit_seq: int) -> None:
        """Returns when all commits up to ``commit_seq`` are durable; waiting threads share one sync.

        Raises StorageFailed, and from then on refuses every write, when the system cannot sync.
        """
        self._wal.sync(commit_seq)

    def sync_all(self) -> None:
        """Makes durable what nobody waits for; does nothing when all is."""
        self._wal.sync_all()

    def wal_bytes(self) -> int:
        """What a checkpoint would move into the database, in bytes; the log's file may be longer. About 20 µs."""
        extent = sqlite_file.wal_extent(self._wal_path)
        return 0 if extent == self._checkpointed else extent[1]

    def checkpoint(self, *, truncate: bool = False, writer_lock: AbstractContextManager[object] | None = None) -> bool:
        """Moves the log into the database without stopping readers or the writer; True when all of it is there.

        The next commit then starts the log from its beginning, in place, so that the file stops growing. Under steady
        writing a commit always comes in between; so, given ``writer_lock``, a second, short pass is made under it.
        ``truncate`` cuts the log to nothing, for an idle store; it gives way (False) to open views and
        transactions.
        """
        with self._checkpoint_lock, SqliteErrors(self._path):
            connection = sqlite_file.connect(self._path, pragmas=_PRAGMAS_CHECKPOINT)
            try:
                done = self._checkpoint_once(connection, "PASSIVE")
                if not done and writer_lock is not None:
                    with writer_lock:
                        done = self._checkpoint_once(connection, "PASSIVE")
                # What began to read before must not be taken over any more: it would keep the log from starting anew.
                self._readers.let_go()
                return done and (not truncate or self._checkpoint_once(connection, "TRUNCATE"))
            finally:
                connection.close()

    def _checkpoint_once(self, connection: sqlite3.Connection, mode: str) -> bool:
        extent = sqlite_file.wal_extent(self._wal_path)
        busy, frames, moved = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        done = not busy and bool(frames == moved) and sqlite_file.wal_extent(self._wal_path) == extent
        if mode == "TRUNCATE":
            return not busy
        if done:
            self._checkpointed = extent
        return done

    def backup(self, target: Path, *, progress: Callable[[int, int], None] | None = None) -> None:
        """A copy of one commit as a database of its own, while writes go on; ``progress(pages done, pages in all)``.

        The copy is not synced. Raises StorageFailed, Corrupted.
        """
        sqlite_file.backup(self._path, target, progress=progress)

    def close(self) -> None:
        """Rolls back an open transaction, moves the log into the database and removes it. Idempotent.

        A view still open keeps its connection, and the log, until it is closed.
        """
        with SqliteErrors(self._path):
            if not self._readers.close():
                return
            self.writer.rollback()
            self._wal.close()
            self._connection.close()
