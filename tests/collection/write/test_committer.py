"""Many threads write at once: all is applied in one order, each request by itself, and nobody sees a half."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Barrier, Event, Thread
from time import sleep
from unittest.mock import patch

import pytest

from qdrantlite.collection.write.columns import PointColumns
from qdrantlite.collection.write.transaction import Transaction
from qdrantlite.database import Database
from qdrantlite.deadline import FOREVER, Deadline
from qdrantlite.errors import NotFound, StorageFailed
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.filter import Filter
from qdrantlite.storage.store_writer import StoreWriter
from qdrantlite.values.record import UpdateStatus
from qdrantlite.values.vector import U32
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
from tests.faulty_files import FaultyFiles

THREADS = 8


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


def together(*works: Callable[[], object]) -> list[Exception]:
    """Runs all at once; what they raised."""
    barrier, raised = Barrier(len(works)), list[Exception]()

    def run(work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            work()
        except Exception as error:
            raised.append(error)

    threads = [Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def queued(database: Database, *requests: tuple[o.Operation, ...]) -> list[Exception]:
    """Requests that are all waiting when the first of them leads: they are written as one group."""
    collection = collection_of(database)
    waiting = collection._committer._waiting
    threads, raised = list[Thread](), list[Exception]()

    def run(request: tuple[o.Operation, ...]) -> None:
        try:
            database.write(NAME, request, wait=True)
        except Exception as error:
            raised.append(error)

    with collection.shard.writer_lock:
        for number, request in enumerate(requests, start=1):
            threads.append(Thread(target=run, args=(request,)))
            threads[-1].start()
            while len(waiting) < number:
                sleep(0.001)
    for thread in threads:
        thread.join()
    return raised


def test_threads_get_operation_ids_of_their_own_without_gaps(database: Database) -> None:
    given: list[int] = []

    def work(thread: int) -> Callable[[], object]:
        def run() -> None:
            for number in range(20):
                given.extend(write(database, upsert(point(thread * 100 + number)), o.ClearPayload(ids())))

        return run

    assert together(*(work(thread) for thread in range(THREADS))) == []
    assert sorted(given) == list(range(1, 2 * 20 * THREADS + 1))
    assert passing(database) == [thread * 100 + number for thread in range(THREADS) for number in range(20)]


def test_failing_request_takes_none_of_its_group_with_it(database: Database) -> None:
    database.alter(NAME, o.CreateFieldIndex("size", INTEGER))
    write(database, upsert(point(1, size=1)))
    late = (upsert(point(9, size=9)), o.SetPayload({}, ids(404)))
    requests = [(upsert(point(number, size=number)),) for number in range(2, 6)]
    raised = queued(database, requests[0], late, requests[1], late, *requests[2:])
    assert [type(error) for error in raised] == [NotFound, NotFound]
    assert passing(database) == [1, 2, 3, 4, 5]
    assert passing(database, size(9)) == []
    assert found(database, nearest(dense(1, 0))) == [5, 4, 3, 2, 1]
    assert write(database, upsert()) == (8,)


def test_group_sees_its_earlier_requests(database: Database) -> None:
    write(database, upsert(point(1)))
    sizes = Filter(must=(size(1),))
    queued(
        database,
        (o.SetPayload({"size": 1}, ids(1)), upsert(point(2, size=1))),
        (o.SetPayload({"size": 2, "grown": True}, o.Selector(filter=sizes)),),
        (o.DeletePoints(o.Selector(filter=Filter(must=(size(2),), must_not=(size(1),)))), upsert(point(3))),
    )
    assert passing(database) == [3]


def test_mistake_in_one_request_is_not_told_to_its_neighbours(database: Database) -> None:
    insert = Transaction._insert

    def broken(transaction: Transaction, columns: PointColumns, *, replaced: U32) -> None:
        insert(transaction, columns, replaced=replaced)
        if columns.ids == [1]:
            raise ZeroDivisionError("a mistake of ours")

    write(database, upsert(point(1)))
    with patch.object(Transaction, "_insert", broken):
        raised = queued(database, (upsert(point(2)),), (upsert(point(1)),), (upsert(point(3)),))
    assert [type(error) for error in raised] == [ZeroDivisionError]
    assert passing(database) == [1, 2, 3]


@pytest.mark.parametrize("error", [StorageFailed("full"), ZeroDivisionError("a mistake of ours")])
def test_nobody_is_told_of_success_when_the_group_is_lost(database: Database, error: Exception) -> None:
    write(database, upsert(point(1)))
    before = contents(database)
    with patch.object(StoreWriter, "put_operation", side_effect=error):
        raised = queued(database, *[(upsert(point(number)),) for number in range(1, 5)])
    assert [(type(each), str(each)) for each in raised] == [(type(error), str(error))] * 4
    assert len({id(each) for each in raised}) == 4, "each thread raises an object of its own"
    assert contents(database) == before
    assert write(database, upsert(point(7))) == (2,)
    assert found(database, nearest(dense(1, 0))) == [7, 1]


def test_write_that_takes_longer_than_its_timeout_happens_all_the_same(database: Database) -> None:
    (result,) = database.write(NAME, (upsert(point(1)),), wait=True, deadline=Deadline(0))
    assert result.status is UpdateStatus.WAIT_TIMEOUT
    assert passing(database) == [1]


def test_search_never_loses_a_point_that_is_being_replaced(database: Database) -> None:
    every = list(range(50))
    database.alter(NAME, o.CreateFieldIndex("size", INTEGER))
    replacing = [upsert(*(point(number, size=7) for number in every[start::2])) for start in (0, 1)]
    write(database, *replacing)
    stop, failures, searches = Event(), list[object](), list[int]()

    def writer(operation: o.Operation) -> None:
        while not stop.is_set():
            write(database, operation)

    def reader() -> None:
        nearest_all, filtered = nearest(dense(1, 0)), nearest(dense(1, 0), "many", 100, size(7))
        for _ in range(40):
            answers = database.search_batch(NAME, (nearest_all, filtered))
            hits = [sorted(hit.record.id for hit in answer if isinstance(hit.record.id, int)) for answer in answers]
            page = database.scroll(NAME, s.Scroll(filter=Filter(must=(size(7),)), limit=100))
            read = database.retrieve(NAME, tuple(every), s.ALL_PAYLOAD, s.ALL_VECTORS)
            complete = all(set(record.vectors or ()) == {"", "many", "words"} for record in read)
            found_ids = [*hits, [record.id for record in page.records], [record.id for record in read]]
            if found_ids != [every] * 4 or not complete or database.count(NAME, None) != 50:
                failures.append(found_ids)
            searches.append(1)

    writers = [Thread(target=writer, args=(operation,)) for operation in replacing]
    readers = [Thread(target=reader) for _ in range(2)]
    for thread in (*writers, *readers):
        thread.start()
    for thread in readers:
        thread.join()
    stop.set()
    for thread in writers:
        thread.join()
    assert failures == []
    assert len(searches) == 80


def test_batch_of_searches_sees_one_state(database: Database) -> None:
    write(database, upsert(point(1, size=0)))
    stop = Event()

    def writer() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            write(database, upsert(point(1, {"": dense(number, 1)})))

    thread = Thread(target=writer)
    thread.start()
    one = nearest(dense(1, 0))
    different, rounds = set[float](), 0
    while rounds < 100 or (len(different) < 2 and rounds < 10_000):
        rounds += 1
        answers = database.search_batch(NAME, (one, one, one))
        different.add(answers[0][0].score)
        assert len({(answer[0].score, answer[0].version) for answer in answers}) == 1
    stop.set()
    thread.join()
    assert len(different) > 1


def test_closed_collection_is_not_found(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        collection = collection_of(database)
        view = collection.open_view()
        database.delete_collection(NAME)
        with pytest.raises(NotFound):
            database.count(NAME, None)
        with pytest.raises(NotFound):
            collection.search([nearest(dense(1, 1))], open_other=lambda _: view, deadline=FOREVER)
        with pytest.raises(NotFound):
            collection.write((upsert(),), wait=True, deadline=FOREVER)
        with pytest.raises(NotFound):
            collection._committer.write((upsert(),), config=collection.config, wait=True, deadline=FOREVER)
        with pytest.raises(NotFound):
            collection.alter(o.DeleteFieldIndex("a"), deadline=FOREVER)
        view.close()


def test_what_nobody_waits_for_is_synced_once_the_collection_is_tended(tmp_path: Path) -> None:
    files = FaultyFiles(tmp_path)
    with Database(tmp_path / "db", files=files) as database:
        database.create_collection(NAME, CONFIG)
        database._upkeep.stop()
        collection = collection_of(database)
        collection.maintain(idle=False)
        database.write(NAME, (upsert(point(1)),), wait=False)
        written = files.syncs
        collection.maintain(idle=False)
        assert files.syncs == written + 1
        collection.maintain(idle=False)
        assert files.syncs == written + 1
