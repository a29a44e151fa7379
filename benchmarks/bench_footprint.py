"""Time and space of an idle server: start, memory, disk, making and dropping a collection, restart of a million
points.
"""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from qdrant_client import QdrantClient, models

from benchmarks.measure import console, disk_kib, median_ms, resident_mb, show, verdict
from tests.server_process import ServerProcess

POINTS = 1_000_000
DIM = 16
BATCH = 2_000


def first_answer_s(storage: Path) -> tuple[float, float]:
    """Seconds from the start of the process to its first answer, and the resident MiB then."""
    started = time.perf_counter()
    with ServerProcess(storage) as server:
        server.client().get_collections()
        taken = time.perf_counter() - started
        return taken, resident_mb(server.process.pid)


def one_point_kib(client: QdrantClient, storage: Path) -> float:
    """Disk of a collection that holds one point."""
    before = disk_kib(storage / "collections")
    client.create_collection("one", vectors_config=models.VectorParams(size=384, distance=models.Distance.COSINE))
    point = models.PointStruct(id=1, vector=[0.5] * 384, payload={"section": "games", "size": 12})
    client.upsert("one", [point], wait=True)
    return disk_kib(storage / "collections") - before


def create_and_delete(client: QdrantClient) -> None:
    """One collection made and dropped."""
    client.create_collection("brief", vectors_config=models.VectorParams(size=384, distance=models.Distance.COSINE))
    client.delete_collection("brief")


def load_million(client: QdrantClient) -> None:
    """A million small points."""
    client.create_collection("million", vectors_config=models.VectorParams(size=DIM, distance=models.Distance.DOT))
    vectors = np.random.default_rng(1).random((BATCH, DIM), dtype=np.float32).tolist()

    def put(at: int) -> None:
        client.upsert("million", models.Batch(ids=list(range(at, at + BATCH)), vectors=vectors), wait=True)

    with ThreadPoolExecutor(2) as threads, console.status("loading a million points"):
        list(threads.map(put, range(0, POINTS, BATCH)))


def main() -> None:
    """Runs and prints."""
    with tempfile.TemporaryDirectory() as folder:
        storage = Path(folder)
        starts = [first_answer_s(storage / f"empty{number}") for number in range(5)]
        start_s, empty_mb = sorted(starts)[2]
        with ServerProcess(storage / "main") as server:
            client = server.client()
            client.get_collections()
            one_kib = one_point_kib(client, storage / "main")
            create_delete_ms = median_ms(lambda: create_and_delete(client), runs=30)
            before_mb = resident_mb(server.process.pid)
            load_million(client)
            time.sleep(8)
            loaded_mb = resident_mb(server.process.pid)
        vectors_mb = POINTS * DIM * 4 / 2**20
        started = time.perf_counter()
        with ServerProcess(storage / "main") as server:
            assert server.client().count("million").count == POINTS
            restart_s = time.perf_counter() - started
        per_point = max(0.0, (loaded_mb - before_mb - vectors_mb) * 2**20 / POINTS)
    rows = [
        ("start to first answer, s (median of 5)", start_s, 0.8),
        ("resident memory of an empty server, MiB", empty_mb, 120),
        ("disk of a collection with one point, KiB", one_kib, 100),
        ("create and delete a collection, ms", create_delete_ms, 10),
        ("memory per point beyond its vector, bytes", per_point, 200),
        ("restart of 1,000,000 points to a count, s", restart_s, 2),
    ]
    show(
        "Time and space",
        ["what", "measured", "target", "ratio"],
        [
            [name, f"{value:,.2f}", f"{target:g}", verdict(value, target, larger_is_better=False)]
            for name, value, target in rows
        ],
    )


if __name__ == "__main__":
    main()
