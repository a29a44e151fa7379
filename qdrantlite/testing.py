"""A server inside the running process, for the tests of programs that use Qdrant.

    with Server() as server:
        client = QdrantClient(**server.client_options)
        client.create_collection(...)

Each ``Server`` has free loopback ports and a folder of its own, so any number of them may run side by side. The pytest
fixtures ``qdrantlite_server`` and ``qdrantlite_client`` (``pytest_plugin.py``) are built on it.
Depends on no client: the options are plain values.
"""

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from qdrantlite import server
from qdrantlite.settings import Settings

HOST = "127.0.0.1"
GRACE_S = 5.0


class Server:
    """Runs from ``with`` (or ``start``) until its end (or ``stop``); may be started again, on new ports.

    ``folder`` is kept; without one, a temporary folder is made at the start and removed at the end.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        self._folder = None if folder is None else Path(folder)
        self._temporary: Path | None = None
        self._running: server.Server | None = None

    def start(self) -> "Server":
        """Answers when this returns. Raises as ``qdrantlite.server.Server.start``, such as ``Locked``."""
        assert self._running is None, "started already"
        if self._folder is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="qdrantlite-"))
        settings = Settings(host=HOST, http_port=0, grpc_port=0, storage_path=self.folder)
        try:
            self._running = server.Server.start(settings, GRACE_S)
        except BaseException:
            self._remove_temporary()
            raise
        return self

    def stop(self) -> None:
        """Lets calls under way finish, closes the database, removes the temporary folder. Idempotent."""
        if self._running is not None:
            self._running.stop()
            self._running = None
            self._remove_temporary()

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def folder(self) -> Path:
        """Where the data is; a temporary folder exists only while the server runs."""
        folder = self._folder or self._temporary
        assert folder is not None, "a temporary folder exists only while the server runs"
        return folder

    @property
    def grpc_port(self) -> int:
        """Port of the gRPC API while the server runs."""
        port = self._addresses.grpc_port
        assert port is not None
        return port

    @property
    def http_port(self) -> int:
        """Port of the HTTP API while the server runs."""
        return self._addresses.http_port

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT`` of the HTTP API."""
        return f"http://{HOST}:{self.http_port}"

    @property
    def client_options(self) -> dict[str, Any]:
        """Arguments for ``qdrant_client.QdrantClient`` (or ``AsyncQdrantClient``), which will prefer gRPC.

        The client does not compare versions: it does so in a thread that may outlive a short test, and its server.
        """
        return {
            "host": HOST,
            "port": self.http_port,
            "grpc_port": self.grpc_port,
            "prefer_grpc": True,
            "check_compatibility": False,
        }

    @property
    def rest_options(self) -> dict[str, Any]:
        """The same for a client that speaks HTTP."""
        return {"url": self.url, "check_compatibility": False}

    @property
    def _addresses(self) -> server.Addresses:
        assert self._running is not None, "not started"
        return self._running.addresses

    def _remove_temporary(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None
