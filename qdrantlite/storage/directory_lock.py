"""One owner per storage folder: an advisory lock that dies with its holder.

The lock is the operating system's (``flock``; a locked byte on Windows), held on ``<folder>/.lock``; the file's text
only says who holds it. So a file left by a killed process is no obstacle, and a second opener in the same process is
refused too.
"""

import json
import os
import socket
import sys
import time
from pathlib import Path
from types import TracebackType

from qdrantlite.errors import Locked
from qdrantlite.storage import file_names
from qdrantlite.storage.files import os_errors

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_WINDOWS_BYTE = 1 << 30
"""Windows locks are mandatory: lock a byte far beyond the text, so that the text stays readable."""


class DirectoryLock:
    """Held until ``release`` or the end of the process; a context manager."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Idempotent."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "DirectoryLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def lock_directory(folder: Path) -> DirectoryLock:
    """Takes the exclusive lock of an existing folder. Raises Locked naming the owner, StorageFailed."""
    path = folder / file_names.LOCK
    with os_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if not _try_lock(descriptor):
            owner = _owner(descriptor)
            os.close(descriptor)
            raise Locked(f"the folder is in use by {owner}", detail=str(folder))
        text = {"pid": os.getpid(), "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "host": socket.gethostname()}
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, json.dumps(text).encode())
    return DirectoryLock(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _WINDOWS_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _owner(descriptor: int) -> str:
    """Who holds it, from the text; the holder may not have written it yet, so wait a moment."""
    for _ in range(10):
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            text = json.loads(os.read(descriptor, 4096))
            return f"process {text['pid']} on {text['host']}, since {text['started']}"
        except (ValueError, KeyError, TypeError):
            time.sleep(0.01)
    return "another process"
