"""The server as a process of its own, for tests that kill it and benchmarks that measure it."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from qdrant_client import QdrantClient

START_S_MAX = 30.0
STOP_S_MAX = 30.0


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class ServerProcess:
    """Started on a storage folder and loopback ports; answers when the constructor returns. A context manager that
    stops it.
    """

    def __init__(self, storage: Path) -> None:
        self.grpc_port, self.http_port = free_port(), free_port()
        arguments = ["serve", "--storage", str(storage), "--host", "127.0.0.1"]
        arguments += ["--grpc-port", str(self.grpc_port), "--http-port", str(self.http_port)]
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "qdrantlite", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for port in (self.grpc_port, self.http_port):
            self._wait_for(port)
        self.start_s = time.perf_counter() - started

    def _wait_for(self, port: int) -> None:
        end = time.monotonic() + START_S_MAX
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        self.kill()
        raise RuntimeError("the server did not start")

    @property
    def address(self) -> str:
        """Of the gRPC port."""
        return f"127.0.0.1:{self.grpc_port}"

    def client(self) -> QdrantClient:
        """An official client with a connection of its own; texts go to the server as they are."""
        return QdrantClient(
            host="127.0.0.1",
            port=self.http_port,
            grpc_port=self.grpc_port,
            prefer_grpc=True,
            cloud_inference=True,
            check_compatibility=False,
            timeout=60,
        )

    def kill(self) -> None:
        """SIGKILL: as a power switch would, as far as a process can feel it."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
