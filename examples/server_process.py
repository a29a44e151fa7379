"""A qdrantlite server in a process of its own, and the official client connected to it."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qdrant_client import QdrantClient
from rich.console import Console

SERVER_START_SECONDS = 30
SERVER_STOP_SECONDS = 20


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def running_server(folder: Path, console: Console) -> Iterator[QdrantClient]:
    """A client of a new server process on ``folder``; the server ends with the block."""
    grpc_port, http_port = free_ports(2)
    command = [sys.executable, "-m", "qdrantlite", "serve", "--storage", str(folder / "storage"), "--host", "127.0.0.1"]
    command += ["--grpc-port", str(grpc_port), "--http-port", str(http_port)]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    client: QdrantClient | None = None
    try:
        started = time.perf_counter()
        wait_for_port(grpc_port, process, folder / "server.log")
        console.print(f"server started in {time.perf_counter() - started:.2f} s on port {grpc_port}\n")
        # cloud_inference: texts are sent to the server as they are, which turns them into vectors.
        client = QdrantClient(
            host="127.0.0.1",
            port=http_port,
            grpc_port=grpc_port,
            prefer_grpc=True,
            cloud_inference=True,
            check_compatibility=False,
            timeout=60,
        )
        yield client
    finally:
        if client is not None:
            client.close()
        process.terminate()
        try:
            process.wait(SERVER_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SERVER_START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise SystemExit(f"the server did not start; its log ends with:\n{log.read_text(errors='replace')[-2000:]}")
