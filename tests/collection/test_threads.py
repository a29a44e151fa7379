"""Rounds of upkeep that fail are shown and hold up nobody else; what cannot be tended any more says so."""

import threading
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from unittest.mock import patch

import pytest

from qdrantlite.collection import threads
from qdrantlite.collection.collection import Collection
from qdrantlite.collection.upkeep.shard_copy import ShardCopy
from qdrantlite.database import Database
from qdrantlite.errors import StorageFailed
from qdrantlite.storage.point_store import PointStore
from qdrantlite.values.record import CollectionStatus
from tests.collection.compacted import untended
from tests.collection.small import (
    CONFIG,
    NAME,
    collection_of,
    opened,
    point,
    upsert,
    write,
)
from tests.raised import raised_by, until

RED, GREEN = CollectionStatus.RED, CollectionStatus.GREEN


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with untended(), opened(tmp_path) as database:
        yield database


# -- rounds of upkeep


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), MemoryError(), KeyError("a mistake")])
def test_failing_round_is_shown_and_the_next_collection_is_tended(tmp_path: Path, error: Exception) -> None:
    checked, broken = PointStore.wal_bytes, list[PointStore]()

    def failing(store: PointStore) -> int:
        if store in broken:
            raise error
        return checked(store)

    with (
        patch.object(threads, "MAINTENANCE_S", 0.01),
        patch.object(threads, "IDLE_S", 0.0),
        opened(tmp_path) as database,
    ):
        database.create_collection("other", CONFIG)
        with patch.object(PointStore, "wal_bytes", failing):
            broken.append(collection_of(database).shard.store)
            database.write(NAME, (upsert(point(1)),), wait=False)
            database.write("other", (upsert(point(1)),), wait=False)
            until(lambda: database.collection_info(NAME).status is RED)
            until(lambda: collection_of(database, "other").shard.changed_since_checkpoint == 0)
            text = database.collection_info(NAME).optimizer_error
            assert text in ("Too many open files", "out of memory", "Service internal error")
            wal = collection_of(database).shard.store._wal
            until(lambda: wal._durable == wal._committed)
        collection_of(database)._upkeep._retry_at = 0.0
        until(lambda: database.collection_info(NAME).status is GREEN)


def test_after_a_failed_sync_the_collection_is_red_and_each_thread_has_an_error_of_its_own(database: Database) -> None:
    write(database, upsert(point(1)))
    raised = list[Exception]()

    def writes(number: int) -> None:
        raised.append(raised_by(lambda: write(database, upsert(point(number)))))

    with patch("qdrantlite.storage.files.sync_descriptor", side_effect=OSError(5, "Input/output error")):
        threads = [Thread(target=writes, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {type(error) for error in raised} == {StorageFailed}
    assert len({id(error) for error in raised}) == 4
    info = database.collection_info(NAME)
    assert (info.status, "nput/output error" in (info.optimizer_error or "")) == (RED, True)


@pytest.mark.parametrize("thread", ["maintain", "optimize"])
def test_thread_that_ends_by_a_mistake_is_fatal(tmp_path: Path, thread: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, told = Event(), list[object]()
    monkeypatch.setattr(threading, "excepthook", told.append)
    with (
        patch.object(threads, "MAINTENANCE_S", 0.01),
        patch.object(Collection, thread, side_effect=ZeroDivisionError),
        Database(tmp_path, fatal=ended.set) as database,
    ):
        database.create_collection(NAME, CONFIG)
        write(database, upsert(point(1)))
        assert ended.wait(60)
        until(lambda: len(told) == 1)
        info = database.collection_info(NAME)
        assert (info.status, info.optimizer_error) == (RED, "upkeep has ended; start the server anew")


def test_failing_probe_of_compaction_is_that_rounds(database: Database) -> None:
    write(database, upsert(*(point(n) for n in range(30))))
    with patch.object(ShardCopy, "follow", side_effect=KeyError), patch("tests.collection.compacted.SETTINGS", CONFIG):
        collection = collection_of(database)
        with patch("qdrantlite.collection.upkeep.compaction.is_worn", side_effect=KeyError):
            for _ in range(3):
                collection._compactor._attempts._retry_at = 0.0
                collection.optimize(lambda: False)
        assert (database.collection_info(NAME).status, collection._compactor.error) == (RED, "Service internal error")
