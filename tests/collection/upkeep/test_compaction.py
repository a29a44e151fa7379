"""Compaction changes what a collection takes, never what it answers."""

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from qdrantlite.collection.upkeep import compaction
from qdrantlite.database import Database
from qdrantlite.errors import NotFound, StorageFailed
from qdrantlite.query import operation as o
from qdrantlite.query.search import ALL_PAYLOAD, ALL_VECTORS, NO_VECTORS
from qdrantlite.storage import file_names
from qdrantlite.storage.store_reader import MISSING
from qdrantlite.values.distance import Distance
from qdrantlite.values.schema import (
    OPTIMIZERS_DEFAULT,
    CollectionConfig,
    CollectionUpdate,
    OptimizersConfig,
    SparseVectorParams,
    VectorParams,
)
from tests.collection.compacted import SETTINGS, change, compacted, folders, seen, untended, worn
from tests.collection.small import (
    KEYWORD,
    NAME,
    checkpoint,
    collection_of,
    color,
    contents,
    dense,
    found,
    ids,
    nearest,
    opened,
    passing,
    point,
    size,
    sparse,
    upsert,
    where,
    write,
)


@pytest.fixture(autouse=True)
def _untended() -> Iterator[None]:
    with untended():
        yield


def test_settings_say_how_many_dead_rows_are_borne(tmp_path: Path) -> None:
    with worn(tmp_path) as database:
        database.update_collection(NAME, CollectionUpdate(optimizer_config=OptimizersConfig(deleted_threshold=0.9)))
        assert not compacted(database)
        database.update_collection(NAME, CollectionUpdate(optimizer_config=OptimizersConfig(deleted_threshold=0.3)))
        assert compacted(database)
        assert not compacted(database)


def test_everything_is_answered_as_before(tmp_path: Path) -> None:
    database = worn(tmp_path)
    before = seen(database)
    vector_ids = {name: slot.id for name, slot in collection_of(database).shard.slots.items()}
    operation_id = collection_of(database).shard.state.operation_id
    assert compacted(database)
    shard = collection_of(database).shard
    assert shard.state.rows == len(contents(database))
    assert dict(shard.dense_slots())[""].file.rows_appended == shard.state.rows
    assert {name: slot.id for name, slot in shard.slots.items()} == vector_ids
    assert seen(database) == before
    database.close()
    assert folders(tmp_path) == [shard.folder.name]
    with Database(tmp_path) as database:
        assert seen(database) == before
        assert write(database, upsert(point(1))) == (operation_id + 1,)
        change(database)
        late = database.alter(NAME, o.CreateVectorName("late", SparseVectorParams()))
        assert late.operation_id > operation_id
        assert collection_of(database).shard.slots["late"].id == max(vector_ids.values()) + 1
        assert compacted(database) or collection_of(database).shard.state.rows < 60


def test_rows_bounds_and_pages_shrink(tmp_path: Path) -> None:
    config = CollectionConfig(
        vectors={"": VectorParams(64, Distance.DOT), "many": VectorParams(64, Distance.DOT, multivector=True)}
    )
    vector = dense(*range(64))
    with opened(tmp_path, config) as database:
        for _ in range(6):
            write(database, upsert(*(point(n, {"": vector, "many": vector}, text="x" * 500) for n in range(500))))
        write(database, o.DeletePoints(o.Selector(ids=tuple(range(100, 500)))))
        checkpoint(database)
        collection_of(database).maintain(idle=True)
        before = _bytes_below(tmp_path)
        assert compacted(database)
        collection_of(database).maintain(idle=True)
        assert _bytes_below(tmp_path) < before / 5
        assert passing(database) == list(range(100))


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


COLORS = ("red", "green", "blue")


def any_operation(choice: random.Random) -> o.Operation:
    """One write over few ids, so that points meet their fate often."""
    some = tuple(choice.sample(range(70), choice.randint(1, 5)))
    vector = sparse(i1=choice.randint(1, 9), i7=1)
    works: list[Callable[[], o.Operation]] = [
        lambda: upsert(*(point(n, color=choice.choice(COLORS), size=choice.randint(0, 9)) for n in some)),
        lambda: upsert(*(point(n, {"words": vector}, size=1) for n in some)),
        lambda: o.DeletePoints(ids(*some)),
        lambda: o.DeletePoints(where(size(choice.randint(0, 9)), color(choice.choice(COLORS)))),
        lambda: o.SetPayload({"color": choice.choice(COLORS)}, where(size(choice.randint(0, 9)))),
        lambda: o.ClearPayload(where(color(choice.choice(COLORS)), size(9))),
        lambda: o.UpdateVectors((o.VectorsWrite(some[0], {"": dense(*some[:1], 3), "words": vector}),)),
        lambda: o.DeleteVectors(where(size(choice.randint(0, 9))), (choice.choice(["", "many", "words"]),)),
    ]
    return choice.choice(works)()


def outcome(database: Database, operation: o.Operation) -> object:
    try:
        return write(database, operation)
    except NotFound as error:
        return error.text


@pytest.mark.parametrize("seed", range(6))
def test_writes_between_any_two_steps_are_kept(tmp_path: Path, seed: int) -> None:
    choice = random.Random(seed)
    with worn(tmp_path / "compacted") as database, worn(tmp_path / "twin") as twin:
        left = 60

        def between() -> None:
            nonlocal left
            for _ in range(choice.randint(0, min(left, 4))):
                left -= 1
                operation = any_operation(choice)
                assert outcome(database, operation) == outcome(twin, operation)
            if choice.random() < 0.2:
                checkpoint(database)

        assert compacted(database, between=between)
        assert left < 60
        assert seen(database) == seen(twin)
        expected = seen(twin)
        folder = collection_of(database).shard.folder
    for _ in ("from the checkpoint", "from the store alone"):
        with Database(tmp_path / "compacted") as database:
            assert seen(database) == expected
        shutil.rmtree(file_names.derived(folder), ignore_errors=True)


def test_threads_read_and_write_all_the_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "BACKLOG_SMALL", 20)
    stop, failures = Event(), list[BaseException]()
    counts = [0, 0, 0]

    def during(work: Callable[[int], object], number: int) -> Thread:
        def run() -> None:
            try:
                while not stop.is_set():
                    work(counts[number])
                    counts[number] += 1
            except BaseException as error:
                failures.append(error)

        return Thread(target=run)

    with worn(tmp_path) as database:

        def reading(_: int) -> None:
            assert [hit for hit in found(database, nearest(dense(1, 0))) if hit == 30] == [30]
            assert passing(database, color("blue")) == [5]
            assert database.retrieve(NAME, (30,), ALL_PAYLOAD, NO_VECTORS)[0].id == 30

        threads = [
            during(lambda turn: write(database, upsert(point(1000, turn=turn))), 0),
            during(lambda turn: write(database, upsert(point(2000, turn=turn)), o.SetPayload({"a": turn}, ids(9))), 1),
            during(reading, 2),
        ]
        for thread in threads:
            thread.start()
        try:
            replaced = 0
            while replaced < 4 and not failures:
                replaced += compacted(database)
                collection_of(database).maintain(idle=False)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert failures == []
        assert min(counts) > 0
        payloads = {point_id: payload for point_id, payload, _ in contents(database) if point_id in (9, 1000, 2000)}
        assert payloads[1000] == {"turn": counts[0] - 1}
        assert payloads[2000] == {"turn": counts[1] - 1}
        assert payloads[9] == {"color": "red", "size": 0, "a": counts[1] - 1}
        expected = seen(database)
    with Database(tmp_path) as database:
        assert seen(database) == expected


def test_search_under_way_finishes_on_the_old_shard(tmp_path: Path) -> None:
    with worn(tmp_path) as database:
        collection = collection_of(database)
        old = collection.shard.folder
        with collection.open_view() as view:
            offsets = view.live.offsets()
            before = view.ids(offsets).to_list(), view.vectors(offsets, ALL_VECTORS)
            assert compacted(database)
            write(database, o.DeletePoints(ids(*range(40))))
            collection.maintain(idle=True)
            assert old.exists()
            assert view.ids(offsets).to_list() == before[0]
            assert [sorted(each) for each in view.vectors(offsets, ALL_VECTORS)] == [sorted(e) for e in before[1]]
        collection.maintain(idle=True)
        assert not old.exists()


def test_graph_is_there_when_the_new_shard_takes_over(tmp_path: Path) -> None:
    settings = replace(OPTIMIZERS_DEFAULT, indexing_threshold=1, vacuum_min_vector_number=20)
    config = CollectionConfig(vectors={"": VectorParams(16, Distance.EUCLID)}, optimizer_config=settings)
    rows = np.random.default_rng(1).normal(size=(200, 16))
    with opened(tmp_path, config) as database:
        for _ in range(2):
            write(database, upsert(*(point(n, {"": dense(*row)}) for n, row in enumerate(rows))))
        assert compacted(database)
        shard = collection_of(database).shard
        (view,) = shard.state.dense.values()
        assert [(segment.first, segment.stop) for segment in view.sealed] == [(0, 200)]
        assert found(database, nearest(dense(*rows[77]), limit=1)) == [77]
        assert database.collection_info(NAME).indexed_vectors_count == 200
    with Database(tmp_path) as database:
        assert collection_of(database).shard.state.dense[""].sealed


@pytest.mark.parametrize(
    "alteration",
    [
        lambda database: database.alter(NAME, o.CreateFieldIndex("late", KEYWORD)),
        lambda database: database.alter(NAME, o.DeleteFieldIndex("size")),
        lambda database: database.alter(NAME, o.CreateVectorName("late", SparseVectorParams())),
        lambda database: database.alter(NAME, o.DeleteVectorName("many")),
        lambda database: database.update_collection(NAME, CollectionUpdate(metadata={"a": 1})),
    ],
    ids=["index", "no index", "vector", "no vector", "settings"],
)
def test_changed_settings_begin_it_anew(tmp_path: Path, alteration: Callable[[Database], object]) -> None:
    with worn(tmp_path) as database:
        pending = [alteration]

        def between() -> None:
            if len(folders(tmp_path)) > 1 and pending:
                pending.pop()(database)

        assert not compacted(database, between=between)
        assert len(folders(tmp_path)) == 1
        assert collection_of(database)._compactor.error is None
        before = contents(database)
        config, schema = (info := database.collection_info(NAME)).config, info.payload_schema
        assert compacted(database)
        assert contents(database) == before
        info = database.collection_info(NAME)
        assert (info.config, info.payload_schema) == (config, schema)


def test_offsets_end_before_the_one_that_means_none(tmp_path: Path) -> None:
    config = CollectionConfig(
        sparse_vectors={"words": SparseVectorParams()}, optimizer_config=SETTINGS.optimizer_config
    )
    database = opened(tmp_path, config)
    write(database, upsert(*(point(n, {"words": sparse(i1=n + 1)}) for n in range(5))))
    shard = collection_of(database).shard
    shard.store.writer.begin()
    shard.store.writer.put_offset_next(MISSING - 3)
    shard.store.sync(shard.store.writer.commit())
    database.close()
    with Database(tmp_path) as database:
        write(database, upsert(point(5, {"words": sparse(i1=6)}), point(6, {"words": sparse(i1=7)})))
        assert collection_of(database).shard.state.rows == MISSING - 1
        before = contents(database)
        with pytest.raises(StorageFailed, match="no room for 2 points: 4294967294 of 4294967295 offsets"):
            write(database, upsert(point(7, {}), point(8, {})))
        assert contents(database) == before
        write(database, upsert(point(7, {"words": sparse(i1=8)})))
        with pytest.raises(StorageFailed, match="no room for 1 points"):
            write(database, o.UpdateVectors((o.VectorsWrite(7, {"words": sparse(i1=9)}),)))
        expected = [7, 6, 5, 4, 3, 2, 1, 0]
        assert found(database, nearest(sparse(i1=1), "words")) == expected
        assert compacted(database)
        assert collection_of(database).shard.state.rows == 8
        assert found(database, nearest(sparse(i1=1), "words")) == expected
        write(database, upsert(point(8, {"words": sparse(i1=9)})))
        assert found(database, nearest(sparse(i1=1), "words")) == [8, *expected]
