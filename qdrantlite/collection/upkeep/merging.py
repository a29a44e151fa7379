"""Merging segments behind the commits: it costs no commit and no search its time, and changes no answer.

What is merged is immutable, so no lock is held meanwhile; the merged segment takes the place of the others at the next
moment between two commits, with what was forgotten since. A large one is written to its file and mapped before: what
the process has in memory of its own does not grow with the points until the next checkpoint.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias, TypeVar

from qdrantlite.collection.shard.checkpoint import write_segment
from qdrantlite.collection.shard.indexing import Indexes, lagging_ids
from qdrantlite.collection.shard.shard import Shard
from qdrantlite.segment.by_offset import ByOffset
from qdrantlite.segment.column import Column
from qdrantlite.segment.payload_index.index import PayloadIndex
from qdrantlite.segment.row_bounds import RowBounds
from qdrantlite.segment.sparse import SparseIndex
from qdrantlite.values.point_ids import PointIds

Index = TypeVar("Index", PayloadIndex, SparseIndex, Column, ByOffset[PointIds], ByOffset[RowBounds])
Find: TypeAlias = Callable[[Indexes], Mapping[str, Index]]
"""The indexes of a kind, by name."""
Put: TypeAlias = Callable[[Indexes, Mapping[str, Index]], Indexes]
"""All indexes, with others in the place of those of a kind."""
FILED_ENTRIES_MIN = 1 << 16
"""A merged segment of so many entries is written at once; a smaller one by the next checkpoint that finds it."""


def merge_segments(shard: Shard, *, at_rest: bool = False) -> None:
    """Merges until nothing is due; more is when nothing has been written for a while. One thread at a time."""

    def merge_each(find: Find[Index], put: Put[Index]) -> None:
        for name in tuple(find(shard.indexes)):
            _merge(shard, name, find, put, at_rest=at_rest)

    merge_each(lambda indexes: indexes.fields, lambda indexes, fields: replace(indexes, fields=fields))
    merge_each(lambda indexes: indexes.sparse, lambda indexes, sparse: replace(indexes, sparse=sparse))
    merge_each(lambda indexes: indexes.columns, lambda indexes, columns: replace(indexes, columns=columns))
    merge_each(lambda indexes: indexes.bounds, lambda indexes, bounds: replace(indexes, bounds=bounds))
    merge_each(
        lambda indexes: {"ids": indexes.ids.get()},
        lambda indexes, ids: replace(indexes, ids=lagging_ids(ids["ids"])),
    )


def _merge(shard: Shard, name: str, find: Find[Index], put: Put[Index], *, at_rest: bool) -> None:
    """All that is due of one index, until it is gone, or another one in its place."""
    while (index := find(shard.indexes).get(name)) is not None and (
        due := index.stack.due(at_rest=at_rest)
    ) is not None:
        segment, file = index.merged(due), None
        if isinstance(index, Column):
            pass  # Never on the disk, and bounded.
        elif segment.size >= FILED_ENTRIES_MIN:
            file, parts = write_segment(shard, segment)
            segment = index.load(parts)
        with shard.writer_lock, shard.publish_lock:
            alike = find(shard.indexes)
            present = alike.get(name)
            stack = None if present is None else present.stack.replaced(due, segment, file)
            if present is None or stack is None or shard.closed or shard.retired or shard.behind:
                return
            shard.reshape(put(shard.indexes, {**alike, name: replace(present, stack=stack)}))
            shard.changed_since_checkpoint += 1  # A checkpoint maps what stands in memory until then.
