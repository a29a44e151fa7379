"""Which payload fields filters ask for although no index answers: where a column would save reading payloads.

Kept for as long as a shard is open; nothing of it is durable. Thread-safe.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock
from time import monotonic

REQUESTS_MIN = 2
"""A field that was asked for so often gets a column."""
PAYLOADS_MIN = 64
"""A filter that reads fewer payloads does well without."""
POINTS_MIN = 1000
"""Fewer are read as quickly as anything else is done."""
UNUSED_S = 600.0
FIELDS_MAX = 64
"""As many are remembered, the latest."""


@dataclass(slots=True)
class _Asked:
    requests: int = 0
    last_s: float = 0.0
    refused: bool = False


class ColumnDemand:
    """See the module."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._fields: dict[str, _Asked] = {}

    def missed(self, keys: Iterable[str], payloads: int, *, before: int) -> None:
        """A filter on these fields has to read so many payloads, after others ``before``: one request in all."""
        if not before < PAYLOADS_MIN <= before + payloads:
            return
        with self._lock:
            for key in keys:
                self._asked(key).requests += 1

    def used(self, key: str) -> None:
        """The column of this field answered."""
        with self._lock:
            self._asked(key)

    def refuse(self, key: str) -> None:
        """No column is to be made of this field, however often it is asked for."""
        with self._lock:
            self._asked(key).refused = True

    def due(self, points: int) -> tuple[str, ...]:
        """Fields that ought to have a column in a shard of so many points."""
        if points < POINTS_MIN:
            return ()
        with self._lock:
            wanted = [
                key for key, asked in self._fields.items() if asked.requests >= REQUESTS_MIN and not asked.refused
            ]
        return tuple(wanted)

    def is_unused(self, key: str) -> bool:
        """Whether nobody has asked for the field lately; it is forgotten then."""
        with self._lock:
            asked = self._fields.get(key)
            if asked is not None and monotonic() - asked.last_s < UNUSED_S:
                return False
            self._fields.pop(key, None)
            return True

    def _asked(self, key: str) -> _Asked:
        """The field, asked for now. The caller holds the lock."""
        asked = self._fields.pop(key, None) or _Asked()
        asked.last_s = monotonic()
        self._fields[key] = asked
        while len(self._fields) > FIELDS_MAX:
            del self._fields[next(iter(self._fields))]
        return asked
