"""Shard keys that a request names. Only clusters can create them, so none is ever found; Qdrant says so differently for
writes and for reads.
"""

from collections.abc import Sequence

from qdrantlite.errors import BadInput, BadRequest
from qdrantlite.wire.checked.once_found import OnceFound


def written(keys: Sequence[str | int]) -> None:
    """The keys that a write names. Raises OnceFound."""
    raise OnceFound(BadInput(_not_found(keys[0]) if keys else "Empty shard keys selection"))


def read(keys: Sequence[str | int], lookup: str | None = None) -> None:
    """The keys that a read names of its collection, or of that of a lookup. Raises OnceFound, unless there are none."""
    if keys:
        raise OnceFound(BadRequest(_not_found(keys[0])), other=lookup)


def _not_found(key: str | int) -> str:
    return f"Shard key {key} not found" if isinstance(key, int) else f'Shard key "{key}" not found'
