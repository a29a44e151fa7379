"""The one seam to the file system, outside SQLite's own files and outside memory maps.

Invariants: nothing is durable before ``OpenFile.sync`` (a file's bytes and length) or ``Files.sync_directory`` (its
entries: created, renamed, removed) has returned; a failed sync is never retried, because the kernel may have dropped
the dirty pages. Every ``OSError`` leaves here as ``StorageFailed`` with the path as its detail. A second implementation
in the tests loses power.
"""

import errno
import os
import shutil
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import Protocol, TypeAlias

from qdrantlite.errors import StorageFailed
from qdrantlite.storage import punching

Bytes: TypeAlias = bytes | memoryview

CHECKED_BYTES = 1 << 17
"""Read at a time for a checksum: stays in the processor's cache, and malloc gives it back to the system. After pieces
of 16 MiB the allocator kept 20 MiB for good."""

_BINARY: int = getattr(os, "O_BINARY", 0)
_F_FULLFSYNC = 51

if sys.platform != "win32":
    import fcntl


class OpenFile(Protocol):
    """One file, open for reading and writing. Safe for one writer and one syncing thread at a time."""

    @property
    def path(self) -> Path:
        """Where it was opened."""

    def fileno(self) -> int:
        """Descriptor, for mapping only."""

    def size(self) -> int:
        """Length in bytes, holes included."""

    def resize(self, size: int) -> None:
        """Cuts, or extends with a hole that costs no disk where the file system has sparse files."""

    def write_at(self, data: Bytes, position: int) -> None:
        """Writes all of ``data``; a full disk raises StorageFailed."""

    def read_at(self, size: int, position: int) -> bytes:
        """Up to ``size`` bytes; fewer only at the end of the file."""

    def punch(self, size: int, position: int) -> bool:
        """Gives the disk of these bytes back: they read as zeros, or as they were, and take none. The length stays.

        False, and nothing is done, where the system has no holes.
        """

    def sync(self) -> None:
        """Returns when bytes and length are on the disk itself."""

    def close(self) -> None:
        """Idempotent; does not sync."""


class Files(Protocol):
    """What storage asks of a file system. Paths are absolute or relative to the process; threads may share it."""

    def open(self, path: Path, *, create: bool) -> OpenFile:
        """Opens for reading and writing; ``create`` makes the file, or empties it if it exists."""

    def replace(self, source: Path, target: Path) -> None:
        """Atomic rename, over ``target`` if it exists; durable after sync_directory."""

    def remove(self, path: Path) -> None:
        """Removes a file; absence is no error."""

    def remove_tree(self, path: Path) -> None:
        """Removes a folder and all in it; absence is no error."""

    def make_directory(self, path: Path) -> None:
        """One folder; existing is no error."""

    def names(self, path: Path) -> tuple[str, ...]:
        """Entries of a folder, sorted; empty when it does not exist."""

    def exists(self, path: Path) -> bool:
        """Whether there is a file or folder of this name."""

    def free_bytes(self, path: Path) -> int:
        """What may still be written on the disk of this folder."""

    def can_punch(self, path: Path) -> bool:
        """Whether files of this folder can give back parts of their disk; tried with one that has no name."""

    def sync_directory(self, path: Path) -> None:
        """Makes the folder's entries durable; does nothing where the system offers no way (Windows)."""


@contextmanager
def os_errors(path: Path) -> Iterator[None]:
    """Turns OSError into StorageFailed; a missing file keeps its cause for those who ask."""
    try:
        yield
    except OSError as error:
        reason = (
            "no space left on the disk"
            if error.errno == errno.ENOSPC
            else error.strerror or "the operating system refused"
        )
        raise StorageFailed(reason, detail=str(path)) from error


def sync_descriptor(descriptor: int) -> None:
    """The strongest sync of file bytes and length the system has: F_FULLFSYNC on macOS, FlushFileBuffers on Windows."""
    if sys.platform == "darwin":
        try:
            fcntl.fcntl(descriptor, _F_FULLFSYNC)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY):
                raise
            os.fsync(descriptor)
    elif hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


class PosixFile:
    """An OpenFile over a descriptor, which is held while a call uses it: its number may be another file's after
    ``close``, so whoever closes last lets go of it.
    """

    def __init__(self, path: Path, *, create: bool) -> None:
        self._path = path
        self._lock = Lock()
        self._users = 1  # The last to leave closes; this one leaves in ``close``.
        self._closed = False
        flags = os.O_RDWR | _BINARY | (os.O_CREAT | os.O_TRUNC if create else 0)
        with os_errors(path):
            self._descriptor = os.open(path, flags, 0o644)

    @property
    def path(self) -> Path:
        return self._path

    def fileno(self) -> int:
        assert not self._closed
        return self._descriptor

    def size(self) -> int:
        with self._held() as descriptor:
            return os.fstat(descriptor).st_size

    def resize(self, size: int) -> None:
        with self._held() as descriptor:
            os.ftruncate(descriptor, size)

    def write_at(self, data: Bytes, position: int) -> None:
        view = memoryview(data).cast("B")
        with self._held() as descriptor:
            while view:
                written = _write(descriptor, view, position)
                view, position = view[written:], position + written

    def read_at(self, size: int, position: int) -> bytes:
        with self._held() as descriptor:
            if sys.platform != "win32":
                return os.pread(descriptor, size, position)
            os.lseek(descriptor, position, os.SEEK_SET)
            return os.read(descriptor, size)

    def punch(self, size: int, position: int) -> bool:
        with self._held() as descriptor:
            return punching.punch(descriptor, position, size)

    def sync(self) -> None:
        with self._held() as descriptor:
            sync_descriptor(descriptor)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._leave()

    @contextmanager
    def _held(self) -> Iterator[int]:
        with self._lock:
            if self._closed:
                raise StorageFailed("the file was closed", detail=str(self._path))
            self._users += 1
        try:
            with os_errors(self._path):
                yield self._descriptor
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
        os.close(self._descriptor)


def _write(descriptor: int, view: memoryview, position: int) -> int:
    if sys.platform != "win32":
        return os.pwrite(descriptor, view, position)
    os.lseek(descriptor, position, os.SEEK_SET)
    return os.write(descriptor, view)


class PosixFiles:
    """Files of this machine; also Windows, with the nearest it offers."""

    def open(self, path: Path, *, create: bool) -> OpenFile:
        return PosixFile(path, create=create)

    def replace(self, source: Path, target: Path) -> None:
        with os_errors(target):
            os.replace(source, target)

    def remove(self, path: Path) -> None:
        with os_errors(path):
            path.unlink(missing_ok=True)

    def remove_tree(self, path: Path) -> None:
        with os_errors(path):
            if path.exists():
                shutil.rmtree(path)

    def make_directory(self, path: Path) -> None:
        with os_errors(path):
            path.mkdir(exist_ok=True)

    def names(self, path: Path) -> tuple[str, ...]:
        with os_errors(path):
            return tuple(sorted(os.listdir(path))) if path.is_dir() else ()

    def exists(self, path: Path) -> bool:
        return path.exists()

    def free_bytes(self, path: Path) -> int:
        with os_errors(path):
            return shutil.disk_usage(path).free

    def can_punch(self, path: Path) -> bool:
        with os_errors(path), TemporaryFile(dir=path) as file:
            return punching.punch(file.fileno(), 0, CHECKED_BYTES)

    def sync_directory(self, path: Path) -> None:
        if sys.platform == "win32":
            return
        with os_errors(path):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def checksum(file: OpenFile, *, start: int = 0, size: int | None = None) -> int:
    """CRC-32 of ``size`` bytes from ``start`` (None: to the end; a file that ends earlier counts as far as it goes).

    Read, not mapped: what is only compared takes no memory of the process. Raises StorageFailed.
    """
    crc, position = 0, start
    end = file.size() if size is None else start + size
    while position < end and (piece := file.read_at(min(CHECKED_BYTES, end - position), position)):
        crc = zlib.crc32(piece, crc)
        position += len(piece)
    return crc


def write_file(path: Path, data: Bytes, *, files: Files) -> None:
    """A new file, durable with its entry when this returns; not atomic: for names nobody refers to yet."""
    file = files.open(path, create=True)
    try:
        file.write_at(data, 0)
        file.sync()
    finally:
        file.close()
    files.sync_directory(path.parent)
