"""Compaction: when a shard has too many dead rows, they are given back, in place or by a copy that takes its place.

Rows are never rewritten, so every replaced or deleted point leaves one behind: in the vector files, in the bounds of
multivectors, in the space of offsets, in pages of the point store. ``vacuum.choose`` says when that is worth an end,
and which: mostly what ``reclaiming`` does, else a copy without them.

Steps of a copy: it follows the shard (``shard_copy``) until little is left; the shard's graphs are carried over, pruned
and in the copy's numbers, or built where that is better; its derived state is written. Then, under the maintenance lock
and the writer lock, it follows for the last time, is made durable, and the catalogue is told of its folder in one
commit. Before that commit the copy's folder is garbage, after it the old one is, and garbage is removed when the
database opens: so a crash at any moment leaves one whole shard. Searches under way finish on the old shard, whose
folder goes when the last of them has; those that come begin on the new one.

A failure leaves the shard as it was. When the catalogue's own commit fails, nobody can say which folder the disk names:
then the old one is written there again, and if that fails too, writes are refused until the database is opened anew.
"""

import logging
from collections.abc import Callable
from functools import partial
from math import inf
from pathlib import Path
from threading import Event, Lock
from time import monotonic
from typing import TypeAlias, assert_never
from uuid import uuid4

from qdrantlite.collection.read.view import open_view
from qdrantlite.collection.shard.checkpoint import write_checkpoint
from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.shard.vacating import can_vacate
from qdrantlite.collection.upkeep.active import ActiveShard
from qdrantlite.collection.upkeep.backoff import Backoff
from qdrantlite.collection.upkeep.journal import Journal, segment_of
from qdrantlite.collection.upkeep.optimizer import Optimizer, Stop
from qdrantlite.collection.upkeep.reclaiming import SPARE_BYTES, Read, Reclaim, is_abandoned
from qdrantlite.collection.upkeep.shard_copy import Abandoned, ShardCopy
from qdrantlite.collection.upkeep.trouble import RETRY_S, RETRY_S_MAX
from qdrantlite.collection.upkeep.vacuum import Vacuum, Waste, choose, is_worn
from qdrantlite.errors import Corrupted, NotFound, StorageFailed
from qdrantlite.storage.vacant import size_of

logger = logging.getLogger(__name__)

BACKLOG_SMALL = 2_000
"""Points that may be left for the last step, which keeps writers waiting: some hundredths of a second."""
ROUNDS_MAX = 12
FAILURES_PERSISTENT = 3
READ_RETRY_S = 5.0
VACUUM = "vacuum"

MoveFolder: TypeAlias = Callable[[Path, Path], None]
"""Makes the second folder the collection's instead of the first, in one durable commit.

Raises NotFound when the collection is gone, StorageFailed when all is as before, Undecided.
"""


class Undecided(StorageFailed):
    """Which folder the disk names is not known."""

    def __init__(self, failure: StorageFailed) -> None:
        super().__init__(
            f"the folder in force is not known after a failed commit: {failure.text}", detail=failure.detail
        )


class Compactor:
    """Compacts one collection's shard. ``step`` is called now and then by one thread.

    Takes the maintenance lock for the last step, then the shard's writer lock.
    """

    def __init__(self, name: str, active: ActiveShard, maintenance_lock: Lock, move_folder: MoveFolder) -> None:
        self._name = name
        self._active = active
        self._maintenance_lock = maintenance_lock
        self._move_folder = move_folder
        self._retired: list[Shard] = []
        self._stepping = Lock()
        self._closing = Event()
        self._in_place: bool | None = None
        """Whether the file system gives back parts of files; asked once."""
        self._attempts = Backoff(first_s=RETRY_S, last_s=RETRY_S_MAX)
        self._rest = Backoff(first_s=READ_RETRY_S, last_s=RETRY_S)
        self.running = False
        self.journal = Journal()
        self.error: str | None = None

    def close(self) -> None:
        """Stops the step that is under way, within a chunk, and waits for its end; none begins afterwards."""
        self._closing.set()
        with self._stepping:
            pass

    def step(self, *, stop: Stop) -> None:
        """Compacts if it is due; takes as long as it takes. Errors are logged, and kept once they last."""
        with self._stepping:
            shard = self._active.crew.shard
            if self._closing.is_set() or not self._attempts.is_due or not self._rest.is_due or shard.behind:
                return
            started = monotonic()
            try:
                vacuum = self._due(shard, stop)
                if vacuum is None:
                    self._attempts.succeeded()  # What failed is not wanted any more.
                    self.error = None
                    return
                self.running = True
                with self.journal.entry(VACUUM, segment_of(shard), given_up=Abandoned):
                    vacuum()
            except Read as read:
                logger.info("%s: %s", self._name, read)
                self._rest.failed(read)
            except Abandoned as abandoned:
                logger.info("%s: compaction abandoned: %s", self._name, abandoned)
            except Undecided as error:
                shard.store.refuse_writes(error)
                self._failed(error, lasting=True)
            except Exception as error:  # Whatever it is, it is this attempt's: the thread goes on.
                self._failed(error, lasting=isinstance(error, Corrupted))
            else:
                self._attempts.succeeded()
                self._rest.succeeded()
                self.error = None
                logger.info("%s: compacted in %.1f s", self._name, monotonic() - started)
            finally:
                self.running = False
                shard.log_needed_seq = None

    def _failed(self, error: Exception, *, lasting: bool) -> None:
        logger.error("%s: compaction failed", self._name, exc_info=error)
        self._attempts.failed(error)
        if lasting or self._attempts.failures >= FAILURES_PERSISTENT:
            self.error = self._attempts.error

    def _due(self, shard: Shard, stop: Stop) -> Callable[[], None] | None:
        """What to do now."""
        if not _is_worn(shard):
            return None

        def check() -> None:
            if stop() or self._closing.is_set():
                raise Abandoned("stopped")

        if self._in_place is None:
            self._in_place = can_vacate(shard)
        match choose(_waste(shard), shard.config.optimizer_config, in_place=self._in_place):
            case Vacuum.NOTHING:
                return None
            case Vacuum.COPY:
                return partial(self._compact, shard, check)
            case Vacuum.IN_PLACE:
                reclaim = Reclaim(self._active.crew, self._maintenance_lock, self.journal, check)
                offsets = reclaim.chosen()
                return partial(reclaim.run, offsets) if len(offsets) else None
            case decision:
                assert_never(decision)

    def _compact(self, shard: Shard, check: Callable[[], None]) -> None:
        files, folder = shard.files, shard.folder.with_name(uuid4().hex)
        logger.info("%s: compacting %d points, %d rows", self._name, len(shard.state.live), shard.state.rows)
        _require_space(shard)
        copy: ShardCopy | None = None
        try:
            copy = ShardCopy(shard, folder, check=check)
            _draw_near(copy)
            former = self._active.crew.optimizer
            optimizer = former.successor(copy.shard)
            stop = partial(is_abandoned, check)
            optimizer.inherit(former, copy.origins, stop=stop)
            optimizer.step(quiet_s=inf, stop=stop)
            check()
            if optimizer.failure is not None:
                raise optimizer.failure
            _draw_near(copy)
            write_checkpoint(copy.shard)
            self._take_over(shard, copy, optimizer)
        except Undecided:
            if copy is not None:
                copy.close()
            raise
        except BaseException:
            if copy is not None:
                copy.close()
            files.remove_tree(folder)
            raise

    def _take_over(self, shard: Shard, copy: ShardCopy, optimizer: Optimizer) -> None:
        """The last step; writers wait. It raises only while the old folder is the one in force, or Undecided."""
        with self._maintenance_lock, shard.writer_lock:
            started = monotonic()
            if shard.closed:
                raise NotFound("Collection doesn't exist!")
            copy.follow()
            copy.make_durable()
            # Those who wait for the old log's sync must find it done: its files are about to go.
            writer = shard.store.writer
            writer.begin()
            shard.store.sync(writer.commit())
            self._move_folder(shard.folder, copy.shard.folder)
            # From here on the copy's folder is the one in force: whatever fails, nobody may clean it up.
            with shard.following():
                self._retired.append(shard)
                self._active.replace(copy.shard, optimizer)
                waited_s = monotonic() - started
                logger.info("%s: the compacted shard took over; writers waited %.3f s", self._name, waited_s)
            if self._active.crew.shard is not copy.shard:
                copy.close()

    def sweep(self, *, at_once: bool = False) -> None:
        """Closes retired shards nobody reads any more, and removes their folders. The caller holds the maintenance
        lock. What cannot be removed is garbage for the next start.
        """
        for shard in list(self._retired):
            if at_once or not shard.store.is_read:
                self._retired.remove(shard)
                shard.close()
                try:
                    shard.files.remove_tree(shard.folder)
                except StorageFailed as error:
                    logger.warning("%s: %s", self._name, error.report)


def _draw_near(copy: ShardCopy) -> None:
    """Follows until little is left. Raises Abandoned when writers stay ahead."""
    for _ in range(ROUNDS_MAX):
        copy.follow()
        if copy.backlog() <= BACKLOG_SMALL:
            return
    raise Abandoned("writers are faster")


def _is_worn(shard: Shard) -> bool:
    state = shard.state
    return is_worn(state.rows, len(state.live), shard.config.optimizer_config)


def _waste(shard: Shard) -> Waste:
    state = shard.state
    vacant = size_of(shard.vacant.offsets)
    held, file_bytes = state.rows - vacant, _file_bytes(shard)
    dead_bytes = file_bytes * (held - len(state.live)) // max(1, held)
    with open_view(shard) as view:
        free_bytes, used_bytes = view.reader.free_bytes(), view.reader.used_bytes()
    live_bytes = file_bytes - dead_bytes + used_bytes
    return Waste(state.rows, vacant, len(state.live), dead_bytes, free_bytes, live_bytes)


def _file_bytes(shard: Shard) -> int:
    return sum(slot.file.held_bytes for slot in shard.row_slots())


def _require_space(shard: Shard) -> None:
    """Raises StorageFailed unless the copy will fit: a full disk would stop the writers too."""
    with open_view(shard) as view:
        log_bytes = view.reader.used_bytes()  # At most; the copy's store has one, too.
    needed = _waste(shard).live_bytes + log_bytes + SPARE_BYTES
    free = shard.files.free_bytes(shard.folder)
    if free < needed:
        raise StorageFailed(f"{needed >> 20} MiB are needed to compact, {free >> 20} MiB are free")
