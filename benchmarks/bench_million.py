"""Millions of clustered vectors: upserts and their pauses, time to green, memory of the server, restart, speed, recall.

    python -m benchmarks.bench_million [--rows 1000000] [--dim 128] [--ef 128] [--folder KEEP]

The server is restarted after the load, so that its memory is what serving takes. Its mapped rows and graph count as far
as they are resident; the file cache would give them back. ``--folder`` keeps the storage and loads it only once. Points
are made while they are sent, by the same cores; the times of requests leave that out. A storage that was kept before it
was green is waited for. No request is asked twice.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import faiss
import grpc
import numpy as np

from benchmarks.bench_vectors import EF_CONSTRUCT, UPSERTED, M, query_message
from benchmarks.buckets import BUCKETS, Buckets, windows
from benchmarks.clustered import clustered
from benchmarks.grpc_load import UNLIMITED, Clients
from benchmarks.measure import disk_kib, resident_mb, show
from benchmarks.queries import LIMIT, Floats, share_of_best
from qdrantlite.wire.pb import collections as pbc
from qdrantlite.wire.pb import points as pb
from tests.server_process import ServerProcess

CONNECTIONS = 8
QUERIES = 8_000
CHECKED = 1_000
"""Of the queries, those whose answers are compared with the true ones."""
SECONDS = 5.0
NAME = "vectors"
PASSING = (1000, 100, 10)
"""Points in so many buckets pass: 10 %, 1 %, 0.1 %."""
CHECKED_PASSING = 200
"""As ``CHECKED`` where a filter of its own lets points pass: each is compared with all of these."""
PROGRESS_S = 30.0


class Rows:
    """Unit rows, a random bucket of each, and queries like them."""

    def __init__(self, count: int, dim: int) -> None:
        vectors = clustered(count + QUERIES, dim)[0]
        self.rows, self.queries = vectors[:count], vectors[count:]
        self._chance = np.random.default_rng(1)
        self.buckets = Buckets(count, self._chance)

    def windows(self, width: int | None) -> list[range | None]:
        """One for each query."""
        return windows(width, len(self.queries), self._chance)

    def requests(self, ef: int, within: Sequence[range | None]) -> list[bytes]:
        """One of each query, among the points within its window."""
        asked = zip(self.queries, within, strict=True)
        return [query_message(query, NAME, ef, window).SerializeToString() for query, window in asked]

    def recall(self, found: Sequence[Sequence[int]], within: Sequence[range | None]) -> float:
        """Share of the true best of the first queries that were found; equally good ones count."""
        theirs = [self.rows[list(ids)] @ query for ids, query in zip(found, self.queries, strict=False)]
        return share_of_best(theirs, self._best(within[: len(found)]))

    def _best(self, within: Sequence[range | None]) -> list[Floats]:
        """The scores of the true best of each of the first queries."""
        queries = self.queries[: len(within)]
        if within[0] is None:
            return list(faiss.knn(queries, self.rows, LIMIT, faiss.METRIC_INNER_PRODUCT)[0])
        passing = [self.buckets.within(window) for window in within]
        return [np.sort(self.rows[some] @ query)[-LIMIT:] for some, query in zip(passing, queries, strict=True)]

    def upserts(self) -> Iterator[bytes]:
        """All rows, some in each request."""
        for at in range(0, len(self.rows), UPSERTED):
            yield pb.UpsertPoints(
                collection_name=NAME,
                wait=True,
                points=[
                    pb.PointStruct(
                        id={"num": number},
                        vectors=pb.Vectors(vector=pb.Vector(dense=pb.DenseVector(data=self.rows[number].tolist()))),
                        payload={"bucket": {"integer_value": int(self.buckets.of[number])}},
                    )
                    for number in range(at, min(at + UPSERTED, len(self.rows)))
                ],
            ).SerializeToString()


class Loading:
    """Fills a collection from two threads, and waits until it is green."""

    def __init__(self, address: str, data: Rows) -> None:
        self._times: list[float] = []
        self._lock = Lock()
        self._requests = data.upserts()
        with grpc.insecure_channel(address, UNLIMITED) as channel, ThreadPoolExecutor(2) as threads:
            self._create(channel, data.rows.shape[1])
            self._upsert = channel.unary_unary("/qdrant.Points/Upsert")
            started = self._told = time.perf_counter()
            for sent in [threads.submit(self._send) for _ in range(2)]:
                sent.result()
            self.upserted_s = time.perf_counter() - started
            wait_until_green(channel)
            self.green_s = time.perf_counter() - started

    def lines(self, count: int) -> list[list[str]]:
        """Of the table."""
        slowest = sorted(self._times)[-max(1, len(self._times) // 100) :]
        return [
            ["upsert points/s, durable", f"{count / self.upserted_s:,.0f}"],
            [
                f"requests of {UPSERTED} points: median, 99th of a hundred, longest, in ms",
                f"{1e3 * statistics.median(self._times):.0f}, {1e3 * slowest[0]:.0f}, {1e3 * slowest[-1]:.0f}",
            ],
            ["seconds from first upsert to green", f"{self.green_s:.0f}"],
        ]

    def _create(self, channel: grpc.Channel, dim: int) -> None:
        params = pbc.VectorParams(size=dim, distance=pbc.Distance.Value("Cosine"))
        create = pbc.CreateCollection(
            collection_name=NAME,
            vectors_config=pbc.VectorsConfig(params=params),
            hnsw_config=pbc.HnswConfigDiff(m=M, ef_construct=EF_CONSTRUCT),
        )
        field = pb.CreateFieldIndexCollection(
            collection_name=NAME, wait=True, field_name="bucket", field_type=pb.FieldType.Value("FieldTypeInteger")
        )
        channel.unary_unary("/qdrant.Collections/Create")(create.SerializeToString())
        channel.unary_unary("/qdrant.Points/CreateFieldIndex")(field.SerializeToString())

    def _send(self) -> None:
        while True:
            with self._lock:
                request = next(self._requests, None)
            if request is None:
                return
            started = time.perf_counter()
            self._upsert(request)
            ended = time.perf_counter()
            self._times.append(ended - started)
            if ended - self._told >= PROGRESS_S:
                self._told = ended
                print(f"{len(self._times) * UPSERTED:,} points", flush=True)


def wait_until_green(channel: grpc.Channel) -> None:
    """Returns when upkeep has nothing left to do; shows how far the graph is."""
    ask = channel.unary_unary("/qdrant.Collections/Get", response_deserializer=pbc.GetCollectionInfoResponse.FromString)
    wanted = pbc.GetCollectionInfoRequest(collection_name=NAME).SerializeToString()
    told = time.perf_counter()
    while (info := ask(wanted).result).status != pbc.CollectionStatus.Value("Green"):
        if time.perf_counter() - told >= PROGRESS_S:
            told = time.perf_counter()
            print(f"{info.indexed_vectors_count:,} indexed", flush=True)
        time.sleep(0.5)


def first_answer_s(server: ServerProcess, request: bytes, started: float) -> float:
    """Seconds from the start of the process until a search is answered."""
    with grpc.insecure_channel(server.address) as channel:
        channel.unary_unary("/qdrant.Points/Query")(request, wait_for_ready=True)
    return time.perf_counter() - started


def searched(clients: Clients, address: str, data: Rows, ef: int, width: int | None = None) -> list[str]:
    """A line of the table: single requests a second, and their recall."""
    within = data.windows(width)
    requests = data.requests(ef, within)
    checked = CHECKED if width is None else CHECKED_PASSING
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary("/qdrant.Points/Query", response_deserializer=pb.QueryResponse.FromString)
        found = [[hit.id.num for hit in call(request).result] for request in requests[:checked]]
    rate = clients.per_second(address, "/qdrant.Points/Query", requests[checked:], seconds=SECONDS, once=True)
    passing = "" if width is None else f", {width / BUCKETS:.1%} pass"
    title = f"single requests/s and recall at ef {ef}, {CONNECTIONS} connections{passing}"
    return [title, f"{rate:,.0f}, {data.recall(found, within):.4f}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--ef", type=int, default=128)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args(arguments)
    table = []
    with tempfile.TemporaryDirectory() as temporary, Clients(CONNECTIONS) as clients:
        data = Rows(given.rows, given.dim)
        raw_mb = data.rows.nbytes / 2**20
        storage = given.folder or Path(temporary) / "storage"
        if not storage.exists():
            with ServerProcess(storage) as server:
                loading = Loading(server.address, data)
            table += loading.lines(given.rows)
            show("loaded", ["what", "measured"], table)
        else:
            with ServerProcess(storage) as server, grpc.insecure_channel(server.address) as channel:
                wait_until_green(channel)
        with ServerProcess(Path(temporary) / "empty") as server:
            empty_s = server.start_s
        first = query_message(data.queries[0], NAME, given.ef).SerializeToString()
        started = time.perf_counter()
        with ServerProcess(storage) as server:
            answered_s = first_answer_s(server, first, started)
            rates = [searched(clients, server.address, data, given.ef, width) for width in (None, *PASSING)]
            resident = resident_mb(server.process.pid)
        table += [
            ["seconds from start to first answer", f"{answered_s:.2f}"],
            ["seconds until an empty server listens", f"{empty_s:.2f}"],
            *rates,
            ["resident MiB", f"{resident:,.0f}"],
            ["resident / raw vectors", f"{resident / raw_mb:.2f}"],
            ["on disk / raw vectors", f"{disk_kib(storage) / 1024 / raw_mb:.2f}"],
        ]
    show(f"{given.rows:,} x {given.dim}", ["what", "measured"], table)


if __name__ == "__main__":
    if "OMP_WAIT_POLICY" not in os.environ:
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"})
    main()
