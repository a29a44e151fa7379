"""A shard copied into a fresh folder without its dead rows, while it is read and written.

Live points get new, consecutive offsets in the old order; ids, versions, payloads, vectors and the ids of vector names
stay. The copy follows its original in rounds: a round replays what the log of touched offsets says since the last one
(points dead, payloads changed, vectors taken away; vectors are never replaced in place), then copies points at the
offsets given out meanwhile. Points are read in chunks, each from a view of its own, so that the original's log is
never held up: a chunk may show more than the moment at which its round began, but nothing that the next round's replay
does not bring about again. An id has two offsets only after the earlier one died, and deaths are replayed first.

Invariant: after a round under the original's writer lock, both shards answer everything alike. The copy obeys the order
of a commit like any shard (rows synced, then counted), and its derived state follows each chunk.

Must not know when compaction is worth it, nor how the copy takes its original's place.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qdrantlite.collection.read.view import ReadView, open_view
from qdrantlite.collection.shard.recovery import catch_up_touched, make_folder, open_shard, read_from
from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.shard.slots import NO_OFFSETS, DenseSlot, MultiSlot, SparseSlot, sparse_vectors
from qdrantlite.segment.runs import found_in, ranges
from qdrantlite.storage import file_names
from qdrantlite.storage.point_store import PointStore
from qdrantlite.storage.store_reader import RaggedRows, StoredPoints, Touched
from qdrantlite.values.vector import U32

logger = logging.getLogger(__name__)

CHUNK_POINTS_MAX = 4096
CHUNK_BYTES_MAX = 16 << 20
WAL_BYTES_MAX = 16 << 20
LOGGED_POINTS = 100_000


class Abandoned(Exception):
    """The copy is of no use any more, or not wanted: stopped, or the original's settings have changed."""


class ShardCopy:
    """Follows ``original``; one thread uses it. ``check`` is called between chunks and raises to stop at once.

    Holds the original's log by ``Shard.log_needed_seq``, which whoever made the copy resets at the end. Raises
    everywhere: StorageFailed, Corrupted (of the original: a block of rows it needs is damaged), Abandoned.
    """

    def __init__(self, original: Shard, folder: Path, *, check: Callable[[], None]) -> None:
        """An empty copy in a folder that does not exist yet."""
        self._original = original
        self._check = check
        self._schema = original.schema
        with original.writer_lock:
            self._seq = original.store.writer.state().touched_seq
            original.log_needed_seq = self._seq
        self._rows = 0
        self._copied = NO_OFFSETS
        self.shard = self._empty(folder)
        row_bytes = sum(_row_bytes(slot, max(1, original.state.rows)) for slot in original.row_slots())
        self._chunk_points = max(1, min(CHUNK_POINTS_MAX, CHUNK_BYTES_MAX // max(1, row_bytes)))

    def _empty(self, folder: Path) -> Shard:
        original = self._original
        make_folder(folder, original.files)
        store = PointStore(file_names.points(folder), files=original.files)
        try:
            with self._view() as view:
                store.writer.begin()
                store.writer.copy_vectors(view.reader)
                store.writer.put_payload_schema(view.reader.payload_schema())
                store.sync(store.writer.commit())
                config = view.state.config
        finally:
            store.close()
        self._config = config
        return open_shard(folder, config, original.files)

    def _view(self) -> ReadView:
        return open_view(self._original)

    @property
    def origins(self) -> U32:
        """Where the copy's points were in the original, those included that have died since, in order."""
        return self._copied

    def backlog(self) -> int:
        """Points that the next round would look at."""
        with self._view() as view:
            state = view.reader.state()
        return state.offset_next - self._rows + state.touched_seq - self._seq

    def follow(self) -> None:
        """One round. Under the original's writer lock it leaves nothing behind."""
        with self._view() as view:
            self._check_settings(view)
            state = view.reader.state()
            touched = view.reader.touched_since(self._seq)
            assert touched is not None, "the log was trimmed although it is needed"
            self._replay(view, touched)
        self._extend(state.offset_next)
        self._rows, self._seq = state.offset_next, touched.seq
        self._original.log_needed_seq = touched.seq
        self.shard.store.writer.begin()
        self._commit(operation_id=state.operation_id)

    def make_durable(self) -> None:
        """Returns when everything copied is on the disk."""
        writer = self.shard.store.writer
        writer.begin()
        self.shard.store.sync(writer.commit())

    def close(self) -> None:
        """Lets go of the copy's files."""
        self.shard.close()

    def _check_settings(self, view: ReadView) -> None:
        self._check()
        if view.state.config is not self._config or self._original.schema != self._schema:
            raise Abandoned("settings of the collection have changed")

    # -- what changed

    def _replay(self, view: ReadView, touched: Touched) -> None:
        writer = self.shard.store.writer
        dead = self._known(touched.dead)[1]
        for at in range(0, len(dead), CHUNK_POINTS_MAX):
            seq = self._begin()
            writer.delete_offsets(dead[at : at + CHUNK_POINTS_MAX])
            self._commit(replayed_from=seq)
        known, changed = self._known(touched.changed)
        for at in range(0, len(changed), CHUNK_POINTS_MAX):
            seq = self._begin()
            stored = view.reader.stored_points_at(touched.changed[known][at : at + CHUNK_POINTS_MAX])
            offsets = changed[at : at + CHUNK_POINTS_MAX]
            writer.recopy_points(offsets, stored)
            for slot in self.shard.slots.values():
                lost = offsets[~stored.having(slot.id)]
                if isinstance(slot, SparseSlot):
                    writer.delete_sparse(slot.id, lost)
                elif isinstance(slot, MultiSlot):
                    writer.delete_ragged(slot.id, lost)
            self._commit(replayed_from=seq)

    def _known(self, offsets: U32) -> tuple[NDArray[np.bool_], U32]:
        """Which of these offsets of the original were copied, and the copy's offsets of those: their ranks, because
        the copy numbers them in order.
        """
        known, ranks = found_in(self._copied, offsets)
        return known, ranks.astype(np.uint32)

    # -- what is new

    def _extend(self, stop: int) -> None:
        """Copies points at offsets of the original from the last round's end to ``stop``."""
        start, logged, pieces = self._rows, len(self._copied), [self._copied]
        while start < stop:
            with self._view() as view:
                self._check_settings(view)
                stored = view.reader.stored_points(start, stop, self._chunk_points)
                if len(stored.offsets) == 0:
                    break
                self._copy(view, stored)
            pieces.append(stored.offsets)
            start = int(stored.offsets[-1]) + 1
            if self.shard.state.rows - logged >= LOGGED_POINTS:
                logged = self.shard.state.rows
                logger.info("%d points copied, up to offset %d of %d", logged, start, stop)
            if self.shard.store.wal_bytes() > WAL_BYTES_MAX:
                self.shard.store.checkpoint()
        self._copied = np.concatenate(pieces)

    def _copy(self, view: ReadView, stored: StoredPoints) -> None:
        first = self.shard.state.rows
        offsets = np.arange(first, first + len(stored.offsets), dtype=np.uint32)
        writer = self.shard.store.writer
        writer.begin()
        writer.copy_points(offsets, stored)
        for name, slot in self.shard.slots.items():
            present = stored.having(slot.id)
            owners, given = stored.offsets[present], offsets[present]
            match slot:
                case DenseSlot():
                    source = view.dense(name)
                    source.verify(owners)
                    rows = np.zeros((len(offsets), source.rows.shape[1]), dtype=source.rows.dtype)
                    rows[present] = source.rows[owners]
                    slot.file.append(rows)
                case MultiSlot():
                    multi = view.multi(name)
                    owned = multi.bounds.at(owners)
                    counts = owned.counts.astype(np.int64)
                    numbers = ranges(owned.starts, counts)
                    multi.verify(numbers)
                    starts = slot.file.rows_appended + np.cumsum(counts) - counts
                    slot.file.append(multi.rows[numbers])
                    writer.put_ragged(slot.id, RaggedRows(given, starts, counts), fresh=True)
                case SparseSlot():
                    vectors = sparse_vectors(view.reader.sparse(slot.id, owners))
                    indices, weights = [vector.indices for vector in vectors], [vector.weights for vector in vectors]
                    writer.put_sparse(slot.id, given, indices=indices, weights=weights, fresh=True)
        self._commit(extended_from=first, rows=first + len(offsets))

    # -- commits of the copy

    def _begin(self) -> int:
        self._check()
        self.shard.store.writer.begin()
        return self.shard.store.writer.state().touched_seq

    def _commit(
        self,
        *,
        replayed_from: int | None = None,
        extended_from: int | None = None,
        rows: int | None = None,
        operation_id: int | None = None,
    ) -> None:
        """Commits, and brings derived state up to it: what the log says since, and the offsets given out."""
        shard, writer = self.shard, self.shard.store.writer
        for slot in shard.row_slots():
            tail = slot.file.tail()
            if tail.rows != writer.committed_rows(slot.id).rows:
                slot.file.sync()
                writer.put_rows(slot.id, rows=tail.rows, crc=tail.crc, finished=tail.finished)
        rows = shard.state.rows if rows is None else rows
        operation_id = shard.state.operation_id if operation_id is None else operation_id
        writer.put_offset_next(rows)
        writer.put_operation(operation_id)
        if replayed_from is not None:
            catch_up_touched(shard, writer, replayed_from, rows)
        if extended_from is not None:
            read_from(shard, writer, extended_from)
        with shard.publish_lock:
            writer.commit()
            for slot in shard.row_slots():
                slot.file.settle()
            shard.freeze(rows=rows, operation_id=operation_id)
        shard.changed_since_checkpoint += 1


def _row_bytes(slot: DenseSlot | MultiSlot, points: int) -> int:
    """Bytes of rows per point, on average."""
    return slot.file.row_format.width * slot.file.rows_appended // points
