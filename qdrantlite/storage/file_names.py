"""Every name on disk, in one place.

    <root>/.lock
    <root>/catalogue.sqlite3
    <root>/collections/<uuid hex>/points.sqlite3
    <root>/collections/<uuid hex>/rows/<vector file id>.rows
    <root>/collections/<uuid hex>/derived/<name>

Pure: knows names, touches no disk.
"""

from pathlib import Path
from uuid import UUID

LOCK = ".lock"
WAL_SUFFIX = "-wal"
TEMPORARY_SUFFIX = ".tmp"


def catalogue(root: Path) -> Path:
    """The database of collections and aliases."""
    return root / "catalogue.sqlite3"


def collections(root: Path) -> Path:
    """The folder that holds one folder per collection."""
    return root / "collections"


def collection(root: Path, uuid: UUID) -> Path:
    """The folder of one collection; a name is never part of a path."""
    return collections(root) / uuid.hex


def points(folder: Path) -> Path:
    """The point store inside a collection's folder."""
    return folder / "points.sqlite3"


def rows(folder: Path) -> Path:
    """The folder of vector files inside a collection's folder."""
    return folder / "rows"


def vector_file(folder: Path, file: int) -> Path:
    """The rows of one named vector; ``file`` is the id the point store gave it."""
    return rows(folder) / f"{file}.rows"


def derived(folder: Path) -> Path:
    """The folder of what can be rebuilt; may be deleted at any time."""
    return folder / "derived"


def wal(database: Path) -> Path:
    """SQLite's write-ahead log beside a database."""
    return database.with_name(database.name + WAL_SUFFIX)


def temporary(path: Path) -> Path:
    """Where a file is written before it is renamed to ``path``."""
    return path.with_name(path.name + TEMPORARY_SUFFIX)
