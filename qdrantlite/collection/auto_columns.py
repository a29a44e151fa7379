"""Columns of fields that are filtered again and again without an index, made behind the searches and dropped unused.

A column is derived, in memory alone, and never in the payload schema; it changes no answer, only how long it takes.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

import numpy as np

from qdrantlite.collection.bind import open_snapshot
from qdrantlite.collection.columns import payload_of
from qdrantlite.collection.indexing import Indexes
from qdrantlite.collection.shard import Shard, ShardBehind, ShardRetired
from qdrantlite.errors import NotFound
from qdrantlite.segment.column import Column
from qdrantlite.segment.selection import Selection
from qdrantlite.storage.store_reader import StoreReader
from qdrantlite.values.vector import U32

logger = logging.getLogger(__name__)

BYTES_MAX = 64 << 20
"""All columns of a shard together."""
CHUNK_POINTS = 4096

Stop = Callable[[], bool]


def tend_columns(shard: Shard, stop: Stop) -> None:
    """Makes the columns that are asked for and drops those that are not. One thread at a time, the one that compacts:
    both hold the log of touched offsets.
    """
    for key in tuple(shard.indexes.columns):
        if shard.demand.is_unused(key):
            _put(shard, key, None)
    for key in shard.demand.due(len(shard.state.live)):
        if key in shard.indexes.columns or stop():
            continue
        try:
            _make(shard, key, stop)
        except (NotFound, ShardRetired, ShardBehind):
            return
        except Exception as error:  # Filters do without, as before; what happened is this field's.
            logger.error("%s: no column of %r could be made", shard.folder.name, key, exc_info=error)
            shard.demand.refuse(key)


def _make(shard: Shard, key: str, stop: Stop) -> None:
    started, room = monotonic(), BYTES_MAX - sum(column.memory_bytes for column in shard.indexes.columns.values())
    with shard.writer_lock:
        seq = shard.log_needed_seq = shard.store.writer.state().touched_seq
    try:
        column, rows = Column(key), 0
        for _ in range(2):  # What is written during the first round is few for the second.
            with open_snapshot(shard) as snapshot:
                state = snapshot.reader.state()
                column = _followed(column, snapshot.reader, seq, rows)
                for offsets, texts in snapshot.reader.iter_payloads(rows):
                    column = column.with_points(offsets, [payload_of(text) for text in texts])
                    if stop():
                        return
                    if column.memory_bytes > room:
                        shard.demand.refuse(key)
                        logger.info("%s: a column of %r would take too much memory", shard.folder.name, key)
                        return
                column, rows, seq = column.settled(), state.offset_next, state.touched_seq
        with shard.writer_lock:
            column = _followed(column, shard.store.writer, seq, rows)
            for offsets, texts in shard.store.writer.iter_payloads(rows):
                column = column.with_points(offsets, [payload_of(text) for text in texts])
            _put(shard, key, column)
    finally:
        shard.log_needed_seq = None
    logger.info("%s: made a column of %r in %.1f s", shard.folder.name, key, monotonic() - started)


def _followed(column: Column, reader: StoreReader, seq: int, rows: int) -> Column:
    """The column of the first rows, of an older state, as ``reader`` sees them."""
    if not rows:
        return column
    touched = reader.touched_since(seq)
    assert touched is not None, "the log was trimmed although it is needed"
    changed: U32 = touched.changed[touched.changed < rows]
    column = column.without(Selection.from_offsets(np.concatenate([touched.dead, changed])).bitmap)
    for at in range(0, len(changed), CHUNK_POINTS):
        chunk = changed[at : at + CHUNK_POINTS]
        column = column.with_points(chunk, [payload_of(text) for text in reader.payloads(chunk)])
    return column


def _put(shard: Shard, key: str, column: Column | None) -> None:
    """Puts a column to use, or takes it away."""
    with shard.writer_lock, shard.publish_lock:
        if shard.closed or shard.retired or shard.behind:
            return
        columns = {other: each for other, each in shard.indexes.columns.items() if other != key}
        if column is not None:
            columns[key] = column
        indexes: Indexes = replace(shard.indexes, columns=columns)
        shard.reshape(indexes)
