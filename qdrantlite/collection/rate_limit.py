"""Rate limits of a collection: a bucket of tokens for reads and one for writes, full at the start.

A bucket holds as many tokens as the limit of a minute and fills up evenly. The clock is passed in.
"""

from collections.abc import Callable
from math import ceil
from threading import Lock
from time import monotonic

from qdrantlite.errors import RateLimited

SECONDS = 60


class TokenBucket:
    """Thread-safe. ``kind`` is ``Read`` or ``Write``, as the refusal names it."""

    def __init__(self, kind: str, clock: Callable[[], float] = monotonic) -> None:
        self._kind = kind
        self._clock = clock
        self._lock = Lock()
        self._per_minute = 0
        self._tokens = 0.0
        self._filled_s = 0.0

    def take(self, tokens: int, per_minute: int | None) -> None:
        """Takes the tokens of one request, all or none. A changed limit begins with a full bucket; None = no limit.

        Raises RateLimited, telling after how many seconds there will be enough, if ever.
        """
        if per_minute is None:
            return
        with self._lock:
            now_s = self._clock()
            if per_minute != self._per_minute:
                self._per_minute, self._tokens = per_minute, float(per_minute)
            else:
                self._tokens = min(per_minute, self._tokens + (now_s - self._filled_s) * per_minute / SECONDS)
            self._filled_s = now_s
            if tokens <= self._tokens:
                self._tokens -= tokens
                return
            available = self._tokens
        if tokens > per_minute:
            raise RateLimited(
                f"{self._kind} rate limit exceeded: request larger than rate limiter capacity, "
                "please try to split your request",
                retry_after_s=None,
            )
        wait_s = ceil((tokens - available) * SECONDS / per_minute)
        raise RateLimited(
            f"{self._kind} rate limit exceeded: Operation requires {tokens} tokens but only {available:.1f} were "
            f"available. Retry after {wait_s}s",
            retry_after_s=wait_s,
        )
