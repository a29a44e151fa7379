"""Makes commits durable: one sync of the write-ahead log for all who wait.

SQLite's commit with ``synchronous=NORMAL`` writes the log without syncing it. This is the missing half: a descriptor
of our own on the ``-wal`` file, synced by whichever waiting thread comes first, for all commits made until then. A
sync that failed is never tried again, because the kernel may have dropped the pages: the store refuses to go on.
The descriptor is held while it is synced: closing waits for a sync under way, and whoever comes later is told.
"""

from pathlib import Path
from threading import Condition

from qdrantlite.errors import NotFound, StorageFailed
from qdrantlite.storage.files import Files, OpenFile


class StoreClosed(NotFound):
    """The store was closed while somebody asked it: what it belongs to is gone."""

    def __init__(self) -> None:
        super().__init__("Collection doesn't exist!")


class WalSync:
    """Counts commits; threads may share it."""

    def __init__(self, wal: Path, *, files: Files) -> None:
        self._wal = wal
        self._files = files
        self._file: OpenFile | None = None
        self._condition = Condition()
        self._committed = 0
        self._durable = 0
        self._syncing = False
        self._closed = False
        self._failure: StorageFailed | None = None

    @property
    def failure(self) -> StorageFailed | None:
        """Why nothing is synced any more; None while all is well."""
        return self._failure

    def committed(self) -> int:
        """Called right after a commit; returns its number."""
        with self._condition:
            self._committed += 1
            return self._committed

    def check(self) -> None:
        """Raises StorageFailed once a sync has failed."""
        if self._failure is not None:
            raise StorageFailed(
                f"{self._failure.text}; reopen the storage before writing", detail=self._failure.detail
            ) from self._failure

    def refuse(self, reason: StorageFailed) -> None:
        """As if a sync had failed with ``reason``."""
        with self._condition:
            self._failure = self._failure or reason
            self._condition.notify_all()

    def sync(self, commit_seq: int) -> None:
        """Returns when every commit up to ``commit_seq`` is durable.

        Raises StorageFailed, from then on always; StoreClosed when the store was closed before it was durable.
        """
        assert commit_seq <= self._committed
        with self._condition:
            while self._durable < commit_seq and self._syncing and self._failure is None:
                self._condition.wait()
            self.check()
            if self._durable >= commit_seq:
                return
            if self._closed:
                raise StoreClosed
            self._syncing = True
            target = self._committed
        try:
            self._sync_file()
        except BaseException as error:  # Whatever it was, what is on the disk is not known any more.
            unknown = StorageFailed("the log could not be synced", detail=repr(error))
            self._finish(self._durable, error if isinstance(error, StorageFailed) else unknown)
            raise
        self._finish(target, None)

    def sync_all(self) -> None:
        """Returns when every commit made by now is durable. Raises StorageFailed."""
        self.sync(self._committed)

    def close(self) -> None:
        """Waits for a sync under way, then lets go of the log; SQLite may then remove it. Idempotent."""
        with self._condition:
            while self._syncing:
                self._condition.wait()
            self._closed = True
            file, self._file = self._file, None
            self._condition.notify_all()
        if file is not None:
            file.close()

    def _finish(self, durable: int, failure: StorageFailed | None) -> None:
        with self._condition:
            self._syncing = False
            self._durable = durable
            self._failure = self._failure or failure
            self._condition.notify_all()

    def _sync_file(self) -> None:
        if self._file is None:
            self._file = self._files.open(self._wal, create=False)
            self._files.sync_directory(self._wal.parent)
        self._file.sync()
