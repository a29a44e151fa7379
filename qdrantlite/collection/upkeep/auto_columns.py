"""Columns of fields that are filtered again and again without an index, made behind the searches and dropped unused.

A column is derived, in memory alone, and never in the payload schema; it changes no answer, only how long it takes.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from qdrantlite.collection.read.view import open_view
from qdrantlite.collection.shard.payload_text import payload_of
from qdrantlite.collection.shard.recovery import caught_up
from qdrantlite.collection.shard.shard import Shard, ShardBehind, ShardRetired
from qdrantlite.errors import NotFound
from qdrantlite.segment.column import Column, bytes_left

logger = logging.getLogger(__name__)

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
    started, room = monotonic(), bytes_left(shard.indexes.columns.values())
    with shard.writer_lock:
        shard.log_needed_seq = shard.store.writer.state().touched_seq
    try:
        column = Column(key)
        with open_view(shard) as view:
            state = view.reader.state()
            for offsets, texts in view.reader.iter_payloads():
                column = column.with_points(offsets, [payload_of(text) for text in texts])
                if stop():
                    return
                if column.memory_bytes > room:
                    shard.demand.refuse(key)
                    logger.info("%s: a column of %r would take too much memory", shard.folder.name, key)
                    return
        rows, seq, column = state.offset_next, state.touched_seq, column.settled()
        with open_view(shard) as view:  # What was written meanwhile; little is left for the writers to wait for.
            state = view.reader.state()
            column = caught_up(column, Column.with_points, view.reader, seq=seq, rows_covered=rows)
        rows, seq, column = state.offset_next, state.touched_seq, column.settled()
        with shard.writer_lock:
            column = caught_up(column, Column.with_points, shard.store.writer, seq=seq, rows_covered=rows)
            _put(shard, key, column)
    finally:
        shard.log_needed_seq = None
    logger.info("%s: made a column of %r in %.1f s", shard.folder.name, key, monotonic() - started)


def _put(shard: Shard, key: str, column: Column | None) -> None:
    """Puts a column to use, or takes it away."""
    with shard.writer_lock, shard.publish_lock:
        if shard.closed or shard.retired or shard.behind:
            return
        columns = {other: each for other, each in shard.indexes.columns.items() if other != key}
        if column is not None:
            columns[key] = column
        shard.reshape(replace(shard.indexes, columns=columns))
