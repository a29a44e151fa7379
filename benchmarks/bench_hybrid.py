"""Hybrid and multi-stage queries over package records, beside the reference engine and local mode, in one run.

    python -m benchmarks.bench_hybrid [--data FOLDER] [--seconds 4] [--connections 8] [--only WORD ...]

``FOLDER`` (or QDRANTLITE_BENCH_DATA) holds ``packages.jsonl.gz``, ``dense.npy`` (n, 384) and ``byte.npy`` (n, 64); the
sample of 5,000 is used without it, too few for graphs to matter. No two requests are alike
(``benchmarks/hybrid_queries.py``). Over gRPC the server and its clients share the machine; milliseconds are of one
connection. Recall is of each query against the same with ``exact``. *Execution* is one thread without gRPC, from
decoded requests to records, in queries a second of processor, ours and the reference engine's by turns. Ratios within
a run are what counts.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import grpc
import numpy as np
import qdrant_edge as edge
from qdrant_client import QdrantClient, models

from benchmarks.grpc_load import UNLIMITED, Clients
from benchmarks.hybrid_queries import (
    EF,
    INDEXES,
    LIMIT,
    NAME,
    SPARSE_VECTORS,
    VECTORS,
    WORKLOADS,
    Data,
    Workload,
    exactly,
    message_of,
)
from benchmarks.measure import show
from qdrantlite.database import Database
from qdrantlite.deadline import Deadline
from qdrantlite.wire.grpc.decode.search import decode_group_search, decode_search
from tests.congruence import in_edge_words as words
from tests.congruence.edge_engine import request_of
from tests.server_process import ServerProcess

UPSERTED = 500
SETTLING_S = 6.0
"""Until the upkeep has seen the last write."""
ALONE = 200
"""Requests on one connection, for their times."""
PER_SECOND_MAX = 2500
"""Requests made ready for each second of all connections; fewer are asked where they are used up."""
WARMING, EXECUTED, ROUNDS = 40, 240, 4
COMPARED = 100
LOCAL = 5


@dataclass
class Measured:
    """Of one workload."""

    workload: Workload
    asked: list[models.QueryRequest]
    rate: float = 0.0
    times_ms: list[float] = field(default_factory=list)
    recall: float = 0.0
    their_recall: float | None = None
    ours: float = 0.0
    theirs: float | None = None
    local: float = 0.0

    def served(self, dense: "Measured") -> list[str]:
        """For the table of what is asked over gRPC."""
        each = self.rate * self.workload.stages / dense.rate
        times = f"{median(self.times_ms):.2f} / {quantiles(self.times_ms, n=100)[98]:.2f}"
        return [self.workload.name, f"{self.rate:,.0f}", f"{each:.2f}", times, f"{self.rate / self.local:,.0f} x"]

    def executed(self) -> list[str]:
        """For the table of what is asked in this process."""
        row = [self.workload.name, f"{self.recall:.3f}", f"{self.ours:,.0f}"]
        if self.theirs is None:
            return [*row, "-", "-", "-"]
        return [*row, f"{self.their_recall:.3f}", f"{self.theirs:,.0f}", f"{self.ours / self.theirs:.2f} x"]


def create(client: QdrantClient) -> None:
    """An empty collection; of local mode too, which has no indexes."""
    client.create_collection(NAME, vectors_config=VECTORS, sparse_vectors_config=SPARSE_VECTORS)


def create_edge(folder: Path) -> Any:
    """An empty shard of the reference engine, set up as the others."""
    folder.mkdir()
    hnsw = edge.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10_000)
    dense = {name: words.vector_params(params) for name, params in VECTORS.items()}
    sparse = {name: words.sparse_params(params) for name, params in SPARSE_VECTORS.items()}
    return edge.EdgeShard.create(str(folder), edge.EdgeConfig(vectors=dense, sparse_vectors=sparse, hnsw_config=hnsw))


def load(data: Data, ours: QdrantClient, local: QdrantClient, theirs: Any) -> None:
    """The same points for all three, with graphs where there are any."""
    for points in data.points(UPSERTED):
        ours.upsert(NAME, points)
        local.upsert(NAME, points)
        made = [edge.Point(each.id, words.vector(each.vector), each.payload) for each in points]
        theirs.update(edge.UpdateOperation.upsert_points(made))
    for key, kind in INDEXES.items():
        ours.create_payload_index(NAME, key, kind)
        theirs.update(edge.UpdateOperation.create_field_index(key, getattr(edge.PayloadSchemaType, kind.name.title())))
    theirs.optimize()
    time.sleep(SETTLING_S)
    while ours.get_collection(NAME).status != models.CollectionStatus.GREEN:
        time.sleep(0.2)


def over_grpc(clients: Clients, address: str, measured: Measured, seconds: float) -> None:
    """Requests a second on all connections, and milliseconds of each on one."""
    workload = measured.workload
    method = f"/qdrant.Points/{'Query' if workload.group_by is None else 'QueryGroups'}"
    sent = [message_of(request, workload.group_by).SerializeToString() for request in measured.asked]
    with grpc.insecure_channel(address, UNLIMITED) as channel:
        call = channel.unary_unary(method)
        for request in sent[:ALONE]:
            started = time.perf_counter()
            call(request)
            measured.times_ms.append(1000 * (time.perf_counter() - started))
    measured.rate = clients.per_second(address, method, sent[ALONE:], seconds=seconds, once=True)


def asker(database: Database, workload: Workload, messages: Sequence[Any]) -> Callable[[int], set[object]]:
    """Answers a request by its number, without gRPC, with the ids found."""
    if workload.group_by is not None:
        grouped = [decode_group_search(message) for message in messages]
        return lambda at: {
            hit.record.id
            for group in database.search_groups(NAME, grouped[at], deadline=Deadline())
            for hit in group.hits
        }
    searches = [decode_search(message) for message in messages]
    return lambda at: {hit.record.id for hit in database.search(NAME, searches[at], deadline=Deadline())}


def execute(database: Database, theirs: Any, measured: Measured) -> None:
    """Queries a second of processor, of one thread each, by turns; and recall."""
    workload = measured.workload
    messages = [message_of(request, workload.group_by) for request in measured.asked[: WARMING + EXECUTED]]
    asks = [asker(database, workload, messages)]
    if workload.group_by is None:  # The engine knows no groups: Qdrant forms them above it.
        requests = [request_of(decode_search(message)) for message in messages]
        asks.append(lambda at: {hit.id for hit in theirs.query(requests[at])})
    exact = [message_of(exactly(request), workload.group_by) for request in measured.asked[:COMPARED]]
    truth = asker(database, workload, exact)
    measured.recall = _recall(asks[0], truth)  # First: by then all rows have been read once.
    if len(asks) > 1:
        measured.their_recall = _recall(asks[1], truth)
    for ask in asks:
        for at in range(WARMING):
            ask(at)
    used = np.zeros(len(asks))
    for turn in range(ROUNDS):
        for number, ask in enumerate(asks):
            started = time.process_time()
            for at in range(WARMING + turn, len(messages), ROUNDS):
                ask(at)
            used[number] += time.process_time() - started
    measured.ours, measured.theirs, *_ = [*((len(messages) - WARMING) / used), None]


def _recall(ask: Callable[[int], set[object]], truth: Callable[[int], set[object]]) -> float:
    """Share of what exact answers hold that is found."""
    answers = [(ask(at), truth(at)) for at in range(COMPARED)]
    return float(np.mean([len(found & best) / len(best) if best else 1.0 for found, best in answers]))


def ask_local(local: QdrantClient, measured: Measured) -> None:
    """Local mode's queries a second; it compares all points, whatever the beam."""
    started = time.perf_counter()
    for request in measured.asked[:LOCAL]:
        given = {name: getattr(request, name) for name in request.model_fields_set - {"params"}}
        given["query_filter"] = given.pop("filter", None)
        if measured.workload.group_by is None:
            local.query_points(NAME, **given)
        else:
            local.query_points_groups(NAME, group_by=measured.workload.group_by, group_size=3, **given)
    measured.local = LOCAL / (time.perf_counter() - started)


def main() -> None:
    """Runs and prints."""
    if "OMP_WAIT_POLICY" not in os.environ:
        settled = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
        os.execve(sys.executable, sys.orig_argv, settled)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder_given = os.environ.get("QDRANTLITE_BENCH_DATA")
    parser.add_argument("--data", type=Path, default=None if folder_given is None else Path(folder_given))
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--only", nargs="*", default=[], help="workloads whose names hold one of these words")
    given = parser.parse_args()
    data = Data(given.data)
    count = ALONE + int(given.seconds * PER_SECOND_MAX)
    dense, *others = WORKLOADS
    chosen = [dense, *(each for each in others if not given.only or any(word in each.name for word in given.only))]
    measured = [Measured(each, [each.make(data) for _ in range(count)]) for each in chosen]
    local = QdrantClient(":memory:")
    with tempfile.TemporaryDirectory() as folder:
        storage, theirs = Path(folder) / "storage", create_edge(Path(folder) / "edge")
        with ServerProcess(storage) as server, Clients(given.connections) as clients:
            ours = server.client()
            create(ours)
            create(local)
            load(data, ours, local, theirs)
            for each in measured:
                over_grpc(clients, server.address, each, given.seconds)
        with Database(storage) as database:
            for each in measured:
                execute(database, theirs, each)
                ask_local(local, each)
    connections = f"gRPC, {given.connections} connections"
    columns = (connections, "per s", "by dense, a stage", "p50 / p99 ms", "to local mode")
    title = f"{len(data.records):,} packages, top {LIMIT}, ef {EF}"
    show(title, columns, [each.served(measured[0]) for each in measured])
    columns = ("execution, one core", "recall", "per s", "engine's recall", "per s", "ratio")
    show("", columns, [each.executed() for each in measured])


if __name__ == "__main__":
    main()
