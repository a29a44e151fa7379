"""What filters let through in one state of a shard: found once, then looked up until the next commit replaces the
state, and what is known with it. The same few filters come again and again: a tenant, a language, a status.
"""

from threading import Lock

from qdrantlite.query.filter import Filter
from qdrantlite.segment.selection import Selection

FILTERS_MAX = 256
OFFSETS_MAX = 8 << 20
"""Offsets kept in all, at two bytes or less each; the oldest filters are forgotten first."""


class KnownFilters:
    """Selections by filter and, narrowed to the points that have it, by vector. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: dict[tuple[Filter, str | None], Selection] = {}
        self._offsets = 0

    def find(self, filter: Filter, using: str | None = None) -> Selection | None:
        """What was kept, if anything."""
        return self._found.get((filter, using))

    def keep(self, selection: Selection, filter: Filter, using: str | None = None) -> None:
        """Remembers a selection unless it is too large."""
        size = len(selection)
        if size > OFFSETS_MAX // 2:
            return
        with self._lock:
            if (filter, using) in self._found:
                return
            self._found[filter, using] = selection
            self._offsets += size
            while len(self._found) > FILTERS_MAX or self._offsets > OFFSETS_MAX:
                self._offsets -= len(self._found.pop(next(iter(self._found))))
