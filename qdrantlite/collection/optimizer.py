"""The optimizer of one collection: builds, extends, saves and reopens the graphs of its dense vectors, behind
searches and writes.

Runs on the database's upkeep thread, at low priority; no lock is held while FAISS works. A graph reads the stored
rows, so its file holds links only. Graph files are derived data named by a manifest with their checksums; one that is
missing, damaged or built otherwise is built again. After a restart searches scan exactly until the graphs are mapped,
a moment later.
"""

import json
import logging
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TypeAlias

from qdrantlite.collection.sealing import (
    Sealing,
    SealingFacts,
    choose,
    graph_params,
    is_pending,
    threshold_rows,
)
from qdrantlite.collection.shard import Shard
from qdrantlite.collection.slots import DenseSlot
from qdrantlite.errors import Corrupted, QdrantliteError
from qdrantlite.segment import sealed
from qdrantlite.segment.sealed import GraphParams, SealedSegment
from qdrantlite.segment.selection import Selection
from qdrantlite.storage import file_names
from qdrantlite.storage.checkpoint import read_derived, write_derived

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
MANIFEST = "graphs.ckpt"
LOGGED_ROWS = 100_000
READ_BYTES = 16 << 20

Stop: TypeAlias = Callable[[], bool]


class Stopped(Exception):
    """The database closes; the build is abandoned."""


class Optimizer:
    """Keeps one shard's graphs as its settings want them. ``step`` is called now and then by one thread."""

    def __init__(self, shard: Shard, name: str) -> None:
        self._shard = shard
        self._name = name
        self._opened = False
        self._waiting_since: dict[str, float] = {}
        self.running = False
        self.error: str | None = None

    @property
    def pending(self) -> bool:
        """Whether anything is being built or ought to be."""
        shard = self._shard
        return self.running or any(
            is_pending(self._facts(name, slot, quiet_s=0.0), shard.config, self._wanted(slot))
            for name, slot in shard.dense_slots()
        )

    def step(self, *, quiet_s: float, stop: Stop) -> None:
        """Does what is due, vector by vector. Errors are kept for the collection's info, and logged."""
        try:
            if not self._opened:
                self._open_saved()
                self._opened = True
            for name, slot in list(self._shard.dense_slots()):
                if not stop():
                    self._tend(name, slot, quiet_s=quiet_s, stop=stop)
            self.error = None
        except Stopped:
            return
        except QdrantliteError as error:
            self.error = error.message
            logger.error("optimizing %s failed: %s", self._name, error.message)

    def _wanted(self, slot: DenseSlot) -> GraphParams:
        return graph_params(self._shard.config, slot.params)

    def _facts(self, name: str, slot: DenseSlot, *, quiet_s: float) -> SealingFacts:
        """Counts as of now; cheap."""
        segment, present = slot.sealed, slot.present
        stop = 0 if segment is None else segment.stop
        covered = 0 if segment is None else present.count_below(stop)
        row_bytes = slot.file.row_format.width
        tail = len(present) - covered
        threshold = threshold_rows(self._shard.config, row_bytes)
        if threshold is None or tail < threshold:
            self._waiting_since.pop(name, None)
            waiting_s = 0.0
        else:
            waiting_s = monotonic() - self._waiting_since.setdefault(name, monotonic())
        return SealingFacts(
            row_bytes=row_bytes,
            tail=tail,
            covered=covered,
            covered_built=0 if segment is None else segment.linked,
            params=None if segment is None else segment.params,
            quiet_s=quiet_s,
            waiting_s=waiting_s,
        )

    def _tend(self, name: str, slot: DenseSlot, *, quiet_s: float, stop: Stop) -> None:
        config, wanted = self._shard.config, self._wanted(slot)
        decision = choose(self._facts(name, slot, quiet_s=quiet_s), config, wanted)
        match decision:
            case Sealing.NOTHING:
                self._renew(slot)
            case Sealing.DROP:
                self._publish(slot, None)
                self._save_manifest()
            case Sealing.BUILD | Sealing.EXTEND:
                self.running = True
                try:
                    self._seal(name, slot, wanted, stop, anew=decision is Sealing.BUILD)
                finally:
                    self.running = False

    def _seal(self, name: str, slot: DenseSlot, wanted: GraphParams, stop: Stop, *, anew: bool) -> None:
        """Builds or extends the graph over all rows committed by now, saves it and puts it to use."""
        state = self._shard.state
        view = state.dense[name]
        present = state.present[name]
        started = monotonic()
        threads = self._threads(slot)
        progress = self._progress(name, stop)
        view.verify(slice(0, len(view.rows)))
        if anew or slot.sealed is None:
            segment = sealed.seal(
                view.rows, present, distance=view.distance, params=wanted, threads=threads, progress=progress
            )
        else:
            segment = sealed.extend(slot.sealed, view.rows, present, threads=threads, progress=progress)
        logger.info(
            "%s: graph of vector %r over %d points, %.1f s", self._name, name, segment.linked, monotonic() - started
        )
        self._publish(slot, self._saved(slot, segment))
        self._save_manifest()

    def _threads(self, slot: DenseSlot) -> int:
        given = (slot.params.hnsw_config and slot.params.hnsw_config.max_indexing_threads) or (
            self._shard.config.hnsw_config.max_indexing_threads
        )
        return given or os.cpu_count() or 1

    def _progress(self, name: str, stop: Stop) -> Callable[[int, int], None]:
        logged = 0

        def progress(done: int, total: int) -> None:
            nonlocal logged
            if stop():
                raise Stopped
            if done - logged >= LOGGED_ROWS:
                logged = done
                logger.info("%s: graph of vector %r, %d of %d points", self._name, name, done, total)

        return progress

    def _renew(self, slot: DenseSlot) -> None:
        """Lets a graph read the current mapping of a file that has grown, so that only one is kept."""
        segment = slot.sealed
        if segment is not None and not slot.file.is_current(segment.graph.rows):
            self._publish(slot, segment.over(slot.file.rows(slot.file.rows_appended)))

    def _publish(self, slot: DenseSlot, segment: SealedSegment | None) -> None:
        shard = self._shard
        with shard.publish_lock:
            slot.sealed = segment
            shard.freeze(rows=shard.state.rows, operation_id=shard.state.operation_id)

    # -- files

    def _path(self, slot: DenseSlot, segment: SealedSegment) -> Path:
        return file_names.derived(self._shard.folder) / f"graph-{slot.id}-{segment.first}-{segment.stop}.faiss"

    def _saved(self, slot: DenseSlot, segment: SealedSegment) -> SealedSegment:
        """The segment as a mapped file, durable, instead of in memory."""
        files, path = self._shard.files, self._path(slot, segment)
        files.make_directory(path.parent)
        temporary = file_names.temporary(path)
        segment.save(temporary)
        file = files.open(temporary, create=False)
        try:
            file.sync()
        finally:
            file.close()
        files.replace(temporary, path)
        files.sync_directory(path.parent)
        return sealed.load(
            path,
            segment.graph.rows,
            first=segment.first,
            distance=slot.params.distance,
            params=segment.params,
            linked=segment.linked,
        )

    def _save_manifest(self) -> None:
        """Names the graph files in use with their checksums, then removes all others."""
        shard = self._shard
        entries = []
        for name, slot in shard.dense_slots():
            if slot.sealed is not None:
                path = self._path(slot, slot.sealed)
                entries.append(
                    {
                        "vector": name,
                        "id": slot.id,
                        "file": path.name,
                        "crc": _crc(path),
                        "first": slot.sealed.first,
                        "linked": slot.sealed.linked,
                        "m": slot.sealed.params.m,
                        "ef_construct": slot.sealed.params.ef_construct,
                    }
                )
        write_derived(
            file_names.derived(shard.folder) / MANIFEST,
            format_version=FORMAT_VERSION,
            covers_seq=0,
            parts=[("graphs", json.dumps(entries).encode())],
            files=shard.files,
        )
        used = {entry["file"] for entry in entries}
        for file in shard.files.names(file_names.derived(shard.folder)):
            if file.startswith("graph-") and file not in used:
                shard.files.remove(file_names.derived(shard.folder) / file)

    def _open_saved(self) -> None:
        """Maps the graphs that were in use when the collection was last open."""
        shard = self._shard
        folder = file_names.derived(shard.folder)
        manifest = read_derived(folder / MANIFEST, format_version=FORMAT_VERSION, files=shard.files)
        slots = dict(shard.dense_slots())
        for entry in [] if manifest is None else json.loads(bytes(manifest.parts["graphs"])):
            slot = slots.get(entry["vector"])
            path = folder / entry["file"]
            if slot is None or slot.id != entry["id"] or not path.exists() or _crc(path) != entry["crc"]:
                continue
            try:
                segment = sealed.load(
                    path,
                    slot.file.rows(slot.file.rows_appended),
                    first=entry["first"],
                    distance=slot.params.distance,
                    params=GraphParams(entry["m"], entry["ef_construct"]),
                    linked=entry["linked"],
                )
            except Corrupted as error:
                logger.warning("%s: %s; it will be built again", self._name, error.message)
                continue
            self._publish(slot, segment)


def _crc(path: Path) -> int:
    """CRC-32 of a file's bytes."""
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(READ_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc


def indexed_points(present: Selection, segment: SealedSegment | None) -> int:
    """Points that a graph covers."""
    return 0 if segment is None else present.count_below(segment.stop)
