"""A server: one database, opened from its folder and reachable on its ports until it is stopped.

Invariants: ``start`` either returns a server that answers, or raises and holds nothing (no lock, no port, no thread);
``stop`` lets calls under way finish before the database closes. Wires the stations together and does no work of its
own: what a call means is known in ``wire/`` and below.
"""

import logging
import os
import queue
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType

from qdrantlite.database import Database
from qdrantlite.settings import Settings
from qdrantlite.storage import open_files
from qdrantlite.wire.call_pools import CallPools
from qdrantlite.wire.grpc.server import GrpcServer
from qdrantlite.wire.rest.server import HttpServer

GRACE_S = 30.0
"""How long calls under way may take to finish when the server is asked to stop."""

MEBIBYTE = 2**20

EXIT_BROKEN = 70
"""Exit code of a server whose collections nobody would tend any more: whoever supervises it starts it anew."""

logger = logging.getLogger(__name__)


class CannotListen(Exception):
    """A port is taken, or the host is not an address of this machine; the text names both."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a started server listens; ``grpc_port`` is ``None`` when gRPC is switched off."""

    host: str
    http_port: int
    grpc_port: int | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        grpc = "off" if self.grpc_port is None else f"{host}:{self.grpc_port}"
        return f"grpc={grpc} http={host}:{self.http_port}"


class Server:
    """A started server. Made by ``start``."""

    def __init__(self, addresses: Addresses, closing: ExitStack) -> None:
        self.addresses = addresses
        self._closing = closing

    @classmethod
    def start(
        cls, settings: Settings, grace_s: float = GRACE_S, *, fatal: Callable[[], object] = lambda: None
    ) -> "Server":
        """Opens the folder (made if missing), then the ports. Collections open behind them: a request opens the one it
        needs, and ``/readyz`` answers 503 until all have been opened. ``fatal`` as for ``Database``.

        Raises CannotListen; ``errors.Locked`` when another server holds the folder; ``errors.Corrupted`` and
        ``errors.StorageFailed`` when the folder cannot be read.
        """
        closing = ExitStack()
        try:
            database = Database(settings.storage_path, auto_columns=settings.auto_columns, fatal=fatal)
            closing.callback(database.close)
            pools = closing.enter_context(CallPools())
            grpc_port = None
            if settings.grpc_port is not None:
                grpc = GrpcServer(database, host=settings.host, port=settings.grpc_port, pools=pools)
                closing.callback(grpc.stop, grace_s)
                grpc_port = _listen(grpc.start, settings.host, settings.grpc_port)
            http = HttpServer(
                database,
                host=settings.host,
                port=settings.http_port,
                pools=pools,
                body_bytes_max=settings.max_request_size_mb * MEBIBYTE,
                cors=settings.enable_cors,
                keep_alive_s=settings.http_keep_alive_timeout_sec,
            )
            closing.callback(http.stop, grace_s)
            http_port = _listen(http.start, settings.host, settings.http_port)
        except BaseException:
            closing.close()
            raise
        return cls(Addresses(settings.host, http_port, grpc_port), closing)

    def stop(self) -> None:
        """Takes no new calls, waits for those under way, closes the database. Idempotent."""
        self._closing.close()


def _listen(start: Callable[[], int], host: str, port: int) -> int:
    try:
        return start()
    except (OSError, RuntimeError) as error:
        raise CannotListen(f"cannot listen on {host}:{port}: {error}") from error


def serve(settings: Settings, announce: Callable[[Addresses], None]) -> None:
    """Runs a server until SIGTERM or SIGINT; ``announce`` is called once, when it answers. Main thread only.

    Raises the process's limit of open files as far as the system lets it. A second signal ends the process at once;
    what was acknowledged is on disk by then in any case. So does the end of upkeep by a mistake, with ``EXIT_BROKEN``.
    Raises as ``Server.start``.
    """
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    asked = False

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        signals.put(number)

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        open_files.raise_limit()
        server = Server.start(settings, fatal=_end_process)
        announce(server.addresses)
        number = _next(signals)
        logger.info("%s: finishing calls under way, then closing", signal.Signals(number).name)
        server.stop()
        logger.info("closed")
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _end_process() -> None:
    logging.shutdown()
    os._exit(EXIT_BROKEN)


def _next(signals: "queue.SimpleQueue[int]") -> int:
    """Waits for a signal. Windows runs handlers only between two waits of the main thread, so waits are short there."""
    while True:
        try:
            return signals.get(timeout=0.5 if sys.platform == "win32" else None)
        except queue.Empty:
            continue
