"""What the wire asks of the database: every call that a request can end in.

``database.Database`` has all of these. Calls are synchronous and safe from any thread; names may be aliases except in
``delete_collection``. Errors are those of ``errors.py``.
"""

from collections.abc import Sequence
from typing import Protocol

from qdrantlite.deadline import Deadline
from qdrantlite.query.filter import Filter
from qdrantlite.query.operation import Operation, SchemaOperation
from qdrantlite.query.search import Facet, GroupSearch, Matrix, PayloadSelector, Scroll, Search, VectorsSelector
from qdrantlite.values.point_id import PointId
from qdrantlite.values.record import (
    AliasAction,
    ClusterInfo,
    CollectionInfo,
    FacetHit,
    Group,
    Record,
    SampleMatrix,
    ScoredRecord,
    ScrollPage,
    UpdateResult,
)
from qdrantlite.values.schema import CollectionConfig, CollectionUpdate


class Engine(Protocol):
    """See the module; meanings and orders are told by ``Database``."""

    @property
    def is_ready(self) -> bool: ...

    def create_collection(self, name: str, config: CollectionConfig, /) -> bool: ...
    def update_collection(self, name: str, update: CollectionUpdate, /) -> bool: ...
    def delete_collection(self, name: str, /) -> bool: ...
    def collection_info(self, name: str, /) -> CollectionInfo: ...
    def list_collections(self) -> tuple[str, ...]: ...
    def collection_exists(self, name: str, /) -> bool: ...
    def update_aliases(self, actions: tuple[AliasAction, ...], /) -> bool: ...
    def aliases(self) -> tuple[tuple[str, str], ...]: ...
    def collection_aliases(self, name: str, /) -> tuple[tuple[str, str], ...]: ...
    def cluster_info(self, name: str, /) -> ClusterInfo: ...

    def write(
        self, name: str, operations: tuple[Operation, ...], /, *, wait: bool, deadline: Deadline
    ) -> tuple[UpdateResult, ...]: ...
    def alter(self, name: str, operation: SchemaOperation, /, *, wait: bool, deadline: Deadline) -> UpdateResult: ...

    def retrieve(
        self,
        name: str,
        ids: tuple[PointId, ...],
        with_payload: PayloadSelector,
        with_vectors: VectorsSelector,
        /,
        *,
        deadline: Deadline,
    ) -> Sequence[Record]: ...
    def scroll(self, name: str, scroll: Scroll, /, *, deadline: Deadline) -> ScrollPage: ...
    def count(self, name: str, filter: Filter | None, /, *, exact: bool, deadline: Deadline) -> int: ...
    def facet(self, name: str, request: Facet, /, *, deadline: Deadline) -> Sequence[FacetHit]: ...
    def matrix(self, name: str, request: Matrix, /, *, deadline: Deadline) -> SampleMatrix: ...
    def search(self, name: str, search: Search, /, *, deadline: Deadline) -> Sequence[ScoredRecord]: ...
    def search_batch(
        self, name: str, searches: tuple[Search, ...], /, *, deadline: Deadline
    ) -> Sequence[Sequence[ScoredRecord]]: ...
    def search_groups(self, name: str, search: GroupSearch, /, *, deadline: Deadline) -> Sequence[Group]: ...
