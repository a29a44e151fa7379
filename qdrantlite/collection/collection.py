"""One collection: its settings and its shard, read and written from any thread.

A read opens a frozen snapshot, works without locks and closes it. A write goes through the committer. Changes of the
schema (payload indexes, named vectors, settings) are made one at a time and keep writers waiting only for their last
step.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from time import monotonic

from qdrantlite.collection import pages
from qdrantlite.collection.bind import (
    OpenCollection,
    bind,
    check_vectors,
    open_snapshot,
    order_start,
    reject_offset_with_order,
)
from qdrantlite.collection.committer import Committer
from qdrantlite.collection.filter_source import resolve_for_write, settle
from qdrantlite.collection.optimizer import Optimizer, indexed_points
from qdrantlite.collection.recovery import catch_up_index, create_shard, fill_index, open_shard, write_checkpoint
from qdrantlite.collection.settings import updated, with_vector, without_vector
from qdrantlite.collection.shard import Shard
from qdrantlite.collection.slots import SparseSlot
from qdrantlite.collection.snapshot import Snapshot
from qdrantlite.errors import NotFound, TimedOut
from qdrantlite.execute.executor import execute
from qdrantlite.execute.groups import search_groups
from qdrantlite.plan.bound import BoundOrderBy, BoundSearch, BoundStage
from qdrantlite.plan.explain import explain
from qdrantlite.plan.planner import plan
from qdrantlite.plan.trace import Trace
from qdrantlite.query.filter import Filter
from qdrantlite.query.operation import (
    CreateFieldIndex,
    CreateVectorName,
    DeleteFieldIndex,
    DeleteVectorName,
    Operation,
    SchemaOperation,
)
from qdrantlite.query.search import GroupSearch, PayloadSelector, Scroll, Search, VectorsSelector, WithLookup
from qdrantlite.segment.payload_index.index import make_index
from qdrantlite.storage import file_names
from qdrantlite.storage.files import Files
from qdrantlite.storage.store_reader import MISSING
from qdrantlite.values.payload import parse_path
from qdrantlite.values.point_id import PointId
from qdrantlite.values.record import (
    CollectionInfo,
    CollectionStatus,
    FieldInfo,
    Group,
    Record,
    ScoredRecord,
    ScrollPage,
    UpdateResult,
    UpdateStatus,
)
from qdrantlite.values.schema import CollectionConfig, CollectionUpdate, FieldIndex, SparseVectorParams, VectorParams
from qdrantlite.values.schema_format import fields_to_json

SaveConfig = Callable[[CollectionConfig], None]
"""Makes changed settings durable."""


class Collection:
    """See the module. ``name`` is the one it was created under."""

    def __init__(self, name: str, shard: Shard, *, created_at: float, save_config: SaveConfig) -> None:
        self.name = name
        self.created_at = created_at
        self.shard = shard
        self._save_config = save_config
        self._committer = Committer(shard, lambda filter, changes: resolve_for_write(shard, filter, changes))
        self._maintenance_lock = Lock()
        self._optimizer = Optimizer(shard, name)
        self._closed = False
        self.last_write_s = monotonic()

    @staticmethod
    def create(folder: Path, config: CollectionConfig, *, files: Files) -> None:
        """A new collection's folder; durable when this returns."""
        create_shard(folder, config, files).close()

    @staticmethod
    def open(
        name: str, folder: Path, config: CollectionConfig, *, created_at: float, files: Files, save_config: SaveConfig
    ) -> "Collection":
        """The collection as its last commit left it. Raises Corrupted, StorageFailed."""
        return Collection(name, open_shard(folder, config, files), created_at=created_at, save_config=save_config)

    def close(self, *, checkpoint: bool) -> None:
        """Waits for the write in progress, then closes; later writes raise NotFound. Searches under way may finish."""
        self._optimizer.close()
        with self._maintenance_lock, self.shard.writer_lock:
            if self._closed:
                return
            if checkpoint and self.shard.changed_since_checkpoint:
                write_checkpoint(self.shard)
            self._closed = True
            self.shard.close()

    @property
    def config(self) -> CollectionConfig:
        """The settings in force."""
        return self.shard.config

    # -- writes

    def write(
        self, operations: tuple[Operation, ...], *, wait: bool, timeout_s: float | None
    ) -> tuple[UpdateResult, ...]:
        """Applies operations as one transaction; with ``wait`` they are on disk when this returns ``COMPLETED``."""
        self._require_open()
        self.last_write_s = monotonic()
        ids, in_time = self._committer.write(operations, config=self.config, wait=wait, timeout_s=timeout_s)
        status = UpdateStatus.COMPLETED if wait else UpdateStatus.ACKNOWLEDGED
        return tuple(UpdateResult(each, status if in_time else UpdateStatus.WAIT_TIMEOUT) for each in ids)

    def alter(self, operation: SchemaOperation) -> UpdateResult:
        """Changes the schema; durable and complete when this returns. Costs two operation ids, as in Qdrant."""
        with self._maintenance_lock:
            self._require_open()
            match operation:
                case CreateFieldIndex(field, index):
                    operation_id = self._create_field_index(field, index)
                case DeleteFieldIndex(field):
                    operation_id = self._set_fields({k: v for k, v in self.shard.schema.items() if k != field})
                case CreateVectorName(name, params):
                    operation_id = self._create_vector(name, params)
                case DeleteVectorName(name):
                    operation_id = self._delete_vector(name)
        return UpdateResult(operation_id, UpdateStatus.COMPLETED)

    def _create_field_index(self, field: str, schema: FieldIndex) -> int:
        shard = self.shard
        parse_path(field)
        if shard.schema.get(field) == schema:
            return self._set_fields(shard.schema)
        index = make_index(schema)
        snapshot, _ = open_snapshot(shard)
        with snapshot:
            rows, seq = snapshot.state.rows, snapshot.reader.state().touched_seq
            fill_index(index, field, snapshot.reader, 0, rows)
        with shard.writer_lock:
            catch_up_index(index, field, shard.store.writer, seq=seq, rows_covered=rows)
            with shard.publish_lock:
                shard.indexes = {**shard.indexes, field: index}
            return self._set_fields({**shard.schema, field: schema})

    def _set_fields(self, schema: dict[str, FieldIndex]) -> int:
        shard = self.shard
        with shard.writer_lock:
            operation_id = shard.state.operation_id + 2
            writer = shard.store.writer
            writer.begin()
            writer.put_payload_schema(fields_to_json(schema))
            writer.put_operation(operation_id)
            with shard.publish_lock:
                commit_seq = writer.commit()
                shard.schema = schema
                shard.indexes = {key: shard.indexes[key] for key in schema}
                shard.freeze(rows=shard.state.rows, operation_id=operation_id)
        shard.store.sync(commit_seq)
        shard.changed_since_checkpoint += 1
        return operation_id

    def _create_vector(self, name: str, params: VectorParams | SparseVectorParams) -> int:
        config = with_vector(self.config, name, params)
        return self._set_vectors(config or self.config, created=None if config is None else name, dropped=None)

    def _delete_vector(self, name: str) -> int:
        config = without_vector(self.config, name)
        return self._set_vectors(config or self.config, created=None, dropped=None if config is None else name)

    def _set_vectors(self, config: CollectionConfig, *, created: str | None, dropped: str | None) -> int:
        shard, writer = self.shard, self.shard.store.writer
        with shard.writer_lock:
            operation_id = shard.state.operation_id + 2
            if dropped is not None:
                self._save_config(config)
            writer.begin()
            gone = None if dropped is None else shard.slots[dropped]
            if dropped is not None:
                writer.drop_vector(dropped)
            vector_id = None if created is None else writer.create_vector(created)
            writer.put_operation(operation_id)
            with shard.publish_lock:
                commit_seq = writer.commit()
                shard.config = config
                shard.slots = {name: slot for name, slot in shard.slots.items() if name != dropped}
                if created is not None and vector_id is not None:
                    params = config.vectors.get(created) or config.sparse_vectors[created]
                    shard.slots = {**shard.slots, created: shard.open_slot(params, vector_id)}
                shard.freeze(rows=shard.state.rows, operation_id=operation_id)
            shard.store.sync(commit_seq)
            if created is not None:
                self._save_config(config)
            if gone is not None:
                shard.files.remove(file_names.vector_file(shard.folder, gone.id))
        shard.changed_since_checkpoint += 1
        return operation_id

    def update_config(self, update: CollectionUpdate) -> None:
        """Changes settings; durable when this returns. Raises BadInput."""
        with self._maintenance_lock, self.shard.writer_lock:
            self._require_open()
            config = updated(self.config, update)
            self._save_config(config)
            shard = self.shard
            with shard.publish_lock:
                shard.config = config
                for name, slot in shard.slots.items():
                    slot.params = config.vectors.get(name) or config.sparse_vectors[name]
                shard.freeze(rows=shard.state.rows, operation_id=shard.state.operation_id)

    # -- reads

    def search(
        self, searches: Sequence[Search], *, open_other: OpenCollection, timeout_s: float | None
    ) -> list[list[ScoredRecord]]:
        """Answers in request order, all from one state. Raises InvalidRequest, NotFound, Unsupported, TimedOut."""
        deadline = deadline_after(timeout_s)
        bound = bind(self.shard, searches, collection=self.name, open_other=open_other)
        with bound.snapshot as snapshot:
            answers = []
            for search, tree in zip(searches, bound.searches, strict=True):
                ranking = execute(plan(tree, snapshot), snapshot, deadline=deadline)
                answers.append(pages.scored_page(snapshot, ranking, search.with_payload, search.with_vectors))
        return answers

    def explain(self, search: Search, *, open_other: OpenCollection) -> str:
        """The plan of a search with what was expected of each node and what happened."""
        bound = bind(self.shard, [search], collection=self.name, open_other=open_other)
        with bound.snapshot as snapshot:
            node = plan(bound.searches[0], snapshot)
            trace = Trace()
            execute(node, snapshot, trace)
            return explain(node, trace)

    def search_groups(
        self, request: GroupSearch, *, open_other: OpenCollection, timeout_s: float | None
    ) -> list[Group]:
        """Groups, best first. Raises as ``search`` does."""
        deadline = deadline_after(timeout_s)
        bound = bind(self.shard, [pages.grouped_search(request)], collection=self.name, open_other=open_other)
        with bound.snapshot as snapshot:
            groups = search_groups(
                bound.searches[0],
                group_size=request.group_size,
                run=lambda tree: execute(plan(tree, snapshot), snapshot, deadline=deadline),
                elements_of=lambda offsets: pages.group_elements(snapshot, offsets, request.group_by),
            )
            return pages.group_page(snapshot, groups, request)

    def looked_up(self, groups: Sequence[Group], request: WithLookup) -> list[Group]:
        """The groups, each with the point of this collection whose id is the group's key."""
        ids = {group.key: pages.lookup_id(group.key) for group in groups}
        wanted = [point_id for point_id in ids.values() if point_id is not None]
        found = {record.id: record for record in self.retrieve(wanted, request.with_payload, request.with_vectors)}
        return [replace(group, lookup=_found(found, ids[group.key])) for group in groups]

    def retrieve(
        self, ids: Sequence[PointId], with_payload: PayloadSelector, with_vectors: VectorsSelector
    ) -> list[Record]:
        """Records of the ids that exist, in the order of their first mention. Raises BadInput for unknown vectors."""
        snapshot, _ = open_snapshot(self.shard)
        with snapshot:
            check_vectors(snapshot.state.config, with_vectors)
            found = snapshot.reader.offsets_of(list(dict.fromkeys(ids)))
            return pages.record_page(snapshot, found[found != MISSING], with_payload, with_vectors)

    def scroll(self, request: Scroll) -> ScrollPage:
        """One page by id or by value. Raises InvalidRequest."""
        reject_offset_with_order(request.offset, request.order_by)
        order = request.order_by
        snapshot, (binding,) = open_snapshot(self.shard, [request.filter], [] if order is None else [order.key])
        with snapshot:
            check_vectors(snapshot.state.config, request.with_vectors)
            selection = None if binding is None else settle(binding, snapshot.reader)
            if order is not None:
                query = BoundOrderBy(order.key, order.direction, order_start(order.start_from))
                stage = BoundStage(query=query, selection=selection, limit=request.limit)
                ranking = execute(plan(BoundSearch(stage, repeats=True), snapshot), snapshot)
                return ScrollPage(pages.ordered_records(snapshot, ranking, request), None)
            offsets = snapshot.id_page(selection, request.offset, request.limit + 1)
            following = snapshot.ids(offsets[request.limit :])
            page = pages.record_page(snapshot, offsets[: request.limit], request.with_payload, request.with_vectors)
            return ScrollPage(tuple(page), following[0] if following else None)

    def count(self, filter: Filter | None) -> int:
        """Number of points that pass."""
        if filter is None or filter.is_empty:
            return len(self.shard.state.live)
        snapshot, (binding,) = open_snapshot(self.shard, [filter])
        with snapshot:
            assert binding is not None
            return len(settle(binding, snapshot.reader))

    def open_snapshot(self) -> Snapshot:
        """A frozen view; the caller closes it."""
        return open_snapshot(self.shard)[0]

    def info(self) -> CollectionInfo:
        """Settings, counts and state."""
        shard = self.shard
        with shard.publish_lock:
            live = shard.live
            fields = {
                key: FieldInfo(index, shard.indexes[key].points(live.bitmap)) for key, index in shard.schema.items()
            }
        error = self._optimizer.error
        status = CollectionStatus.YELLOW if self._optimizer.pending else CollectionStatus.GREEN
        dense = [slot for _, slot in shard.dense_slots()]
        indexed = sum(indexed_points(slot.present, slot.sealed) for slot in dense)
        indexed += sum(len(slot.present) for slot in shard.slots.values() if isinstance(slot, SparseSlot))
        return CollectionInfo(
            status=status if error is None else CollectionStatus.RED,
            optimizer_error=error,
            segments_count=1 + max((slot.sealed is not None for slot in dense), default=0),
            points_count=len(live),
            indexed_vectors_count=indexed,
            config=self.config,
            payload_schema=fields,
            warnings=(),
            update_queue_length=0,
            created_at=self.created_at,
        )

    # -- upkeep

    def maintain(self, *, idle: bool) -> None:
        """Moves the log into the database, writes a checkpoint, verifies rows; called now and then by one thread."""
        if not self._maintenance_lock.acquire(blocking=False):
            return
        try:
            if self._closed:
                return
            shard = self.shard
            changed = shard.changed_since_checkpoint
            if changed > CHECKPOINT_CHANGES or (idle and changed):
                write_checkpoint(shard)
            wal_bytes = shard.store.wal_bytes()
            if wal_bytes > WAL_BYTES_MAX or (idle and wal_bytes):
                shard.store.checkpoint(truncate=idle, writer_lock=shard.writer_lock)
            for slot in shard.row_slots():
                slot.file.verify_step(VERIFY_BYTES)
        finally:
            self._maintenance_lock.release()

    def optimize(self, stop: Callable[[], bool]) -> None:
        """Builds what graphs are due; called now and then by one thread, takes as long as it takes."""
        self._optimizer.step(quiet_s=monotonic() - self.last_write_s, stop=lambda: self._closed or stop())

    def _require_open(self) -> None:
        if self._closed:
            raise NotFound(f"Collection `{self.name}` doesn't exist!")


CHECKPOINT_CHANGES = 200_000
WAL_BYTES_MAX = 4 << 20
VERIFY_BYTES = 64 << 20


def deadline_after(timeout_s: float | None) -> Callable[[], None] | None:
    """A check that raises TimedOut once the time has passed; None without a timeout."""
    if timeout_s is None:
        return None
    end = monotonic() + timeout_s

    def check() -> None:
        if monotonic() > end:
            raise TimedOut(f"Operation 'Query' timed out after {timeout_s:g} seconds")

    return check


def _found(records: Mapping[PointId, Record], point_id: PointId | None) -> Record | None:
    return None if point_id is None else records.get(point_id)
