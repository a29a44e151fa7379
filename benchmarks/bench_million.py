"""A million clustered vectors: time to green, memory of the server, restart, speed with recall.

    python -m benchmarks.bench_million [--rows 1000000] [--dim 128] [--ef 128] [--folder KEEP]

The server is restarted after the load, so that its memory is what serving takes. Its mapped rows and graph count as far
as they are resident; the file cache would give them back. ``--folder`` keeps the storage and loads it only once.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import grpc

from benchmarks.bench_vectors import Data, load, over_grpc, query_message
from benchmarks.clustered import clustered
from benchmarks.grpc_load import Clients
from benchmarks.measure import resident_mb, show
from tests.server_process import ServerProcess

CONNECTIONS = 8
QUERIES = 100
SECONDS = 5.0


def first_answer_s(server: ServerProcess, request: bytes, started: float) -> float:
    """Seconds from the start of the process until a search is answered."""
    with grpc.insecure_channel(server.address) as channel:
        channel.unary_unary("/qdrant.Points/Query")(request, wait_for_ready=True)
    return time.perf_counter() - started


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--ef", type=int, default=128)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args(arguments)
    data = Data(clustered(given.rows + QUERIES, given.dim)[0], QUERIES)
    raw_mb = data.rows.nbytes / 2**20
    request = query_message(data.queries[0], "vectors", given.ef).SerializeToString()
    table = []
    with tempfile.TemporaryDirectory() as temporary, Clients(CONNECTIONS) as clients:
        storage = given.folder or Path(temporary) / "storage"
        if not storage.exists():
            with ServerProcess(storage) as server:
                upserts, green_s = load(server.address, data, "vectors", int8=False)
                table.append(["upsert points/s, durable", f"{upserts:,.0f}"])
                table.append(["seconds from first upsert to green", f"{green_s:.0f}"])
        with ServerProcess(Path(temporary) / "empty") as server:
            empty_s = server.start_s
        started = time.perf_counter()
        with ServerProcess(storage) as server:
            answered_s = first_answer_s(server, request, started)
            rate, recall = over_grpc(clients, server.address, data, name="vectors", ef=given.ef, seconds=SECONDS)
            resident = resident_mb(server.process.pid)
        table += [
            ["seconds from start to first answer", f"{answered_s:.2f}"],
            ["seconds until an empty server listens", f"{empty_s:.2f}"],
            [f"single requests/s, {CONNECTIONS} connections", f"{rate:,.0f}"],
            [f"recall at ef {given.ef}", f"{recall:.4f}"],
            ["resident MiB", f"{resident:,.0f}"],
            ["resident / raw vectors", f"{resident / raw_mb:.2f}"],
        ]
    show(f"{given.rows:,} x {given.dim}", ["what", "measured"], table)


if __name__ == "__main__":
    if "OMP_WAIT_POLICY" not in os.environ:
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"})
    main()
