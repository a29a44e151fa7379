"""Giving back what dead points leave in row files, in place.

``vacate`` is told ranges in which nothing lives. Derived state may have chosen them, so it asks the point store itself
before anything is recorded; rows and offsets are given out once, so that what the store says of a commit holds for all
that follow. The record is durable, and the deaths before it in the same log, before the first block is punched. Writers
wait for the record's commit only.

Whoever calls it sees to it that nobody reads these rows any more: no graph in force, or named for the next start, links
them, and no view older than the deaths is open, be it one of a shard that this one has succeeded. What would read them
in spite of that ends in an error, and not in zeros (``storage.block_checks``).
"""

import logging
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.shard.slots import DenseSlot, MultiSlot
from qdrantlite.errors import Corrupted, StorageFailed
from qdrantlite.storage.store_reader import StoreReader
from qdrantlite.storage.vacant import Ranges, Vacant
from qdrantlite.storage.vector_file import VectorFile

logger = logging.getLogger(__name__)

_Rows: TypeAlias = tuple[VectorFile, Ranges]


def can_vacate(shard: Shard) -> bool:
    """Whether the shard's file system can give back parts of files. Raises StorageFailed."""
    return shard.files.can_punch(shard.folder)


def vacate(shard: Shard, vacant: Vacant) -> int:
    """Makes ranges vacant and gives their disk back; returns the bytes of rows that the file system was handed.

    Raises Corrupted, with nothing done, when a point lives there; StorageFailed, ShardRetired, ShardBehind, NotFound.
    """
    assert not shard.is_read_by_former
    with shard.store.open_view() as view:
        if _has_living(view, vacant):
            raise Corrupted("points live where the collection's derived state has none", detail=str(shard.folder))
    with shard.writer_lock:
        shard.require_open()
        writer, given_back = shard.store.writer, list[_Rows]()
        with writer.begun():
            whole = shard.vacant.union(vacant).among(writer.vector_ids().values())
            writer.put_vacant(whole)
            with shard.publish_lock:
                commit_seq = writer.commit()
                with shard.following():
                    shard.vacant = whole
                    # Blocks may lie in what was vacant before and in what is now, and wholly within both alone.
                    given_back += [(slot.file, slot.file.vacate(_rows_of(slot, whole))) for slot in shard.row_slots()]
                    shard.freeze(rows=shard.state.rows, operation_id=shard.state.operation_id)
    shard.store.sync(commit_seq)
    return _punch(shard, given_back)


def finish(shard: Shard) -> None:
    """Gives back what was recorded before the shard was opened, or could not be given back then: a crash may have come
    between. Does nothing once that is done. Raises as ``vacate``.
    """
    if shard.is_punched:
        return
    with shard.writer_lock:
        shard.require_open()
        recorded = shard.vacant
        with shard.store.writer.begun():
            # A process that was killed may have left the record in a log that nobody has synced.
            commit_seq = shard.store.writer.commit()
    shard.store.sync(commit_seq)
    shard.is_punched = True
    _punch(shard, [(slot.file, _rows_of(slot, recorded)) for slot in shard.row_slots()])


def _punch(shard: Shard, rows: Sequence[_Rows]) -> int:
    """Gives back rows of files, the record of which is durable; returns their bytes."""
    try:
        punched = sum([file.punch(ranges) for file, ranges in rows])
    except StorageFailed:
        shard.is_punched = False
        raise
    if punched:
        logger.info("%s: %d MiB of rows given back", shard.folder, punched >> 20)
    return punched


def _rows_of(slot: DenseSlot | MultiSlot, vacant: Vacant) -> Ranges:
    """Rows of a slot's file."""
    return vacant.offsets if isinstance(slot, DenseSlot) else vacant.of(slot.id)


def _has_living(reader: StoreReader, vacant: Vacant) -> bool:
    """Whether a point lives in these offsets, or has a multivector with one of these rows, or may get one: what is not
    given out yet counts.
    """
    if _reaches(vacant.offsets, reader.state().offset_next):
        return True
    if any(len(reader.stored_points(start, stop, 1).offsets) for start, stop in vacant.offsets.tolist()):
        return True
    return any(_have_owner(reader, vector, ranges) for vector, ranges in vacant.rows.items() if len(ranges))


def _have_owner(reader: StoreReader, vector: int, ranges: Ranges) -> bool:
    """Whether a multivector has one of these rows of its file, at least one, or may get it."""
    if _reaches(ranges, reader.committed_rows(vector).rows):
        return True
    for owned in reader.iter_ragged(vector):
        stops = owned.starts + owned.counts
        # Of the ranges that end behind a point's first row, the first is the one it would be in.
        at = np.minimum(ranges[:, 1].searchsorted(owned.starts, side="right"), len(ranges) - 1)
        if ((owned.counts > 0) & (owned.starts < ranges[at, 1]) & (ranges[at, 0] < stops)).any():
            return True
    return False


def _reaches(ranges: Ranges, end: int) -> bool:
    """Whether there are numbers from ``end`` on."""
    return bool(len(ranges)) and int(ranges[-1, 1]) > end
