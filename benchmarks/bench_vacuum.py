"""How long until the space of replaced and deleted points is back, how much disk that takes, and what recall is left.

In process, no network: a collection with a graph, of which 30 % of the points are replaced, drawn at random or the
oldest, or the oldest deleted. What they held is given back in place, or by copying what lives: both in one run, each on
its own copy of the same folder, beside upkeep, a writer of one point at a time and a searcher.
"""

import argparse
import resource
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.clustered import clustered
from benchmarks.measure import disk_kib, show
from qdrantlite.collection.collection import Collection
from qdrantlite.collection.upkeep import compaction, vacuum
from qdrantlite.collection.upkeep.build_process import BuildProcess
from qdrantlite.deadline import FOREVER
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.segment.vector_index.exact import subset
from qdrantlite.storage.files import PosixFiles
from qdrantlite.values.distance import Distance
from qdrantlite.values.schema import CollectionConfig, VectorParams
from qdrantlite.values.vector import DenseVector

SHARE, BATCH, LIMIT, BEAMS, QUERIES = 0.3, 1000, 10, (64, 128), 500
FILES = PosixFiles()


@contextmanager
def opened(folder: Path, dim: int, *, new: bool = False) -> Iterator[Collection]:
    """The collection of a folder, tended by no thread; graphs are built in a child."""
    config = CollectionConfig(vectors={"": VectorParams(dim, Distance.COSINE)})
    if new:
        Collection.create(folder, config, files=FILES)
    builder = BuildProcess()
    collection = Collection.open(
        *("points", folder, config),
        created_at=0.0,
        files=FILES,
        save_config=lambda _: None,
        move_folder=lambda _source, _target: None,
        builder=builder,
    )
    try:
        yield collection
    finally:
        collection.close(checkpoint=True)
        builder.close()


def put(collection: Collection, ids: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
    """Writes points in batches."""
    for at in range(0, len(ids), BATCH):
        pairs = zip(ids[at : at + BATCH].tolist(), rows[at : at + BATCH], strict=True)
        points = tuple(o.PointWrite(number, {"": DenseVector(row)}, {"at": number}) for number, row in pairs)
        collection.write((o.Upsert(points),), wait=True, deadline=FOREVER)


def recalls(collection: Collection, queries: NDArray[np.float32], truth: NDArray[np.uint32]) -> list[str]:
    """Recall at each beam of the points that should be found."""
    found = []
    for beam in BEAMS:
        searches = [
            s.Search(s.Prefetch(query=s.Nearest(DenseVector(query)), limit=LIMIT, params=s.SearchParams(hnsw_ef=beam)))
            for query in queries
        ]
        hits = collection.search(searches, open_other=_no_other, deadline=FOREVER)
        pairs = zip(hits, truth, strict=True)
        found.append(
            np.mean([len({hit.record.id for hit in near} & set(right.tolist())) / LIMIT for near, right in pairs])
        )
    return [f"{each:.4f}" for each in found]


def _no_other(name: str) -> s.Search:
    raise AssertionError(name)


def processor_s(whose: int) -> float:
    """Of this process, or of the children that have ended."""
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime


class Peak:
    """The most that a folder took on the disk while this watched."""

    def __init__(self, folder: Path) -> None:
        self.kib, self._folder, self._done = 0.0, folder, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            try:
                self.kib = max(self.kib, disk_kib(self._folder))
            except FileNotFoundError:
                continue

    def end(self) -> float:
        """KiB at most."""
        self._done.set()
        self._thread.join()
        self.kib = max(self.kib, disk_kib(self._folder))
        return self.kib


class Beside:
    """Does something again and again while this runs, and knows how long it took at most."""

    def __init__(self, work: Callable[[], object], *, pause_s: float) -> None:
        self.longest_s, self._work, self._pause_s, self._done = 0.0, work, pause_s, threading.Event()
        self._thread = threading.Thread(target=self._repeat)
        self._thread.start()

    def _repeat(self) -> None:
        while not self._done.wait(self._pause_s):
            started = time.perf_counter()
            self._work()
            self.longest_s = max(self.longest_s, time.perf_counter() - started)

    def end(self) -> str:
        """Milliseconds at most."""
        self._done.set()
        self._thread.join()
        return f"{1000 * self.longest_s:.0f}"


def vacuumed(
    folder: Path,
    dim: int,
    *,
    in_place: bool,
    again: tuple[int, NDArray[np.float32]],
    queries: NDArray[np.float32],
    truth: NDArray[np.uint32],
) -> list[str]:
    """One road: what the columns say. ``again`` is a point that is written again and again, as it is."""
    children = processor_s(resource.RUSAGE_CHILDREN)
    with patch.object(compaction, "can_vacate", lambda _: in_place), opened(folder / "points", dim) as collection:
        before, disk, peak = recalls(collection, queries, truth), disk_kib(folder), Peak(folder)
        number, row = again
        tended = Beside(lambda: collection.maintain(idle=False), pause_s=0.5)
        writer = Beside(lambda: put(collection, np.array([number]), row[np.newaxis]), pause_s=0.05)
        searcher = Beside(lambda: recalls(collection, queries[:1], truth[:1]), pause_s=0.05)
        started, own = time.perf_counter(), processor_s(resource.RUSAGE_SELF)
        collection._compactor.step(stop=lambda: False)
        seconds, own = time.perf_counter() - started, processor_s(resource.RUSAGE_SELF) - own
        waits = [each.end() for each in (writer, searcher)]
        tended.end()
        assert collection._compactor.error is None
        collection.maintain(idle=True)
        most, steady = peak.end(), disk_kib(folder)
        after = recalls(collection, queries, truth)
    child = processor_s(resource.RUSAGE_CHILDREN) - children
    shares = [f"{most / disk:.2f}", f"{most / steady:.2f}", f"{steady / disk:.2f}"]
    return [f"{seconds:.1f}", f"{own:.1f}", f"{child:.1f}", *shares, *waits, *before, *after]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=60_000)
    parser.add_argument("--dim", type=int, default=128)
    options = parser.parse_args()
    count, dim = options.points, options.dim
    replaced = round(SHARE * count)
    vectors, _ = clustered(count + replaced + QUERIES, dim)
    rows, later, queries = np.split(vectors, [count, count + replaced])
    chance, table = np.random.default_rng(2), []
    gone_of = {
        "drawn at random, replaced": (np.sort(chance.choice(count, replaced, replace=False)), True),
        "the oldest, replaced": (np.arange(replaced), True),
        "the oldest, deleted": (np.arange(replaced), False),
    }
    with tempfile.TemporaryDirectory() as name, patch.object(vacuum, "WORTH_BYTES", 0):
        base = Path(name) / "base"
        base.mkdir()
        with opened(base / "points", dim, new=True) as collection:
            put(collection, np.arange(count), rows)
            collection._optimizer.step(quiet_s=inf, stop=lambda: False)
        for title, (gone, again) in gone_of.items():
            now = np.array(rows)
            left = np.arange(count)
            worn = shutil.copytree(base, Path(name) / "worn")
            with opened(worn / "points", dim) as collection:
                if again:
                    now[gone] = later
                    put(collection, gone, later)
                else:
                    left = np.setdiff1d(left, gone)
                    collection.write(
                        (o.DeletePoints(o.Selector(ids=tuple(gone.tolist()))),), wait=True, deadline=FOREVER
                    )
            truth, _ = subset(now, queries, left.astype(np.uint32), distance=Distance.COSINE, limit=LIMIT)
            point = (int(left[-1]), now[left[-1]])
            for road, in_place in (("in place", True), ("copied", False)):
                copy = Path(name) / "copy"
                subprocess.run(["cp", "-r", "--sparse=always", str(worn), str(copy)], check=True)
                line = vacuumed(copy, dim, in_place=in_place, again=point, queries=queries, truth=truth)
                table.append([title, road, *line])
                shutil.rmtree(copy)
            shutil.rmtree(worn)
    beams = [f"{when}, ef {beam}" for when in ("recall before", "after") for beam in BEAMS]
    disks = ("peak / disk before", "peak / disk after", "after / before")
    waits = ("longest write, ms", "longest search, ms")
    columns = ["30 % of the points", "road", "s", "of processor", "in the child", *disks, *waits, *beams]
    show(f"{count:,} x {dim}", columns, table)


if __name__ == "__main__":
    main()
