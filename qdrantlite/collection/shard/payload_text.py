"""Payloads as the store keeps them: JSON, and nothing for an empty one."""

from collections.abc import Mapping

import orjson

from qdrantlite.values.payload import Json, Payload, require_readable


def payload_text(payload: Mapping[str, Json]) -> bytes | None:
    """JSON of a payload; None when it is empty. Raises BadInput for one that no client could read."""
    require_readable(payload)
    return orjson.dumps(payload) if payload else None


def payload_of(text: bytes | None) -> Payload:
    """The payload of a JSON text; an empty one for None."""
    if text is None:
        return {}
    payload: Payload = orjson.loads(text)
    return payload
