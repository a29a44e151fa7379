"""Calls that wait, are stuck or too many: who goes on, who is told what."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from qdrantlite import errors
from qdrantlite.wire import call_threads
from qdrantlite.wire.call_pools import READ_PLACES, CallKind, CallPools
from qdrantlite.wire.grpc.server import GrpcServer
from qdrantlite.wire.pb import points
from qdrantlite.wire.pb.services import SERVICES
from tests.wire.grpc.called import DELETE, QUERY, call, failure
from tests.wire.grpc.fake_engine import FakeEngine


def test_deadline_of_the_client_is_kept_while_the_server_works(channel: grpc.Channel, engine: FakeEngine) -> None:
    release = threading.Event()
    engine.before = lambda: release.wait(5.0)
    try:
        assert failure(channel, "/qdrant.Points/Query", QUERY, timeout=0.1)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    finally:
        release.set()
    engine.before = lambda: None
    assert len(call(channel, "/qdrant.Points/Query", QUERY).result) == 1


@contextmanager
def all_search_threads_busy(channel: grpc.Channel, engine: FakeEngine) -> Iterator[None]:
    """Inside, every thread that searches is at work, up to five seconds; afterwards all of them have answered."""
    release = threading.Event()
    engine.before = lambda: release.wait(5.0)
    with ThreadPoolExecutor(READ_PLACES) as pool:
        busy = [pool.submit(call, channel, "/qdrant.Points/Query", QUERY) for _ in range(READ_PLACES)]
        while len(engine.asked) < READ_PLACES:
            time.sleep(0.01)
        try:
            yield
        finally:
            release.set()
        assert all(future.result().result for future in busy)


def test_call_whose_deadline_passed_in_the_queue_is_not_begun(
    channel: grpc.Channel, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_threads, "STUCK_S", 1.0)
    with all_search_threads_busy(channel, engine):
        assert failure(channel, "/qdrant.Points/Query", QUERY, timeout=0.1)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
        call(channel, "/qdrant.Qdrant/HealthCheck")  # Sent after it: now the server knows, too.
    call(channel, "/qdrant.Points/Query", QUERY)
    assert len(engine.asked) == READ_PLACES + 1


def test_reads_that_are_stuck_hold_up_nobody(channel: grpc.Channel, engine: FakeEngine) -> None:
    with all_search_threads_busy(channel, engine):
        call(channel, "/qdrant.Qdrant/HealthCheck")
        call(channel, "/qdrant.Points/Get", points.GetPoints(collection_name="books"))


def test_clients_that_send_no_request_hold_up_nobody(port: int, channel: grpc.Channel) -> None:
    method = SERVICES["qdrant.Points"]["Query"]
    silent = threading.Event()

    def nothing_yet() -> Iterator[bytes]:
        silent.wait(5.0)
        yield from ()

    with grpc.insecure_channel(f"127.0.0.1:{port}") as other:
        futures = [other.stream_unary(method.path).future(nothing_yet()) for _ in range(2 * READ_PLACES)]
        try:
            assert len(call(channel, "/qdrant.Points/Query", QUERY).result) == 1
            assert not any(future.done() for future in futures)
        finally:
            silent.set()


def test_a_call_that_nobody_waits_for_ends_at_its_next_check(channel: grpc.Channel, engine: FakeEngine) -> None:
    ended = threading.Event()

    def work() -> None:
        deadline = engine.asked[-1][-1]
        while not deadline.is_over:
            time.sleep(0.001)
        with pytest.raises(errors.Cancelled):
            deadline.pause()
        ended.set()

    engine.before = work
    method = SERVICES["qdrant.Points"]["Query"]
    future = channel.unary_unary(method.path, request_serializer=method.request.SerializeToString).future(QUERY)
    while not engine.asked:
        time.sleep(0.001)
    future.cancel()
    assert ended.wait(5.0)


def test_overload_is_told_at_once_and_to_reads_alone(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_threads, "STUCK_S", 1.0)
    pools = CallPools(waiting_max=2)
    server = GrpcServer(engine, host="127.0.0.1", port=0, pools=pools)
    with grpc.insecure_channel(f"127.0.0.1:{server.start()}") as channel, ThreadPoolExecutor(2) as asking:
        with all_search_threads_busy(channel, engine):
            waiting = [asking.submit(call, channel, "/qdrant.Points/Query", QUERY) for _ in range(2)]
            while not pools.of(CallKind.READ).is_full:
                time.sleep(0.001)
            with pytest.raises(grpc.RpcError) as caught:
                call(channel, "/qdrant.Points/Scroll", points.ScrollPoints(collection_name="books"))
            error: Any = caught.value
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert error.details().startswith("Rate limiting exceeded: ")
            assert ("retry-after", "1") in error.trailing_metadata()
            call(channel, "/qdrant.Points/Delete", DELETE)
            call(channel, "/qdrant.Collections/List")
        assert all(future.result().result for future in waiting)
    server.stop()
    pools.close()
