"""Giving back in place what dead points hold: rounds of moving, letting graphs follow, and vacating.

A round chooses the deadest stretches of offsets (``vacuum``). The points that live there are moved to the end by small
commits, between which writers write; nothing that a client can see changes. The graphs are carried into the new
numbers, or built, so that none links a node there, in force or at the next start. Once every search that began before
has ended, nothing reads those rows any more, and they are given back (``shard.vacating``).

Whatever ends a round, the shard is whole: moved points are a tail that is linked as any, the others are dead, and the
next attempt finds them so. A stretch once empty stays empty, and no graph that is made later links what is dead.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from time import monotonic, sleep
from typing import Final
from weakref import ref

import numpy as np

from qdrantlite.collection.read.view import ReadView, open_view
from qdrantlite.collection.shard.shard import Shard, ShardState
from qdrantlite.collection.shard.slots import NO_OFFSETS, MultiSlot
from qdrantlite.collection.shard.vacating import vacate
from qdrantlite.collection.upkeep.active import Crew
from qdrantlite.collection.upkeep.journal import Journal
from qdrantlite.collection.upkeep.optimizer import Stopped
from qdrantlite.collection.upkeep.shard_copy import WAL_BYTES_MAX, Abandoned
from qdrantlite.collection.upkeep.vacuum import ROUND_SHARE, deadest, stretches_of
from qdrantlite.errors import StorageFailed
from qdrantlite.segment.renumbering import Renumbering
from qdrantlite.segment.selection import Selection
from qdrantlite.storage.store_reader import MISSING
from qdrantlite.storage.vacant import Ranges, Vacant, between, blocks_within, joined, ranges_of, size_of
from qdrantlite.values.vector import U32

logger = logging.getLogger(__name__)

MOVED_POINTS_MAX = 512
MOVED_BYTES_MAX = 1 << 20
"""In one commit, for which writers wait: some hundredths of a second."""
REST_S_MAX = 0.1
SPARE_BYTES = 64 << 20
READERS_S = 5.0
"""How long searches that began before are waited for, which keeps other collections waiting for their upkeep."""
READERS_ASKED_S = 0.01
BOUNDS_AT_ONCE: Final = 1 << 20


class Read(Abandoned):
    """Searches that began before still read what is to be given back; the rest is done."""


class Reclaim:
    """One attempt on one shard, by one thread. ``check`` is called between steps and raises to stop at once."""

    def __init__(self, crew: Crew, maintenance_lock: Lock, journal: Journal, check: Callable[[], None]) -> None:
        self._shard = crew.shard
        self._committer = crew.committer
        self._optimizer = crew.optimizer
        self._maintenance_lock = maintenance_lock
        self._journal = journal
        self._check = check

    def chosen(self) -> Ranges:
        """The offsets of the next round; none: there is nothing to gain. Raises StorageFailed where there is no room
        to move what lives among them.
        """
        ranges = self._deadest(self._room())
        if not len(ranges) and len(self._deadest(MISSING)):
            raise StorageFailed("the disk is too full to move the points that live among the dead")
        return ranges

    def _deadest(self, room: int) -> Ranges:
        """Those of the next round where no more than ``room`` points can be moved."""
        state, vacant = self._shard.state, self._shard.vacant.offsets
        stretches = stretches_of(state.live, state.rows, vacant)
        held = state.rows - size_of(vacant)
        moves_max = min(room, max(int(ROUND_SHARE * held), stretches.size))
        settings = self._shard.config.optimizer_config
        chosen = deadest(stretches, held=held, live=len(state.live), settings=settings, moves_max=moves_max)
        return stretches.ranges(chosen)

    def run(self, offsets: Ranges) -> None:
        """Rounds, of which the first were ``chosen``, until nothing is to be gained. Raises StorageFailed, Corrupted,
        Abandoned, what a graph's job raised, what ``Shard.require_open`` raises.
        """
        while len(offsets):
            moved = self._move(offsets)
            self._let_graphs_follow(moved, offsets)
            vacant, older = self._nobodys(offsets)
            self._await(older)
            with self._maintenance_lock:
                vacate(self._shard, vacant)
            offsets = self.chosen()

    def _move(self, offsets: Ranges) -> Renumbering:
        """Moves what lives there; where it was, and is."""
        shard, before, after = self._shard, list[U32](), list[U32]()
        live = shard.state.live
        total = sum([live.count_below(stop) - live.count_below(start) for start, stop in offsets.tolist()])
        done, limit = 0, max(1, min(MOVED_POINTS_MAX, MOVED_BYTES_MAX // self._row_bytes))
        for start, stop in offsets.tolist():
            while start < stop:
                self._check()
                started = monotonic()
                moved = self._committer.move(start, stop, limit)
                if not len(moved.before):
                    break
                before.append(moved.before)
                after.append(moved.after)
                start, done = int(moved.before[-1]) + 1, done + len(moved.before)
                self._journal.advance(done, total)
                if shard.store.wal_bytes() > WAL_BYTES_MAX:
                    shard.store.checkpoint(writer_lock=shard.writer_lock)
                if self._committer.is_busy:
                    sleep(min(monotonic() - started, REST_S_MAX))
        logger.info("%s: %d points moved", shard.folder, done)
        return Renumbering(_selected(before), _selected(after), others_stay=True)

    def _let_graphs_follow(self, moved: Renumbering, offsets: Ranges) -> None:
        try:
            self._optimizer.follow(moved, offsets, stop=partial(is_abandoned, self._check))
        except Stopped as stopped:
            raise Abandoned("stopped, or a vector was dropped") from stopped

    def _nobodys(self, offsets: Ranges) -> tuple[Vacant, tuple[ref[ShardState], ...]]:
        """What nobody reads who begins from now on, and the states of those who may."""
        with open_view(self._shard) as view:
            vacant = Vacant(offsets, _dead_rows(self._shard, view))
        _, older = self._shard.states()
        return vacant, older

    def _await(self, older: Sequence[ref[ShardState]]) -> None:
        """Returns when nobody holds these states. Raises Read when that takes too long."""
        begun = monotonic()
        while self._shard.is_read_by_former or any(state() is not None for state in older):
            self._check()
            if monotonic() - begun > READERS_S:
                raise Read("searches that began before are still under way")
            sleep(READERS_ASKED_S)

    @property
    def _row_bytes(self) -> int:
        """Of rows for each offset that is held, on average; at least 1."""
        held = self._shard.state.rows - size_of(self._shard.vacant.offsets)
        return 1 + sum(slot.file.held_bytes for slot in self._shard.row_slots()) // max(1, held)

    def _room(self) -> int:
        """Points that may be moved, so that the disk is not full then."""
        return max(0, self._shard.files.free_bytes(self._shard.folder) - SPARE_BYTES) // (2 * self._row_bytes)


def _selected(parts: Sequence[U32]) -> Selection:
    return Selection.from_offsets(np.concatenate([NO_OFFSETS, *parts]))


def is_abandoned(check: Callable[[], None]) -> bool:
    """Whether a check raises."""
    try:
        check()
    except Abandoned:
        return True
    return False


def _dead_rows(shard: Shard, view: ReadView) -> dict[int, Ranges]:
    """Of each multivector, blocks none of whose rows a point has, or can get: a point gets rows that another has, or
    new ones. What is vacant already is left out.
    """
    dead: dict[int, Ranges] = {}
    for name, rows in view.state.multi.items():
        slot = shard.slots.get(name)
        if not isinstance(slot, MultiSlot):
            continue
        owned_or_vacant, offsets = shard.vacant.of(slot.id), rows.present.offsets()
        for at in range(0, len(offsets), BOUNDS_AT_ONCE):
            owned = rows.bounds.at(offsets[at : at + BOUNDS_AT_ONCE])
            starts = owned.starts.astype(np.int64)
            owned_or_vacant = joined(owned_or_vacant, ranges_of(np.stack((starts, starts + owned.counts), axis=1)))
        # The file may hold more already, of a transaction that is under way.
        committed, block_rows = view.reader.committed_rows(slot.id).rows, slot.file.row_format.block_rows
        blocks = blocks_within(ranges_of(between(owned_or_vacant, 0, committed)), block_rows)
        dead[slot.id] = ranges_of(blocks * block_rows)
    return dead
