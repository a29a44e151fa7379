"""The gRPC server: every service of the contract on one port, with reflection and health.

Calls run on threads of their kind (``wire.call_pools``); the engine is safe from any of them. What looks at every call
before it is decoded (authentication, request logging) belongs into ``interceptors``.
"""

import contextlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import grpc

from qdrantlite.wire.call_pools import CallKind, CallPools
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.grpc import collections, point_reads, point_writes, root, snapshots
from qdrantlite.wire.grpc.dispatch import Rpc, ServiceMethods, brief
from qdrantlite.wire.grpc.health import HealthSwitch, register_health
from qdrantlite.wire.grpc.reflection import register_reflection

CHANGES: Final[Mapping[str, frozenset[str]]] = {
    "qdrant.Collections": frozenset({"Create", "Update", "Delete"}),
    "qdrant.Points": frozenset({"CreateFieldIndex", "DeleteFieldIndex", "CreateVectorName", "DeleteVectorName"}),
}
"""Service → methods that may take long and are rare."""

RPCS: Final[Mapping[str, Mapping[str, Rpc]]] = {
    "qdrant.Qdrant": brief(root.RPCS),
    "qdrant.Collections": brief(collections.RPCS),
    "qdrant.Points": {**point_reads.RPCS, **point_writes.RPCS},
    "qdrant.Snapshots": brief(snapshots.RPCS),
}
"""Service → method → what answers it. What the contract has and this table lacks is answered UNIMPLEMENTED."""

OPTIONS: Final = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A port belongs to one server: a second one must fail instead of sharing it.
    ("grpc.so_reuseport", 0),
    # Go clients ping every 10 s whether or not a call is open; no ping is ever too early.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 0),
    # A dead peer is noticed within half a minute.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Pages of payload compress well only if a client asks for it.
    ("grpc.default_compression_algorithm", grpc.Compression.NoCompression.value),
)


class GrpcServer:
    """Not started until ``start``; ``stop`` ends it for good."""

    def __init__(
        self,
        engine: Engine,
        *,
        host: str,
        port: int,
        pools: CallPools,
        tls: grpc.ServerCredentials | None = None,
        interceptors: Sequence[grpc.ServerInterceptor] = (),
    ) -> None:
        """``port`` 0 takes a free one. ``pools`` stay the caller's. ``tls`` None serves plain HTTP/2."""
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._tls = tls
        self._server = grpc.server(pools.of(CallKind.OTHER), interceptors=interceptors, options=OPTIONS)
        for service, rpcs in RPCS.items():
            handler = ServiceMethods(service, rpcs, engine, kind_of=partial(_kind_of, service), pools=pools)
            self._server.add_generic_rpc_handlers((handler,))
        register_reflection(self._server)
        self._health: HealthSwitch = register_health(self._server)

    def start(self) -> int:
        """Binds and serves; returns the port. Raises OSError when the port is taken or the host is not ours."""
        port = 0
        with contextlib.suppress(RuntimeError):
            if self._tls is None:
                port = self._server.add_insecure_port(self._address)
            else:
                port = self._server.add_secure_port(self._address, self._tls)
        if port == 0:
            raise OSError(f"gRPC cannot listen on {self._address}: the port is taken or the host is not this machine's")
        self._server.start()
        return int(port)

    def stop(self, grace_s: float | None = None) -> None:
        """Takes no new calls, gives those running ``grace_s`` seconds (None: no time), returns when all have ended."""
        self._health.serving = False
        self._server.stop(grace_s).wait()


def _kind_of(service: str, method: str) -> CallKind:
    if method in CHANGES.get(service, ()):
        return CallKind.CHANGE
    if service != "qdrant.Points":
        return CallKind.OTHER
    return CallKind.READ if method in point_reads.RPCS else CallKind.WRITE
