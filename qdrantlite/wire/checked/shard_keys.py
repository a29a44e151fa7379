"""Shard keys that a request names. Only clusters can create them, so none is ever found; Qdrant says so differently for
writes and for reads.
"""

from collections.abc import Sequence

from qdrantlite.errors import BadInput, BadRequest


def written(keys: Sequence[str | int]) -> None:
    """The keys that a write names. Raises BadInput."""
    if not keys:
        raise BadInput("Empty shard keys selection")
    raise BadInput(_not_found(keys[0]))


def read(keys: Sequence[str | int]) -> None:
    """The keys that a read names. Raises BadRequest, unless there are none."""
    if keys:
        raise BadRequest(_not_found(keys[0]))


def _not_found(key: str | int) -> str:
    return f"Shard key {key} not found" if isinstance(key, int) else f'Shard key "{key}" not found'
