"""What commits, checkpoints and searches cost each other, on a collection with three indexes and a sparse vector.

In process, no network. No two searches and no two filters are alike but for values drawn again. Graphs are off, so that
none is built beside, unless asked for with ``--graph``: then searches without a filter are measured, too.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.measure import show
from qdrantlite import startup
from qdrantlite.collection.collection import Collection
from qdrantlite.collection.shard.checkpoint import write_checkpoint
from qdrantlite.collection.threads import IDLE_S, MAINTENANCE_S
from qdrantlite.database import Database
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.filter import FieldCondition, Filter, MatchKeyword
from qdrantlite.values.distance import Distance
from qdrantlite.values.record import CollectionStatus
from qdrantlite.values.schema import (
    OPTIMIZERS_DEFAULT,
    CollectionConfig,
    FieldIndex,
    FieldKind,
    SparseVectorParams,
    VectorParams,
)
from qdrantlite.values.vector import DenseVector, SparseVector

NAME, DIMENSION, WORDS, NONZEROS = "points", 32, 5000, 8
CONFIG = CollectionConfig(
    vectors={"": VectorParams(DIMENSION, Distance.DOT)},
    sparse_vectors={"words": SparseVectorParams()},
)
FIELDS = {"color": FieldKind.KEYWORD, "tenant": FieldKind.KEYWORD, "size": FieldKind.INTEGER}
COLORS, TENANTS = 50, 10_000
COMMITS_PER_S = 60


class Load:
    """Points and searches drawn from one generator."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.rng = np.random.default_rng(11)
        self.points = 0

    def write(self, count: int) -> float:
        """Writes new points in one request; seconds until it was durable, the making of the request left out."""
        rng, first = self.rng, self.points
        rows = rng.normal(size=(count, DIMENSION)).astype(np.float32)
        words = np.sort(rng.integers(0, WORDS, (count, NONZEROS)), axis=1)
        points = [
            o.PointWrite(
                first + number,
                {"": DenseVector(rows[number]), "words": _words(words[number])},
                {
                    "color": f"c{rng.integers(COLORS)}",
                    "tenant": f"t{rng.integers(TENANTS)}",
                    "size": int(rng.integers(1 << 20)),
                },
            )
            for number in range(count)
        ]
        self.points += count
        started = time.perf_counter()
        self.database.write(NAME, (o.Upsert(tuple(points)),), wait=True)
        return time.perf_counter() - started

    def search(self, wanted: Filter | None) -> float:
        """Seconds of one search."""
        vector = DenseVector(self.rng.normal(size=DIMENSION).astype(np.float32))
        search = s.Search(s.Prefetch(query=s.Nearest(vector), limit=10, filter=wanted))
        started = time.perf_counter()
        self.database.search(NAME, search)
        return time.perf_counter() - started

    def tenant(self) -> Filter:
        """One of ten thousand."""
        return Filter(must=(FieldCondition("tenant", MatchKeyword(f"t{self.rng.integers(TENANTS)}")),))

    def color(self) -> Filter:
        """One of fifty."""
        return Filter(must=(FieldCondition("color", MatchKeyword(f"c{self.rng.integers(COLORS)}")),))


def _words(indices: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> SparseVector:
    distinct = np.unique(indices).astype(np.uint32)
    return SparseVector(distinct, np.ones(len(distinct), dtype=np.float32))


def rate(search: Callable[[], float], seconds: float) -> tuple[float, float, float, float]:
    """Searches a second, the median and longest in ms, and the processor's time of one in us, with its drawing."""
    times, end, began = [], time.perf_counter() + seconds, time.thread_time()
    while time.perf_counter() < end:
        times.append(search())
    processor = (time.thread_time() - began) / len(times)
    return len(times) / seconds, 1e3 * statistics.median(times), 1e3 * max(times), 1e6 * processor


def beside(load: Load, seconds: float, *, plain: bool) -> list[list[str]]:
    """Rates without and with sixty commits a second."""
    kinds: dict[str, Callable[[], Filter | None]] = {"by tenant": load.tenant, "by color": load.color}
    if plain:
        kinds["without a filter"] = lambda: None
    alone = {name: rate(lambda draw=draw: load.search(draw()), seconds) for name, draw in kinds.items()}
    stop, commits = threading.Event(), list[float]()

    def write() -> None:
        other = Load(load.database)
        other.points = load.points + 1_000_000
        while not stop.is_set():
            started = time.perf_counter()
            commits.append(other.write(1))
            stop.wait(max(0.0, 1 / COMMITS_PER_S - (time.perf_counter() - started)))

    writer = threading.Thread(target=write)
    writer.start()
    with_writer = {name: rate(lambda draw=draw: load.search(draw()), seconds) for name, draw in kinds.items()}
    stop.set()
    writer.join()
    rows = [
        [
            name,
            *(f"{value:,.1f}" for value in alone[name]),
            *(f"{value:,.1f}" for value in with_writer[name]),
            f"{with_writer[name][0] / alone[name][0]:.2f}",
            f"{alone[name][3] / with_writer[name][3]:.2f}",
        ]
        for name in kinds
    ]
    done = f"{len(commits) / (len(kinds) * seconds):.0f} commits/s, median {1e3 * statistics.median(commits):.1f} ms"
    return [*rows, ["meanwhile", done, *[""] * 9]]


def rest(database: Database) -> None:
    """Returns when nothing is merged, written or built any more of what was written before."""
    time.sleep(IDLE_S + 2 * MAINTENANCE_S)
    collection = database._on(NAME, lambda collection: collection)
    while collection.shard.changed_since_checkpoint or collection.info().status is not CollectionStatus.GREEN:
        time.sleep(MAINTENANCE_S)


def checkpoint_row(collection: Collection, load: Load, folder: Path) -> list[str]:
    """A checkpoint after one point."""
    write_checkpoint(collection.shard)
    load.write(1)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("derived/*")}
    started = time.perf_counter()
    write_checkpoint(collection.shard)
    taken = time.perf_counter() - started
    written = sum(
        path.stat().st_size for path in folder.rglob("derived/*") if before.get(path) != path.stat().st_mtime_ns
    )
    return ["checkpoint after one point", f"{1e3 * taken:.1f} ms, {written / 2**20:.2f} MiB"]


def private_bytes() -> int:
    """Memory of the process that no file stands for: mapped files that nobody else maps do not count, as in USS."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "RssAnon":
            return int(value.split()[0]) * 1024
    raise RuntimeError("the system does not tell")


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--graph", action="store_true")
    given = parser.parse_args()
    startup.finish()  # Memory and garbage are kept as the server keeps them.
    optimizers = OPTIMIZERS_DEFAULT if given.graph else replace(OPTIMIZERS_DEFAULT, indexing_threshold=0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        database = Database(folder)
        database.create_collection(NAME, replace(CONFIG, optimizer_config=optimizers))
        for key, kind in FIELDS.items():
            database.alter(NAME, o.CreateFieldIndex(key, FieldIndex(kind)))
        load = Load(database)
        times = [load.write(1000) for _ in range(given.points // 2000)]
        half, points_half = private_bytes(), load.points
        times += [load.write(1000) for _ in range(given.points // 2000)]
        grown = (private_bytes() - half) / (load.points - points_half)
        large = [load.write(5000) for _ in range(6)]
        rest(database)
        told = ["median ms", "longest", "processor us"]
        columns = ["search", "alone /s", *told, "beside commits /s", *told, "ratio", "of processor"]
        show("Searches beside commits", columns, beside(load, given.seconds, plain=given.graph))
        collection = database._on(NAME, lambda collection: collection)
        rows = [
            [
                "commits of 1,000 points",
                f"median {1e3 * statistics.median(times):.1f} ms, longest {1e3 * max(times):.0f}",
            ],
            [
                "commits of 5,000 points",
                f"median {1e3 * statistics.median(large):.1f} ms, longest {1e3 * max(large):.0f}",
            ],
            checkpoint_row(collection, load, folder),
            [
                "private memory",
                f"{private_bytes() / 2**20:.0f} MiB, {grown:.0f} B for each point of the second half",
            ],
        ]
        database.close()
        started = time.perf_counter()
        with Database(folder) as again:
            Load(again).search(load.tenant())
            rows.append(["open, to the first filtered answer", f"{1e3 * (time.perf_counter() - started):.0f} ms"])
        show(f"{load.points:,} points, three indexes, one sparse vector", ["what", "cost"], rows)


if __name__ == "__main__":
    main()
