"""Write operations on points, as immutable values. A request is a tuple of them, applied whole or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from qdrantlite.query.filter import Filter
from qdrantlite.values.payload import Json, Path
from qdrantlite.values.point_id import PointId
from qdrantlite.values.schema import FieldIndex, SparseVectorParams, VectorParams
from qdrantlite.values.vector import NamedVectors


@dataclass(frozen=True, slots=True)
class Selector:
    """The points an operation is about: by id or by filter. Exactly one is given, or both where Qdrant allows it."""

    ids: tuple[PointId, ...] | None = None
    filter: Filter | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PointWrite:
    """A whole point. ``vectors`` maps names to vectors, ``""`` for the default one; ``payload`` empty = none."""

    id: PointId
    vectors: NamedVectors
    payload: Mapping[str, Json]


class UpdateMode(Enum):
    """What an upsert may do."""

    UPSERT = 0
    INSERT_ONLY = 1
    UPDATE_ONLY = 2


@dataclass(frozen=True, slots=True, eq=False)
class Upsert:
    """Insert or replace. Of a repeated id the last occurrence counts."""

    points: tuple[PointWrite, ...]
    mode: UpdateMode = UpdateMode.UPSERT
    update_filter: Filter | None = None


@dataclass(frozen=True, slots=True)
class DeletePoints:
    """Unknown ids are no error."""

    selector: Selector


@dataclass(frozen=True, slots=True, eq=False)
class VectorsWrite:
    """Some vectors of one existing point."""

    id: PointId
    vectors: NamedVectors


@dataclass(frozen=True, slots=True, eq=False)
class UpdateVectors:
    """Replaces the vectors given, keeps the others. A missing id is NotFound."""

    points: tuple[VectorsWrite, ...]
    update_filter: Filter | None = None


@dataclass(frozen=True, slots=True)
class DeleteVectors:
    """Drops named vectors of the selected points."""

    selector: Selector
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetPayload:
    """Shallow merge at the root or at ``key``; a null deletes its key."""

    payload: Mapping[str, Json]
    selector: Selector
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class OverwritePayload:
    """Replaces the whole payload."""

    payload: Mapping[str, Json]
    selector: Selector


@dataclass(frozen=True, slots=True)
class DeletePayload:
    """Removes the values at these paths."""

    keys: tuple[Path, ...]
    selector: Selector


@dataclass(frozen=True, slots=True)
class ClearPayload:
    """Removes the whole payload."""

    selector: Selector


@dataclass(frozen=True, slots=True)
class CreateFieldIndex:
    """Payload index on a path."""

    field: str
    index: FieldIndex


@dataclass(frozen=True, slots=True)
class DeleteFieldIndex:
    """Unknown fields are no error."""

    field: str


@dataclass(frozen=True, slots=True)
class CreateVectorName:
    """Adds a named vector to a live collection."""

    name: str
    params: VectorParams | SparseVectorParams


@dataclass(frozen=True, slots=True)
class DeleteVectorName:
    """Drops a named vector; unknown names are no error."""

    name: str


Operation: TypeAlias = (
    Upsert | DeletePoints | UpdateVectors | DeleteVectors | SetPayload | OverwritePayload | DeletePayload | ClearPayload
)
SchemaOperation: TypeAlias = CreateFieldIndex | DeleteFieldIndex | CreateVectorName | DeleteVectorName
