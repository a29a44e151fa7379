"""Numbers that filters ask for: every point is in a bucket drawn for it, every filter is a window of its own."""

import numpy as np
from numpy.typing import NDArray

BUCKETS = 10_000


class Buckets:
    """``of`` ``(n,) int64`` tells the bucket of each point."""

    def __init__(self, count: int, chance: np.random.Generator) -> None:
        self.of = chance.integers(0, BUCKETS, count)
        self._order = np.argsort(self.of, kind="stable")
        self._sorted = self.of[self._order]

    def within(self, window: range | None) -> NDArray[np.intp]:
        """The points in the buckets of a window, None: all."""
        if window is None:
            return self._order
        first, stop = np.searchsorted(self._sorted, [window.start, window.stop])
        return self._order[first:stop]


def windows(width: int | None, count: int, chance: np.random.Generator) -> list[range | None]:
    """So many windows of so many buckets, of ``BUCKETS``; None: no filter."""
    if width is None:
        return [None] * count
    return [range(low, low + width) for low in chance.integers(0, BUCKETS - width + 1, count).tolist()]
