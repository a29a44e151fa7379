"""Collections are opened when asked for, held while used and closed at rest; no descriptor is lost or mistaken."""

import gc
import logging
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from unittest.mock import patch

import pytest

from qdrantlite.collection import listed
from qdrantlite.collection.collection import Collection
from qdrantlite.database import Database
from qdrantlite.errors import Corrupted, NotFound, StorageFailed
from qdrantlite.query import operation as o
from qdrantlite.storage import file_names, open_files
from qdrantlite.storage.files import PosixFile
from qdrantlite.values.distance import Distance
from qdrantlite.values.record import CollectionStatus
from qdrantlite.values.schema import CollectionUpdate, OptimizersConfig, VectorParams
from tests.collection.compacted import untended
from tests.collection.small import (
    CONFIG,
    INTEGER,
    NAME,
    collection_of,
    contents,
    dense,
    found,
    ids,
    nearest,
    opened,
    passing,
    point,
    size,
    upsert,
    write,
)
from tests.raised import raised_by, raised_message, until

RED, GREEN = CollectionStatus.RED, CollectionStatus.GREEN


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with untended(), opened(tmp_path) as database:
        yield database


def descriptors(folder: Path) -> int:
    """How many descriptors hold a file of the folder, deleted ones too: others may come and go in this process."""
    held = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # The listing's own.
            held += link.readlink().is_relative_to(folder)
    return held


@contextmanager
def without_collector() -> Iterator[None]:
    """What goes, goes because nobody refers to it: a server's collector never looks at what was there at its start."""
    gc.collect()
    gc.disable()
    logging.disable()  # pytest keeps what is logged, tracebacks and all that they hold included.
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        gc.enable()


# -- descriptors


def test_damaged_collection_is_shown_and_not_opened_for_each_request(tmp_path: Path) -> None:
    opened(tmp_path).close()
    (folder,) = file_names.collections(tmp_path).iterdir()
    file_names.points(folder).write_bytes(b"no database")
    with Database(tmp_path) as database:
        with pytest.raises(Corrupted):
            database.count(NAME, None)
        before = descriptors(tmp_path)
        with patch.object(Collection, "open", side_effect=AssertionError("opened again")):
            raised = [raised_by(lambda: database.count(NAME, None)) for _ in range(50)]
        assert {(type(error), str(error)) for error in raised} == {(Corrupted, str(raised[0]))}
        assert len({id(error) for error in raised}) == 50
        assert descriptors(tmp_path) == before
        info = database.collection_info(NAME)
        assert (info.status, info.optimizer_error, info.config) == (RED, raised_message(raised[0]), CONFIG)


def test_mended_collection_opens_again_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as database:
        write(database, upsert(point(1)))
    monkeypatch.setattr(listed, "RETRY_S", 0.0)
    with untended(), Database(tmp_path) as database:
        until(lambda: database.is_ready)
        database._find(NAME).park()
        with patch.object(Collection, "open", side_effect=StorageFailed("no")):
            assert database.collection_info(NAME).status is RED
        assert passing(database) == [1]
        assert database.collection_info(NAME).status is GREEN


@pytest.mark.parametrize("part", ["0.rows", "1.rows"])
def test_failed_openings_leave_no_descriptor(tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as database:
        write(database, upsert(point(1), point(2)))
    (folder,) = file_names.collections(tmp_path).iterdir()
    (file_names.rows(folder) / part).write_bytes(b"short")
    monkeypatch.setattr(listed, "RETRY_S", 0.0)
    with untended(), Database(tmp_path) as database, without_collector():
        until(lambda: database.is_ready)  # Nobody else is at it, then.
        raised_by(lambda: database.count(NAME, None))
        before = descriptors(tmp_path)
        for _ in range(20):
            assert isinstance(raised_by(lambda: database.count(NAME, None)), Corrupted)
        assert descriptors(tmp_path) == before


def test_dropped_vectors_and_collections_leave_no_descriptor(database: Database, tmp_path: Path) -> None:
    def use(number: int) -> None:
        database.alter(NAME, o.CreateVectorName("late", VectorParams(2, Distance.DOT)))
        write(database, upsert(point(number, {"": dense(1, 1), "late": dense(1, 2)})))
        assert found(database, nearest(dense(1, 1), "late"))
        database.alter(NAME, o.DeleteVectorName("late"))
        database.create_collection("other", CONFIG)
        database.write("other", (upsert(point(1)),), wait=True)
        assert found(database, nearest(dense(1, 1)), "other") == [1]
        database.delete_collection("other")

    with without_collector():
        use(0)
        before = descriptors(tmp_path)
        for number in range(1, 6):
            use(number)
        assert descriptors(tmp_path) == before


def test_descriptor_is_held_while_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = PosixFile(tmp_path / "a", create=True)
    number, entered, go_on, synced = file.fileno(), Event(), Event(), list[str]()

    def slow_sync(descriptor: int) -> None:
        entered.set()
        assert go_on.wait(10)
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr("qdrantlite.storage.files.sync_descriptor", slow_sync)
    thread = Thread(target=file.sync)
    thread.start()
    assert entered.wait(10)
    file.close()
    other = PosixFile(tmp_path / "b", create=True)
    assert other.fileno() != number
    go_on.set()
    thread.join()
    assert synced == [str(tmp_path / "a")]
    with pytest.raises(StorageFailed, match="closed"):
        file.sync()
    third = PosixFile(tmp_path / "c", create=True)
    assert third.fileno() == number
    other.close()
    third.close()


def test_write_whose_sync_meets_a_drop_is_done_or_not_found(tmp_path: Path) -> None:
    """Each write is answered as one that came before the drop or after it, and syncs no file of anybody else."""
    with Database(tmp_path) as database:
        for _ in range(15):
            database.create_collection(NAME, CONFIG)
            begun, raised = Event(), list[Exception]()
            threads = [Thread(target=write_until_it_fails, args=(database, begun, raised)) for _ in range(4)]
            for thread in threads:
                thread.start()
            assert begun.wait(10)
            assert database.delete_collection(NAME)
            for thread in threads:
                thread.join()
            assert len(raised) == 4
            assert all(isinstance(error, NotFound) for error in raised), raised


def write_until_it_fails(database: Database, begun: Event, raised: list[Exception]) -> None:
    try:
        for number in range(10_000):
            database.write(NAME, (upsert(point(number)),), wait=True)
            begun.set()
    except Exception as error:
        raised.append(error)


CROWDED = """
import resource, sys
from pathlib import Path
from threading import Thread
files, count = int(sys.argv[2]), int(sys.argv[3])
from tests.collection.small import CONFIG, point, upsert, nearest, dense, found
from qdrantlite.database import Database
from qdrantlite.storage import open_files
resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
most, failures = 0, []

def use(database, first):
    global most
    try:
        for number in range(first, count, 3):
            name = f"c{number}"
            database.create_collection(name, CONFIG)
            database.write(name, (upsert(point(number)),), wait=number % 2 == 0)
            most = max(most, open_files.count())
        for number in range(first, count, 3):
            assert found(database, nearest(dense(1, 1)), f"c{number}") == [number]
            database.write(f"c{number}", (upsert(point(number + 1)),), wait=True)
            assert database.count(f"c{number}", None) == 2
            most = max(most, open_files.count())
    except BaseException as error:
        failures.append(error)

with Database(Path(sys.argv[1])) as database:
    threads = [Thread(target=use, args=(database, first)) for first in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    if failures: raise failures[0]
with Database(Path(sys.argv[1])) as database:
    assert [database.count(f"c{number}", None) for number in range(count)] == [2] * count
assert most < files, most
print(most)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of open files")
@pytest.mark.parametrize(("files", "count"), [(160, 60), pytest.param(1024, 2000, marks=pytest.mark.slow)])
def test_more_collections_than_files_may_be_open_work(tmp_path: Path, files: int, count: int) -> None:
    command = [sys.executable, "-c", CROWDED, str(tmp_path), str(files), str(count)]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > files / 2, "collections are closed only when it must be"


def test_parked_collection_comes_back_as_it_was(database: Database, tmp_path: Path) -> None:
    database.alter(NAME, o.CreateFieldIndex("size", INTEGER))
    database.write(NAME, (upsert(point(1, size=1), point(2, size=2)), o.DeletePoints(ids(2))), wait=False)
    database.update_collection(NAME, CollectionUpdate(optimizer_config=OptimizersConfig(indexing_threshold=77)))
    before, config = contents(database), database.collection_info(NAME).config
    with without_collector():
        count = descriptors(tmp_path)
        assert database._find(NAME).park()
        assert not database._find(NAME).park(), "it is closed already"
        assert descriptors(tmp_path) < count - 3
    assert contents(database) == before
    assert passing(database, size(1)) == [1]
    assert database.collection_info(NAME).config == config
    assert config.optimizer_config.indexing_threshold == 77


def test_collection_in_use_is_not_parked(database: Database) -> None:
    entry = database._find(NAME)
    assert entry.run(lambda _: entry.park()) is False
    view = collection_of(database).open_view()
    assert not entry.park()
    view.close()
    assert entry.park()


def test_soft_limit_is_raised_and_never_lowered() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
        open_files.raise_limit()
        assert open_files.limit() == min(hard, open_files.LIMIT_WANTED)
        with patch.object(open_files, "LIMIT_WANTED", 100):
            open_files.raise_limit()
            assert open_files.limit() == min(hard, 16_384)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
