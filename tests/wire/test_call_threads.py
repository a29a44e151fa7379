"""Threads for calls: every call runs and its end is told once, also when threads race and when all is closed."""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from qdrantlite.wire.call_threads import CallThreads

CALLS = 2000


@pytest.fixture
def threads() -> Iterator[CallThreads]:
    pool = CallThreads(3, name="calls")
    yield pool
    pool.shutdown()


def test_calls_run_on_as_many_threads_as_told(threads: CallThreads) -> None:
    together = threading.Barrier(3, timeout=5)
    names = set()

    def call(number: int, *, more: int) -> None:
        assert (number, more) == (1, 2)
        together.wait()
        names.add(threading.current_thread().name)

    for _ in range(3):
        threads.submit(call, 1, more=2)
    threads.shutdown()
    assert names == {"calls_0", "calls_1", "calls_2"}


def test_every_end_is_told_once_however_threads_race(threads: CallThreads) -> None:
    ran: list[int] = []
    told: list[int] = []

    def ask(number: int) -> None:
        ending = threads.submit(ran.append, number)
        ending.add_done_callback(lambda _: told.append(number))
        ending.add_done_callback(lambda _: told.append(-number))

    with ThreadPoolExecutor(4) as asking:
        list(asking.map(ask, range(1, CALLS)))
    threads.shutdown()
    assert sorted(ran) == list(range(1, CALLS))
    assert sorted(told) == [number for number in range(1 - CALLS, CALLS) if number]


def test_a_call_that_raises_is_logged_and_ends(threads: CallThreads, caplog: pytest.LogCaptureFixture) -> None:
    ended = threading.Event()
    with caplog.at_level(logging.ERROR):
        threads.submit(int, "no number").add_done_callback(lambda _: ended.set())
        assert ended.wait(5)
        threads.shutdown()
    assert "invalid literal" in caplog.text


def test_what_was_submitted_before_the_shutdown_still_runs(threads: CallThreads) -> None:
    ran: list[int] = []
    for number in range(100):
        threads.submit(ran.append, number)
    threads.shutdown(wait=False)
    with pytest.raises(RuntimeError):
        threads.submit(ran.append, 100)
    threads.shutdown()
    assert sorted(ran) == list(range(100))
