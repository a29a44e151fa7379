"""Commits writes: many threads submit, one leads, all share its transaction and its sync.

The thread whose request finds nobody leading leads: it takes the writer lock and writes every request waiting, each
under a savepoint of its own, so that one that fails takes nothing with it and leaves nothing behind. Then it hands the
lead to the first request that came meanwhile, syncs the log for its group, and tells each of it, once: a request that
is done never waits for a lock again. Order of a commit: rows are appended and synced, SQLite commits (visible), derived
state follows, the log is synced (durable), the request is answered.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import TypeVar

from qdrantlite.collection.shard.changes import Changes
from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.write.columns import PointColumns, check_dimensions, point_columns
from qdrantlite.collection.write.transaction import Moved, ResolveFilter, Transaction
from qdrantlite.deadline import FOREVER, Deadline
from qdrantlite.errors import BadInput, NotFound, StorageFailed, fresh
from qdrantlite.query.operation import Operation, UpdateVectors, Upsert
from qdrantlite.storage.vector_file import VectorFile
from qdrantlite.values.schema import CollectionConfig

log = logging.getLogger(__name__)

Done = TypeVar("Done")

GROUP_REQUESTS_MAX = 64
GROUP_POINTS_MAX = 20_000


@dataclass(slots=True, eq=False)
class WriteRequest:
    """One request on its way; filled in by the leader, before ``told`` is set: it is done, or is to lead."""

    operations: tuple[Operation, ...]
    config: CollectionConfig
    columns: list[PointColumns | None]
    """Of upserts, prepared before any lock is held; None = not yet, or it does not fit."""
    wait: bool
    deadline: Deadline
    told: Event = field(default_factory=Event)
    done: bool = False
    operation_ids: tuple[int, ...] = ()
    error: Exception | None = None

    @property
    def points(self) -> int:
        """Points it brings, for sizing a group."""
        return sum(len(columns.ids) for columns in self.columns if columns is not None)


class Committer:
    """The write path of one shard. Thread-safe."""

    def __init__(self, shard: Shard, resolve_filter: ResolveFilter) -> None:
        self._shard = shard
        self._resolve_filter = resolve_filter
        self._waiting: deque[WriteRequest] = deque()
        self._waiting_lock = Lock()
        self._is_led = False

    def write(
        self, operations: tuple[Operation, ...], *, config: CollectionConfig, wait: bool, deadline: Deadline
    ) -> tuple[tuple[int, ...], bool]:
        """Applies a request whole or not at all; returns its operation ids and whether it was seen to be durable.

        Without ``wait`` each operation is applied as far as it can be: ids that do not exist are passed over, and an
        operation that does not fit the collection is dropped; only a wrong dimension is refused.
        With ``wait`` it is on disk when this returns; False tells that the deadline passed before. Raises what the
        request deserves, StorageFailed, ShardRetired; TimedOut, Cancelled from filters, with ``wait`` only and with
        nothing written.
        """
        columns = _prepared(operations, config, wait=wait)
        request = WriteRequest(operations, config, columns, wait, deadline if wait else FOREVER)
        with self._waiting_lock:
            self._waiting.append(request)
            leads, self._is_led = not self._is_led, True
        if not leads:
            request.told.wait()
        if not request.done:
            self._lead()
        if request.error is not None:
            raise request.error
        return request.operation_ids, not (wait and deadline.is_over)

    def _lead(self) -> None:
        """Writes a group of waiting requests and sees it through, until each has been told."""
        group: list[WriteRequest] = []
        try:
            try:
                with self._shard.writer_lock:
                    group = self._next_group()
                    commit_seq = self._write_group(group)
            finally:
                self._hand_over()
            _tell([request for request in group if not request.wait or request.error is not None])
            if any(request.wait and request.error is None for request in group):
                self._shard.store.sync(commit_seq)
        except BaseException as error:
            # Those who wait must never take a lost request for a written one, whatever went wrong.
            cause = error if isinstance(error, Exception) else RuntimeError("the thread that led was ended")
            for request in group:
                if not request.done and request.error is None:
                    request.error = fresh(cause)
            if not isinstance(error, Exception):
                raise
        finally:
            _tell([request for request in group if not request.done])

    def _hand_over(self) -> None:
        """The first request that waits leads now; without one, the next that comes."""
        with self._waiting_lock:
            following = self._waiting[0] if self._waiting else None
            self._is_led = following is not None
        if following is not None:
            following.told.set()

    def _next_group(self) -> list[WriteRequest]:
        group: list[WriteRequest] = []
        points = 0
        with self._waiting_lock:
            while self._waiting and len(group) < GROUP_REQUESTS_MAX and points < GROUP_POINTS_MAX:
                request = self._waiting.popleft()
                points += request.points
                group.append(request)
        return group

    def move(self, start: int, stop: int, limit: int) -> Moved:
        """Moves the first ``limit`` living points of these offsets to the end, in a commit of its own: nothing that a
        client can see changes. Visible when this returns, durable with the next sync. Raises StorageFailed, Corrupted,
        what ``Shard.require_open`` raises.
        """
        with self._shard.writer_lock:
            moved, _ = self._committed(lambda transaction: transaction.move(start, stop, limit))
        return moved

    @property
    def is_busy(self) -> bool:
        """Whether somebody writes or waits to."""
        return self._is_led

    def _write_group(self, group: list[WriteRequest]) -> int:
        """Commits what the requests ask for; the number of the commit. What one of them deserves is its ``error``."""

        def write(transaction: Transaction) -> None:
            for request in group:
                self._write_request(transaction, request)

        return self._committed(write)[1]

    def _committed(self, work: Callable[[Transaction], Done]) -> tuple[Done, int]:
        """Commits what is done in a transaction; what ``work`` returned, and the number of the commit."""
        shard, writer = self._shard, self._shard.store.writer
        shard.require_open()
        marks = [(slot.file, slot.file.mark()) for slot in shard.row_slots()]
        writer.begin()
        committed = False
        try:
            changes = Changes()
            transaction = Transaction(
                writer=writer,
                config=shard.config,
                slots=shard.slots,
                resolve_filter=self._resolve_filter,
                changes=changes,
                offset_next=shard.state.rows,
                operation_id=shard.state.operation_id,
            )
            done = work(transaction)
            self._write_counters(transaction)
            indexes = shard.indexes.after(changes)
            with shard.publish_lock:
                commit_seq = writer.commit()
                committed = True
                with shard.following():
                    for slot in shard.row_slots():
                        slot.file.settle()
                    shard.absorb(changes, indexes)
                    shard.freeze(rows=transaction.offset_next, operation_id=transaction.operation_id, carrying=True)
        finally:
            if not committed:
                writer.rollback()
                for file, mark in marks:
                    file.rewind(mark)
        return done, commit_seq

    def _write_request(self, transaction: Transaction, request: WriteRequest) -> None:
        transaction.deadline = request.deadline
        transaction.missing_pass = not request.wait
        if request.config is not transaction.config:
            request.columns = [None] * len(request.operations)
        try:
            with self._savepoint(transaction):
                request.operation_ids = tuple(
                    self._apply(transaction, operation, columns, droppable=not request.wait)
                    for operation, columns in zip(request.operations, request.columns, strict=True)
                )
        except StorageFailed:
            raise
        except Exception as error:  # also what nobody expected: it is this request's, not its neighbours'
            request.error = error

    def _apply(
        self, transaction: Transaction, operation: Operation, columns: PointColumns | None, *, droppable: bool
    ) -> int:
        """Writes an operation and returns its id. One that nobody waits for is dropped when it cannot be written."""
        if not droppable:
            return transaction.apply(operation, columns)
        operation_id = transaction.operation_id + 1
        try:
            with self._savepoint(transaction):
                return transaction.apply(operation, columns)
        except (BadInput, NotFound) as error:
            log.warning("an acknowledged write was dropped: %s", error.message)
            transaction.operation_id = operation_id
            return operation_id

    @contextmanager
    def _savepoint(self, transaction: Transaction) -> Iterator[None]:
        """What fails within leaves nothing behind, unless the store itself failed."""
        writer, changes = transaction.writer, transaction.changes
        mark = changes.mark()
        offset_next, operation_id = transaction.offset_next, transaction.operation_id
        marks = [(slot.file, slot.file.mark()) for slot in self._shard.row_slots()]
        writer.savepoint()
        try:
            yield
        except StorageFailed:
            raise
        except Exception:
            writer.rollback_to()
            for file, file_mark in marks:
                file.rewind(file_mark)
            changes.undo_to(mark)
            transaction.offset_next, transaction.operation_id = offset_next, operation_id
            raise
        else:
            writer.release()

    def _write_counters(self, transaction: Transaction) -> None:
        """Syncs appended rows, then tells the store of them and of the counters."""
        writer = transaction.writer
        for slot in self._shard.row_slots():
            tail = slot.file.tail()
            if tail.rows != writer.committed_rows(slot.id).rows:
                self._sync(slot.file)
                writer.put_rows(slot.id, rows=tail.rows, crc=tail.crc, finished=tail.finished)
        writer.put_offset_next(transaction.offset_next)
        writer.put_operation(transaction.operation_id)

    def _sync(self, file: VectorFile) -> None:
        """A sync that failed is the end of writing, whichever file it was."""
        try:
            file.sync()
        except StorageFailed as failure:
            self._shard.store.refuse_writes(failure)
            raise


def _tell(requests: Sequence[WriteRequest]) -> None:
    for request in requests:
        request.done = True
        request.told.set()


def _prepared(operations: tuple[Operation, ...], config: CollectionConfig, *, wait: bool) -> list[PointColumns | None]:
    """Columns of each upsert. Raises BadInput: without ``wait`` for dimensions only, as Qdrant does at once; other
    operations that do not fit have no columns, and are dropped.
    """
    prepared: list[PointColumns | None] = []
    for operation in operations:
        columns = None
        try:
            if isinstance(operation, Upsert):
                columns = point_columns(config, operation.points)
            elif isinstance(operation, UpdateVectors) and not wait:
                check_dimensions(config, operation.points)
        except BadInput:
            if wait:
                raise
            assert isinstance(operation, Upsert | UpdateVectors)
            check_dimensions(config, operation.points)
        prepared.append(columns)
    return prepared
