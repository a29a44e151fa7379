"""What was found out about one state of a shard: kept until the next commit replaces the state, and it with it.

The same few questions come again and again: a tenant's filter, a page of ten with this beam.
"""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

ENTRIES_MAX = 256
OFFSETS_MAX = 8 << 20
"""Offsets kept in all, at two bytes or less each."""


class Cache(Generic[Key, Value]):
    """Values by key; the oldest are forgotten first. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._offsets = 0

    def find(self, key: Key) -> Value | None:
        """What was kept, if anything."""
        found = self._found.get(key)
        return None if found is None else found[0]

    def keep(self, key: Key, value: Value, offsets: int) -> None:
        """Remembers a value that holds so many offsets, unless they are too many."""
        if offsets > OFFSETS_MAX // 2:
            return
        with self._lock:
            if key in self._found:
                return
            self._found[key] = value, offsets
            self._offsets += offsets
            while len(self._found) > ENTRIES_MAX or self._offsets > OFFSETS_MAX:
                self._offsets -= self._found.popitem(last=False)[1][1]
