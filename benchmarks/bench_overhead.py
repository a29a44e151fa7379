"""What our path costs: single-query gRPC requests on 5,000 x 384 vectors, exact search, client on the same machine.

Connections are processes of their own that send prebuilt messages, so that what is measured is the server and the
wire.
"""

import multiprocessing
import statistics
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import grpc
import numpy as np
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models

from benchmarks.measure import sample_vectors, show, verdict
from qdrantlite.wire.pb import points as pb
from tests.server_process import ServerProcess

SECONDS = 4.0
CONNECTIONS = 4
LIMIT = 10
READY_S_MAX = 60.0
SPAN_MAX = 1.25

Run = tuple[float, float, list[float]]
"""When a connection began and ended, on the clock that all processes share, and its latencies in seconds."""


def worker(
    address: str,
    queries: NDArray[np.float32],
    seconds: float,
    together: Barrier,
    results: "multiprocessing.Queue[Run]",
) -> None:
    """Asks one query after the other, from the moment at which all workers are ready, and reports."""
    requests = [
        pb.QueryPoints(
            collection_name="bench",
            query=pb.Query(nearest=pb.VectorInput(dense=pb.DenseVector(data=query.tolist()))),
            limit=LIMIT,
        ).SerializeToString()
        for query in queries
    ]
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary("/qdrant.Points/Query")
        call(requests[0])
        together.wait(READY_S_MAX)
        latencies = []
        began = time.monotonic()
        number = 0
        while (started := time.monotonic()) < began + seconds:
            call(requests[number % len(requests)])
            latencies.append(time.monotonic() - started)
            number += 1
        ended = time.monotonic()
    results.put((began, ended, latencies))


def measure(address: str, queries: NDArray[np.float32], connections: int) -> tuple[float, list[float]]:
    """Requests per second while all connections ask at once, and the latencies in seconds, ascending.

    Processes take seconds to start, one after the other: without waiting for the last, each would have the server to
    itself for a while and their sum would tell of a load that never was. So the rate is over the whole span.
    """
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[Run] = context.Queue()
    together = context.Barrier(connections)
    arguments = (address, queries, SECONDS, together, results)
    workers = [context.Process(target=worker, args=arguments) for _ in range(connections)]
    for process in workers:
        process.start()
    runs = [results.get() for _ in workers]
    for process in workers:
        process.join()
    span = max(ended for _, ended, _ in runs) - min(began for began, _, _ in runs)
    assert span < SECONDS * SPAN_MAX, f"the connections did not ask at the same time: {span:.1f} s"
    latencies = sorted(each for _, _, part in runs for each in part)
    return len(latencies) / span, latencies


def load(client: QdrantClient, vectors: NDArray[np.float32]) -> None:
    """The collection to ask."""
    client.create_collection(
        "bench", vectors_config=models.VectorParams(size=vectors.shape[1], distance=models.Distance.COSINE)
    )
    for at in range(0, len(vectors), 500):
        ids = list(range(at, min(at + 500, len(vectors))))
        client.upsert("bench", models.Batch(ids=ids, vectors=vectors[ids].tolist()), wait=True)


def main() -> None:
    """Runs and prints."""
    vectors = sample_vectors()
    queries = vectors[:200] + np.float32(0.01)
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder)) as server:
        load(server.client(), vectors)
        one = measure(server.address, queries, 1)
        four = measure(server.address, queries, CONNECTIONS)
    p50_ms = statistics.median(one[1]) * 1000
    show(
        "Single-query requests, 5,000 x 384, exact",
        ["what", "measured", "target", "ratio"],
        [
            [
                f"requests/s, {CONNECTIONS} connections",
                f"{four[0]:,.0f}",
                "900",
                verdict(four[0], 900, larger_is_better=True),
            ],
            ["requests/s, 1 connection", f"{one[0]:,.0f}", "-", "-"],
            ["p50 ms, 1 connection", f"{p50_ms:.2f}", "1.3", verdict(p50_ms, 1.3, larger_is_better=False)],
        ],
    )


if __name__ == "__main__":
    main()
