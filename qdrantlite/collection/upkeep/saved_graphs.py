"""The graphs of one shard that its manifest names: loaded, replaced and forgotten; see ``graph_files``."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.shard.slots import DenseSlot
from qdrantlite.collection.upkeep import graph_files
from qdrantlite.collection.upkeep.graph_files import SavedSegment
from qdrantlite.errors import StorageFailed
from qdrantlite.segment.sealed import Coding, SealedSegment
from qdrantlite.storage import file_names


class SavedGraphs:
    """One thread changes it. What is changed is durable when the call returns. Raises StorageFailed."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._folder = file_names.derived(shard.folder)
        self._saved: dict[int, SavedSegment] = {}

    def of(self, slot: DenseSlot) -> SavedSegment | None:
        """What is named for a vector, unless its graph was removed from the disk."""
        saved = self._saved.get(slot.id)
        if saved is None or not graph_files.is_there(saved, folder=self._folder, files=self._shard.files):
            return None
        return saved

    def put(self, slot: DenseSlot, saved: SavedSegment) -> SealedSegment:
        """Names another one for a vector, mapped. Its files are there, durably."""
        segment = self.loaded(saved, slot)
        if segment is None:
            raise StorageFailed("the files of a graph were removed before they could be used")
        self._record({**self._saved, slot.id: saved})
        return segment

    def recoded(self, slot: DenseSlot, coding: Coding | None) -> SealedSegment | None:
        """The one that is named, its codes mapped as they are wanted now; None when they are missing.

        They are read anew because searches that run now still ask the old ones.
        """
        before = self.of(slot)
        saved = None if before is None else replace(before, coding=coding)
        segment = None if saved is None else self.loaded(saved, slot)
        if saved is None or segment is None or segment.coding is None:
            return None
        self._record({**self._saved, slot.id: saved})
        return segment

    def drop(self, slot: DenseSlot) -> None:
        """Names none for a vector."""
        self._record({vector_id: saved for vector_id, saved in self._saved.items() if vector_id != slot.id})

    def loaded(self, saved: SavedSegment, slot: DenseSlot) -> SealedSegment | None:
        """Maps one over the rows of its vector; None when it is missing or damaged."""
        return graph_files.load(
            saved,
            rows=slot.file.rows(slot.file.rows_appended),
            present=slot.present,
            distance=slot.params.distance,
            folder=self._folder,
            files=self._shard.files,
        )

    def open(self) -> Iterator[tuple[DenseSlot, SealedSegment]]:
        """Maps those that were in use when the collection was last open.

        What cannot be used is forgotten at once: its rows may belong to other points after the next write.
        """
        slots = {slot.id: slot for _, slot in self._shard.dense_slots()}
        listed = graph_files.read_manifest(folder=self._folder, files=self._shard.files)
        for saved in listed:
            slot = slots.get(saved.vector_id)
            segment = None if slot is None else self.loaded(saved, slot)
            if slot is not None and segment is not None:
                self._saved[slot.id] = saved
                yield slot, segment
        if len(self._saved) < len(listed):
            self._forget_others()

    def _record(self, saved: Mapping[int, SavedSegment]) -> None:
        """Names what is in use from now on, of the vectors that there still are."""
        kept = {slot.id for _, slot in self._shard.dense_slots()}
        named = {vector_id: each for vector_id, each in saved.items() if vector_id in kept}
        graph_files.write_manifest(tuple(named.values()), folder=self._folder, files=self._shard.files)
        self._saved = named

    def _forget_others(self) -> None:
        """Of a manifest that names more than what is in use. While it does, nothing must be written: a graph would be
        taken at the next start for one of the rows that were written in the place of its own.
        """
        try:
            self._record(self._saved)
        except StorageFailed:
            try:
                graph_files.forget_manifest(folder=self._folder, files=self._shard.files)
            except StorageFailed as error:
                self._shard.store.refuse_writes(error)
