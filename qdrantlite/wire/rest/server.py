"""The HTTP port: uvicorn in a thread of its own, over the application of ``app.py``.

Invariant: the port is bound before ``start`` returns, so a caller who knows the port can connect. uvicorn never
touches signals here, since it does not run in the main thread.
"""

import socket
import threading
from typing import Final

import uvicorn
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from qdrantlite.wire.call_pools import CallPools
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.rest.app import App

CORS_AGE_S: Final = 3600


class HttpServer:
    """Serves on ``host:port`` between ``start`` and ``stop``; a port of 0 means any free one."""

    def __init__(
        self,
        engine: Engine,
        *,
        host: str,
        port: int,
        pools: CallPools,
        body_bytes_max: int,
        cors: bool,
        keep_alive_s: int,
    ) -> None:
        """``pools`` stay the caller's."""
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None
        app: ASGIApp = App(engine, pools=pools, body_bytes_max=body_bytes_max)
        config = uvicorn.Config(
            _permissive(app) if cors else app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=keep_alive_s,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> int:
        """Binds and begins to serve; the port. Raises OSError: the port is taken, the host is not of this machine."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listening = socket.create_server((self._host, self._port), family=family, backlog=512)
        # asyncio sends without delay only on sockets that say they are TCP; an answer's body would wait 40 ms for the
        # client to acknowledge its head.
        self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=listening.detach())
        self._thread.start()
        port: int = self._socket.getsockname()[1]
        return port

    def stop(self, grace_s: float) -> None:
        """Takes no new connection; requests under way may finish within ``grace_s`` seconds. Idempotent."""
        if self._socket is None:
            return
        self._server.config.timeout_graceful_shutdown = max(1, round(grace_s))
        self._server.should_exit = True
        self._thread.join(grace_s + 1)
        self._socket.close()
        self._socket = None

    def _run(self) -> None:
        assert self._socket is not None
        self._server.run(sockets=[self._socket])


def _permissive(app: ASGIApp) -> ASGIApp:
    """Lets pages from anywhere call, as Qdrant does."""
    return CORSMiddleware(
        app,
        allow_origins=["*"],
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["*"],
        allow_credentials=True,
        max_age=CORS_AGE_S,
    )
