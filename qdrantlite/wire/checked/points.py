"""Writes on points that say which points they are about, and something to do."""

from collections.abc import Sequence

from qdrantlite.errors import BadRequest, ValidationFailed
from qdrantlite.query.filter import Filter
from qdrantlite.query.operation import (
    DeletePoints,
    DeleteVectors,
    PointWrite,
    Selector,
    UpdateMode,
    Upsert,
    VectorsWrite,
)
from qdrantlite.values.point_id import PointId
from qdrantlite.values.vector import NamedVectors
from qdrantlite.wire.bounds import not_empty
from qdrantlite.wire.checked.once_found import OnceFound


def upsert(points: tuple[PointWrite, ...], mode: UpdateMode, update_filter: Filter | None) -> Upsert:
    """Raises OnceFound for no points."""
    if not points:
        raise OnceFound(BadRequest("Empty update request"))
    return Upsert(points=points, mode=mode, update_filter=update_filter)


def delete(selector: Selector) -> DeletePoints:
    """Raises OnceFound for a list of no ids."""
    if selector.ids == ():
        raise OnceFound(BadRequest("Empty update request"))
    return DeletePoints(selector)


def vectors_write(point_id: PointId, vectors: NamedVectors, *, field: str) -> VectorsWrite:
    """Raises ValidationFailed for no vectors; ``field`` is what they are called in the request."""
    if not vectors:
        raise ValidationFailed(f"{field}: must specify vectors to update for point")
    return VectorsWrite(point_id, vectors)


def delete_vectors(selector: Selector, names: Sequence[str], *, field: str) -> DeleteVectors:
    """Raises ValidationFailed for no names; ``field`` is what they are called in the request."""
    not_empty(field, names)
    return DeleteVectors(selector, tuple(names))
