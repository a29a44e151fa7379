"""Point ids: what the user calls a point. Unsigned 64-bit integers or UUIDs; all integers order before all UUIDs.

An *offset*, the row number inside a shard, is a different thing and never leaves the server.
"""

from typing import TypeAlias
from uuid import UUID

from qdrantlite.errors import MalformedRequest

PointId: TypeAlias = int | UUID

INTEGER_ID_MAX = 2**64 - 1


def parse_uuid(text: str) -> UUID:
    """UUID from hyphenated, simple, urn or braced text of any case. Raises MalformedRequest."""
    try:
        return UUID(text)
    except ValueError:
        raise MalformedRequest(f"Unable to parse UUID: {text}") from None


def id_order(point_id: PointId) -> tuple[int, int]:
    """Sort key that gives Qdrant's order: integers ascending, then UUIDs ascending."""
    if isinstance(point_id, UUID):
        return 1, point_id.int
    return 0, point_id
