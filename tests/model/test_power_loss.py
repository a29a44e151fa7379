"""The power fails at each file call in turn: what was acknowledged is there, and nothing half-applied.

SQLite writes beside the seam, but its log counts as durable only as far as it was synced here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from qdrantlite.database import Database
from qdrantlite.query import operation as o
from qdrantlite.query.search import ALL_VECTORS, Scroll
from qdrantlite.values.distance import Distance
from qdrantlite.values.schema import VectorParams
from qdrantlite.values.vector import Vector
from tests.collection.small import (
    CONFIG,
    INTEGER,
    KEYWORD,
    NAME,
    checkpoint,
    collection_of,
    color,
    contents,
    dense,
    found,
    ids,
    multi,
    nearest,
    passing,
    point,
    size,
    sparse,
    upsert,
    where,
    write,
)
from tests.collection.small_segments import merge, small_segments
from tests.collection.vacated import small_blocks, vacate_dead
from tests.faulty_files import FaultyFiles, PowerLost

COLORS = ("red", "green", "blue")


def points(*numbers: int) -> o.Upsert:
    return upsert(*(point(number, color=COLORS[number % 3], size=number % 2) for number in numbers))


def unsynced(operation: o.Operation) -> Callable[[Database], object]:
    return lambda database: database.write(NAME, (operation,), wait=False)


def synced(*operations: o.Operation) -> Callable[[Database], object]:
    return lambda database: write(database, *operations)


def altered(operation: o.SchemaOperation) -> Callable[[Database], object]:
    return lambda database: database.alter(NAME, operation)


@dataclass(frozen=True)
class Step:
    """``durable``: when it returns, it and all before it must survive."""

    run: Callable[[Database], object]
    durable: bool = True


STEPS = (
    Step(lambda database: database.create_collection(NAME, CONFIG)),
    Step(synced(points(*range(6)))),
    Step(altered(o.CreateFieldIndex("color", KEYWORD))),
    Step(synced(points(0, 6), o.DeletePoints(ids(1)), o.SetPayload({"color": "blue"}, where(color("red"))))),
    Step(unsynced(points(7, 8)), durable=False),
    Step(checkpoint, durable=False),
    Step(unsynced(o.DeletePoints(where(size(0)))), durable=False),
    Step(synced(o.UpdateVectors((o.VectorsWrite(3, {"many": multi((9, 9), (8, 8)), "words": sparse(i7=1)}),)))),
    Step(altered(o.CreateVectorName("late", VectorParams(2, Distance.DOT)))),
    Step(altered(o.CreateFieldIndex("size", INTEGER))),
    Step(unsynced(upsert(point(20, {"late": dense(1, 1)}, color="red", size=1))), durable=False),
    Step(merge, durable=False),
    Step(checkpoint, durable=False),
    Step(synced(upsert(point(21, {"late": dense(2, 1)}, color="red", size=1)), o.DeleteVectors(ids(3), ("words",)))),
    Step(altered(o.DeleteVectorName("late"))),
    Step(synced(points(30, 31))),
)


def give_back(database: Database) -> None:
    vacate_dead(collection_of(database).shard)


GIVING_BACK = (
    Step(lambda database: database.create_collection(NAME, CONFIG)),
    Step(synced(points(*range(24)))),
    Step(unsynced(o.DeletePoints(ids(*range(18)))), durable=False),
    Step(give_back),
    Step(synced(points(*range(30, 40)), o.UpdateVectors((o.VectorsWrite(20, {"": dense(9, 9)}),)))),
    Step(checkpoint, durable=False),
    Step(unsynced(o.DeletePoints(ids(*range(21, 36)))), durable=False),
    Step(give_back),
    Step(synced(points(50))),
)
"""Blocks are of eight rows: each time some are punched in both files."""


@dataclass
class Life:
    """A database on a disk that fails at call ``fail_at``; ``done`` steps returned, the first ``kept`` must survive."""

    steps: tuple[Step, ...]
    folder: Path
    fail_at: int | None
    done: int = 0
    kept: int = 0
    lost_power: bool = False
    files: FaultyFiles = field(init=False)

    def live(self, watch: Callable[[Database], object], *, seeds: int = 1) -> None:
        self.folder.mkdir()
        self.files = FaultyFiles(self.folder, fail_at=self.fail_at)
        database = None
        try:
            database = Database(self.folder / "db", files=self.files)
            for step in self.steps:
                step.run(database)
                self.done += 1
                self.kept = self.done if step.durable else self.kept
                watch(database)
        except PowerLost:
            self.lost_power = True
        for seed in range(seeds):
            self.files.crash_state(self._crashed(seed), seed=(self.fail_at or 0) + 1_000 * seed)
        if database is not None:
            _let_go(database)

    def survivor(self, seed: int = 0) -> Database:
        return Database(self._crashed(seed) / "db")

    def _crashed(self, seed: int) -> Path:
        return self.folder.with_suffix(f".crashed{seed}")


def _let_go(database: Database) -> None:
    """Ends a database whose disk is gone: threads, descriptors and the lock, without a word to the files."""
    database._upkeep.stop()
    for collection in [listed._collection for listed in database._listed.values()]:
        if collection is None:
            continue
        for slot in collection.shard.row_slots():
            if slot.file._file is not None:
                slot.file._file.close()
        collection.shard.store.close()
    database._catalogue.close()
    database._folder_lock.release()


def state_of(database: Database) -> object:
    if not database.collection_exists(NAME):
        return None
    info = database.collection_info(NAME)
    return contents(database), sorted(info.payload_schema), sorted(info.config.vectors)


def require_consistent(database: Database) -> None:
    """Derived state says what the points say."""
    page = database.scroll(NAME, Scroll(limit=1000, with_vectors=ALL_VECTORS))
    for value in COLORS:
        expected = [record.id for record in page.records if (record.payload or {}).get("color") == value]
        assert passing(database, color(value)) == expected
    queries: dict[str, Vector] = {"": dense(1, 1), "many": dense(1, 1), "words": sparse(i1=1, i2=1, i7=1)}
    for name, query in queries.items():
        expected = [record.id for record in page.records if name in (record.vectors or {})]
        assert sorted(map(str, found(database, nearest(query, name)))) == sorted(map(str, expected))
    assert database.count(NAME, None) == len(page.records)


@pytest.mark.parametrize("stride", [3, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_power_cut_at_any_file_call_loses_nothing_acknowledged(tmp_path: Path, stride: int) -> None:
    with small_segments():
        _cut_power_everywhere(tmp_path, STEPS, stride=stride)


def test_power_cut_while_dead_rows_are_given_back_loses_nothing(tmp_path: Path) -> None:
    with small_segments(), small_blocks():
        _cut_power_everywhere(tmp_path, GIVING_BACK, after_step=2, stride=2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_power_cut_while_dead_rows_are_given_back_loses_nothing_whatever_the_disk_keeps(tmp_path: Path) -> None:
    with small_segments(), small_blocks():
        _cut_power_everywhere(tmp_path, GIVING_BACK, seeds=20)


def _cut_power_everywhere(
    tmp_path: Path, steps: tuple[Step, ...], *, after_step: int = 0, stride: int = 1, seeds: int = 1
) -> None:
    states: list[object] = [None]
    calls_then = [0]
    whole = Life(steps, tmp_path / "whole", None)

    def watch(database: Database) -> None:
        states.append(state_of(database))
        calls_then.append(whole.files.calls)

    whole.live(watch)
    assert whole.done == len(steps)
    calls = whole.files.calls
    assert calls > 40
    for fail_at in range(calls_then[after_step] + 1, calls + 1, stride):
        life = Life(steps, tmp_path / str(fail_at), fail_at)
        life.live(lambda _: None, seeds=seeds)
        assert life.lost_power
        where_cut = f"at call {fail_at} of {calls}, after step {life.done}, {life.kept} acknowledged"
        try:
            for seed in range(seeds):
                with life.survivor(seed) as database:
                    assert state_of(database) in states[life.kept : life.done + 2], where_cut
                    if database.collection_exists(NAME):
                        require_consistent(database)
                        require_useful(database)
        except Exception as error:
            raise AssertionError(where_cut) from error


def require_useful(database: Database) -> None:
    """It goes on: what was cut short is given back, what dies now is, and nothing else."""
    collection = collection_of(database)
    before = state_of(database)
    collection.maintain(idle=False)
    assert collection.shard.is_punched
    assert state_of(database) == before
    write(database, points(40, 41), o.DeletePoints(ids(2)))
    require_consistent(database)
    give_back(database)
    for slot in collection.shard.row_slots():
        slot.file.verify_rows(slice(0, slot.file.rows_appended))
    require_consistent(database)
