"""A server over an engine that answers fixed values, and a connection to it."""

from collections.abc import Iterator

import grpc
import pytest

from qdrantlite.wire.call_pools import CallPools
from qdrantlite.wire.grpc.server import GrpcServer
from tests.wire.grpc.fake_engine import FakeEngine


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def port(engine: FakeEngine) -> Iterator[int]:
    with CallPools(threads=4) as pools:
        server = GrpcServer(engine, host="127.0.0.1", port=0, pools=pools)
        yield server.start()
        server.stop()


@pytest.fixture
def channel(port: int) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)]) as opened:
        yield opened
