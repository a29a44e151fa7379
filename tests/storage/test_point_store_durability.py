"""What is synced survives; what is damaged is refused; the log stays short."""

import json
import os
import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qdrantlite.errors import Corrupted, StorageFailed
from qdrantlite.storage import file_names, sqlite_file
from qdrantlite.storage.catalogue import Catalogue
from qdrantlite.storage.point_store import PointStore, create_store
from qdrantlite.storage.row_format import RowFormat
from qdrantlite.storage.vector_file import VectorFile
from qdrantlite.storage.wal_sync import StoreClosed
from qdrantlite.values.point_id import PointId
from tests.faulty_files import FaultyFiles, PowerLost
from tests.storage.stored_points import FILES, all_ids, insert, new_store, put


def test_sqlite_syncs_what_it_moves_and_what_a_catalogue_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it does is not seen by ``FaultyFiles``: files of SQLite are its own."""
    normal, full = 1, 2
    levels: dict[str, set[int]] = {}
    connect = sqlite_file.connect

    def connected(path: Path, **given: Any) -> sqlite3.Connection:
        connection = connect(path, **given)
        levels.setdefault(path.name, set()).add(connection.execute("PRAGMA synchronous").fetchone()[0])
        return connection

    monkeypatch.setattr(sqlite_file, "connect", connected)
    store = new_store(tmp_path)
    put(store, [1])
    with store.open_view():
        assert not store.checkpoint(truncate=True)
    store.close()
    Catalogue(tmp_path / "catalogue.sqlite3", files=FILES).close()
    assert levels == {"points.sqlite3": {normal}, "catalogue.sqlite3": {full}}


def test_waiting_threads_share_syncs(tmp_path: Path) -> None:
    files = FaultyFiles(tmp_path)
    store = new_store(tmp_path, files=files)
    files.syncs = 0
    lock, commits = threading.Lock(), 40

    def write(thread: int) -> None:
        for number in range(commits):
            with lock:
                store.writer.begin()
                insert(store, [thread * 1000 + number])
                commit_seq = store.writer.commit()
            store.sync(commit_seq)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.writer.state().points == 8 * commits
    assert 0 < files.syncs < 8 * commits
    synced = files.syncs
    for number in range(5):
        store.writer.begin()
        insert(store, [10**6 + number])
        last = store.writer.commit()
    store.sync(last - 4)
    store.sync(last)
    assert files.syncs == synced + 1
    store.close()


def test_commits_nobody_waits_for_become_durable_with_one_sync(tmp_path: Path) -> None:
    files = FaultyFiles(tmp_path)
    store = new_store(tmp_path, files=files)
    for number in range(3):
        store.writer.begin()
        insert(store, [number])
        store.writer.commit()
    files.syncs = 0
    store.sync_all()
    store.sync_all()
    assert files.syncs == 1
    store.close()


class _FailingSync(FaultyFiles):
    failing = False

    def tick(self) -> None:
        super().tick()
        if self.failing:
            raise StorageFailed("input/output error")


def test_after_a_failed_sync_every_write_is_refused(tmp_path: Path) -> None:
    files = _FailingSync(tmp_path)
    store = new_store(tmp_path, files=files)
    put(store, [1])
    store.writer.begin()
    insert(store, [2])
    commit_seq = store.writer.commit()
    files.failing = True
    with pytest.raises(StorageFailed):
        store.sync(commit_seq)
    files.failing = False
    with pytest.raises(StorageFailed, match="reopen"):
        store.sync(commit_seq)
    with pytest.raises(StorageFailed, match="reopen"):
        store.writer.begin()
    store.close()


class _SlowSync(FaultyFiles):
    """A sync of the log that lasts until it is let go on."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.entered, self.go_on = threading.Event(), threading.Event()

    def sync_directory(self, path: Path) -> None:
        super().sync_directory(path)
        self.entered.set()
        assert self.go_on.wait(10)


def test_store_is_not_closed_while_it_is_synced_and_tells_those_who_come_later(tmp_path: Path) -> None:
    create_store(tmp_path / "points.sqlite3", files=FILES)
    files = _SlowSync(tmp_path)
    store = PointStore(tmp_path / "points.sqlite3", files=files)
    commits = list[int]()
    for number in range(2):
        store.writer.begin()
        insert(store, [number])
        commits.append(store.writer.commit())
        if number == 0:
            syncing = threading.Thread(target=store.sync, args=commits)
            syncing.start()
            assert files.entered.wait(10)
    closing = threading.Thread(target=store.close)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive(), "its descriptor is being synced"
    files.go_on.set()
    syncing.join()
    closing.join()
    store.sync(commits[0])
    with pytest.raises(StoreClosed):
        store.sync(commits[1])
    with pytest.raises(StoreClosed):
        store.open_view()


def test_checkpoint_empties_the_log_and_gives_way_to_views(store: PointStore) -> None:
    put(store, list(range(3000)))
    assert store.wal_bytes() > 50_000
    view = store.open_view()
    assert store.checkpoint()
    assert store.wal_bytes() == 0
    assert not store.checkpoint(truncate=True)
    view.close()
    assert store.checkpoint(truncate=True)
    assert store.wal_bytes() == 0
    put(store, [5000])
    assert 0 < store.wal_bytes() < 50_000
    with store.open_view() as after:
        assert len(all_ids(after)) == 3001


def test_checkpoint_under_the_writer_lock_catches_up_with_steady_writing(store: PointStore) -> None:
    lock, stop = threading.Lock(), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            with lock:
                put(store, [number])
            number += 1

    thread = threading.Thread(target=write)
    thread.start()
    done = [store.checkpoint(writer_lock=lock) for _ in range(5)]
    stop.set()
    thread.join()
    assert all(done)


def test_backup_is_one_commit_and_reports_progress(store: PointStore, tmp_path: Path) -> None:
    put(store, list(range(5000)))
    store.writer.begin()
    insert(store, [9999])
    reports: list[tuple[int, int]] = []
    store.backup(tmp_path / "copy.sqlite3", progress=lambda done, total: reports.append((done, total)))
    store.writer.commit()
    assert reports[-1][0] == reports[-1][1] > 0
    copy = PointStore(tmp_path / "copy.sqlite3", files=FILES)
    assert all_ids(copy.writer) == list(range(5000))
    copy.close()


@pytest.mark.parametrize("place", [3, 20, 70, 105, 4097])
def test_damaged_store_is_refused_in_clear_words(tmp_path: Path, place: int) -> None:
    path = tmp_path / "points.sqlite3"
    create_store(path, files=FILES)
    content = bytearray(path.read_bytes())
    content[place : place + 40] = b"\xa5" * 40
    path.write_bytes(content)
    with pytest.raises(Corrupted, match=r"is damaged.*points\.sqlite3"):
        _open_and_write(path)


def _open_and_write(path: Path) -> None:
    store = PointStore(path, files=FILES)
    try:
        put(store, [1])
    finally:
        store.close()


def test_cut_or_missing_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "points.sqlite3"
    with pytest.raises(StorageFailed):
        PointStore(path, files=FILES)
    assert not path.exists()
    create_store(path, files=FILES)
    os.truncate(path, 4096)
    with pytest.raises(Corrupted):
        PointStore(path, files=FILES)


def test_collection_of_one_point_takes_at_most_100_kib(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    create_store(file_names.points(folder), files=FILES)
    store = PointStore(file_names.points(folder), files=FILES)
    store.writer.begin()
    number = store.writer.create_vector("")
    rows = VectorFile(
        file_names.vector_file(folder, number),
        RowFormat("float32", 384),
        rows=0,
        crc=0,
        checksums=lambda: np.empty(0, np.uint32),
        files=FILES,
    )
    rows.append(np.ones((1, 384), np.float32))
    rows.sync()
    insert(store, [1], [json.dumps({"name": "x" * 200}).encode()])
    store.writer.put_rows(number, rows=1, crc=rows.tail().crc, finished=())
    store.sync(store.writer.commit())

    def disk_bytes() -> int:
        return 4096 + sum(path.stat().st_blocks * 512 for path in folder.rglob("*"))

    assert disk_bytes() <= 100 * 1024
    store.checkpoint(truncate=True)
    assert disk_bytes() <= 80 * 1024
    rows.close()
    store.close()


def _write_until_power_is_lost(folder: Path, files: FaultyFiles) -> tuple[list[PointId], list[PointId], bool]:
    """Ids acknowledged; ids of the one transaction that was under way."""
    path = folder / "points.sqlite3"
    acknowledged: list[PointId] = []
    store = PointStore(path, files=files)
    try:
        for number in range(6):
            under_way: list[PointId] = list(range(number * 100, number * 100 + 30))
            put(store, under_way)
            acknowledged += under_way
        return acknowledged, [], True
    except PowerLost:
        return acknowledged, under_way, False
    finally:
        shutil.copytree(folder, folder.with_name(folder.name + "-frozen"))
        store.close()


def test_power_cut_at_every_sync_loses_nothing_acknowledged_and_halves_nothing(tmp_path: Path) -> None:
    fail_at, finished = 0, False
    while not finished:
        fail_at += 1
        folder = tmp_path / f"run{fail_at}"
        folder.mkdir()
        create_store(folder / "points.sqlite3", files=FILES)
        files = FaultyFiles(folder, fail_at=fail_at)
        acknowledged, under_way, finished = _write_until_power_is_lost(folder, files)
        frozen = folder.with_name(folder.name + "-frozen")
        shutil.rmtree(folder)
        frozen.rename(folder)
        for seed in range(6):
            crashed = tmp_path / f"crash{fail_at}-{seed}"
            files.crash_state(crashed, seed=seed)
            store = PointStore(crashed / "points.sqlite3", files=FILES)
            assert all_ids(store.writer) in (acknowledged, acknowledged + under_way)
            put(store, [10**6])
            store.close()
    assert fail_at > 6
