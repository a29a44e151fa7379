"""Strict mode of one collection: asked before a request runs, and free where the mode is off.

What each kind of request may do is known in ``query.strict``; here are the facts that it is compared with, and the
buckets of the rate limits. A request pays only once it has passed.
"""

import os
from collections.abc import Callable, Sequence

from qdrantlite.collection.rate_limit import TokenBucket
from qdrantlite.collection.shard.shard import Shard
from qdrantlite.query import strict
from qdrantlite.query.filter import Filter
from qdrantlite.query.operation import Operation, SchemaOperation
from qdrantlite.query.search import GroupSearch, Search
from qdrantlite.values.schema import StrictMode


class Admission:
    """Thread-safe; ``shard`` tells the shard in force. Every method raises BadRequest, RateLimited."""

    def __init__(self, shard: Callable[[], Shard]) -> None:
        self._shard = shard
        self._reads = TokenBucket("Read")
        self._writes = TokenBucket("Write")

    @property
    def _limits(self) -> StrictMode | None:
        return strict.limits_of(self._shard().config)

    def admit_searches(self, searches: Sequence[Search], *, timeout_s: float | None) -> None:
        """One search or a batch."""
        limits = self._limits
        if limits is not None:
            shard = self._shard()
            strict.check_timeout(limits, timeout_s)
            strict.check_searches(limits, searches, shard.config, shard.schema)
            self._reads.take(sum([strict.search_cost(search.stage) for search in searches]), limits.read_rate_limit)

    def admit_groups(self, request: GroupSearch, *, timeout_s: float | None) -> None:
        """A grouped search."""
        limits = self._limits
        if limits is not None:
            shard = self._shard()
            strict.check_timeout(limits, timeout_s)
            strict.check_groups(limits, request, shard.config, shard.schema)
            self._reads.take(strict.search_cost(request.search.stage), limits.read_rate_limit)

    def admit_read(
        self,
        filter: Filter | None,
        *,
        limit: int | None = None,
        exact: bool = False,
        timeout_s: float | None,
    ) -> None:
        """A count, a page, a facet, a matrix."""
        limits = self._limits
        if limits is not None:
            strict.check_timeout(limits, timeout_s)
            strict.check_read(limits, filter, self._shard().schema, limit=limit)
            strict.check_exact(limits, exact=exact)
            self._reads.take(strict.read_cost(filter), limits.read_rate_limit)

    def admit_retrieval(self, ids: int, *, timeout_s: float | None) -> None:
        """So many points by id."""
        limits = self._limits
        if limits is not None:
            strict.check_timeout(limits, timeout_s)
            self._reads.take(ids, limits.read_rate_limit)

    def admit_writes(self, operations: Sequence[Operation], *, timeout_s: float | None) -> None:
        """All operations of a request."""
        limits = self._limits
        if limits is not None:
            strict.check_timeout(limits, timeout_s)
            shard = self._shard()
            strict.check_writes(limits, operations, _stored(shard, limits), shard.schema)
            self._writes.take(len(operations), limits.write_rate_limit)

    def admit_alteration(self, operation: SchemaOperation) -> None:
        """A change of the schema."""
        limits = self._limits
        if limits is not None:
            strict.check_alteration(limits, operation, self._shard().schema)
            self._writes.take(1, limits.write_rate_limit)


def _stored(shard: Shard, limits: StrictMode) -> strict.Stored:
    """What is there; what no limit asks about is not looked up."""
    vectors = 0
    if limits.max_collection_vector_size_bytes is not None:
        vectors = sum(slot.file.held_bytes for slot in shard.row_slots())
    payloads = 0
    if limits.max_collection_payload_size_bytes is not None:
        with shard.store.open_view() as reader:
            payloads = reader.used_bytes()
    percent = 0.0 if limits.max_resident_memory_percent is None else resident_percent()
    return strict.Stored(len(shard.state.live), vectors, payloads, percent)


def resident_percent() -> float:
    """Resident memory of this process in percent of the machine's; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
        return 100 * pages / os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return 0.0
