"""What a durable commit costs: our commit and separate sync against SQLite's FULL, and many threads sharing a sync."""

import sqlite3
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import orjson

from benchmarks.measure import median_ms, show
from qdrantlite.storage.files import PosixFiles
from qdrantlite.storage.point_store import PointStore, create_store

PAYLOAD = orjson.dumps({"name": "x" * 120, "n": 5})
FILES = PosixFiles()
SECONDS = 1.5
CHECKPOINT_BYTES = 4 << 20


def insert(store: PointStore, count: int) -> int:
    """One transaction of ``count`` new points; returns its commit number."""
    writer = store.writer
    writer.begin()
    start = writer.state().offset_next
    offsets = np.arange(start, start + count, dtype=np.uint32)
    writer.insert_points(offsets, offsets.tolist(), version=1, payloads=[PAYLOAD] * count, presence=[1] * count)
    writer.put_offset_next(start + count)
    return writer.commit()


def opened(folder: Path, name: str) -> PointStore:
    """A new, empty store."""
    create_store(folder / name, files=FILES)
    return PointStore(folder / name, files=FILES)


def full_commit_ms(folder: Path, count: int) -> float:
    """The same rows with ``synchronous=FULL``: commit and durability are one call."""
    create_store(folder / f"full{count}", files=FILES)
    connection = sqlite3.connect(folder / f"full{count}", isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    number = 0

    def commit() -> None:
        nonlocal number
        connection.execute("BEGIN")
        rows = [(number + row, number + row, 1, 1, PAYLOAD) for row in range(count)]
        connection.executemany("INSERT INTO points VALUES(?, ?, ?, ?, ?)", rows)
        number += count
        connection.execute("COMMIT")

    taken = median_ms(commit, runs=100)
    connection.close()
    return taken


def commits_per_second(folder: Path, threads: int) -> float:
    """One-point transactions, each durable before the next of its thread."""
    store = opened(folder, f"threads{threads}")
    writer_lock = threading.Lock()
    done = [0] * threads
    end = time.perf_counter() + SECONDS

    def work(number: int) -> None:
        while time.perf_counter() < end:
            with writer_lock:
                commit_seq = insert(store, 1)
            store.sync(commit_seq)
            done[number] += 1
            if number == 0 and store.wal_bytes() > CHECKPOINT_BYTES:
                store.checkpoint(writer_lock=writer_lock)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    store.close()
    return sum(done) / SECONDS


def main() -> None:
    """Runs and prints."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = []
        for count in (1, 500):
            store = opened(folder, f"own{count}")
            visible = median_ms(lambda store=store, count=count: insert(store, count), runs=100)
            durable = median_ms(lambda store=store, count=count: store.sync(insert(store, count)), runs=100)
            store.close()
            full = full_commit_ms(folder, count)
            rows.append(
                [f"{count} points", f"{visible:.2f}", f"{durable:.2f}", f"{full:.2f}", f"{full / visible:.1f} x"]
            )
        show(
            "Transactions, median ms",
            [
                "one writer",
                "until visible",
                "until durable",
                "FULL",
                "FULL / visible: how much shorter the lock is held",
            ],
            rows,
        )
        alone = commits_per_second(folder, 1)
        shared = [
            [f"{n} threads", f"{(rate := commits_per_second(folder, n)):,.0f}", f"{rate / alone:.2f} x"]
            for n in (1, 4, 8)
        ]
        show("Durable one-point commits a second", ["writers", "commits/s", "against one thread"], shared)


if __name__ == "__main__":
    main()
