"""Searches alike are bound and planned once for each state, and read SQLite only when they must; nobody sees it."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import sleep
from unittest.mock import patch

import pytest

from qdrantlite.collection import collection as collection_module
from qdrantlite.collection.read import prepare as module
from qdrantlite.database import Database
from qdrantlite.deadline import Deadline
from qdrantlite.errors import BadInput, NotFound
from qdrantlite.execute.executor import execute_all as original
from qdrantlite.execute.ranking import Ranking
from qdrantlite.execute.view import ShardView
from qdrantlite.plan.nodes import Node
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.filter import Condition, Filter
from qdrantlite.storage.point_store import StoreView
from tests.collection.small import (
    INTEGER,
    NAME,
    collection_of,
    dense,
    found,
    ids,
    opened,
    point,
    size,
    upsert,
    write,
)


def pattern(*must: Condition, using: str = "", limit: int = 3, offset: int = 0) -> s.Search:
    stage = s.Prefetch(query=s.Nearest(dense(0, 0)), using=using, limit=limit, filter=Filter(must=must))
    return s.Search(stage, offset, with_payload=s.ALL_PAYLOAD)


def like(shared: s.Search, *values: float) -> s.Search:
    stage = shared.stage
    mine = s.Prefetch(query=s.Nearest(dense(*values)), using=stage.using, limit=stage.limit, filter=stage.filter)
    return s.Search(mine, shared.offset, shared.with_payload, shared.with_vectors)


@contextmanager
def counted(owner: object, name: str) -> Iterator[list[None]]:
    """One entry for each call."""
    original: Callable[..., object] = getattr(owner, name)
    calls: list[None] = []

    def call(*args: object, **kwargs: object) -> object:
        calls.append(None)
        return original(*args, **kwargs)

    with patch.object(owner, name, call):
        yield calls


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        write(database, upsert(*(point(number, size=number % 2) for number in range(1, 9))))
        database.alter(NAME, o.CreateFieldIndex("size", INTEGER))
        yield database


@pytest.mark.parametrize("shared", [pattern(), pattern(size(1)), pattern(offset=2), pattern(size(5))])
def test_searches_alike_are_bound_once_and_answered_as_all_others_are(database: Database, shared: s.Search) -> None:
    questions = [(1.0, 0.0), (-1.0, 0.5), (0.0, 1.0)]
    alone = [s.Search(like(shared, *q).stage, shared.offset, s.ALL_PAYLOAD) for q in questions]
    with patch.object(module, "shape_of", return_value=None):
        expected = [database.search(NAME, search) for search in alone]
    with counted(module, "bind") as bound:
        assert [database.search(NAME, like(shared, *q)) for q in questions] == expected
        assert len(bound) == 1
        batch = tuple(like(shared, *q) for q in questions)
        assert database.search_batch(NAME, batch) == expected
        assert len(bound) == 1
        named = s.Search(replace(alone[0].stage, query=s.Nearest(1)), shared.offset, s.ALL_PAYLOAD)
        assert database.search_batch(NAME, (*batch, named))[:3] == expected
        assert len(bound) == 2


def test_one_row_asked_of_a_multivector_is_answered_each_time(database: Database) -> None:
    shared = pattern(using="many")
    first = found(database, like(shared, 1, 0))
    assert len(first) == 3
    assert found(database, like(shared, 1, 0)) == first


def test_a_vector_that_does_not_fit_is_refused_each_time(database: Database) -> None:
    shared = pattern()
    for _ in range(2):
        with pytest.raises(BadInput, match="expected dim: 2, got 3"):
            database.search(NAME, like(shared, 1, 2, 3))


def test_every_kind_of_write_is_seen_by_searches_alike(database: Database) -> None:
    shared = pattern(size(1), limit=10)

    def seen() -> list[tuple[object, object]]:
        return [(hit.record.id, hit.record.payload) for hit in database.search(NAME, like(shared, 1, 0))]

    assert [point_id for point_id, _ in seen()] == [7, 5, 3, 1]
    write(database, o.DeletePoints(ids(7)))
    assert [point_id for point_id, _ in seen()] == [5, 3, 1]
    write(database, o.SetPayload({"size": 0}, ids(5)))
    assert [point_id for point_id, _ in seen()] == [3, 1]
    write(database, upsert(point(3, size=1, name="new")))
    assert seen()[0] == (3, {"size": 1, "name": "new"})
    database.alter(NAME, o.DeleteFieldIndex("size"))
    assert [point_id for point_id, _ in seen()] == [3, 1]


def test_a_page_of_known_records_reads_nothing(database: Database) -> None:
    shared = pattern()
    first = database.search(NAME, like(shared, 1, 0))
    with counted(StoreView, "records") as read:
        assert database.search(NAME, like(shared, 1, 0)) == first
        assert not read
        found(database, like(shared, -1, 0))
        assert len(read) == 1


@contextmanager
def after_first_walk(work: Callable[[], object]) -> Iterator[None]:
    """Does something between a search's walk and its page, once."""
    pending = [work]

    def execute_all(nodes: Sequence[Node], view: ShardView, *, deadline: Deadline) -> list[Ranking]:
        rankings = original(nodes, view, deadline=deadline)
        if pending:
            pending.pop()()
        return rankings

    with patch.object(collection_module, "execute_all", execute_all):
        yield


def test_a_search_is_answered_from_the_state_it_began_with(database: Database) -> None:
    shared = pattern()
    found(database, like(shared, 1, 0))
    works: tuple[Callable[[], object], ...] = (
        lambda: write(database, o.DeletePoints(ids(1))),
        lambda: write(database, upsert(point(0))),
        lambda: database.delete_collection(NAME),
    )
    for work in works:
        before = found(database, like(shared, -1, 0))
        with after_first_walk(work), counted(module, "bind") as bound:
            assert found(database, like(shared, -1, 0)) == before
        assert not bound
        if NAME in database.list_collections():
            assert found(database, like(shared, -1, 0)) != before
    with pytest.raises(NotFound):
        found(database, like(shared, -1, 0))


def test_searches_alike_among_writers_always_see_one_commit(database: Database) -> None:
    shared = pattern(limit=8)
    stop = False

    def watch() -> int:
        asked = 0
        while not stop:
            hits = database.search(NAME, like(shared, 1, 0))
            steps = {hit.record.payload["step"] for hit in hits if hit.record.payload and "step" in hit.record.payload}
            assert len(hits) == 8
            assert len(steps) <= 1
            asked += 1
            sleep(
                0.0005
            )  # Or the writer gets the interpreter's lock once in 5 ms: these searches never wait for anything.
        return asked

    with ThreadPoolExecutor(3) as threads:
        watching = [threads.submit(watch) for _ in range(3)]
        try:
            for step in range(150):
                write(database, o.SetPayload({"step": step}, ids(*range(1, 9))))
        finally:
            stop = True
        assert all(future.result() > 0 for future in watching)


def test_a_search_counts_as_a_reader_until_it_ends(database: Database) -> None:
    shared, store = pattern(), collection_of(database).shard.store
    seen: list[bool] = []
    with after_first_walk(lambda: seen.append(store.is_read)):
        found(database, like(shared, 1, 0))
    assert seen == [True]
    assert not store.is_read


def test_views_close_when_a_search_fails(database: Database) -> None:
    shared = pattern()
    found(database, like(shared, 1, 0))
    with patch.object(StoreView, "records", side_effect=RuntimeError("disk")), pytest.raises(RuntimeError):
        found(database, like(shared, -1, 0))
    assert not collection_of(database).shard.store.is_read
