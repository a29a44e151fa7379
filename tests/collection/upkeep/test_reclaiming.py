"""Dead points give back what they hold, in place: nothing else that can be seen changes, whoever writes or reads."""

import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from threading import Event, Thread
from time import sleep
from unittest.mock import patch

import numpy as np
import pytest

from qdrantlite.collection.read.view import open_view
from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.shard.slots import MultiSlot
from qdrantlite.collection.upkeep import reclaiming, vacuum
from qdrantlite.collection.upkeep.merging import merge_segments
from qdrantlite.database import Database
from qdrantlite.errors import NotFound, StorageFailed
from qdrantlite.query import operation as o
from qdrantlite.query.filter import Filter
from qdrantlite.query.search import ALL_VECTORS
from qdrantlite.segment.selection import Selection
from qdrantlite.storage import file_names
from qdrantlite.storage.files import PosixFiles
from qdrantlite.storage.vacant import size_of
from qdrantlite.values.record import CollectionStatus
from qdrantlite.values.schema import CollectionUpdate, OptimizersConfig, SparseVectorParams
from tests.collection.compacted import change, compact, end_while_compacted, given_back, in_place, scattered
from tests.collection.compacted import seen_but_ties as seen
from tests.collection.small import (
    KEYWORD,
    NAME,
    collection_of,
    dense,
    found,
    ids,
    multi,
    nearest,
    passing,
    point,
    size,
    upsert,
    write,
)
from tests.collection.vacated import small_blocks


@pytest.fixture(autouse=True)
def _in_place() -> Iterator[None]:
    with in_place(), small_blocks():
        yield


def shard_of(database: Database) -> Shard:
    return collection_of(database).shard


def held_bytes(shard: Shard) -> int:
    return sum(slot.file.held_bytes for slot in shard.row_slots())


def share_dead(shard: Shard) -> float:
    held = shard.state.rows - size_of(shard.vacant.offsets)
    return (held - len(shard.state.live)) / held


def test_everything_is_answered_as_before(tmp_path: Path) -> None:
    database = scattered(tmp_path)
    before, shard = seen(database), shard_of(database)
    operation_id, bytes_before = shard.state.operation_id, held_bytes(shard)
    assert given_back(database) > 0
    assert seen(database) == before
    assert shard.state.operation_id == operation_id
    assert held_bytes(shard) < bytes_before
    assert share_dead(shard) <= 0.1
    assert given_back(database) == 0
    database.close()
    with Database(tmp_path) as database:
        assert seen(database) == before
        assert write(database, upsert(point(1))) == (operation_id + 1,)
        change(database)
        before = seen(database)
        given_back(database)
        assert seen(database) == before


def test_derived_state_is_that_of_the_store(tmp_path: Path) -> None:
    database = scattered(tmp_path / "live")
    given_back(database)
    collection_of(database).maintain(idle=True)
    before, shard = seen(database), shard_of(database)
    present = {name: slot.present.offsets().tolist() for name, slot in shard.slots.items()}
    live, folder = shard.live.offsets().tolist(), shard.folder
    database.close()
    shutil.rmtree(file_names.derived(folder))
    file_names.derived(folder).mkdir()
    with Database(tmp_path / "live") as database:
        shard = shard_of(database)
        assert shard.live.offsets().tolist() == live
        assert {name: slot.present.offsets().tolist() for name, slot in shard.slots.items()} == present
        assert seen(database) == before


def test_entries_of_the_dead_leave_by_the_ordinary_merges(tmp_path: Path) -> None:
    with scattered(tmp_path) as database:
        given_back(database)
        shard = shard_of(database)
        merge_segments(shard, at_rest=True)
        live = shard.state.live
        for layer in chain.from_iterable(field.stack for field in shard.state.fields.values()):
            held = Selection(layer.segment.held)
            assert len(held.difference(live)) <= len(held) // 2


@pytest.mark.parametrize("seed", range(6))
def test_writes_in_between_are_kept(tmp_path: Path, seed: int) -> None:
    chance, turns, expected = random.Random(seed), 0, object()
    with scattered(tmp_path) as database:

        def between() -> None:
            nonlocal turns, expected
            turns += 1
            if turns < 30 and chance.random() < 0.4:
                with suppress(NotFound):  # Of points that died.
                    _written(database, chance)
            expected = seen(database)

        between()
        for _ in range(4):
            compact(database, between=between)
            assert seen(database) == expected
    assert turns > 10
    with Database(tmp_path) as database:
        assert seen(database) == expected


def _written(database: Database, chance: random.Random) -> None:
    """Any request."""
    living, number = passing(database), chance.randrange(60)
    match chance.randrange(12):
        case 0:
            change(database)
        case 1:
            write(database, upsert(point(number, size=chance.randrange(9))))
        case 2:
            write(database, o.DeletePoints(ids(*chance.sample(range(60), 9))))
        case 3:
            write(database, o.SetPayload({"color": "red"}, o.Selector(filter=Filter())))
        case 4:
            write(database, o.UpdateVectors((o.VectorsWrite(chance.choice(living), {"": dense(3, 8)}),)))
        case 5:
            write(database, o.UpdateVectors((o.VectorsWrite(chance.choice(living), {"many": multi((8, 3))}),)))
        case 6:
            write(database, o.DeleteVectors(ids(chance.choice(living)), ("", "many")))
        case 7:
            database.alter(NAME, o.CreateVectorName("late", SparseVectorParams()))
        case 8:
            database.alter(NAME, o.DeleteVectorName("late"))
        case 9:
            database.alter(NAME, o.CreateFieldIndex("color", KEYWORD))
        case 10:
            collection_of(database).maintain(idle=number < 30)
        case _:
            settings = OptimizersConfig(indexing_threshold=1 + number)
            database.update_collection(NAME, CollectionUpdate(optimizer_config=settings))


def test_rows_of_moved_multivectors_leave_the_old_ones(tmp_path: Path) -> None:
    """Although an update of another vector lets them lie."""
    with scattered(tmp_path) as database:
        write(database, o.UpdateVectors(tuple(o.VectorsWrite(n, {"": dense(n, n)}) for n in (10, 11, 13, 14))))
        before, shard = seen(database), shard_of(database)
        slot = shard.slots["many"]
        given_back(database)
        assert seen(database) == before
        assert size_of(shard.vacant.of(slot.id)) > 0


def test_rows_of_a_write_under_way_are_not_taken_for_dead(tmp_path: Path) -> None:
    """A state may be published while they are in the file, and no point of it has them."""
    with scattered(tmp_path) as database:
        shard = shard_of(database)
        slot = shard.slots["many"]
        assert isinstance(slot, MultiSlot)
        mark, committed = slot.file.mark(), slot.file.rows_appended
        with shard.writer_lock:
            slot.file.append(np.ones((100, 2), np.float32))
            with shard.publish_lock:
                shard.freeze(rows=shard.state.rows, operation_id=shard.state.operation_id)
            with open_view(shard) as view:
                dead = reclaiming._dead_rows(shard, view)[slot.id]
            slot.file.rewind(mark)
        assert 0 < dead.max() <= committed


def test_a_search_that_began_before_reads_its_rows_and_is_waited_for(tmp_path: Path) -> None:
    with scattered(tmp_path) as database, patch.object(reclaiming, "READERS_S", 0.05):
        shard = shard_of(database)
        view = open_view(shard)
        offsets = view.state.live.offsets()
        rows = [view.vectors(offsets[at : at + 1], ALL_VECTORS) for at in range(len(offsets))]
        assert given_back(database) == 0
        assert collection_of(database)._compactor.error is None
        again = [view.vectors(offsets[at : at + 1], ALL_VECTORS) for at in range(len(offsets))]
        assert repr(again) == repr(rows)
        view.close()
        moved = shard.state.rows
        assert given_back(database) == 0, "not before some seconds have passed"
        collection_of(database)._compactor._rest.succeeded()
        assert given_back(database) == 0, "a view is not let go of by being closed"
        del view
        collection_of(database)._compactor._rest.succeeded()
        assert given_back(database) > 0
        assert shard.state.rows - moved < 40


def test_waiting_ends_with_the_search(tmp_path: Path) -> None:
    with scattered(tmp_path) as database:
        view = open_view(shard_of(database))
        views, reached = [view], Event()
        del view

        def read() -> None:
            reached.wait()
            sleep(0.05)
            views.pop().close()

        thread = Thread(target=read)
        thread.start()
        assert given_back(database, between=reached.set) > 0
        thread.join()


@pytest.mark.parametrize("checks", [1, 2, 3, 5, 8])
def test_stop_leaves_everything_as_it_was(tmp_path: Path, checks: int) -> None:
    with scattered(tmp_path) as database:
        before = seen(database)
        calls = iter(range(1, 1000))
        collection_of(database)._compactor.step(stop=lambda: next(calls) >= checks)
        assert next(calls) <= checks + 3
        assert seen(database) == before
        assert collection_of(database)._compactor.error is None
        compact(database)
        assert seen(database) == before
        assert share_dead(shard_of(database)) <= 0.1


@pytest.mark.parametrize("ending", ["close", "delete"])
def test_ending_the_collection_ends_it(tmp_path: Path, ending: str) -> None:
    database = scattered(tmp_path)
    before = seen(database)
    end_while_compacted(database, ending)
    with Database(tmp_path) as database:
        assert ending == "delete" or seen(database) == before


def test_what_is_wholly_dead_needs_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scattered(tmp_path) as database:
        before, shard = seen(database), shard_of(database)
        monkeypatch.setattr(PosixFiles, "free_bytes", lambda *_: 1 << 20)
        rows = shard.state.rows
        assert given_back(database) > 0
        assert shard.state.rows == rows
        assert seen(database) == before


def test_a_full_disk_shows_once_it_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scattered(tmp_path) as database:
        write(database, o.DeletePoints(ids(*range(0, 44, 2))))
        monkeypatch.setattr(vacuum, "LEFT_SHARE", 0.0)
        before, compactor = seen(database), collection_of(database)._compactor
        with patch.object(PosixFiles, "free_bytes", lambda *_: 1 << 20):
            for attempt in range(4):
                compact(database)
                assert (compactor.error is None) == (attempt < 2)
                compactor._attempts._retry_at = 0.0
        assert seen(database) == before
        assert database.collection_info(NAME).status is CollectionStatus.RED
        compact(database)
        assert seen(database) == before
        assert database.collection_info(NAME).status is not CollectionStatus.RED


def test_a_damaged_row_stays_where_it_is(tmp_path: Path) -> None:
    database = scattered(tmp_path)
    path = file_names.vector_file(shard_of(database).folder, 0)
    database.close()
    data = bytearray(path.read_bytes())
    data[-3] ^= 0xFF
    path.write_bytes(data)
    with Database(tmp_path) as database, patch.object(vacuum, "LEFT_SHARE", 0.0):
        rows = shard_of(database).state.rows
        write(database, o.DeletePoints(ids(*range(0, 40, 2))))
        compact(database)
        info = database.collection_info(NAME)
        assert shard_of(database).state.rows >= rows
        assert len(passing(database)) == info.points_count


def test_work_is_told_while_it_goes_on(tmp_path: Path) -> None:
    with scattered(tmp_path) as database:
        told: list[tuple[str, bool]] = []

        def between() -> None:
            info = database.collection_info(NAME)
            told.extend((each.kind, each.total > 0) for each in info.optimizations.running)

        assert given_back(database, between=between) > 0
        assert ("vacuum", True) in told
        (ended,) = database.collection_info(NAME).optimizations.completed
        assert (ended.kind, ended.error) == ("vacuum", None)


def test_a_failed_record_is_tried_again(tmp_path: Path) -> None:
    with scattered(tmp_path) as database:
        before = seen(database)
        with patch("qdrantlite.collection.upkeep.reclaiming.vacate", side_effect=StorageFailed("no")):
            assert given_back(database) == 0
        assert seen(database) == before
        rows = shard_of(database).state.rows
        collection_of(database)._compactor._attempts._retry_at = 0.0
        assert given_back(database) > 0
        assert shard_of(database).state.rows - rows < 30
        assert seen(database) == before


def test_found_by_scores_as_before(tmp_path: Path) -> None:
    with scattered(tmp_path) as database:
        before = set(found(database, nearest(dense(1, 2))))
        given_back(database)
        assert set(found(database, nearest(dense(1, 2)))) == before
        assert passing(database, size(9)) == [1]
        assert not np.isin(shard_of(database).state.live.offsets(), _vacant(shard_of(database))).any()


def _vacant(shard: Shard) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.concatenate([np.arange(start, stop) for start, stop in shard.vacant.offsets.tolist()])
