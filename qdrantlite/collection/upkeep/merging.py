"""Merging segments behind the commits: it costs no commit and no search its time, and changes no answer.

What is merged is immutable, so no lock is held meanwhile; the merged segment takes the place of the others at the next
moment between two commits, with what was forgotten since.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from qdrantlite.collection.shard.indexing import Indexes
from qdrantlite.collection.shard.shard import Shard
from qdrantlite.segment.by_offset import ByOffset
from qdrantlite.segment.column import Column
from qdrantlite.segment.ids import IdIndex
from qdrantlite.segment.payload_index.index import PayloadIndex
from qdrantlite.segment.row_bounds import BoundsIndex, RowBounds
from qdrantlite.segment.sparse import SparseIndex
from qdrantlite.values.point_ids import PointIds

Index = TypeVar("Index", PayloadIndex, SparseIndex, Column, ByOffset[PointIds], ByOffset[RowBounds])


def merge_segments(shard: Shard) -> None:
    """Merges until nothing is due. One thread at a time."""
    for key in tuple(shard.indexes.fields):
        _merge(shard, partial(_field, key), partial(_with_field, key))
    for name in tuple(shard.indexes.sparse):
        _merge(shard, partial(_postings, name), partial(_with_postings, name))
    for key in tuple(shard.indexes.columns):
        _merge(shard, partial(_column, key), partial(_with_column, key))
    for name in tuple(shard.indexes.bounds):
        _merge(shard, partial(_bounds, name), partial(_with_bounds, name))
    _merge(shard, _ids, _with_ids)


def _field(key: str, indexes: Indexes) -> PayloadIndex | None:
    return indexes.fields.get(key)


def _with_field(key: str, indexes: Indexes, index: PayloadIndex) -> Indexes:
    return replace(indexes, fields={**indexes.fields, key: index})


def _postings(name: str, indexes: Indexes) -> SparseIndex | None:
    return indexes.sparse.get(name)


def _with_postings(name: str, indexes: Indexes, index: SparseIndex) -> Indexes:
    return replace(indexes, sparse={**indexes.sparse, name: index})


def _column(key: str, indexes: Indexes) -> Column | None:
    return indexes.columns.get(key)


def _with_column(key: str, indexes: Indexes, column: Column) -> Indexes:
    return replace(indexes, columns={**indexes.columns, key: column})


def _bounds(name: str, indexes: Indexes) -> BoundsIndex | None:
    return indexes.bounds.get(name)


def _with_bounds(name: str, indexes: Indexes, index: BoundsIndex) -> Indexes:
    return replace(indexes, bounds={**indexes.bounds, name: index})


def _ids(indexes: Indexes) -> IdIndex:
    return indexes.ids


def _with_ids(indexes: Indexes, ids: IdIndex) -> Indexes:
    return replace(indexes, ids=ids)


def _merge(shard: Shard, find: Callable[[Indexes], Index | None], put: Callable[[Indexes, Index], Indexes]) -> None:
    """All that is due of one index, until it is gone, or another one in its place."""
    while (index := find(shard.indexes)) is not None and (due := index.stack.due()) is not None:
        segment = index.merged(due)
        with shard.writer_lock, shard.publish_lock:
            present = find(shard.indexes)
            stack = None if present is None else present.stack.replaced(due, segment)
            if present is None or stack is None or shard.closed or shard.retired or shard.behind:
                return
            shard.reshape(put(shard.indexes, replace(present, stack=stack)))
