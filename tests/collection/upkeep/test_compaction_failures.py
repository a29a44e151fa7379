"""A compaction that cannot end leaves the collection as it was; one cut short by a crash leaves one whole shard."""

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from qdrantlite.collection.shard.checkpoint import write_checkpoint
from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.upkeep import compaction, shard_copy
from qdrantlite.database import Database
from qdrantlite.errors import StorageFailed
from qdrantlite.query import operation as o
from qdrantlite.storage import file_names
from qdrantlite.storage.catalogue import Catalogue
from qdrantlite.storage.files import PosixFiles
from qdrantlite.storage.vector_file import VectorFile
from qdrantlite.values.record import CollectionStatus
from tests.collection.compacted import (
    change,
    compact,
    compacted,
    end_while_compacted,
    folders,
    killed_after,
    let_go,
    seen,
    untended,
    worn,
)
from tests.collection.small import NAME, collection_of, color, passing, point, size, upsert, write
from tests.faulty_files import FaultyFiles, PowerLost


@pytest.fixture(autouse=True)
def _untended() -> Iterator[None]:
    with untended():
        yield


@pytest.mark.parametrize("checks", [1, 2, 5, 9])
def test_stop_leaves_the_old_shard_and_no_new_folder(tmp_path: Path, checks: int) -> None:
    with worn(tmp_path) as database:
        before, folder = seen(database), folders(tmp_path)
        calls = iter(range(1, 1000))
        collection_of(database)._compactor.step(stop=lambda: next(calls) >= checks)
        assert next(calls) <= checks + 2
        assert folders(tmp_path) == folder
        assert seen(database) == before
        assert compacted(database)


@pytest.mark.parametrize("ending", ["close", "delete"])
def test_ending_the_collection_ends_its_compaction(tmp_path: Path, ending: str) -> None:
    database = worn(tmp_path)
    end_while_compacted(database, ending)
    assert len(folders(tmp_path)) == (ending == "close")


def test_damaged_block_leaves_the_old_shard_and_shows(tmp_path: Path) -> None:
    database = worn(tmp_path)
    path = file_names.vector_file(collection_of(database).shard.folder, 0)
    database.close()
    data = bytearray(path.read_bytes())
    data[-3] ^= 0xFF
    path.write_bytes(data)
    with Database(tmp_path) as database:
        folder = folders(tmp_path)
        assert not compacted(database)
        assert folders(tmp_path) == folder
        info = database.collection_info(NAME)
        assert (info.status, "is damaged" in (info.optimizer_error or "")) == (CollectionStatus.RED, True)
        assert len(passing(database)) == info.points_count


def test_full_disk_leaves_the_old_shard_and_shows_once_it_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with worn(tmp_path) as database:
        before, folder = seen(database), folders(tmp_path)
        compactor = collection_of(database)._compactor
        append = VectorFile.append

        def full(file: VectorFile, rows: "np.ndarray[tuple[int, int], np.dtype[np.float32]]") -> None:
            if len(folders(tmp_path)) > 1:
                raise StorageFailed(f"{file.path}: no space left on the disk")
            append(file, rows)

        errors = []
        free_bytes = {0: lambda *_: 1 << 20, 2: lambda *_: 2 << 20}
        with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
            for attempt in range(3):
                if attempt == 1:
                    patched.setattr(VectorFile, "append", full)
                else:
                    patched.setattr(PosixFiles, "free_bytes", free_bytes[attempt])
                assert not compacted(database)
                errors.append(compactor.error)
                assert folders(tmp_path) == folder
                assert not compacted(database)
                compactor._attempts._retry_at = 0.0
        assert [error is None for error in errors] == [True, True, False]
        assert len(caplog.records) == 3
        assert seen(database) == before
        assert database.collection_info(NAME).status is CollectionStatus.RED
        assert compacted(database)
        assert database.collection_info(NAME).status is not CollectionStatus.RED


def _failing_moves(monkeypatch: pytest.MonkeyPatch, failures: int) -> list[bool]:
    """The first commits of a move fail; whether each call failed."""
    move, failed = Catalogue.move_collection, list[bool]()

    def moving(catalogue: Catalogue, name: str, **folders: object) -> None:
        failed.append(len(failed) < failures)
        if failed[-1]:
            raise StorageFailed("the catalogue cannot be written")
        move(catalogue, name, **folders)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(Catalogue, "move_collection", moving)
    return failed


def test_failed_commit_of_the_catalogue_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with worn(tmp_path) as database:
        before, folder = seen(database), folders(tmp_path)
        failed = _failing_moves(monkeypatch, 1)
        assert not compacted(database)
        assert failed == [True, False]
        assert folders(tmp_path) == folder
        assert seen(database) == before
        write(database, upsert(point(70)))
        expected = seen(database)
    with Database(tmp_path) as database:
        assert seen(database) == expected


def test_no_write_is_taken_while_nobody_knows_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with worn(tmp_path) as database:
        before = seen(database)
        _failing_moves(monkeypatch, 2)
        assert not compacted(database)
        assert len(folders(tmp_path)) == 2
        with pytest.raises(StorageFailed, match="reopen the storage before writing"):
            write(database, upsert(point(70)))
        assert seen(database) == before
        assert database.collection_info(NAME).status is CollectionStatus.RED
    with Database(tmp_path) as database:
        assert seen(database) == before
        write(database, upsert(point(70)))


def test_crash_at_any_step_leaves_one_whole_shard(tmp_path: Path) -> None:
    with worn(tmp_path / "live") as database:
        before, old, copies = seen(database), folders(tmp_path / "live"), list[Path]()

        def crash() -> None:
            copies.append(tmp_path / f"crash{len(copies)}")
            shutil.copytree(tmp_path / "live", copies[-1], ignore=shutil.ignore_patterns("*-shm"))

        move = Catalogue.move_collection

        def moving(catalogue: Catalogue, name: str, **given: object) -> None:
            crash()
            move(catalogue, name, **given)  # type: ignore[arg-type]  # passed on as they came
            crash()

        with patch.object(Catalogue, "move_collection", moving):
            assert compacted(database, between=crash)
        crash()
        collection_of(database).maintain(idle=True)
        crash()
        new = folders(tmp_path / "live")
    assert len(copies) > 12
    in_force = []
    for copy in copies:
        with Database(copy) as database:
            assert seen(database) == before
            change(database)
            in_force.append(collection_of(database).shard.folder.name)
        assert folders(copy) == [in_force[-1]]
    assert in_force == old * (len(copies) - 3) + new * 3


def test_crash_between_writes_keeps_them(tmp_path: Path) -> None:
    with worn(tmp_path / "live") as database:
        states = list[tuple[Path, object]]()

        def between() -> None:
            number = len(states)
            if number < 20:
                write(database, upsert(point(number, color="blue", size=number), point(100 + number)))
                write(database, o.DeletePoints(o.Selector(ids=(number + 5,))))
            target = tmp_path / f"crash{number}"
            states.append((target, seen(database)))
            shutil.copytree(tmp_path / "live", target, ignore=shutil.ignore_patterns("*-shm"))

        assert compacted(database, between=between)
    assert len(states) > 20
    for target, expected in states:
        with Database(target) as database:
            assert seen(database) == expected


@pytest.mark.parametrize("stride", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_power_cut_at_any_file_call_leaves_one_whole_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stride: int
) -> None:
    monkeypatch.setattr(shard_copy, "CHUNK_POINTS_MAX", 50)
    with worn(tmp_path / "source") as database:
        before = seen(database)
        late = upsert(point(1, size=9), point(80, color="blue"))
    in_force, fail_at, life = set[str](), 0, Life()
    while not life.ended:
        fail_at, life = fail_at + stride, Life()
        root, crashed = tmp_path / str(fail_at), tmp_path / f"crashed{fail_at}"
        shutil.copytree(tmp_path / "source", root)
        files = FaultyFiles(root, fail_at=fail_at)
        life.run(root, files, late)
        files.crash_state(crashed, seed=fail_at)
        with Database(crashed) as database:
            if passing(database, color("blue")) == [5]:
                assert not life.acknowledged, fail_at
                assert seen(database) == before, fail_at
                write(database, late)
            assert passing(database, color("blue")) == [5, 80], fail_at
            assert passing(database, size(9)) == [1], fail_at
            in_force.add(collection_of(database).shard.folder.name)
        shutil.rmtree(root)
    assert fail_at > 30
    assert len(in_force) > 1


@dataclass
class Life:
    """A compaction on a disk that fails; ``late`` is written just before its last step."""

    acknowledged: bool = False
    ended: bool = False

    def run(self, root: Path, files: FaultyFiles, late: o.Operation) -> None:
        """Compacts, and lets go of the database without a word to the disk."""
        database = None

        def writing(shard: Shard) -> None:
            assert database is not None
            write_checkpoint(shard)
            write(database, late)
            self.acknowledged = True

        try:
            database = Database(root, files=files)
            with patch.object(compaction, "write_checkpoint", writing):
                compact(database)
            collection_of(database).maintain(idle=True)
            self.ended = not files.lost_power  # The compactor itself tells nobody but the log.
        except (PowerLost, StorageFailed):  # The latter from a store whose sync was cut before.
            pass
        finally:
            if database is not None:
                let_go(database)


KILLED = """
import sys
from pathlib import Path
from qdrantlite.database import Database
from tests.collection.compacted import compacted, untended
from tests.collection.small import point, upsert, write

with untended():
    database = Database(Path(sys.argv[1]))
    for turn in range(1_000_000):
        write(database, upsert(*(point(n, size=turn) for n in range(30))))
        print(turn, flush=True)
        if turn % 3 == 2:
            compacted(database)
"""


@pytest.mark.parametrize("turns", [3, 8, 14])
def test_killed_process_leaves_one_whole_shard(tmp_path: Path, turns: int) -> None:
    worn(tmp_path).close()
    last = killed_after(KILLED, tmp_path, turns)
    with Database(tmp_path) as database:
        assert {last, last + 1} & {n for n in range(turns + 99) if passing(database, size(n)) == list(range(30))}
    assert len(folders(tmp_path)) == 1
