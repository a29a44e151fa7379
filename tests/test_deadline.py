"""Deadlines: over when the first of the two times has passed, or when the client has gone."""

from math import inf

import pytest

from qdrantlite import deadline as tested
from qdrantlite.deadline import FOREVER, Deadline
from qdrantlite.errors import Cancelled, TimedOut


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [100.0]
    monkeypatch.setattr(tested, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(("timeout_s", "client_s", "end"), [(2, inf, 102), (2, 5, 102), (5, 2, 102)])
def test_over_when_the_first_time_has_passed(clock: list[float], timeout_s: float, client_s: float, end: float) -> None:
    deadline = Deadline(timeout_s, operation="Scroll", client_s=client_s)
    clock[0] = end
    deadline.check()
    assert not deadline.is_over
    clock[0] = end + 0.001
    assert deadline.is_over
    with pytest.raises(TimedOut) as caught:
        deadline.check()
    assert caught.value.message == f"Timeout: Operation 'Scroll' timed out after {timeout_s} seconds"


def test_over_when_the_client_has_gone() -> None:
    deadline = Deadline()
    deadline.check()
    deadline.cancel()
    assert deadline.is_over
    with pytest.raises(Cancelled):
        deadline.check()


def test_whether_the_client_is_there_is_asked_now_and_then(clock: list[float]) -> None:
    asked: list[float] = []

    def is_alone() -> bool:
        asked.append(clock[0])
        return len(asked) == 3

    deadline = Deadline(is_alone=is_alone)
    for _ in range(400):
        clock[0] += 0.0011
        if deadline.is_over:
            break
    assert [round(at - 100, 3) for at in asked] == [0.011, 0.022, 0.033]
    with pytest.raises(Cancelled):
        deadline.check()


def test_time_without_end_does_not_end(clock: list[float]) -> None:
    deadline = Deadline()
    clock[0] = 1e300
    deadline.check()
    assert not deadline.is_over
    assert not FOREVER.is_over


def test_pause_lets_others_pass_and_asks_again(clock: list[float]) -> None:
    passed: list[float] = []

    def give_way() -> None:
        passed.append(clock[0])
        clock[0] += 10

    deadline = Deadline(1, give_way=give_way)
    with pytest.raises(TimedOut):
        deadline.pause()
    with pytest.raises(TimedOut):
        deadline.pause()
    assert passed == [100.0]
