"""Makes commits durable: one sync of the write-ahead log for all who wait.

SQLite's commit with ``synchronous=NORMAL`` writes the log without syncing it. This is the missing half: a descriptor
of our own on the ``-wal`` file, synced by whichever waiting thread comes first, for all commits made until then. A
sync that failed is never tried again, because the kernel may have dropped the pages: the store refuses to go on.
"""

from pathlib import Path
from threading import Condition

from qdrantlite.errors import StorageFailed
from qdrantlite.storage.files import Files, OpenFile


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
        self._failure: StorageFailed | None = None

    def committed(self) -> int:
        """Called right after a commit; returns its number."""
        with self._condition:
            self._committed += 1
            return self._committed

    def check(self) -> None:
        """Raises StorageFailed once a sync has failed."""
        if self._failure is not None:
            raise StorageFailed(f"{self._failure.text}; reopen the storage before writing") from self._failure

    def refuse(self, reason: StorageFailed) -> None:
        """As if a sync had failed with ``reason``."""
        with self._condition:
            self._failure = self._failure or reason
            self._condition.notify_all()

    def sync(self, commit_seq: int) -> None:
        """Returns when every commit up to ``commit_seq`` is durable. Raises StorageFailed, from then on always."""
        assert commit_seq <= self._committed
        with self._condition:
            while self._durable < commit_seq and self._syncing and self._failure is None:
                self._condition.wait()
            self.check()
            if self._durable >= commit_seq:
                return
            self._syncing = True
            target = self._committed
        try:
            self._sync_file()
        except StorageFailed as failure:
            self._finish(self._durable, failure)
            raise
        self._finish(target, None)

    def sync_all(self) -> None:
        """Returns when every commit made by now is durable. Raises StorageFailed."""
        self.sync(self._committed)

    def close(self) -> None:
        """Lets go of the log; SQLite may then remove it."""
        if self._file is not None:
            self._file.close()
            self._file = None

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
