"""What a client reads of an error: neither a place on the disk nor the words of Python and its libraries."""

import ast
import errno
import inspect
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from qdrantlite import errors
from qdrantlite.errors import BadInput, Corrupted, NotFound, QdrantliteError, StandaloneMode, StorageFailed, fresh, told
from qdrantlite.segment.vector_index import graph_format
from qdrantlite.storage.catalogue import Catalogue
from qdrantlite.storage.directory_lock import lock_directory
from qdrantlite.storage.files import PosixFiles, os_errors
from qdrantlite.storage.point_store import PointStore
from qdrantlite.storage.row_format import RowFormat
from qdrantlite.storage.sqlite_file import SqliteErrors
from qdrantlite.storage.vector_file import VectorFile
from qdrantlite.storage.wal_sync import StoreClosed
from qdrantlite.values.schema_format import config_from_json
from tests.tidy.sources import Source, package_sources

KINDS = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, QdrantliteError)}
OF_THE_DISK = {"Corrupted", "StorageFailed", "Locked"}
FOREIGN = re.compile(r"__name__|__class__|^str\((error|reason)\)$|^error$")
"""Values that are the words of Python or of a library."""
PLACE = re.compile(r"\b_?(path|folder|wal|root|source|target)\b")
FILES = PosixFiles()


def put_into_texts(source: Source) -> Iterator[tuple[int, str, str]]:
    """Line, kind and expression of every value that is put into the text of an error."""
    for call in ast.walk(source.tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name | ast.Attribute) and call.args:
            kind = call.func.id if isinstance(call.func, ast.Name) else call.func.attr
            if kind in KINDS:
                for part in (call.args[0], *ast.walk(call.args[0])):
                    if isinstance(part, ast.FormattedValue):
                        yield call.lineno, kind, ast.unparse(part.value)
                    elif part is call.args[0] and not isinstance(part, ast.JoinedStr | ast.Constant):
                        yield call.lineno, kind, ast.unparse(part)


def unfit(source: Source) -> list[str]:
    return [
        f"{source.name}:{line}: {value}"
        for line, kind, value in put_into_texts(source)
        if FOREIGN.search(value) or (kind in OF_THE_DISK and PLACE.search(value))
    ]


def test_no_text_of_an_error_is_made_of_places_or_foreign_words() -> None:
    found = [offender for source in package_sources() for offender in unfit(source)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        'StorageFailed(f"{self.path}: full")',
        'Corrupted(f"{path.name} is damaged")',
        'errors.Corrupted(f"damaged: {error}")',
        "BadInput(str(error))",
        'BadInput(f"no {type(value).__name__}")',
    ],
)
def test_a_text_of_places_or_foreign_words_is_found(line: str) -> None:
    assert unfit(Source("qdrantlite/example.py", line, ast.parse(line)))


@pytest.mark.parametrize("line", ['NotFound(f"no {path}")', 'StorageFailed("full", detail=f"{path}: {error}")'])
def test_details_and_paths_of_payloads_are_fine(line: str) -> None:
    assert not unfit(Source("qdrantlite/example.py", line, ast.parse(line)))


def _rows(path: Path, rows: int) -> VectorFile:
    lost = np.empty(0, np.uint32)
    return VectorFile(path, RowFormat("float32", 2), rows=rows, crc=0, checksums=lambda: lost, files=FILES)


def _written_rows(path: Path) -> VectorFile:
    file = _rows(path, 0)
    file.append(np.ones((20_000, 2), np.float32))
    file.close()
    return _rows(path, 20_000)


def _locked_twice(folder: Path) -> None:
    with lock_directory(folder):
        lock_directory(folder)


def _of_sqlite(path: Path, code: int) -> None:
    error = sqlite3.OperationalError(f"{path} says no")
    error.sqlite_errorcode = code
    with SqliteErrors(path):
        raise error


def _of_the_system(path: Path, error: OSError) -> None:
    with os_errors(path):
        raise error


def _short(path: Path) -> Path:
    path.write_bytes(b"not what it should be")
    return path


FORCED: dict[str, Callable[[Path], object]] = {
    "missing file": lambda place: FILES.open(place / "a", create=False),
    "missing folder": lambda place: FILES.open(place / "no" / "a", create=True),
    "file in place of a folder": lambda place: FILES.make_directory(_short(place / "a") / "b"),
    "folder that cannot be renamed": lambda place: FILES.replace(place / "a", place / "b"),
    "full disk": lambda place: _of_the_system(place, OSError(errno.ENOSPC, "no", str(place))),
    "error without a number": lambda place: _of_the_system(place, OSError(f"{place} is odd")),
    "missing rows": lambda place: _rows(place / "0.rows", 3),
    "rows without header": lambda place: _rows(_short(place / "0.rows"), 3),
    "lost checksums": lambda place: _written_rows(place / "0.rows").verify_rows(slice(0, 1)),
    "wrong checksum": lambda place: _written_rows(place / "0.rows").verify_rows(slice(19_999, 20_000)),
    "missing store": lambda place: PointStore(place / "points.sqlite3", files=FILES),
    "store of other bytes": lambda place: PointStore(_short(place / "points.sqlite3"), files=FILES),
    "catalogue of other bytes": lambda place: Catalogue(_short(place / "catalogue.sqlite3"), files=FILES),
    "full database": lambda place: _of_sqlite(place, 13),
    "failing database": lambda place: _of_sqlite(place, 10),
    "damaged database": lambda place: _of_sqlite(place, 11),
    "held folder": _locked_twice,
    "missing graph": lambda place: graph_format.read(place / "graph.faiss"),
    "settings of another shape": lambda _: config_from_json('{"vectors": 3}'),
}


@pytest.mark.parametrize("case", FORCED)
def test_no_message_names_a_place_and_every_report_of_the_disk_does(case: str, tmp_path: Path) -> None:
    place = tmp_path / "hidden-place"
    place.mkdir()
    with pytest.raises(QdrantliteError) as raised:
        FORCED[case](place)
    error = raised.value
    assert not re.search(r"hidden-place|\w/\w|Error\b|\bOS|sqlite3|NoneType|\bint\b|\bdict\b", error.message)
    assert "hidden-place" in error.report or case.startswith("settings")
    assert str(error) == error.report.removeprefix(error.prefix)


def test_of_errors_that_are_not_ours_no_word_is_told() -> None:
    assert told(KeyError("secret")) == "Service internal error"
    assert told(MemoryError("secret")) == "out of memory"
    assert told(OSError(errno.EMFILE, "Too many open files", "/x/secret")) == "Too many open files"
    assert told(OSError("/x/secret")) == "the operating system refused"
    assert told(StorageFailed("no space", detail="/x/secret")) == "Service internal error: no space"


@pytest.mark.parametrize(
    "error",
    [
        *(Corrupted("damaged", detail="where"), NotFound("gone"), BadInput("x"), MemoryError(), OSError(2, "no", "x")),
        *(KeyError("a"), StandaloneMode(), StoreClosed()),
    ],
)
def test_an_error_told_twice_is_two_objects_that_say_the_same(error: Exception) -> None:
    again = fresh(error)
    assert again is not error
    assert again.__cause__ is error
    assert str(again) == str(error)
    assert type(again) is type(error)
    assert again.args == error.args
    assert vars(again) == vars(error)
