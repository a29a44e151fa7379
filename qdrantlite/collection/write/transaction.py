"""The effects of write operations inside one open transaction of the point store.

Each operation is resolved to offsets first (filters are evaluated, never stored), then written: rows to the vector
files, everything else to SQLite. What derived state must learn goes to ``Changes``. Nothing is visible to readers
until the committer commits; a request that fails is taken back whole by ``undo``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from qdrantlite.collection.shard.changes import (
    Changes,
    Inserted,
    MultiInsert,
    PayloadsChanged,
    SparseInsert,
    VectorsRemoved,
)
from qdrantlite.collection.shard.payload_text import payload_of, payload_text
from qdrantlite.collection.shard.slots import DenseSlot, MultiSlot, Slot, SparseSlot, sparse_vectors
from qdrantlite.collection.write.columns import (
    Column,
    DenseColumn,
    MultiColumn,
    PointColumns,
    Positions,
    SparseColumn,
    laid_over,
    merged_vector_writes,
    point_columns,
    presence_of,
    vector_columns,
)
from qdrantlite.deadline import FOREVER, Deadline
from qdrantlite.errors import BadInput, NotFound, StorageFailed
from qdrantlite.query.filter import Filter
from qdrantlite.query.operation import (
    ClearPayload,
    DeletePayload,
    DeletePoints,
    DeleteVectors,
    Operation,
    OverwritePayload,
    Selector,
    SetPayload,
    UpdateMode,
    UpdateVectors,
    Upsert,
)
from qdrantlite.segment.runs import ranges
from qdrantlite.storage.store_reader import MISSING, RaggedRows
from qdrantlite.storage.store_writer import StoreWriter
from qdrantlite.values.payload import Payload, delete_path, set_payload
from qdrantlite.values.point_id import PointId, distinct
from qdrantlite.values.point_ids import PointIds
from qdrantlite.values.schema import CollectionConfig
from qdrantlite.values.vector import U32

ResolveFilter = Callable[[Filter, Changes, Deadline], U32]
"""Live offsets, ascending, that pass a filter, the open transaction's own changes included. Raises TimedOut."""


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """Points have other offsets now: the n-th of ``before`` is the n-th of ``after``, both ascending."""

    before: U32
    after: U32


@dataclass(slots=True)
class Transaction:
    """One open transaction. ``offset_next`` and ``operation_id`` advance as operations are applied."""

    writer: StoreWriter
    config: CollectionConfig
    slots: Mapping[str, Slot]
    resolve_filter: ResolveFilter
    changes: Changes
    offset_next: int
    operation_id: int
    deadline: Deadline = FOREVER
    """Of the request whose operations are applied."""
    missing_pass: bool = False
    """Whether ids that do not exist are passed over, instead of raising NotFound."""

    def apply(self, operation: Operation, columns: PointColumns | None) -> int:
        """Writes one operation and returns its id. ``columns`` are an upsert's points, if prepared outside the lock."""
        self.operation_id += 1
        match operation:
            case Upsert(points, mode, update_filter):
                self._upsert(columns or point_columns(self.config, points), mode, update_filter)
            case DeletePoints(selector):
                self._delete(self._selected(selector, missing_is_error=False))
            case UpdateVectors(_, update_filter):
                self._update_vectors(operation, update_filter)
            case DeleteVectors(selector, names):
                self._delete_vectors(self._selected_union(selector), names)
            case SetPayload(payload, selector, key):
                self._change_payloads(selector, lambda before: set_payload(before, payload, key))
            case OverwritePayload(payload, selector):
                self._change_payloads(selector, lambda _: dict(payload))
            case DeletePayload(_, selector):
                self._change_payloads(selector, lambda before: _without(before, operation))
            case ClearPayload(selector):
                self._change_payloads(selector, lambda _: {})
            case _:
                assert_never(operation)
        return self.operation_id

    # -- whole points

    def _upsert(self, columns: PointColumns, mode: UpdateMode, update_filter: Filter | None) -> None:
        found = self.writer.offsets_of(columns.ids)
        exists = found != MISSING
        if mode is UpdateMode.INSERT_ONLY:
            wanted = ~exists
        else:
            wanted = exists if mode is UpdateMode.UPDATE_ONLY else np.ones(len(found), dtype=bool)
            if update_filter is not None:
                wanted &= ~exists | np.isin(found, self._passing(update_filter))
        if not wanted.all():
            columns, found = columns.take(np.flatnonzero(wanted)), found[wanted]
        if columns.ids:
            self._insert(columns, replaced=found[found != MISSING])

    def _insert(self, columns: PointColumns, *, replaced: U32) -> None:
        self._delete(replaced)
        count = len(columns.ids)
        offsets = self._given_out(count)
        self.writer.insert_points(
            offsets,
            columns.ids,
            version=self.operation_id,
            payloads=columns.texts,
            presence=presence_of(columns.vectors, {name: slot.id for name, slot in self.slots.items()}, count),
        )
        self._insert_derived(offsets, PointIds.of(columns.ids), columns.payloads, columns.vectors)

    def _given_out(self, count: int) -> U32:
        """New offsets."""
        if self.offset_next + count > MISSING:
            raise StorageFailed(
                f"no room for {count} points: {self.offset_next} of {MISSING} offsets are given out, dead points"
                " included, until compaction takes these out"
            )
        offsets = np.arange(self.offset_next, self.offset_next + count, dtype=np.uint32)
        self.offset_next += count
        return offsets

    def _insert_derived(
        self, offsets: U32, ids: PointIds, payloads: Sequence[Payload], vectors: Mapping[str, Column]
    ) -> None:
        """Vectors of points at new offsets, and what indexes learn of them."""
        inserted = Inserted(offsets, ids, payloads, {}, {}, {})
        for name, slot in self.slots.items():
            self._insert_vectors(name, slot, vectors.get(name), inserted)
        self.changes.inserted.append(inserted)

    def move(self, start: int, stop: int, limit: int) -> Moved:
        """Moves the first ``limit`` living points of these offsets to new ones, nothing of them changed."""
        points = self.writer.stored_points(start, stop, limit)
        if not len(points.offsets):
            return Moved(points.offsets, points.offsets)
        ids = self.writer.ids(points.offsets)
        vectors = {
            name: self._apart(slot, self._stored(slot, points.offsets, positions))
            for name, slot in self.slots.items()
            if len(positions := np.flatnonzero(points.having(slot.id)))
        }
        self._delete(points.offsets)
        offsets = self._given_out(len(points.offsets))
        self.writer.copy_points(offsets, points)
        payloads = [payload_of(text) for _, _, _, text in points.rows]
        self._insert_derived(offsets, PointIds.of(ids), payloads, vectors)
        return Moved(points.offsets, offsets)

    def _apart(self, slot: Slot, column: Column) -> Column:
        """The column to be written on its own: rows of a multivector are left where they lie otherwise."""
        if not isinstance(column, MultiColumn) or column.starts is None:
            return column
        numbers = ranges(column.starts, column.counts)
        assert isinstance(slot, MultiSlot)
        slot.file.verify_rows(numbers)
        rows = slot.file.rows(slot.file.rows_appended)[numbers]
        return MultiColumn(column.positions, column.counts, rows)

    def _insert_vectors(self, name: str, slot: Slot, column: Column | None, inserted: Inserted) -> None:
        offsets = inserted.offsets
        match slot:
            case DenseSlot():
                assert column is None or isinstance(column, DenseColumn)
                self._append_rows(slot, column, offsets)
                if column is not None:
                    inserted.dense[name] = offsets[column.positions]
            case MultiSlot():
                if column is not None:
                    assert isinstance(column, MultiColumn)
                    inserted.multi[name] = self._append_multi(slot, column, offsets)
            case SparseSlot():
                if column is not None:
                    assert isinstance(column, SparseColumn)
                    owners = offsets[column.positions]
                    self.writer.put_sparse(
                        slot.id,
                        owners,
                        indices=[vector.indices for vector in column.vectors],
                        weights=[vector.weights for vector in column.vectors],
                        fresh=True,
                    )
                    inserted.sparse[name] = SparseInsert(owners, column.vectors)
            case _:
                assert_never(slot)

    def _append_rows(self, slot: DenseSlot, column: DenseColumn | None, offsets: U32) -> None:
        behind = int(offsets[0]) - slot.file.rows_appended
        if behind:
            slot.file.append_zeros(behind)
        if column is None:
            slot.file.append_zeros(len(offsets))
        elif len(column.positions) == len(offsets):
            slot.file.append(column.rows)
        else:
            rows = np.zeros((len(offsets), column.rows.shape[1]), dtype=column.rows.dtype)
            rows[column.positions] = column.rows
            slot.file.append(rows)

    def _append_multi(self, slot: MultiSlot, column: MultiColumn, offsets: U32) -> MultiInsert:
        owners, placed = offsets[column.positions], _placed(slot, column)
        assert placed.starts is not None
        self.writer.put_ragged(slot.id, RaggedRows(owners, placed.starts, placed.counts), fresh=True)
        return MultiInsert(owners, placed.starts, placed.counts)

    def _delete(self, offsets: U32) -> None:
        if len(offsets):
            self.writer.delete_offsets(offsets)
            self.changes.dead.append(offsets)

    # -- vectors of existing points

    def _update_vectors(self, operation: UpdateVectors, update_filter: Filter | None) -> None:
        merged = merged_vector_writes(operation.points)
        ids = list(merged)
        found = self.writer.offsets_of(ids)
        wanted = self._exist(ids, found)
        brought = vector_columns(self.config, list(merged.values()))
        if update_filter is not None:
            wanted &= np.isin(found, self._passing(update_filter))
        if not wanted.all():
            kept = np.flatnonzero(wanted)
            brought = {name: column.take(kept, len(ids)) for name, column in brought.items()}
            brought = {name: column for name, column in brought.items() if len(column.positions)}
            ids, found = [ids[i] for i in kept.tolist()], found[kept]
        if not ids:
            return
        texts = self.writer.payloads(found)
        columns = PointColumns(
            ids=ids,
            payloads=[payload_of(text) for text in texts],
            texts=texts,
            vectors=self._stored_with(found, brought),
        )
        self._insert(columns, replaced=found)

    def _stored_with(self, offsets: U32, brought: Mapping[str, Column]) -> dict[str, Column]:
        """Columns of existing points with new vectors laid over the stored ones."""
        presence = self.writer.presence(offsets)
        columns: dict[str, Column] = {}
        for name, slot in self.slots.items():
            new = brought.get(name)
            has_old = np.array([bool(mask >> slot.id & 1) for mask in presence], dtype=bool)
            if new is not None:
                has_old[new.positions] = False
            old = self._stored(slot, offsets, np.flatnonzero(has_old)) if has_old.any() else None
            if isinstance(slot, MultiSlot) and isinstance(new, MultiColumn):
                new = _placed(slot, new)
            column = laid_over(old, new)
            if column is not None:
                columns[name] = column
        return columns

    def _stored(self, slot: Slot, offsets: U32, positions: Positions) -> Column:
        owners = offsets[positions]
        match slot:
            case DenseSlot():
                slot.file.verify_rows(owners)
                return DenseColumn(positions, slot.file.rows(slot.file.rows_appended)[owners])
            case MultiSlot():
                bounds = self.writer.ragged(slot.id, owners)
                return MultiColumn(positions, bounds.counts, slot.file.rows(0), bounds.starts)
            case SparseSlot():
                return SparseColumn(positions, sparse_vectors(self.writer.sparse(slot.id, owners)))
            case _:
                assert_never(slot)

    def _delete_vectors(self, offsets: U32, names: Sequence[str]) -> None:
        for name in names:
            if name not in self.slots:
                raise BadInput(f"Not existing vector name error: {name}")
        presence = np.array(self.writer.presence(offsets), dtype=object)
        for name in names:
            slot = self.slots[name]
            bit = 1 << slot.id
            owning = np.array([bool(mask & bit) for mask in presence], dtype=bool)
            owners = offsets[owning]
            if len(owners) == 0:
                continue
            presence[owning] = [mask & ~bit for mask in presence[owning]]
            if isinstance(slot, SparseSlot):
                self.writer.delete_sparse(slot.id, owners)
            elif isinstance(slot, MultiSlot):
                self.writer.delete_ragged(slot.id, owners)
            self.changes.vectors_removed.append(VectorsRemoved(name, owners))
        if len(offsets):
            self.writer.set_presence(offsets, presence.tolist(), version=self.operation_id)
            self.changes.versions.append(offsets)

    # -- payloads

    def _change_payloads(self, selector: Selector, change: Callable[[Payload], Payload]) -> None:
        offsets = self._selected(selector, missing_is_error=True)
        if len(offsets) == 0:
            return
        texts = self.writer.payloads(offsets)
        after = [change(payload_of(text)) for text in texts]
        self.writer.set_payloads(offsets, [payload_text(payload) for payload in after], version=self.operation_id)
        self.changes.payloads.append(PayloadsChanged(offsets, after))

    # -- which points

    def _selected(self, selector: Selector, *, missing_is_error: bool) -> U32:
        """Offsets of a selector; ids win over a filter where both are given. Raises NotFound if asked to."""
        if selector.ids is not None:
            ids = distinct(selector.ids)
            if missing_is_error:
                return self._existing(ids)
            found = self.writer.offsets_of(ids)
            existing: U32 = found[found != MISSING]
            return existing
        assert selector.filter is not None
        return self._passing(selector.filter)

    def _selected_union(self, selector: Selector) -> U32:
        """Offsets by filter and by ids together."""
        parts = []
        if selector.filter is not None:
            parts.append(self._passing(selector.filter))
        if selector.ids is not None:
            parts.append(self._existing(distinct(selector.ids)))
        return np.unique(np.concatenate(parts))

    def _passing(self, filter: Filter) -> U32:
        return self.resolve_filter(filter, self.changes, self.deadline)

    def _existing(self, ids: list[PointId]) -> U32:
        """Offsets of ids. Raises NotFound for one that does not exist, unless those are passed over."""
        found = self.writer.offsets_of(ids)
        existing: U32 = found[self._exist(ids, found)]
        return existing

    def _exist(self, ids: list[PointId], found: U32) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """Which of the ids exist, given their offsets, ``(n,) bool``. Raises NotFound as ``_existing`` does."""
        exist: np.ndarray[tuple[int], np.dtype[np.bool_]] = found != MISSING
        if not self.missing_pass and not exist.all():
            raise NotFound(f"No point with id {ids[int(np.argmin(exist))]} found")
        return exist


def _without(before: Payload, operation: DeletePayload) -> Payload:
    for path in operation.keys:
        before = delete_path(before, path)
    return before


def _placed(slot: MultiSlot, column: MultiColumn) -> MultiColumn:
    """The column with its rows appended to the slot's file, if they are not there already."""
    if column.starts is not None:
        return column
    ends = np.cumsum(column.counts)
    starts = slot.file.rows_appended + ends - column.counts
    slot.file.append(column.rows)
    return MultiColumn(column.positions, column.counts, column.rows[:0], starts)
