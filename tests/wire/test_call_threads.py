"""Threads for calls: every call runs and its end is told once, also when threads race and when all is closed; and long
calls let others pass.
"""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from qdrantlite.wire import call_threads
from qdrantlite.wire.call_threads import CallThreads

CALLS = 2000


@pytest.fixture
def threads() -> Iterator[CallThreads]:
    pool = CallThreads(3, name="calls", waiting_max=10)
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


class Crowd:
    """Long calls that ask to give way again and again until they are told to end."""

    def __init__(self, pool: CallThreads, count: int) -> None:
        self.enough = threading.Event()
        self.checks = [0] * count
        self._pool = pool
        for number in range(count):
            pool.submit(self._work, number)
        while not all(self.checks[: pool.places]):
            time.sleep(0.001)

    def _work(self, number: int) -> None:
        while not self.enough.is_set():
            time.sleep(0.001)
            self.checks[number] += 1
            self._pool.give_way()


def answered(pool: CallThreads) -> threading.Event:
    """Set when a short call has ended."""
    ended = threading.Event()
    pool.submit(ended.set)
    return ended


def test_short_calls_do_not_wait_for_the_end_of_long_ones(threads: CallThreads) -> None:
    crowd = Crowd(threads, 12)
    for _ in range(50):
        assert answered(threads).wait(5)
    crowd.enough.set()


def test_long_calls_go_on_when_nothing_waits_and_take_turns(threads: CallThreads) -> None:
    crowd = Crowd(threads, 9)
    assert answered(threads).wait(5)
    before = list(crowd.checks)
    end = time.monotonic() + 10
    while not all(now > then + 20 for now, then in zip(crowd.checks, before, strict=True)):
        assert time.monotonic() < end
        time.sleep(0.01)
    crowd.enough.set()


def test_long_calls_get_their_turns_however_many_short_ones_come(threads: CallThreads) -> None:
    crowd = Crowd(threads, 6)
    over = threading.Event()

    def again() -> None:
        if not over.is_set():
            time.sleep(0.002)
            threads.submit(again)

    for _ in range(30):
        threads.submit(again)
    before = list(crowd.checks)
    end = time.monotonic() + 10
    while not all(now > then + 10 for now, then in zip(crowd.checks, before, strict=True)):
        assert time.monotonic() < end
        time.sleep(0.01)
    over.set()
    crowd.enough.set()


def test_no_more_calls_run_than_there_are_places(threads: CallThreads) -> None:
    running: list[int] = []
    most = 0

    def work() -> None:
        nonlocal most
        for _ in range(30):
            running.append(1)
            most = max(most, len(running))
            time.sleep(0.001)
            running.pop()
            threads.give_way()

    for _ in range(30):
        threads.submit(work)
    threads.shutdown()
    assert most == threads.places


def test_calls_that_are_stuck_lose_their_places_until_they_come_back(threads: CallThreads) -> None:
    release = threading.Event()
    ended = threading.Semaphore(0)

    def stuck() -> None:
        release.wait(10)
        threads.give_way()
        ended.release()

    for _ in range(6):
        threads.submit(stuck)
    assert answered(threads).wait(5)
    release.set()
    for _ in range(6):
        assert ended.acquire(timeout=5)
    assert answered(threads).wait(5)
    test_no_more_calls_run_than_there_are_places(threads)


def test_calls_held_up_end_before_the_shutdown(threads: CallThreads) -> None:
    crowd = Crowd(threads, 9)
    assert answered(threads).wait(5)
    ending = threading.Timer(0.2, crowd.enough.set)
    ending.start()
    threads.shutdown()
    assert all(crowd.checks)
    ending.join()


def test_pool_is_full_when_so_many_wait(threads: CallThreads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_threads, "STUCK_S", 1.0)
    release = threading.Event()
    for _ in range(3 + 9):
        threads.submit(release.wait, 5)
    assert not threads.is_full
    threads.submit(release.wait, 5)
    assert threads.is_full
    release.set()
    threads.shutdown()
    assert not threads.is_full
