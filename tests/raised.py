"""What work raises, and waiting for what threads bring about, for tests of failures."""

from collections.abc import Callable
from threading import Event
from typing import Any

from qdrantlite.errors import QdrantliteError


def raised_by(work: Callable[[], object]) -> Exception:
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def raised_message(error: Exception) -> str:
    assert isinstance(error, QdrantliteError)
    return error.message


def raising(error: Exception, *, when: str = "") -> Callable[..., None]:
    def call(*arguments: Any) -> None:
        if when in str(arguments):
            raise error

    return call


def until(condition: Callable[[], bool]) -> None:
    ended = Event()
    for _ in range(2000):
        if condition():
            return
        ended.wait(0.005)
    raise AssertionError("it never came to pass")
