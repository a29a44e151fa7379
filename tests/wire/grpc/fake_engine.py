"""An engine that answers everything with fixed values and remembers what it was asked."""

from collections.abc import Callable
from typing import Any

from qdrantlite import errors
from qdrantlite.deadline import Deadline
from qdrantlite.query.search import Facet, GroupSearch, Matrix, Scroll, Search
from qdrantlite.values.record import (
    ClusterInfo,
    CollectionInfo,
    CollectionStatus,
    FacetHit,
    Group,
    Record,
    SampleMatrix,
    ScoredRecord,
    ScrollPage,
    UpdateResult,
    UpdateStatus,
)
from qdrantlite.values.schema import CollectionConfig

HIT = ScoredRecord(Record(1, {"a": 1}), 0.5, 3)


class FakeEngine:
    """See the module; ``before`` runs first in every search."""

    is_ready = True

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.before: Callable[[], object] = lambda: None
        self.hits = [HIT]

    def create_collection(self, name: str, config: CollectionConfig, /) -> bool:
        self.asked.append((name, config))
        return True

    def update_collection(self, name: str, update: Any, /) -> bool:
        self.asked.append((name, update))
        return True

    def delete_collection(self, name: str, /) -> bool:
        return name == "books"

    def collection_info(self, name: str, /) -> CollectionInfo:
        if name != "books":
            raise errors.NotFound(f"Collection `{name}` doesn't exist!")
        return CollectionInfo(CollectionStatus.GREEN, None, 1, 2, 0, CollectionConfig(), {}, (), 0, 1e9)

    def list_collections(self) -> tuple[str, ...]:
        return "b", "a"

    def collection_exists(self, name: str, /) -> bool:
        return name == "books"

    def update_aliases(self, actions: Any, /) -> bool:
        self.asked.append(actions)
        return True

    def aliases(self) -> tuple[tuple[str, str], ...]:
        return (("alias", "books"),)

    def collection_aliases(self, _name: str, /) -> tuple[tuple[str, str], ...]:
        return self.aliases()

    def cluster_info(self, _name: str, /) -> ClusterInfo:
        return ClusterInfo(7, (2,))

    def write(
        self, name: str, operations: tuple[Any, ...], /, *, wait: bool, deadline: Deadline
    ) -> tuple[UpdateResult, ...]:
        self.asked.append((name, operations, wait, deadline))
        return tuple(UpdateResult(number, UpdateStatus.COMPLETED) for number in range(1, len(operations) + 1))

    def alter(self, name: str, operation: Any, /, *, wait: bool, deadline: Deadline) -> UpdateResult:
        deadline.check()
        self.asked.append((name, operation, wait))
        return UpdateResult(1, UpdateStatus.COMPLETED)

    def retrieve(
        self, _name: str, ids: Any, _with_payload: Any, _with_vectors: Any, /, *, deadline: Deadline
    ) -> list[Record]:
        deadline.check()
        return [Record(point_id) for point_id in ids]

    def scroll(self, _name: str, scroll: Scroll, /, *, deadline: Deadline) -> ScrollPage:
        deadline.check()
        self.asked.append(scroll)
        return ScrollPage((HIT.record,), None)

    def count(self, _name: str, _filter: Any, /, *, exact: bool, deadline: Deadline) -> int:
        deadline.check()
        return 5 if exact else 4

    def facet(self, _name: str, request: Facet, /, *, deadline: Deadline) -> list[FacetHit]:
        deadline.check()
        self.asked.append(request)
        return [FacetHit("a", 3), FacetHit(2, 2), FacetHit(True, 1)]

    def matrix(self, _name: str, request: Matrix, /, *, deadline: Deadline) -> SampleMatrix:
        deadline.check()
        self.asked.append(request)
        return SampleMatrix.empty()

    def search(self, name: str, search: Search, /, *, deadline: Deadline) -> list[ScoredRecord]:
        self.asked.append((name, search, deadline))
        self.before()
        return self.hits

    def search_batch(
        self, _name: str, searches: tuple[Search, ...], /, *, deadline: Deadline
    ) -> list[list[ScoredRecord]]:
        deadline.check()
        return [self.hits for _ in searches]

    def search_groups(self, _name: str, _search: GroupSearch, /, *, deadline: Deadline) -> list[Group]:
        deadline.check()
        return [Group("g", (HIT,))]
