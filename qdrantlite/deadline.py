"""The time that a request has, asked by whatever grows with data.

Made by the wire from the request's timeout and the client's own deadline, cancelled when the client goes away, carried
down to the loops. Asking costs less than a microsecond; loops ask at least every 50 ms of work.
"""

from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Final, TypeAlias

from qdrantlite.errors import Cancelled, TimedOut

Ask: TypeAlias = Callable[[], None]
"""``check`` or ``pause`` of a deadline, for those who need no more of it."""

READ_DEFAULT_S: Final = 60.0
"""What a read has when it does not say."""
CLIENT_S: Final = 0.01
"""So often it is asked whether the client is still there; never in a request that is shorter."""


class Deadline:
    """When a request is over. One thread works under it, any thread may cancel it."""

    __slots__ = ("_asked_s", "_cancelled", "_end_s", "_give_way", "_given_s", "_is_alone", "_operation", "timeout_s")

    def __init__(
        self,
        timeout_s: float | None = None,
        *,
        default_s: float = inf,
        operation: str = "Query",
        client_s: float = inf,
        is_alone: Callable[[], bool] | None = None,
        give_way: Callable[[], None] | None = None,
    ) -> None:
        """The request ends ``timeout_s`` from now, ``default_s`` when it does not say, or after ``client_s``, when the
        client stops waiting, if that comes first. ``is_alone`` tells that the client has gone; it is called now and
        then. ``give_way`` is called where the request could let others pass.
        """
        self._asked_s = monotonic()
        self._given_s = default_s if timeout_s is None else timeout_s
        self._end_s = self._asked_s + min(self._given_s, client_s)
        self.timeout_s = timeout_s
        self._operation = operation
        self._is_alone = is_alone
        self._give_way = give_way
        self._cancelled = False

    @property
    def is_over(self) -> bool:
        """Whether the time has passed, or nobody waits for the answer any more."""
        now = monotonic()
        if self._is_alone is not None and now - self._asked_s > CLIENT_S:
            self._asked_s = now
            self._cancelled = self._cancelled or self._is_alone()
        return self._cancelled or now > self._end_s

    def check(self) -> None:
        """Raises TimedOut, Cancelled when the request is over."""
        if not self.is_over:
            return
        if self._cancelled:
            raise Cancelled(f"Operation '{self._operation}' was cancelled by its client")
        raise TimedOut(f"Operation '{self._operation}' timed out after {self._given_s:g} seconds")

    def pause(self) -> None:
        """As ``check``; and a request that has run for long may let others pass. Never called under a lock."""
        self.check()
        if self._give_way is not None:
            self._give_way()
            self.check()

    def cancel(self) -> None:
        """Nobody waits for the answer any more."""
        self._cancelled = True


FOREVER: Final = Deadline()
"""For work that no client waits for. Never cancelled."""
