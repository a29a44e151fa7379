"""Writes on points that say which points they are about, and something to do."""

from collections.abc import Sequence

from qdrantlite.errors import BadRequest, ValidationFailed
from qdrantlite.query.filter import Filter
from qdrantlite.query.operation import (
    PointWrite,
    Selector,
    UpdateMode,
    UpdateVectors,
    Upsert,
    VectorsWrite,
)
from qdrantlite.values.point_id import PointId
from qdrantlite.values.vector import NamedVectors
from qdrantlite.wire.checked.once_found import OnceFound


def upsert(points: tuple[PointWrite, ...], mode: UpdateMode, update_filter: Filter | None) -> Upsert:
    """Raises OnceFound for no points."""
    _some(points)
    return Upsert(points=points, mode=mode, update_filter=update_filter)


def selector(ids: tuple[PointId, ...] | None = None, filter: Filter | None = None) -> Selector:
    """The points that a write is about. Raises OnceFound for a list of no ids."""
    if ids is not None:
        _some(ids)
    return Selector(ids=ids, filter=filter)


def update_vectors(points: tuple[VectorsWrite, ...], update_filter: Filter | None) -> UpdateVectors:
    """Raises OnceFound for no points."""
    _some(points)
    return UpdateVectors(points, update_filter)


def _some(points: Sequence[object]) -> None:
    """Qdrant hands a write to the shards that its points are in: without points, to none."""
    if not points:
        raise OnceFound(BadRequest("Empty update request"))


def vectors_write(point_id: PointId, vectors: NamedVectors, *, field: str) -> VectorsWrite:
    """Raises ValidationFailed for no vectors; ``field`` is what they are called in the request."""
    if not vectors:
        raise ValidationFailed(f"{field}: must specify vectors to update for point")
    return VectorsWrite(point_id, vectors)


def vector_names(names: Sequence[str], *, field: str) -> tuple[str, ...]:
    """What to delete. Raises ValidationFailed for no names; ``field`` is what they are called in the request."""
    if not names:
        raise ValidationFailed(f"{field}: must specify vector names to delete")
    return tuple(names)
