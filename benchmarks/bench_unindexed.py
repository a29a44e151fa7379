"""What a search costs whose filter no index answers, first and from then on, beside the reference engine.

    python -m benchmarks.bench_unindexed [--points 1000000] [--dim 16] [--graph] [--engine]

A keyword of 20 values, of which each filter wants one (5 %), beside a text of 20 words that makes payloads as long as
they are. In process, one thread, no network; no two searches have a vector in common, and times of ours and of the
engine are those of the processor, so that other work on the machine does not count. Without ``--graph`` all rows are
compared; with it, the graph is waited for. The engine is asked without an index, then with one.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import qdrant_edge as edge

from benchmarks.measure import show
from qdrantlite.collection.collection import Collection
from qdrantlite.database import Database
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.filter import FieldCondition, Filter, MatchKeyword
from qdrantlite.values.distance import Distance
from qdrantlite.values.record import CollectionStatus
from qdrantlite.values.schema import OPTIMIZERS_DEFAULT, CollectionConfig, FieldIndex, FieldKind, VectorParams
from qdrantlite.values.vector import DenseVector

NAME, VALUES, WORDS, BATCH, ASKED, LIMIT = "points", 20, 5000, 5000, 40, 10
WAIT_S = 3600.0


class Points:
    """Rows and payloads by their numbers."""

    def __init__(self, count: int, dimension: int) -> None:
        rng = np.random.default_rng(5)
        self.rows = rng.normal(size=(count, dimension)).astype(np.float32)
        self.queries = rng.normal(size=(8 * ASKED, dimension)).astype(np.float32)
        self.kinds = rng.integers(0, VALUES, count).tolist()
        self._texts = rng.integers(0, WORDS, (1000, 20)).tolist()

    def payload(self, number: int) -> dict[str, object]:
        """A kind, and a text that is asked for by nobody."""
        return {"kind": f"kind {self.kinds[number]}", "text": " ".join(f"w{w}" for w in self._texts[number % 1000])}


def filled(folder: Path, points: Points, *, graph: bool) -> Database:
    """Our side."""
    threshold = OPTIMIZERS_DEFAULT.indexing_threshold if graph else 0
    config = CollectionConfig(
        vectors={"": VectorParams(points.rows.shape[1], Distance.COSINE)},
        optimizer_config=replace(OPTIMIZERS_DEFAULT, indexing_threshold=threshold),
    )
    database = Database(folder)
    database.create_collection(NAME, config)
    for start in range(0, len(points.rows), BATCH):
        numbers = range(start, min(start + BATCH, len(points.rows)))
        writes = [o.PointWrite(n, {"": DenseVector(points.rows[n])}, points.payload(n)) for n in numbers]  # type: ignore[arg-type]  # JSON
        database.write(NAME, (o.Upsert(tuple(writes)),), wait=False)
    if graph:
        waited(lambda: database.collection_info(NAME).status is CollectionStatus.GREEN)
    return database


def filled_engine(folder: Path, points: Points) -> edge.EdgeShard:
    """Their side; it has no graph, so its searches compare all that pass."""
    params = edge.EdgeVectorParams(points.rows.shape[1], edge.Distance.Cosine)
    folder.mkdir()
    shard = edge.EdgeShard.create(str(folder), edge.EdgeConfig(vectors={"v": params}))
    for start in range(0, len(points.rows), BATCH):
        numbers = range(start, min(start + BATCH, len(points.rows)))
        made = [edge.Point(n, {"v": points.rows[n].tolist()}, points.payload(n)) for n in numbers]
        shard.update(edge.UpdateOperation.upsert_points(made))
    return shard


def waited(done: Callable[[], bool]) -> float:
    """Seconds until it is so."""
    started = time.perf_counter()
    while not done():
        assert time.perf_counter() - started < WAIT_S
        time.sleep(0.02)
    return time.perf_counter() - started


class Asked:
    """Searches, each with a vector of its own; milliseconds of the processor."""

    def __init__(self, points: Points, database: Database, shard: "edge.EdgeShard | None") -> None:
        self.points, self.database, self.shard = points, database, shard
        self._next = 0

    def ours(self, kind: int) -> float:
        """One of ours."""
        wanted = Filter(must=(FieldCondition("kind", MatchKeyword(f"kind {kind}")),))
        query = s.Nearest(DenseVector(self._vector()))
        search = s.Search(s.Prefetch(query=query, filter=wanted, limit=LIMIT))
        started = time.thread_time()
        found = self.database.search(NAME, search)
        spent = time.thread_time() - started
        assert len(found) == LIMIT
        return 1000 * spent

    def theirs(self, kind: int) -> float:
        """One of the engine's."""
        assert self.shard is not None
        wanted = edge.Filter(must=[edge.FieldCondition("kind", match=edge.MatchValue(f"kind {kind}"))])
        query = edge.Query.Nearest(self._vector().tolist(), using="v")
        request = edge.QueryRequest(limit=LIMIT, query=query, filter=wanted)
        started = time.process_time()
        found = self.shard.query(request)
        spent = time.process_time() - started
        assert len(found) == LIMIT
        return 1000 * spent

    def _vector(self) -> "np.ndarray":
        self._next += 1
        vector: np.ndarray = self.points.queries[self._next % len(self.points.queries)]
        return vector


def told(name: str, times: Sequence[float]) -> list[str]:
    """A row."""
    return [name, f"{np.median(times):.2f}", f"{max(times):.2f}", str(len(times))]


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--graph", action="store_true")
    parser.add_argument("--engine", action="store_true")
    given = parser.parse_args()
    points, rows = Points(given.points, given.dim), list[list[str]]()
    with tempfile.TemporaryDirectory() as folder, filled(Path(folder) / "ours", points, graph=given.graph) as database:
        shard = filled_engine(Path(folder) / "theirs", points) if given.engine else None
        asked = Asked(points, database, shard)
        collection: Collection = database._on(NAME, lambda found: found)
        rows.append(told("ours, the first search", [asked.ours(0)]))
        rows.append(told("ours, the second, another value", [asked.ours(1)]))
        made_s = waited(lambda: "kind" in collection.shard.state.columns)
        rows.append(
            told("ours, a value for the first time, with its column", [asked.ours(k) for k in range(2, VALUES)])
        )
        rows.append(told("ours, values again", [asked.ours(n % VALUES) for n in range(ASKED)]))
        if shard is not None:
            rows.append(told("engine, no index", [asked.theirs(n % VALUES) for n in range(5)]))
            shard.update(edge.UpdateOperation.create_field_index("kind", edge.PayloadSchemaType.Keyword))
            rows.append(told("engine, with an index", [asked.theirs(n % VALUES) for n in range(ASKED)]))
        database.alter(NAME, o.CreateFieldIndex("kind", FieldIndex(FieldKind.KEYWORD)))
        rows.append(told("ours, with an index", [asked.ours(n % VALUES) for n in range(ASKED)]))
        title = f"{given.points:,} points of {given.dim} floats, the column was there {made_s:.1f} s later"
        show(title, ["search", "median ms", "slowest ms", "asked"], rows)


if __name__ == "__main__":
    main()
