"""The optimizer of one collection: builds, extends, encodes and saves the graphs of its dense vectors, behind searches
and writes.

Runs on the database's optimizer thread, at low priority; no lock is held while FAISS works. A graph reads the stored
rows, so its file holds links only; see ``graph_files``. Saved graphs are mapped when the collection opens, before any
write: their rows are then exactly those that they were built on, or are missing.
"""

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from threading import Event, Lock
from time import monotonic
from typing import TypeAlias

from qdrantlite.collection import graph_files
from qdrantlite.collection.graph_files import SavedSegment
from qdrantlite.collection.sealing import Sealing, SealingFacts, Wanted, choose, is_pending, wanted_of
from qdrantlite.collection.shard import Shard
from qdrantlite.collection.slots import DenseSlot
from qdrantlite.errors import StorageFailed, told
from qdrantlite.segment import sealed
from qdrantlite.segment.sealed import SealedSegment
from qdrantlite.segment.selection import Selection
from qdrantlite.storage import file_names
from qdrantlite.values.schema import merged

logger = logging.getLogger(__name__)

LOGGED_ROWS = 100_000

Stop: TypeAlias = Callable[[], bool]


class Stopped(Exception):
    """The collection closes, or the vector is gone; the build is abandoned."""


class Optimizer:
    """Keeps one shard's graphs as its settings want them. ``step`` is called now and then by one thread."""

    def __init__(self, shard: Shard, name: str) -> None:
        self._shard = shard
        self._name = name
        self._folder = file_names.derived(shard.folder)
        self._saved: dict[int, SavedSegment] = {}
        self._waiting_since: dict[int, float] = {}
        self._closing = Event()
        self._stepping = Lock()
        self.running = False
        self.error: str | None = None
        self._open_saved()

    @property
    def pending(self) -> bool:
        """Whether anything is being built or ought to be."""
        shard = self._shard
        return self.running or any(
            is_pending(self._facts(slot, quiet_s=0.0), shard.config, wanted_of(shard.config, slot.params))
            for _, slot in shard.dense_slots()
        )

    def close(self) -> None:
        """Stops the step that is under way, within a batch of rows, and waits for its end; none begins afterwards."""
        self._closing.set()
        with self._stepping:
            pass

    def step(self, *, quiet_s: float, stop: Stop) -> None:
        """Does what is due, vector by vector. Errors are kept for the collection's info, and logged."""
        with self._stepping:
            try:
                for name, slot in list(self._shard.dense_slots()):
                    if stop() or self._closing.is_set():
                        return
                    self._tend(name, slot, quiet_s=quiet_s, stop=stop)
                self.error = None
            except Stopped:
                return
            except Exception as error:  # Whatever it is, it is this round's: the thread goes on to the next.
                self._report(error)

    def _report(self, error: Exception) -> None:
        if self.error != told(error):
            logger.error("optimizing %s failed", self._name, exc_info=error)
        self.error = told(error)

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
        )

    def _tend(self, name: str, slot: DenseSlot, *, quiet_s: float, stop: Stop) -> None:
        config = self._shard.config
        wanted = wanted_of(config, slot.params)
        facts = self._facts(slot, quiet_s=quiet_s)
        if is_pending(facts, config, wanted):
            self._waiting_since.setdefault(slot.id, monotonic())
        else:
            self._waiting_since.pop(slot.id, None)
        decision = choose(facts, config, wanted)
        match decision:
            case Sealing.NOTHING:
                self._renew(slot)
            case Sealing.DROP:
                self._publish(name, slot, None)
                self._saved.pop(slot.id, None)
                self._write_manifest()
            case Sealing.BUILD | Sealing.EXTEND | Sealing.ENCODE | Sealing.RELOAD:
                self.running = True
                try:
                    if decision is not Sealing.RELOAD or not self._reload(name, slot, wanted):
                        self._seal(name, slot, wanted, stop, decision)
                finally:
                    self.running = False

    def _seal(self, name: str, slot: DenseSlot, wanted: Wanted, stop: Stop, decision: Sealing) -> None:
        """Makes the segment over all rows committed by now, saves it and puts it to use."""
        state = self._shard.state
        view, present = state.dense.get(name), state.present.get(name)
        if view is None or present is None or self._shard.slots.get(name) is not slot or len(present) == 0:
            return
        started, threads = monotonic(), self._threads(slot)
        progress = self._progress(name, slot, stop)
        view.verify(slice(0, len(view.rows)))
        progress(0, len(present))
        before: SavedSegment | None = None
        if decision is Sealing.BUILD or slot.sealed is None:
            segment = sealed.seal(
                view.rows, present, distance=view.distance, params=wanted.params, threads=threads, progress=progress
            )
        elif decision is Sealing.EXTEND:
            segment = sealed.extend(slot.sealed, view.rows, present, threads=threads, progress=progress)
        else:
            segment, before = replace(slot.sealed, coded=None), self._saved.get(slot.id)
        if wanted.coding is not None:
            segment = sealed.encode(segment, wanted.coding, threads=threads, progress=progress)
        logger.info(
            "%s: %s of vector %r over %d points, %.1f s",
            *(self._name, decision.value, name, segment.linked, monotonic() - started),
        )
        progress(0, len(present))
        saved = graph_files.save(
            segment, vector_id=slot.id, folder=self._folder, files=self._shard.files, before=before
        )
        # From its files it takes no memory of its own; when one was removed meanwhile, the segment serves as it is.
        mapped = self._loaded(saved, slot)
        self._publish(name, slot, mapped or segment)
        self._saved[slot.id] = saved
        self._write_manifest()

    def _reload(self, name: str, slot: DenseSlot, wanted: Wanted) -> bool:
        """Puts the saved codes to use as they are wanted now. False when they are missing: they must be made again.

        They are read anew because searches that run now still ask the old ones.
        """
        before = self._saved.get(slot.id)
        saved = None if before is None else replace(before, coding=wanted.coding)
        segment = None if saved is None else self._loaded(saved, slot)
        if saved is None or segment is None or segment.coding is None:
            return False
        self._publish(name, slot, segment)
        self._saved[slot.id] = saved
        self._write_manifest()
        return True

    def _threads(self, slot: DenseSlot) -> int:
        own, shared = slot.params.hnsw_config, self._shard.config.hnsw_config
        given = (shared if own is None else merged(shared, own)).max_indexing_threads
        cores = os.cpu_count() or 1
        return min(given, cores) if given else cores

    def _progress(self, name: str, slot: DenseSlot, stop: Stop) -> Callable[[int, int], None]:
        logged = 0

        def progress(done: int, total: int) -> None:
            nonlocal logged
            if stop() or self._closing.is_set() or self._shard.slots.get(name) is not slot:
                raise Stopped
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

    # -- files

    def _loaded(self, saved: SavedSegment, slot: DenseSlot) -> SealedSegment | None:
        return graph_files.load(
            saved,
            rows=slot.file.rows(slot.file.rows_appended),
            present=slot.present,
            distance=slot.params.distance,
            folder=self._folder,
            files=self._shard.files,
        )

    def _write_manifest(self) -> None:
        kept = {slot.id for _, slot in self._shard.dense_slots()}
        self._saved = {vector_id: saved for vector_id, saved in self._saved.items() if vector_id in kept}
        graph_files.write_manifest(tuple(self._saved.values()), folder=self._folder, files=self._shard.files)

    def _open_saved(self) -> None:
        """Maps the graphs that were in use when the collection was last open.

        What cannot be used is forgotten at once: its rows may belong to other points after the next write.
        """
        slots = {slot.id: slot for _, slot in self._shard.dense_slots()}
        listed = graph_files.read_manifest(folder=self._folder, files=self._shard.files)
        for saved in listed:
            slot = slots.get(saved.vector_id)
            segment = None if slot is None else self._loaded(saved, slot)
            if slot is not None and segment is not None:
                self._publish(None, slot, segment)
                self._saved[slot.id] = saved
        if len(self._saved) < len(listed):
            with suppress(StorageFailed):
                self._write_manifest()


def indexed_points(present: Selection, segment: SealedSegment | None) -> int:
    """Points that a graph covers."""
    return 0 if segment is None else present.count_below(segment.stop)
