"""Durable upserts over gRPC: 384-d vectors with payload, batches of 500, two client threads, server on the same
machine.

Measured with prebuilt messages (the server and the wire), and with the official Python client (its own work
included). Beside them, in the same run: qdrant-client's local mode, and Qdrant's engine in-process (not durable).
"""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import qdrant_edge
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models
from qdrant_client.conversions.conversion import RestToGrpc

from benchmarks.measure import sample_payloads, sample_vectors, show, verdict
from tests.server_process import ServerProcess

BATCH = 500
REPEAT = 6
TARGET = 15_000

Points = list[models.PointStruct]


def batches(payloads: list[dict[str, object]], vectors: NDArray[np.float32]) -> list[Points]:
    """The sample several times over, each time with ids of its own."""
    made: list[Points] = []
    count = len(vectors)
    for repeat in range(REPEAT):
        for at in range(0, count, BATCH):
            rows = range(at, at + BATCH)
            made.append(
                [
                    models.PointStruct(id=repeat * count + row, vector=vectors[row].tolist(), payload=payloads[row])
                    for row in rows
                ]
            )
    return made


def timed(work: Callable[[], object], points: int) -> float:
    """Points per second."""
    started = time.perf_counter()
    work()
    return points / (time.perf_counter() - started)


def over_grpc(server: ServerProcess, name: str, made: list[Points]) -> float:
    """Prebuilt messages, two threads."""
    requests = [
        b"".join(
            [
                _field(1, name.encode()),
                b"\x10\x01",
                *(_field(3, RestToGrpc.convert_point_struct(point).SerializeToString()) for point in batch),
            ]
        )
        for batch in made
    ]
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(server.address, options) as channel, ThreadPoolExecutor(2) as threads:
        call = channel.unary_unary("/qdrant.Points/Upsert")
        return timed(lambda: list(threads.map(call, requests)), len(made) * BATCH)


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited protobuf field."""
    length, size = b"", len(data)
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def with_client(server: ServerProcess, name: str, made: list[Points]) -> float:
    """The official client, two threads."""
    client = server.client()
    with ThreadPoolExecutor(2) as threads:
        return timed(
            lambda: list(threads.map(lambda batch: client.upsert(name, batch, wait=True), made)), len(made) * BATCH
        )


def local_mode(made: list[Points]) -> float:
    """qdrant-client without a server, in memory."""
    client = QdrantClient(":memory:")
    create(client, "bench")
    return timed(lambda: [client.upsert("bench", batch) for batch in made], len(made) * BATCH)


def edge(folder: Path, made: list[Points]) -> float:
    """Qdrant's engine in this process."""
    folder.mkdir()
    shard = qdrant_edge.EdgeShard.create(
        str(folder),
        qdrant_edge.EdgeConfig(
            vectors={"": qdrant_edge.EdgeVectorParams(size=384, distance=qdrant_edge.Distance.Cosine)}
        ),
    )
    points = [[qdrant_edge.Point(point.id, point.vector, point.payload) for point in batch] for batch in made]
    upsert = qdrant_edge.UpdateOperation.upsert_points
    return timed(lambda: [shard.update(upsert(batch)) for batch in points], len(made) * BATCH)


def create(client: QdrantClient, name: str) -> None:
    """An empty collection."""
    client.create_collection(name, vectors_config=models.VectorParams(size=384, distance=models.Distance.COSINE))


def main() -> None:
    """Runs and prints."""
    made = batches(sample_payloads(), sample_vectors())
    with tempfile.TemporaryDirectory() as folder:
        with ServerProcess(Path(folder) / "storage") as server:
            client = server.client()
            for name in ("raw", "client"):
                create(client, name)
            raw = over_grpc(server, "raw", made)
            official = with_client(server, "client", made)
        in_process = edge(Path(folder) / "edge", made)
        local = local_mode(made[:12])
    show(
        f"Upserts of 384-d points with payload, batches of {BATCH}",
        ["engine", "durable when acknowledged", "points/s", "against 15,000"],
        [
            [
                "qdrantlite, prebuilt messages, 2 threads",
                "yes",
                f"{raw:,.0f}",
                verdict(raw, TARGET, larger_is_better=True),
            ],
            [
                "qdrantlite, official client, 2 threads",
                "yes",
                f"{official:,.0f}",
                verdict(official, TARGET, larger_is_better=True),
            ],
            ["qdrant-edge-py, in process", "no", f"{in_process:,.0f}", "-"],
            ["qdrant-client local mode, in memory", "no", f"{local:,.0f}", "-"],
        ],
    )


if __name__ == "__main__":
    main()
