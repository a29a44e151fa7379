"""The optimizer of one collection: builds, extends, prunes, encodes and saves the graphs of its dense vectors, behind
searches and writes.

Runs on the database's optimizer thread; FAISS works in another process (``build_process``), and no lock is held
meanwhile. A graph reads the stored rows, so its file holds links only; see ``graph_files``. Saved graphs are mapped
when the collection opens, before any write: their rows are then exactly those that they were built on, or are missing.

What fails is tried again after a while, and longer after each failure; what ended the build process is not tried again
until settings or points have changed (``attempts``). Meanwhile searches do without, and the collection's info says why.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from math import inf
from threading import Event, Lock
from time import monotonic
from typing import TypeAlias

import numpy as np

from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.shard.slots import DenseSlot
from qdrantlite.collection.upkeep.attempts import Work
from qdrantlite.collection.upkeep.building import Builder, RowSource
from qdrantlite.collection.upkeep.graph_files import SavedSegment
from qdrantlite.collection.upkeep.journal import Journal, segment_of
from qdrantlite.collection.upkeep.saved_graphs import SavedGraphs
from qdrantlite.collection.upkeep.sealer import Sealer, source_of, threads_of
from qdrantlite.collection.upkeep.sealing import (
    Sealing,
    SealingFacts,
    Wanted,
    choose,
    covered_next,
    indexed_points,
    is_healable,
    is_pending,
    letting_go,
    wanted_of,
)
from qdrantlite.collection.upkeep.trouble import Troubles
from qdrantlite.errors import told
from qdrantlite.segment.renumbering import Renumbering
from qdrantlite.segment.sealed import SealedSegment
from qdrantlite.segment.selection import Selection
from qdrantlite.storage import file_names
from qdrantlite.storage.vacant import Ranges
from qdrantlite.values.optimization import Queued
from qdrantlite.values.vector import U32

logger = logging.getLogger(__name__)

LOGGED_ROWS = 100_000

INDEXING = "indexing"
WORK = {
    Sealing.BUILD: Work.GRAPH,
    Sealing.EXTEND: Work.GRAPH,
    Sealing.PRUNE: Work.PRUNED,
    Sealing.ENCODE: Work.CODES,
    Sealing.RELOAD: Work.CODES,
}

Stop: TypeAlias = Callable[[], bool]


class Stopped(Exception):
    """The collection closes, or the vector is gone; the build is abandoned."""


class Optimizer:
    """Keeps one shard's graphs as its settings want them. ``step`` is called now and then by one thread."""

    def __init__(
        self,
        shard: Shard,
        name: str,
        builder: Builder,
        *,
        sealer: Sealer | None = None,
        journal: Journal | None = None,
    ) -> None:
        self._shard = shard
        self._name = name
        self._builder = builder
        self._sealer = sealer or Sealer(builder, file_names.derived(shard.folder), shard.files)
        self._troubles = Troubles()
        self._saved = SavedGraphs(shard)
        self._waiting_since: dict[int, float] = {}
        self._polished_at: dict[int, float] = {}
        self._closing = Event()
        self._stepping = Lock()
        self.running = False
        self.journal = journal or Journal()
        for slot, segment in self._saved.open():
            self._publish(None, slot, segment)

    def successor(self, shard: Shard) -> "Optimizer":
        """That of a copy of the shard: it knows which attempts ended a process. Raises StorageFailed."""
        sealer = self._sealer.successor(file_names.derived(shard.folder))
        return Optimizer(shard, self._name, self._builder, sealer=sealer, journal=self.journal)

    def inherit(self, origin: "Optimizer", copied: U32, *, stop: Stop) -> None:
        """Takes over the graphs of the shard that this one's is a copy of, where that is better than to build others.

        Its point ``n`` was at ``copied[n]``. What cannot be taken over is built by the next step.
        """
        copies = Selection.of_range(0, len(copied))
        renumbering = Renumbering(Selection.from_offsets(copied), copies, others_stay=False)
        with self._stepping:
            for name, slot in self._shard.dense_slots():
                before, saved = origin._shard.slots.get(name), origin._saved.of(slot)
                if not isinstance(before, DenseSlot) or saved is None:
                    continue
                facts = origin._facts(before, quiet_s=0.0)
                if facts.params != wanted_of(self._shard.config, slot.params).params or not is_healable(facts):
                    continue
                try:
                    self._inherit(name, slot, origin, saved, renumbering, stop)
                except Stopped:
                    return
                except Exception as error:  # Whatever it is, it is this work's.
                    self._failed(name, slot, Work.PRUNED, error)

    def _inherit(
        self, name: str, slot: DenseSlot, origin: "Optimizer", saved: SavedSegment, renumbering: Renumbering, stop: Stop
    ) -> None:
        source, former = source_of(self._shard, name), source_of(origin._shard, name)
        if source is None or former is None:
            return
        started, progress = monotonic(), self._progress(name, slot, stop)
        carried = self._sealer.carry(
            *source,
            saved=saved,
            before=origin._sealer,
            origin=former[0],
            renumbering=renumbering,
            threads=threads_of(self._shard.config, slot.params),
            progress=progress,
        )
        self._use(name, slot, carried)
        logger.info("%s: graph of vector %r carried over, %.1f s", self._name, name, monotonic() - started)

    def follow(self, moved: Renumbering, emptied: Ranges, *, stop: Stop) -> None:
        """Sees to it that no graph links these offsets, in force or at the next start; graphs follow what was moved.

        Raises Stopped and whatever failed, which is put off as it is in ``step``.
        """
        with self._stepping:
            for name, slot in self._shard.dense_slots():
                if slot.sealed is None:
                    if self._saved.of(slot) is not None:
                        self._saved.drop(slot)  # It could not be when the graph went out of force.
                elif slot.sealed.links(emptied):
                    self._let_go(name, slot, moved, stop)

    def _let_go(self, name: str, slot: DenseSlot, moved: Renumbering, stop: Stop) -> None:
        assert slot.sealed is not None
        wanted, facts = wanted_of(self._shard.config, slot.params), self._facts(slot, quiet_s=0.0)
        origins = moved.origins(slot.present.intersection(moved.after).offsets())
        carried = int(np.count_nonzero((origins >= slot.sealed.first) & (origins < slot.sealed.stop)))
        decision = letting_go(replace(facts, covered=facts.covered + carried, tail=facts.tail - carried), wanted)
        if decision is Sealing.PRUNE and self._is_put_off(slot, Work.PRUNED, wanted):
            decision = Sealing.BUILD
        if decision is Sealing.DROP:
            self._drop(name, slot)
            return
        try:
            self._seal(name, slot, wanted, stop, decision, moved if len(moved.after) else None)
        except Stopped:
            raise
        except Exception as error:
            self._failed(name, slot, WORK[decision], error)
            raise

    def _drop(self, name: str, slot: DenseSlot) -> None:
        self._publish(name, slot, None)
        self._saved.drop(slot)

    @property
    def error(self) -> str | None:
        """What a client may read of the work that fails."""
        return self._troubles.shown

    @property
    def failure(self) -> Exception | None:
        """Of work that may succeed if it is tried again."""
        return self._troubles.failure

    @property
    def pending(self) -> bool:
        """Whether anything is being built or ought to be."""
        return self.running or any(self._is_pending(slot) for _, slot in self._shard.dense_slots())

    @property
    def queued(self) -> tuple[Queued, ...]:
        """What ought to be built and is not yet, vector by vector."""
        running = {each.segment.id for each in self.journal.running}
        slots = [slot for _, slot in self._shard.dense_slots() if self._is_pending(slot)]
        queued = [Queued(INDEXING, segment_of(self._shard, slot)) for slot in slots]
        return tuple(each for each in queued if each.segment.id not in running)

    def _is_pending(self, slot: DenseSlot) -> bool:
        config = self._shard.config
        return is_pending(self._facts(slot, quiet_s=0.0), config, wanted_of(config, slot.params))

    def close(self) -> None:
        """Stops the step that is under way, within a batch of rows, and waits for its end; none begins afterwards."""
        self._closing.set()
        with self._stepping:
            pass

    def step(self, *, quiet_s: float, stop: Stop) -> None:
        """Does what is due, vector by vector. What fails is logged, kept for the collection's info, and put off."""
        with self._stepping:
            slots = list(self._shard.dense_slots())
            self._troubles.forget_others({slot.id for _, slot in slots})
            for name, slot in slots:
                if stop() or self._closing.is_set():
                    return
                try:
                    self._tend(name, slot, quiet_s=quiet_s, stop=stop)
                except Stopped:
                    return
                except Exception as error:  # Whatever it is, it is this work's: the thread goes on.
                    self._failed(name, slot, Work.GRAPH, error)

    def _failed(self, name: str, slot: DenseSlot, work: Work, error: Exception) -> None:
        wanted, points = wanted_of(self._shard.config, slot.params), len(slot.present)
        shown = f"{told(error)} ({work.value} of vector {name!r} over {points} points; searches do without)"
        if self._troubles.tell(slot.id, work, wanted, points, error=error, shown=shown):
            logger.error("%s: %s", self._name, shown, exc_info=error)

    def _is_put_off(self, slot: DenseSlot, work: Work, wanted: Wanted) -> bool:
        return self._troubles.is_put_off(slot.id, work, wanted, len(slot.present))

    def _facts(self, slot: DenseSlot, *, quiet_s: float) -> SealingFacts:
        """Counts as of now; cheap."""
        segment, present = slot.sealed, slot.present
        covered = indexed_points(present, segment)
        since = self._waiting_since.get(slot.id)
        return SealingFacts(
            row_bytes=slot.file.row_format.width,
            tail=len(present) - covered,
            covered=covered,
            covered_built=0 if segment is None else segment.linked,
            params=None if segment is None else segment.params,
            coding=None if segment is None else segment.coding,
            quiet_s=quiet_s,
            waiting_s=0.0 if since is None else monotonic() - since,
            polished_s=monotonic() - self._polished_at.get(slot.id, -inf),
            pruned=0 if segment is None else segment.pruned,
        )

    def _tend(self, name: str, slot: DenseSlot, *, quiet_s: float, stop: Stop) -> None:
        config = self._shard.config
        wanted = wanted_of(config, slot.params)
        facts = self._facts(slot, quiet_s=quiet_s)
        pending = is_pending(facts, config, wanted)
        if pending:
            self._waiting_since.setdefault(slot.id, monotonic())
        else:
            self._waiting_since.pop(slot.id, None)
            self._troubles.forget(slot.id, *Work)
        decision = choose(facts, config, wanted)
        if decision is Sealing.PRUNE and self._is_put_off(slot, Work.PRUNED, wanted):
            decision = Sealing.BUILD
        match decision:
            case Sealing.NOTHING:
                self._renew(slot)
            case Sealing.DROP:
                self._drop(name, slot)
            case Sealing.BUILD | Sealing.EXTEND | Sealing.PRUNE | Sealing.ENCODE | Sealing.RELOAD:
                work = WORK[decision]
                if self._is_put_off(slot, work, wanted):
                    self._renew(slot)
                    return
                if not pending:
                    self._polished_at[slot.id] = monotonic()
                self.running = True
                try:
                    with self.journal.entry(INDEXING, segment_of(self._shard, slot), given_up=Stopped):
                        if decision is Sealing.RELOAD and self._reload(name, slot, wanted):
                            return
                        while self._seal(name, slot, wanted, stop, decision):
                            decision = Sealing.EXTEND
                except Stopped:
                    raise
                except Exception as error:  # Whatever it is, it is this work's.
                    self._failed(name, slot, work, error)
                finally:
                    self.running = False

    def _seal(
        self,
        name: str,
        slot: DenseSlot,
        wanted: Wanted,
        stop: Stop,
        decision: Sealing,
        moved: Renumbering | None = None,
    ) -> bool:
        """Makes the segment over all rows committed by now, saves it and puts it to use; one that is pruned follows
        what was ``moved``. True: over some of them, there is more to be linked.
        """
        points, covered = len(slot.present), indexed_points(slot.present, slot.sealed)
        is_first = decision is Sealing.BUILD and slot.sealed is None
        most = covered_next(covered, points) if is_first or decision is Sealing.EXTEND else points
        started = monotonic()
        source = source_of(self._shard, name, most=most if most < points else None)
        if source is None or self._shard.slots.get(name) is not slot:
            return False
        progress = self._progress(name, slot, stop, covered if decision is Sealing.EXTEND else 0, points - most)
        saved = self._saved.of(slot)
        threads = threads_of(self._shard.config, slot.params)
        if saved is not None and decision is Sealing.PRUNE:
            saved = self._sealer.prune(*source, saved=saved, moved=moved, threads=threads, progress=progress)
        elif saved is None or decision in (Sealing.BUILD, Sealing.EXTEND):
            saved = self._sealer.link(
                *source,
                vector_id=slot.id,
                base=saved if decision is Sealing.EXTEND else None,
                params=wanted.params,
                threads=threads,
                progress=progress,
            )
        else:
            saved = replace(saved, codes=None, coding=None)
        self._troubles.forget(slot.id, WORK[decision], *((Work.PRUNED,) if decision is Sealing.BUILD else ()))
        saved = self._encoded(name, slot, source, saved, wanted, stop)
        logger.info(
            "%s: %s of vector %r over %d points, %.1f s",
            *(self._name, decision.value, name, saved.linked, monotonic() - started),
        )
        progress(0, points)
        self._use(name, slot, saved)
        return most < points

    def _encoded(
        self, name: str, slot: DenseSlot, source: tuple[RowSource, int], saved: SavedSegment, wanted: Wanted, stop: Stop
    ) -> SavedSegment:
        """The segment with the codes that are wanted; without any where they fail: the graph serves without."""
        coding = wanted.coding
        if saved.coding != coding:
            saved = replace(saved, codes=None, coding=None)
        if coding is None or saved.coding is not None or self._is_put_off(slot, Work.CODES, wanted):
            return saved
        threads, progress = threads_of(self._shard.config, slot.params), self._progress(name, slot, stop)
        try:
            saved = self._sealer.encode(*source, saved=saved, coding=coding, threads=threads, progress=progress)
            self._troubles.forget(slot.id, Work.CODES)
        except Stopped:
            raise
        except Exception as error:
            self._failed(name, slot, Work.CODES, error)
        return saved

    def _use(self, name: str, slot: DenseSlot, saved: SavedSegment) -> None:
        """Puts a segment to use whose files are there, durably."""
        self._publish(name, slot, self._saved.put(slot, saved))

    def _reload(self, name: str, slot: DenseSlot, wanted: Wanted) -> bool:
        """Puts the saved codes to use as they are wanted now. False when they are missing: they must be made again."""
        segment = self._saved.recoded(slot, wanted.coding)
        if segment is not None:
            self._publish(name, slot, segment)
        return segment is not None

    def _progress(
        self, name: str, slot: DenseSlot, stop: Stop, before: int = 0, rest: int = 0
    ) -> Callable[[int, int], None]:
        """Of a job with so many points done before it, and left after it. It raises Stopped."""
        logged = 0

        def progress(done: int, total: int) -> None:
            nonlocal logged
            if stop() or self._closing.is_set() or self._shard.slots.get(name) is not slot:
                raise Stopped
            self.journal.advance(before + done, before + total + rest)
            if done - logged >= LOGGED_ROWS:
                logged = done
                logger.info("%s: vector %r, %d of %d points", self._name, name, done, total)

        return progress

    def _renew(self, slot: DenseSlot) -> None:
        """Lets a graph read the current mapping of a file that has grown, so that only one is kept."""
        segment = slot.sealed
        if segment is not None and not slot.file.is_current(segment.graph.rows):
            self._publish(None, slot, segment.over(slot.file.rows(slot.file.rows_appended)))

    def _publish(self, name: str | None, slot: DenseSlot, segment: SealedSegment | None) -> None:
        """Searches bound from now on see the segment. Raises Stopped when the vector of that name is another by now."""
        shard = self._shard
        with shard.publish_lock:
            if name is not None and shard.slots.get(name) is not slot:
                raise Stopped
            slot.sealed = segment
            shard.freeze(rows=shard.state.rows, operation_id=shard.state.operation_id)
