"""Whenever the power fails or the process ends while dead points give back what they hold, every point is there."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from qdrantlite.collection.shard.checkpoint import write_checkpoint
from qdrantlite.collection.upkeep import reclaiming
from qdrantlite.database import Database
from qdrantlite.errors import StorageFailed
from qdrantlite.plan import estimate
from qdrantlite.query import operation as o
from qdrantlite.storage.vacant import size_of
from tests.collection.compacted import compact, given_back, in_place, killed_after, let_go, scattered
from tests.collection.compacted import seen_but_ties as seen
from tests.collection.small import NAME, collection_of, color, ids, passing, point, size, upsert, write
from tests.collection.tended import CONFIG, ROWS, Builds, assert_finds, delete, put, tend, vectors
from tests.collection.vacated import small_blocks
from tests.faulty_files import FaultyFiles, PowerLost


@pytest.fixture(autouse=True)
def _in_place() -> Iterator[None]:
    with in_place(), small_blocks():
        yield


def test_crash_between_writes_keeps_them(tmp_path: Path) -> None:
    with scattered(tmp_path / "live") as database:
        states = list[tuple[Path, object]]()

        def between() -> None:
            number = len(states)
            if number < 12:
                write(database, upsert(point(number, color="blue", size=number), point(100 + number)))
                write(database, o.DeletePoints(ids(number + 5)))
            target = tmp_path / f"crash{number}"
            states.append((target, seen(database)))
            shutil.copytree(tmp_path / "live", target, ignore=shutil.ignore_patterns("*-shm"))

        assert given_back(database, between=between) > 0
        between()
    assert len(states) > 12
    for target, expected in states:
        with Database(target) as database:
            assert seen(database) == expected
            given_back(database)
            assert seen(database) == expected
        with Database(target) as database:
            assert seen(database) == expected


@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_power_cut_at_any_file_call_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stride: int) -> None:
    monkeypatch.setattr(reclaiming, "MOVED_POINTS_MAX", 5)
    with scattered(tmp_path / "source") as database:
        before = seen(database)
        late = upsert(point(1, size=9), point(80, color="blue"))
    vacant, fail_at, ended = set[int](), 0, False
    while not ended:
        fail_at += stride
        root, crashed = tmp_path / str(fail_at), tmp_path / f"crashed{fail_at}"
        shutil.copytree(tmp_path / "source", root)
        files = FaultyFiles(root, fail_at=fail_at)
        acknowledged = _until_the_cut(root, files, crashed, late)
        ended = not files.lost_power
        with Database(crashed) as database:
            if passing(database, color("blue")) == [5]:
                assert not acknowledged, fail_at
                assert seen(database) == before, fail_at
                write(database, late)
            assert passing(database, color("blue")) == [5, 80], fail_at
            assert passing(database, size(9)) == [1], fail_at
            vacant.add(size_of(collection_of(database).shard.vacant.offsets))
            expected = seen(database)
            given_back(database)
            assert seen(database) == expected, fail_at
        shutil.rmtree(root)
        shutil.rmtree(crashed)
    assert fail_at > 30
    assert len(vacant) > 1


def _until_the_cut(root: Path, files: FaultyFiles, crashed: Path, late: o.Operation) -> bool:
    """What the disk holds then; whether what was written meanwhile was acknowledged."""
    database, acknowledged = None, False

    def between() -> None:
        nonlocal acknowledged
        if not acknowledged and database is not None and collection_of(database).shard.state.rows > 96:
            write(database, late)
            acknowledged = True

    try:
        database = Database(root, files=files)
        compact(database, between=between)
        write_checkpoint(collection_of(database).shard)
    except (PowerLost, StorageFailed):  # The latter from a store whose sync was cut before.
        pass
    finally:
        files.crash_state(crashed, seed=files.calls)  # Before SQLite tidies up behind the database.
        if database is not None:
            let_go(database)
    return acknowledged


@pytest.mark.parametrize("stride", [14, pytest.param(1, marks=pytest.mark.slow)])
def test_power_cut_at_any_file_call_costs_no_graph_its_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stride: int
) -> None:
    monkeypatch.setattr(estimate, "graph_cost", lambda *_: 0.0)
    monkeypatch.setattr("qdrantlite.database.BuildProcess", Builds)
    monkeypatch.setattr(reclaiming, "MOVED_POINTS_MAX", 100)
    rows, gone = vectors(ROWS), range(0, ROWS, 3)
    with Database(tmp_path / "source") as database:
        database.create_collection(NAME, CONFIG)
        target = collection_of(database)
        put(target, rows)
        tend(target)
        delete(target, gone)
    fail_at, ended, vacant = 0, False, set[int]()
    while not ended:
        fail_at += stride
        root, crashed = tmp_path / str(fail_at), tmp_path / f"crashed{fail_at}"
        shutil.copytree(tmp_path / "source", root)
        files = FaultyFiles(root, fail_at=fail_at)
        _until_the_cut(root, files, crashed, upsert())
        ended = not files.lost_power
        with Database(crashed) as database:
            target = collection_of(database)
            vacant.add(size_of(target.shard.vacant.offsets))
            assert not any(graph.links(target.shard.vacant.offsets) for graph in target.shard.state.dense[""].sealed)
            assert_finds(target, rows, gone=gone)
            tend(target)
            assert_finds(target, rows, gone=gone)
            given_back(database)
            assert_finds(target, rows, gone=gone)
        shutil.rmtree(root)
        shutil.rmtree(crashed)
    assert len(vacant) > 1


KILLED = """
import sys
from pathlib import Path
from qdrantlite.database import Database
from tests.collection.compacted import in_place, compact
from tests.collection.small import point, upsert, write
from tests.collection.vacated import small_blocks

with in_place(), small_blocks():
    database = Database(Path(sys.argv[1]))
    for turn in range(1_000_000):
        write(database, upsert(*(point(n, size=turn) for n in range(turn % 2, 30))))
        write(database, upsert(*(point(n, size=turn) for n in range(turn % 2))))
        print(turn, flush=True)
        compact(database)
"""


@pytest.mark.parametrize("turns", [3, 8, 14])
def test_killed_process_loses_nothing(tmp_path: Path, turns: int) -> None:
    scattered(tmp_path).close()
    last = killed_after(KILLED, tmp_path, turns)
    with Database(tmp_path) as database:
        sizes = {n: passing(database, size(n)) for n in range(turns + 99)}
        whole = [n for n, found in sizes.items() if n in (last, last + 1) and len(found) >= 29]
        assert whole
        assert {number for n in (last, last + 1) for number in sizes[n]} == set(range(30))
        expected = seen(database)
        given_back(database)
        assert seen(database) == expected
