"""When to try again what has failed: at once would burn the machine, never would leave a mended disk unused."""

from time import monotonic

from qdrantlite.errors import told


class Backoff:
    """Pauses between attempts double from ``first_s`` to ``last_s``. One thread attempts at a time, any may look."""

    def __init__(self, *, first_s: float, last_s: float) -> None:
        self._first_s = first_s
        self._last_s = last_s
        self._retry_at = 0.0
        self.failures = 0
        self.error: str | None = None
        """What a client may read of the last failure; None once an attempt has succeeded."""

    @property
    def is_due(self) -> bool:
        """Whether an attempt may be made now."""
        return monotonic() >= self._retry_at

    def failed(self, error: Exception) -> None:
        """An attempt has failed."""
        self._retry_at = monotonic() + min(self._first_s * 2**self.failures, self._last_s)
        self.failures += 1
        self.error = told(error)

    def succeeded(self) -> None:
        """An attempt has succeeded."""
        self.failures, self.error, self._retry_at = 0, None, 0.0
