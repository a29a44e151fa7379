"""Merging segments behind the commits: it costs no commit and no search its time, and changes no answer.

What is merged is immutable, so no lock is held meanwhile; the merged segment takes the place of the others at the next
moment between two commits, with what was forgotten since.
"""

from dataclasses import replace

from qdrantlite.collection.indexing import Indexes
from qdrantlite.collection.shard import Shard
from qdrantlite.segment.column import Column, ColumnSegment, merged_columns
from qdrantlite.segment.payload_index.index import IndexSegment, PayloadIndex
from qdrantlite.segment.sparse import SparseIndex, SparseSegment, merged_postings
from qdrantlite.segment.stack import Layer


def merge_segments(shard: Shard) -> None:
    """Merges until nothing is due. One thread at a time."""
    for key in tuple(shard.schema):
        while _merge_field(shard, key):
            pass
    for name in tuple(shard.indexes.sparse):
        while _merge_postings(shard, name):
            pass
    for key in tuple(shard.indexes.columns):
        while _merge_column(shard, key):
            pass


def _merge_field(shard: Shard, key: str) -> bool:
    """One merge of a payload index; False when none is due, or it came to nothing."""
    index = shard.indexes.fields.get(key)
    due = None if index is None else index.stack.due()
    if index is None or due is None:
        return False
    return _put_field(shard, key, due, index.merged(due))


def _put_field(shard: Shard, key: str, due: tuple[Layer[IndexSegment], ...], segment: IndexSegment) -> bool:
    with shard.writer_lock:
        present = shard.indexes
        index = present.fields.get(key)
        stack = None if index is None else index.stack.replaced(due, segment)
        if index is None or stack is None:
            return False
        fields: dict[str, PayloadIndex] = {**present.fields, key: replace(index, stack=stack)}
        return _publish(shard, replace(present, fields=fields))


def _merge_postings(shard: Shard, name: str) -> bool:
    """One merge of a sparse vector's postings; False when none is due, or it came to nothing."""
    index = shard.indexes.sparse.get(name)
    due = None if index is None else index.stack.due()
    return due is not None and _put_postings(shard, name, due, merged_postings(due))


def _put_postings(shard: Shard, name: str, due: tuple[Layer[SparseSegment], ...], segment: SparseSegment) -> bool:
    with shard.writer_lock:
        present = shard.indexes
        index = present.sparse.get(name)
        stack = None if index is None else index.stack.replaced(due, segment)
        if index is None or stack is None:
            return False
        sparse: dict[str, SparseIndex] = {**present.sparse, name: replace(index, stack=stack)}
        return _publish(shard, replace(present, sparse=sparse))


def _merge_column(shard: Shard, key: str) -> bool:
    """One merge of a column; False when none is due, or it came to nothing."""
    column = shard.indexes.columns.get(key)
    due = None if column is None else column.stack.due()
    return due is not None and _put_column(shard, key, due, merged_columns(due))


def _put_column(shard: Shard, key: str, due: tuple[Layer[ColumnSegment], ...], segment: ColumnSegment) -> bool:
    with shard.writer_lock:
        present = shard.indexes
        column = present.columns.get(key)
        stack = None if column is None else column.stack.replaced(due, segment)
        if column is None or stack is None:
            return False
        columns: dict[str, Column] = {**present.columns, key: replace(column, stack=stack)}
        return _publish(shard, replace(present, columns=columns))


def _publish(shard: Shard, indexes: Indexes) -> bool:
    """The caller holds the writer lock."""
    with shard.publish_lock:
        if shard.closed or shard.retired or shard.behind:
            return False
        shard.reshape(indexes)
        return True
