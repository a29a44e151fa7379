"""One collection: its settings and its shard, read and written from any thread.

A read opens a frozen view, works without locks and closes it. A write goes through the committer. Changes of the
schema (payload indexes, named vectors, settings) are made one at a time; writers wait for their last step only.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from time import monotonic

from qdrantlite.collection.admission import Admission
from qdrantlite.collection.info import collection_info, optimizations
from qdrantlite.collection.read import pages
from qdrantlite.collection.read.bind import (
    bind,
    check_vectors,
    filters_told,
    require_facet,
    require_order,
)
from qdrantlite.collection.read.bind_vectors import OpenCollection, VectorBinder
from qdrantlite.collection.read.filter_source import selections_of, sieve
from qdrantlite.collection.read.matrix import sample_matrix
from qdrantlite.collection.read.prepare import prepare
from qdrantlite.collection.read.view import ReadView, open_view
from qdrantlite.collection.shard import vacating
from qdrantlite.collection.shard.checkpoint import verify_segments, write_checkpoint
from qdrantlite.collection.shard.recovery import create_shard, open_shard
from qdrantlite.collection.shard.shard import Shard, ShardBehind
from qdrantlite.collection.upkeep.active import ActiveShard
from qdrantlite.collection.upkeep.auto_columns import tend_columns
from qdrantlite.collection.upkeep.backoff import Backoff
from qdrantlite.collection.upkeep.building import Builder
from qdrantlite.collection.upkeep.compaction import Compactor, MoveFolder
from qdrantlite.collection.upkeep.merging import merge_segments
from qdrantlite.collection.upkeep.optimizer import Optimizer
from qdrantlite.collection.write.alteration import SaveConfig, alter
from qdrantlite.collection.write.committer import Committer
from qdrantlite.collection.write.settings import updated
from qdrantlite.deadline import Deadline
from qdrantlite.errors import BadInput, NotFound, told
from qdrantlite.execute.executor import execute, execute_all
from qdrantlite.execute.groups import search_groups
from qdrantlite.plan.explain import explain
from qdrantlite.plan.planner import plan
from qdrantlite.plan.trace import Trace
from qdrantlite.query.filter import Filter
from qdrantlite.query.operation import Operation, SchemaOperation
from qdrantlite.query.search import (
    Facet,
    GroupSearch,
    Matrix,
    PayloadSelector,
    Scroll,
    Search,
    VectorsSelector,
    WithLookup,
)
from qdrantlite.storage.files import Files
from qdrantlite.storage.store_reader import MISSING
from qdrantlite.values.point_id import PointId, distinct
from qdrantlite.values.record import (
    CollectionInfo,
    FacetHit,
    Group,
    Record,
    SampleMatrix,
    ScoredRecord,
    ScrollPage,
    UpdateResult,
    UpdateStatus,
)
from qdrantlite.values.schema import CollectionConfig, CollectionUpdate, ShardingMethod

logger = logging.getLogger(__name__)


class Collection:
    """See the module. ``name`` is the one it was created under."""

    def __init__(
        self, name: str, active: ActiveShard, *, created_at: float, save_config: SaveConfig, move_folder: MoveFolder
    ) -> None:
        self.name = name
        self.created_at = created_at
        self._save_config = save_config
        self._maintenance_lock = Lock()
        self._active = active
        self._admission = Admission(lambda: active.crew.shard)  # Not self: a cycle would keep files from going.
        self._compactor = Compactor(name, active, self._maintenance_lock, move_folder)
        self._upkeep = Backoff(first_s=UPKEEP_RETRY_S, last_s=UPKEEP_RETRY_S_MAX)
        self._closed = False
        self.last_write_s = monotonic()

    @staticmethod
    def create(folder: Path, config: CollectionConfig, *, files: Files) -> None:
        """A new collection's folder; durable when this returns."""
        create_shard(folder, config, files).close()

    @staticmethod
    def open(
        name: str,
        folder: Path,
        config: CollectionConfig,
        *,
        created_at: float,
        files: Files,
        save_config: SaveConfig,
        move_folder: MoveFolder,
        builder: Builder,
    ) -> "Collection":
        """The collection as its last commit left it; ``builder`` makes its graphs. Raises Corrupted, StorageFailed."""
        shard = open_shard(folder, config, files)
        try:
            active = ActiveShard(shard, name, builder)
            return Collection(name, active, created_at=created_at, save_config=save_config, move_folder=move_folder)
        except BaseException:
            shard.close()
            raise

    def succeed(self, behind: "Collection") -> None:
        """Searches may be under way in the one that was closed because it was behind."""
        self.shard.former = (*behind.shard.former, behind.shard.store)

    def close(self, *, checkpoint: bool) -> None:
        """Waits for the write in progress, then closes; later writes raise NotFound. Searches under way may finish."""
        self._compactor.close()
        self._optimizer.close()
        with self._maintenance_lock, self.shard.writer_lock:
            if self._closed:
                return
            self._closed = True
            try:
                if checkpoint and self.shard.store.failure is None:
                    self.shard.store.sync_all()
                    if self.shard.changed_since_checkpoint:
                        write_checkpoint(self.shard)
            finally:
                self.shard.close()
                self._compactor.sweep(at_once=True)

    @property
    def shard(self) -> Shard:
        """The shard in force; compaction replaces it, under the maintenance lock and its writer lock."""
        return self._active.crew.shard

    @property
    def is_behind(self) -> bool:
        """Whether it must be closed and opened anew before it is asked again."""
        return self.shard.behind

    @property
    def is_busy(self) -> bool:
        """Whether it is being read, built or compacted, or ought to be built."""
        optimizer, compactor = self._optimizer, self._compactor
        building = optimizer.running or (optimizer.pending and optimizer.error is None)
        return building or compactor.running or self.shard.store.is_read

    @property
    def _committer(self) -> Committer:
        return self._active.crew.committer

    @property
    def _optimizer(self) -> Optimizer:
        return self._active.crew.optimizer

    @property
    def config(self) -> CollectionConfig:
        """The settings in force."""
        return self.shard.config

    # -- writes

    def write(self, operations: tuple[Operation, ...], *, wait: bool, deadline: Deadline) -> tuple[UpdateResult, ...]:
        """Applies operations as one transaction; with ``wait`` they are on disk when this returns ``COMPLETED``."""
        self._require_open()
        if self.config.sharding_method is ShardingMethod.CUSTOM:
            raise BadInput("Shard key not specified")  # Only a cluster can create one.
        self._admission.admit_writes(operations, timeout_s=deadline.timeout_s)
        self.last_write_s = monotonic()
        ids, in_time = self._active.run(
            lambda crew: crew.committer.write(operations, config=self.config, wait=wait, deadline=deadline)
        )
        status = UpdateStatus.COMPLETED if wait else UpdateStatus.ACKNOWLEDGED
        return tuple(UpdateResult(each, status if in_time else UpdateStatus.WAIT_TIMEOUT) for each in ids)

    def alter(self, operation: SchemaOperation, *, deadline: Deadline) -> UpdateResult:
        """Changes the schema; durable and complete when this returns. Costs two operation ids, as in Qdrant.

        Begun only while the deadline is not over, then carried out whatever the time. Raises TimedOut, Cancelled.
        """
        self._admission.admit_alteration(operation)
        with self._maintenance_lock:
            self._require_open()
            deadline.check()
            operation_id = alter(self.shard, operation, self._save_config)
        return UpdateResult(operation_id, UpdateStatus.WAIT_TIMEOUT if deadline.is_over else UpdateStatus.COMPLETED)

    def update_config(self, update: CollectionUpdate) -> None:
        """Changes settings; durable when this returns. Raises BadInput."""
        with self._maintenance_lock, self.shard.writer_lock:
            self._require_open()
            shard = self.shard
            shard.require_open()
            config = updated(self.config, update)
            self._save_config(config)
            with shard.publish_lock, shard.following():
                shard.config = config
                for name, slot in shard.slots.items():
                    slot.params = config.vectors.get(name) or config.sparse_vectors[name]
                shard.freeze(rows=shard.state.rows, operation_id=shard.state.operation_id)

    # -- reads

    def search(
        self, searches: Sequence[Search], *, open_other: OpenCollection, deadline: Deadline
    ) -> list[list[ScoredRecord]]:
        """Answers in request order, all from one state. Raises InvalidRequest, NotFound, Unsupported, TimedOut."""
        self._admission.admit_searches(searches, timeout_s=deadline.timeout_s)
        with self.open_view() as view:
            plans = prepare(view, searches, collection=self.name, open_other=open_other, deadline=deadline)
            rankings = execute_all(plans, view, deadline=deadline)
            return pages.scored_pages(view, rankings, searches, deadline.pause)

    def explain(self, search: Search, *, open_other: OpenCollection, deadline: Deadline) -> str:
        """The plan of a search with what was expected of each node and what happened, and what answered its filters."""
        with self.open_view() as view:
            (node,) = prepare(view, [search], collection=self.name, open_other=open_other, deadline=deadline)
            trace = Trace()
            execute(node, view, trace, deadline=deadline)
            return "\n".join([explain(node, trace), *filters_told(view, search.stage, deadline)])

    def search_groups(self, request: GroupSearch, *, open_other: OpenCollection, deadline: Deadline) -> list[Group]:
        """Groups, best first. Raises as ``search`` does."""
        self._admission.admit_groups(request, timeout_s=deadline.timeout_s)
        with self.open_view() as view:
            (tree,) = bind(
                *(view, [request.search]), collection=self.name, open_other=open_other, deadline=deadline, sifting=False
            )
            groups = search_groups(
                tree,
                group_by=request.group_by,
                group_size=request.group_size,
                run=lambda tree, sieve: execute(plan(tree, view), view, sieve=sieve, deadline=deadline),
                sieve_of=lambda filter: sieve(view, filter, deadline),
                elements_of=lambda offsets: pages.group_elements(view, offsets, request.group_by, deadline.pause),
            )
            return pages.group_page(view, groups, request, deadline.pause)

    def looked_up(self, groups: Sequence[Group], request: WithLookup, *, deadline: Deadline) -> list[Group]:
        """The groups, each with the point of this collection whose id is the group's key."""
        ids = pages.lookup_ids(groups)
        records = self.retrieve(list(ids.values()), request.with_payload, request.with_vectors, deadline=deadline)
        return pages.looked_up(groups, ids, records)

    def retrieve(
        self,
        ids: Sequence[PointId],
        with_payload: PayloadSelector,
        with_vectors: VectorsSelector,
        *,
        deadline: Deadline,
    ) -> list[Record]:
        """Records of the ids that exist, in the order of their first mention. Raises BadInput for unknown vectors."""
        self._admission.admit_retrieval(len(ids), timeout_s=deadline.timeout_s)
        with self.open_view() as view:
            check_vectors(view.state.config, with_vectors)
            found = view.reader.offsets_of(distinct(ids), deadline.pause)
            return pages.record_page(view, found[found != MISSING], with_payload, with_vectors, deadline.pause)

    def scroll(self, request: Scroll, *, deadline: Deadline) -> ScrollPage:
        """One page by id or by value. Raises InvalidRequest."""
        self._admission.admit_read(request.filter, limit=request.limit, timeout_s=deadline.timeout_s)
        order = request.order_by
        with self.open_view() as view:
            if order is not None:
                require_order(view.state, order.key)
            (selection,) = selections_of(view, [request.filter], deadline)
            return pages.scroll_page(view, selection, request, deadline)

    def count(self, filter: Filter | None, *, exact: bool, deadline: Deadline) -> int:
        """Number of points that pass; always exact, though strict mode may forbid to ask for it."""
        self._admission.admit_read(filter, exact=exact, timeout_s=deadline.timeout_s)
        if filter is None or filter.is_empty:
            return len(self.shard.state.live)
        with self.open_view() as view:
            (selection,) = selections_of(view, [filter], deadline)
        assert selection is not None
        return len(selection)

    def facet(self, request: Facet, *, deadline: Deadline) -> list[FacetHit]:
        """The most frequent values of a field, each with its number of points; always exact. Raises BadInput."""
        self._admission.admit_read(
            request.filter, limit=request.limit, exact=request.exact, timeout_s=deadline.timeout_s
        )
        with self.open_view() as view:
            require_facet(view.state, request.key)
            (selection,) = selections_of(view, [request.filter], deadline)
            return view.facet(request.key).most_frequent(view.live if selection is None else selection, request.limit)

    def matrix(self, request: Matrix, *, open_other: OpenCollection, deadline: Deadline) -> SampleMatrix:
        """Points of a random sample, each with its nearest others. Raises BadInput."""
        self._admission.admit_read(request.filter, limit=request.limit, timeout_s=deadline.timeout_s)
        with self.open_view() as view:
            (selection,) = selections_of(view, [request.filter], deadline)
            binder = VectorBinder(view, self.name, open_other)
            return sample_matrix(view, selection, request, binder, deadline)

    def open_view(self) -> ReadView:
        """A frozen view; the caller closes it."""
        return self._active.run(lambda crew: open_view(crew.shard))

    def info(self) -> CollectionInfo:
        """Settings, counts and state."""
        failure = self.shard.store.failure
        error = None if failure is None else told(failure)
        return collection_info(
            self.shard,
            error=error or self._upkeep.error or self._optimizer.error or self._compactor.error,
            busy=self._optimizer.pending or self._compactor.running,
            optimizations=optimizations(self.shard, self._optimizer, self._compactor),
            created_at=self.created_at,
        )

    # -- upkeep

    def maintain(self, *, idle: bool) -> None:
        """Moves the log into the database, writes a checkpoint, verifies rows; called now and then by one thread.

        What fails is logged, shown by ``info`` and tried again later.
        """
        if not self._maintenance_lock.acquire(blocking=False):
            return
        try:
            if self._closed or self.is_behind:
                return
            self._compactor.sweep()
            if self.shard.store.failure is None:
                self.shard.store.sync_all()  # Writes that nobody waited for become durable within a second.
            if self._upkeep.is_due:
                self._tidy(self.shard, idle=idle)
                self._upkeep.succeeded()
        except ShardBehind:
            pass  # Whoever asks next opens it anew.
        except Exception as error:
            logger.error("%s: upkeep failed", self.name, exc_info=error)
            self._upkeep.failed(error)
        finally:
            self._maintenance_lock.release()

    def _tidy(self, shard: Shard, *, idle: bool) -> None:
        merge_segments(shard, at_rest=idle)
        changed = shard.changed_since_checkpoint
        if changed > CHECKPOINT_CHANGES or (idle and changed):
            write_checkpoint(shard)
        wal_bytes = shard.store.wal_bytes()
        if wal_bytes > WAL_BYTES_MAX or (idle and wal_bytes):
            shard.store.checkpoint(truncate=idle, writer_lock=shard.writer_lock)
        verify_segments(shard, VERIFY_ENTRIES)
        for slot in shard.row_slots():
            slot.file.verify_step(VERIFY_BYTES)
        vacating.finish(shard)

    def optimize(self, stop: Callable[[], bool]) -> None:
        """Compacts and builds graphs, where due; called now and then by one thread, takes as long as it takes."""
        self._compactor.step(stop=lambda: self._closed or stop())
        if not self.is_behind:
            self._optimizer.step(quiet_s=monotonic() - self.last_write_s, stop=lambda: self._closed or stop())

    def tend_columns(self, stop: Callable[[], bool]) -> None:
        """Makes columns of fields that filters ask for without an index; by the thread that optimizes."""
        tend_columns(self.shard, lambda: self._closed or stop())

    def _require_open(self) -> None:
        if self._closed:
            raise NotFound(f"Collection `{self.name}` doesn't exist!")


CHECKPOINT_CHANGES = 200_000
UPKEEP_RETRY_S = 1.0
UPKEEP_RETRY_S_MAX = 60.0
WAL_BYTES_MAX = 4 << 20
VERIFY_BYTES = 64 << 20
VERIFY_ENTRIES = 4 << 20
