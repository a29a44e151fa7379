"""Makes the files of sealed segments: jobs for a builder, each written down as an attempt before it begins.

A file that this returns is durable and named for ever; the manifest does not name it yet. What a job left behind that
did not end well is removed, here or with the next manifest.
"""

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.shard.slots import DenseSlot
from qdrantlite.collection.upkeep import graph_files
from qdrantlite.collection.upkeep.attempts import Attempts, Work
from qdrantlite.collection.upkeep.build_process import Lost
from qdrantlite.collection.upkeep.building import (
    Builder,
    Built,
    CarryJob,
    EncodeJob,
    GraphSource,
    Job,
    LinkJob,
    Progress,
    PruneJob,
    RowSource,
)
from qdrantlite.collection.upkeep.graph_files import SavedFile, SavedSegment
from qdrantlite.collection.upkeep.sealing import hnsw_of
from qdrantlite.errors import StorageFailed
from qdrantlite.segment.renumbering import Renumbering
from qdrantlite.segment.sealed import Coding, GraphParams
from qdrantlite.segment.selection import Selection
from qdrantlite.storage import file_names
from qdrantlite.storage.files import Files
from qdrantlite.values.schema import CollectionConfig, VectorParams


def source_of(shard: Shard, name: str, *, most: int | None = None) -> tuple[RowSource, int] | None:
    """The rows of a vector that are committed by now, verified, and how many points have it, the first ``most`` of
    them; None without any. Raises Corrupted.
    """
    state, slot = shard.state, shard.slots.get(name)
    view, present = state.dense.get(name), state.present.get(name)
    if view is None or not present or not isinstance(slot, DenseSlot):
        return None
    stop = len(view.rows)
    if most is not None and most < len(present):
        stop = present.at(most)
        present = present.intersection(Selection.of_range(0, stop))
    view.verify(slice(0, stop))
    file = slot.file
    return RowSource(file.path, file.row_format, stop, view.distance, present.to_bytes()), len(present)


def threads_of(config: CollectionConfig, vector: VectorParams) -> int:
    """On how many threads a vector's graph is built: as many as there are cores, or fewer."""
    given, cores = hnsw_of(config, vector).max_indexing_threads, os.cpu_count() or 1
    return min(given, cores) if given else cores


class Refused(StorageFailed):
    """An attempt like this has ended a process before; nothing was done."""


class Sealer:
    """Works in one shard's folder of derived files, one thread at a time.

    Raises everywhere: Refused, Lost, StorageFailed, Corrupted, what FAISS raises, and what ``progress`` raises.
    """

    def __init__(self, builder: Builder, folder: Path, files: Files) -> None:
        self._builder = builder
        self._folder = folder
        self._files = files
        self._attempts = Attempts(folder, files)

    def successor(self, folder: Path) -> "Sealer":
        """One for a copy of the shard, whose vectors have the same numbers. Raises StorageFailed."""
        copy = Sealer(self._builder, folder, self._files)
        copy._attempts.follow(self._attempts)
        return copy

    def link(
        self,
        rows: RowSource,
        points: int,
        *,
        vector_id: int,
        base: SavedSegment | None,
        params: GraphParams,
        threads: int,
        progress: Progress,
    ) -> SavedSegment:
        """A graph over the ``points`` that are present in ``rows``, without codes: a new one, or ``base`` extended."""
        path = graph_files.new_path(self._folder, "graph", vector_id)
        source = None if base is None else self._graph_of(base)
        job = LinkJob(rows, source, params, threads, file_names.temporary(path))
        attempt = (vector_id, Work.GRAPH, repr(params), points)
        built, file = self._attempted(job, path, attempt, progress)
        return SavedSegment(vector_id, file, None, built.first, built.linked, params, None, built.pruned)

    def prune(
        self,
        rows: RowSource,
        points: int,
        *,
        saved: SavedSegment,
        moved: Renumbering | None,
        threads: int,
        progress: Progress,
    ) -> SavedSegment:
        """The saved segment without the points that are not present any more; with its codes, unless built anew, or
        some were ``moved``.
        """
        if moved is not None:
            return self.carry(
                *(rows, points),
                saved=saved,
                before=self,
                origin=rows,
                renumbering=moved,
                threads=threads,
                progress=progress,
            )
        path = graph_files.new_path(self._folder, "graph", saved.vector_id)
        job = PruneJob(rows, self._graph_of(saved), threads, file_names.temporary(path))
        attempt = (saved.vector_id, Work.PRUNED, repr(saved.params), points)
        built, file = self._attempted(job, path, attempt, progress)
        pruned = replace(saved, graph=file, first=built.first, linked=built.linked, pruned=built.pruned)
        return pruned if built.pruned else replace(pruned, codes=None, coding=None)

    def carry(
        self,
        rows: RowSource,
        points: int,
        *,
        saved: SavedSegment,
        before: "Sealer",
        origin: RowSource,
        renumbering: Renumbering,
        threads: int,
        progress: Progress,
    ) -> SavedSegment:
        """The segment saved ``before`` over ``origin``, without codes, in other numbers; see ``CarryJob``."""
        path = graph_files.new_path(self._folder, "graph", saved.vector_id)
        job = CarryJob(rows, origin, renumbering, before._graph_of(saved), threads, file_names.temporary(path))
        attempt = (saved.vector_id, Work.PRUNED, repr(saved.params), points)
        built, file = self._attempted(job, path, attempt, progress)
        return SavedSegment(
            *(saved.vector_id, file, None, built.first, built.linked, saved.params, None), pruned=built.pruned
        )

    def encode(
        self, rows: RowSource, points: int, *, saved: SavedSegment, coding: Coding, threads: int, progress: Progress
    ) -> SavedSegment:
        """The saved segment with codes of its rows."""
        path = graph_files.new_path(self._folder, "codes", saved.vector_id)
        job = EncodeJob(rows, self._graph_of(saved), coding, threads, file_names.temporary(path))
        attempt = (saved.vector_id, Work.CODES, repr(coding.kind), points)
        _, file = self._attempted(job, path, attempt, progress)
        return replace(saved, codes=file, coding=coding)

    def _graph_of(self, saved: SavedSegment) -> GraphSource:
        return GraphSource(self._folder / saved.graph.name, saved.first, saved.linked, saved.pruned, saved.params)

    def _attempted(
        self, job: Job, path: Path, attempt: tuple[int, Work, str, int], progress: Progress
    ) -> tuple[Built, SavedFile]:
        vector_id, work, _, _ = attempt
        reason = self._attempts.refusal(*attempt)
        if reason is not None:
            raise Refused(reason)
        self._attempts.begin(*attempt)
        try:
            built = self._builder.run(job, progress)
            file = graph_files.keep(path, files=self._files)
        except Lost as error:
            with suppress(StorageFailed):
                self._attempts.lose(vector_id, work, error.text)
            raise
        except BaseException:
            self._ended(vector_id, work)
            raise
        finally:
            with suppress(StorageFailed):
                self._files.remove(job.target)
        self._ended(vector_id, work)
        return built, file

    def _ended(self, vector_id: int, work: Work) -> None:
        """Where it cannot be struck out, the disk being full, it counts as begun once more than it was."""
        with suppress(StorageFailed):
            self._attempts.end(vector_id, work)
