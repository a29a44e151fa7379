"""Read transactions that outlive their views: who takes one over reads the newest commit, and none holds the log."""

import sqlite3
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qdrantlite.storage import file_names, sqlite_file
from qdrantlite.storage.point_store import PointStore, StoreView
from qdrantlite.values.point_id import PointId
from tests.storage.stored_points import all_ids, insert, new_store, put

STEPS = ("open", "open", "close", "close oldest", "begin", "insert", "commit", "rollback", "checkpoint", "cut the log")


@given(st.lists(st.sampled_from(STEPS), min_size=20, max_size=60))
@example(["open", "begin", "insert", "commit", "close", "open"])
@example(["begin", "open", "insert", "close", "commit", "open"])
@example(["open", "open", "close", "begin", "insert", "close", "commit", "open", "open"])
def test_every_view_reads_what_was_committed_when_it_was_opened(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        store = new_store(Path(name))
        committed: list[PointId] = []
        pending: list[PointId] | None = None
        views: list[tuple[StoreView, list[PointId]]] = []
        for number, step in enumerate(steps):
            match step:
                case "open":
                    views.append((store.open_view(), list(committed)))
                    assert all_ids(views[-1][0]) == committed
                case "close" | "close oldest" if views:
                    view, seen = views.pop(0 if step == "close oldest" else -1)
                    assert all_ids(view) == seen
                    view.close()
                case "begin" if pending is None:
                    store.writer.begin()
                    pending = []
                case "insert" if pending is not None:
                    insert(store, [number])
                    pending.append(number)
                case "commit" if pending is not None:
                    store.writer.commit()
                    committed, pending = committed + pending, None
                case "rollback":
                    store.writer.rollback()
                    pending = None
                case "checkpoint":
                    store.checkpoint()
                case "cut the log" if pending is None:
                    assert store.checkpoint(truncate=True) or views
        assert store.is_read == bool(views)
        for view, seen in views:
            assert all_ids(view) == seen
            view.close()
        store.close()


def test_a_view_begins_to_read_only_after_something_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    connect = sqlite_file.connect

    def connected(path: Path, **given: Any) -> sqlite3.Connection:
        connection = connect(path, **given)
        connection.set_trace_callback(lambda text: begun.append(text) if text == "SELECT key FROM state" else None)
        return connection

    monkeypatch.setattr(sqlite_file, "connect", connected)
    store = new_store(tmp_path)
    for _ in range(3):
        store.open_view().close()
    assert len(begun) == 1
    put(store, [1])
    with store.open_view() as view, store.open_view() as other:
        assert all_ids(view) == all_ids(other) == [1]
    for _ in range(2):
        with store.open_view(), store.open_view():
            pass
    assert len(begun) == 3
    store.close()


def test_views_that_come_and_go_let_the_log_start_anew(store: PointStore) -> None:
    """One was open while the log was moved, the next is open while it should start anew."""
    log, sizes = file_names.wal(store._path), list[int]()
    held = store.open_view()
    for number in range(12):
        put(store, [1000 * number + each for each in range(300)])
        sizes.append(log.stat().st_size)
        held.close()
        with store.open_view():
            assert store.checkpoint()
        held = store.open_view()
    held.close()
    assert max(sizes) <= 5 * min(sizes)


def test_nothing_is_taken_over_while_the_writer_writes(store: PointStore) -> None:
    """Not even in the moment when a commit is visible and its writer does not know yet."""
    store.writer.begin()
    insert(store, [1])
    store.open_view().close()
    store.writer._connection.execute("COMMIT")
    with store.open_view() as view:
        assert all_ids(view) == [1]


def test_threads_never_read_less_than_what_was_visible_before(store: PointStore) -> None:
    visible, stop, short = 0, threading.Event(), list[tuple[int, int]]()

    def read() -> None:
        while not stop.is_set():
            least = visible
            with store.open_view() as view:
                if (found := view.state().points) < least:
                    short.append((found, least))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(150):
        store.writer.begin()
        insert(store, [number])
        store.writer.commit()
        visible = store.writer.state().points
    stop.set()
    for thread in threads:
        thread.join()
    assert visible == 150
    assert not short
