"""Point ids: what the user calls a point. Unsigned 64-bit integers or UUIDs; all integers order before all UUIDs.

An *offset*, the row number inside a shard, is a different thing and never leaves the server.
"""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias
from uuid import UUID

from qdrantlite.errors import MalformedRequest

PointId: TypeAlias = int | UUID

INTEGER_ID_MAX = 2**64 - 1

_AT_ONCE: Final = 2**16

_HEX = "[0-9a-f]"
_HYPHENATED = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_USUAL = re.compile(_HYPHENATED)
_UUID = re.compile(f"{_HEX}{{32}}|{_HYPHENATED}|urn:uuid:{_HYPHENATED}|\\{{{_HYPHENATED}\\}}", re.IGNORECASE | re.ASCII)


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID to Qdrant: hyphenated, simple, urn or braced, of any case, and nothing else."""
    return _UUID.fullmatch(text) is not None


def usual_uuid(text: str) -> str | None:
    """The usual spelling of a text that is a UUID: hyphenated, in lower case; None for another text."""
    if _USUAL.fullmatch(text) is not None:
        return text
    return str(parse_uuid(text)) if is_uuid(text) else None


def parse_uuid(text: str) -> UUID:
    """The UUID that a text is. Raises MalformedRequest."""
    if not is_uuid(text):
        raise MalformedRequest(f"Unable to parse UUID: {text}")
    return UUID(text[-36:] if len(text) == 45 else text)


def id_order(point_id: PointId) -> tuple[int, int]:
    """Sort key that gives Qdrant's order: integers ascending, then UUIDs ascending."""
    if isinstance(point_id, UUID):
        return 1, point_id.int
    return 0, point_id


def distinct(ids: Sequence[PointId]) -> list[PointId]:
    """Each id once, in the order of the first mention. Millions are taken some at a time, for no other thread runs
    while a dictionary is filled.
    """
    found: dict[PointId, None] = {}
    for start in range(0, len(ids), _AT_ONCE):
        found.update(dict.fromkeys(ids[start : start + _AT_ONCE]))
    return list(found)
