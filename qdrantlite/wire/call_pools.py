"""The threads on which a server answers, shared by its ports: one pool for each kind of call.

So none waits for calls of another kind: reads compute, writes wait for the disk, changes of collections and indexes may
take minutes, everything else is brief.
"""

import os
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Final

from qdrantlite.errors import RateLimited
from qdrantlite.wire.call_threads import CallThreads

READ_PLACES: Final = (os.cpu_count() or 1) + 1
"""Reads hardly wait for a disk; beyond the cores their threads only hand the interpreter lock around. With 8 clients on
2 cores, 3 threads answered a quarter more than 16."""

CHANGE_PLACES: Final = 4
THREADS_DEFAULT: Final = 16

WAITING_MAX: Final = 2048
"""Calls of each kind that may wait to begin: about what a second answers."""


class CallKind(Enum):
    """What a call does."""

    READ = "read"
    WRITE = "write"
    CHANGE = "change"
    OTHER = "other"


class CallPools:
    """Made by whoever makes the ports, and closed after them. A context manager that closes."""

    def __init__(self, threads: int = THREADS_DEFAULT, *, waiting_max: int = WAITING_MAX) -> None:
        """``threads`` write at a time, and so many answer what is brief."""
        places = {
            CallKind.READ: READ_PLACES,
            CallKind.WRITE: threads,
            CallKind.CHANGE: CHANGE_PLACES,
            CallKind.OTHER: threads,
        }
        self._pools = {
            kind: CallThreads(count, name=f"call-{kind.value}", waiting_max=waiting_max)
            for kind, count in places.items()
        }
        self.refusals = CallThreads(1, name="call-refusal", waiting_max=waiting_max)
        """For telling clients that a pool is full, where that needs a thread."""

    def of(self, kind: CallKind) -> CallThreads:
        """The threads for one kind."""
        return self._pools[kind]

    def give_way(self, kind: CallKind) -> Callable[[], None] | None:
        """What lets others pass a call of this kind; None for kinds that hold locks."""
        return self.of(kind).give_way if kind is CallKind.READ else None

    def close(self) -> None:
        """Waits for all calls to end. Idempotent."""
        pools = (*self._pools.values(), self.refusals)
        for wait in (False, True):
            for pool in pools:
                pool.shutdown(wait=wait)

    def __enter__(self) -> "CallPools":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def overloaded() -> RateLimited:
    """What a call is answered whose pool is full."""
    return RateLimited("Too many requests are waiting already, try again later", retry_after_s=1)
