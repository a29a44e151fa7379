"""How SQLite is opened here, how new databases are made from an image, and how its errors are named.

A new database is one write and one sync: the schema is built in memory once, serialised, marked as WAL in its header
and written as a file. Never open a database file by other means while a connection of this process is open: closing
any descriptor of it drops SQLite's POSIX locks (the ``-wal`` file carries no locks and is exempt).
"""

import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from qdrantlite.errors import Corrupted, StorageFailed

PAGE_BYTES = 4096
_MAGIC = b"SQLite format 3\0"
_CORRUPT = 11
_NOT_A_DATABASE = 26
_FULL = 13
_WAL_HEADER_BYTES = 32
_WAL_FRAME_BYTES = 24 + PAGE_BYTES
_WAL_MARK = b"\x02\x02"
"""Bytes 18 and 19 of the header: file format versions for writing and reading; 2 means WAL."""


class SqliteErrors:
    """Context manager, reusable and without state: sqlite3's errors leave as Corrupted or StorageFailed; the detail
    names the file.

    Broken constraints and misuse are our own mistakes and pass unchanged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, sqlite3.DatabaseError):
            return
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.InterfaceError):
            return
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (_CORRUPT, _NOT_A_DATABASE):
            raise Corrupted("the database is damaged", detail=f"{self._path}: {error}") from error
        reason = "no space left on the disk" if code == _FULL else "the database cannot be read or written"
        raise StorageFailed(reason, detail=f"{self._path}: {error}") from error


def image(statements: str, *, application_id: int, version: int) -> bytes:
    """The bytes of an empty database with this schema, in WAL mode."""
    header = f"PRAGMA page_size={PAGE_BYTES}; PRAGMA application_id={application_id}; PRAGMA user_version={version};"
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.executescript(header + statements)
        content = connection.serialize() if hasattr(connection, "serialize") else _image_by_file(header + statements)
    finally:
        connection.close()
    assert content[: len(_MAGIC)] == _MAGIC
    return content[:18] + _WAL_MARK + content[20:]


def _image_by_file(script: str) -> bytes:
    """For SQLite libraries built without the serialize interface."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.sqlite3"
        connection = sqlite3.connect(path, isolation_level=None)
        connection.executescript(script)
        connection.close()
        return path.read_bytes()


def connect(path: Path, *, pragmas: str, statements: int = 128) -> sqlite3.Connection:
    """A connection in autocommit mode that threads may hand on. The file must exist. Raises StorageFailed."""
    with SqliteErrors(path):
        connection = sqlite3.connect(
            path.absolute().as_uri() + "?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=statements,
            timeout=30,
        )
        try:
            connection.executescript(pragmas)
        except BaseException:
            connection.close()
            raise
        return connection


def check_identity(connection: sqlite3.Connection, path: Path, *, application_id: int, version: int) -> None:
    """Raises Corrupted when the file is damaged at first sight or no database of ours, StorageFailed when it is
    newer.
    """
    with SqliteErrors(path):
        found: int = connection.execute("PRAGMA application_id").fetchone()[0]
        found_version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        tables: int = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if found != application_id or not tables:
        raise Corrupted("the database is damaged: it does not carry the mark of its kind", detail=str(path))
    if found_version > version:
        raise StorageFailed(
            f"the database was written by a newer release (format {found_version}, known {version})", detail=str(path)
        )


def wal_extent(wal: Path) -> tuple[bytes, int]:
    """Salt of a write-ahead log and the bytes its present generation fills; what follows them is of earlier ones.

    Reads the log alone, which carries no locks. Frames of one generation share the header's salt and are contiguous, so
    the end is found by bisection. ``(b"", 0)`` when there is no log.
    """
    try:
        with wal.open("rb", buffering=0) as file:
            header = file.read(_WAL_HEADER_BYTES)
            salt = header[16:24]
            low, high = 0, (file.seek(0, 2) - _WAL_HEADER_BYTES) // _WAL_FRAME_BYTES
            while low < high:
                middle = (low + high) // 2
                file.seek(_WAL_HEADER_BYTES + middle * _WAL_FRAME_BYTES + 8)
                low, high = (middle + 1, high) if file.read(8) == salt else (low, middle)
    except FileNotFoundError:
        return b"", 0
    return salt, low * _WAL_FRAME_BYTES


def backup(source: Path, target: Path, *, progress: Callable[[int, int], None] | None) -> None:
    """Copies one commit of a live database by SQLite's online backup; ``progress(pages done, pages in all)``."""

    def report(_status: int, remaining: int, total: int) -> None:
        if progress is not None:
            progress(total - remaining, total)

    reader = connect(source, pragmas="")
    try:
        with SqliteErrors(target):
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            writer = sqlite3.connect(target, isolation_level=None)
            try:
                writer.execute("PRAGMA synchronous=OFF")
                reader.backup(writer, pages=1024, progress=report, sleep=0)
            finally:
                writer.close()
    finally:
        reader.close()
