"""What was found out about something immutable: kept as long as that lives, within bounds.

The same few questions come again and again: a tenant's filter, a page of ten with this beam, the circle around a shop.
A shard keeps the answers to whole filters and plans with the number of the commit they hold for (``segment.lately``); a
segment of an index keeps those that were long to find until it is merged.
"""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

ENTRIES_MAX = 256
OFFSETS_MAX = 8 << 20
"""Offsets kept in all, at two bytes or less each, unless told otherwise."""


class Cache(Generic[Key, Value]):
    """Values by key; the oldest are forgotten first. Thread-safe."""

    def __init__(self, *, offsets_max: int | None = None) -> None:
        self._lock = Lock()
        self._found: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._offsets = 0
        self._offsets_max = OFFSETS_MAX if offsets_max is None else offsets_max

    def find(self, key: Key) -> Value | None:
        """What was kept, if anything."""
        found = self._found.get(key)
        return None if found is None else found[0]

    def keep(self, key: Key, value: Value, offsets: int) -> None:
        """Remembers a value that holds so many offsets, unless they are too many, in the place of an older one."""
        if offsets > self._offsets_max // 2:
            return
        with self._lock:
            older = self._found.pop(key, None)
            if older is not None:
                self._offsets -= older[1]
            self._found[key] = value, offsets
            self._offsets += offsets
            while len(self._found) > ENTRIES_MAX or self._offsets > self._offsets_max:
                self._offsets -= self._found.popitem(last=False)[1][1]
