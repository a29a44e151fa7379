"""What our path costs: single-query gRPC requests on 5,000 x 384 vectors, exact search, client on the same machine.

Connections are processes of their own that send prebuilt messages, so that what is measured is the server and the
wire.
"""

import multiprocessing
import statistics
import tempfile
import time
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


def worker(
    address: str, queries: NDArray[np.float32], seconds: float, results: "multiprocessing.Queue[list[float]]"
) -> None:
    """Asks one query after the other and reports the latencies in seconds."""
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
        latencies = []
        end = time.perf_counter() + seconds
        number = 0
        while (started := time.perf_counter()) < end:
            call(requests[number % len(requests)])
            latencies.append(time.perf_counter() - started)
            number += 1
    results.put(latencies)


def measure(address: str, queries: NDArray[np.float32], connections: int) -> tuple[float, float]:
    """Requests per second and the median latency in milliseconds."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[list[float]] = context.Queue()
    workers = [context.Process(target=worker, args=(address, queries, SECONDS, results)) for _ in range(connections)]
    for process in workers:
        process.start()
    latencies = [results.get() for _ in workers]
    for process in workers:
        process.join()
    joined = [each for part in latencies for each in part]
    return len(joined) / SECONDS, statistics.median(joined) * 1000


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
            ["p50 ms, 1 connection", f"{one[1]:.2f}", "1.3", verdict(one[1], 1.3, larger_is_better=False)],
        ],
    )


if __name__ == "__main__":
    main()
