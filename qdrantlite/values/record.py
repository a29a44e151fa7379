"""What a read returns: records, scored records, groups, pages, counts and the facts about a collection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np

from qdrantlite.values.optimization import Optimizations
from qdrantlite.values.payload import Payload
from qdrantlite.values.point_id import PointId
from qdrantlite.values.schema import CollectionConfig, FieldIndex
from qdrantlite.values.vector import F32, U32, Vector


class Record(NamedTuple):
    """One point as returned; a tuple, because pages are made of many and nothing immutable is made faster.

    ``payload`` and ``vectors`` are None when not asked for. Vectors are as stored (cosine: normalised), by name,
    ``""`` = default.
    """

    id: PointId
    payload: Payload | None = None
    vectors: Mapping[str, Vector] | None = None
    order_value: int | float | None = None


class ScoredRecord(NamedTuple):
    """One hit of a search; ``version`` is 0 for scroll-like results."""

    record: Record
    score: float
    version: int


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Hits sharing one value of the field; ``lookup`` is the point of that id elsewhere, if asked for and found."""

    key: int | str
    hits: tuple[ScoredRecord, ...]
    lookup: Record | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ScrollPage:
    """Records in order and the id that opens the next page."""

    records: tuple[Record, ...]
    next_offset: PointId | None


@dataclass(frozen=True, slots=True)
class FacetHit:
    """A value, and how many points hold it."""

    value: str | int | bool
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class SampleMatrix:
    """Ids of a sample, ascending, and its entries row by row: the score of place ``columns[i]`` for place ``rows[i]``.

    ``rows`` and ``columns`` ``(n,) uint32``, ``scores`` ``(n,) float32``; best first in each row.
    """

    ids: Sequence[PointId]
    rows: U32
    columns: U32
    scores: F32

    @staticmethod
    def empty() -> "SampleMatrix":
        """No points."""
        none = np.empty(0, dtype=np.uint32)
        return SampleMatrix((), none, none, np.empty(0, dtype=np.float32))


class UpdateStatus(Enum):
    """What is known of a write when it is answered; values are Qdrant's."""

    ACKNOWLEDGED = 1
    COMPLETED = 2
    WAIT_TIMEOUT = 4


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """The answer to one write operation."""

    operation_id: int
    status: UpdateStatus


class CollectionStatus(Enum):
    """Values are Qdrant's."""

    GREEN = 1
    YELLOW = 2
    RED = 3
    GREY = 4


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """A payload index and the number of points that have a value in it."""

    index: FieldIndex
    points: int


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What Get tells of a collection. ``optimizer_error`` None = ok; ``created_at`` seconds since the epoch."""

    status: CollectionStatus
    optimizer_error: str | None
    segments_count: int
    points_count: int
    indexed_vectors_count: int
    config: CollectionConfig
    payload_schema: Mapping[str, FieldInfo]
    warnings: tuple[str, ...]
    update_queue_length: int
    created_at: float
    optimizations: Optimizations = field(default_factory=Optimizations)


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """A single node that holds every shard."""

    peer_id: int
    shard_points: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CreateAlias:
    """Points the alias at the collection, re-pointing it if it exists."""

    alias: str
    collection: str


@dataclass(frozen=True, slots=True)
class RenameAlias:
    """The alias must exist."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class DeleteAlias:
    """Unknown aliases are no error."""

    alias: str


AliasAction = CreateAlias | RenameAlias | DeleteAlias
