"""Opening a shard: derived state as the last commit left it.

Truth is the point store and its vector files. Derived state is loaded from the last checkpoint
(``collection.checkpoint``), and only what was touched since is read again; what is missing or damaged there is filled
from the store.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np

from qdrantlite.collection.shard.checkpoint import Checkpoint, entries_unwritten, read_checkpoint
from qdrantlite.collection.shard.indexing import Indexes, lagging_ids, reindexed
from qdrantlite.collection.shard.payload_text import payload_of
from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.shard.slots import MultiSlot, Slot, SparseSlot, sparse_vectors
from qdrantlite.segment.column import Column
from qdrantlite.segment.ids import NO_IDS, IdIndex
from qdrantlite.segment.payload_index.index import PayloadIndex, make_index
from qdrantlite.segment.row_bounds import NO_BOUNDS, BoundsIndex, RowBounds
from qdrantlite.segment.selection import NO_POINTS, Selection
from qdrantlite.segment.sparse import SparseIndex
from qdrantlite.storage import file_names
from qdrantlite.storage.files import Files
from qdrantlite.storage.point_store import PointStore, create_store
from qdrantlite.storage.store_reader import StoreReader
from qdrantlite.values.payload import Payload
from qdrantlite.values.point_ids import PointIds
from qdrantlite.values.schema import CollectionConfig, SparseVectorParams, VectorParams
from qdrantlite.values.schema_format import fields_from_json
from qdrantlite.values.vector import U32

CHUNK_POINTS = 4096

Taking = TypeVar("Taking", PayloadIndex, Column)
"""What takes up points by their payloads."""
Take: TypeAlias = Callable[[Taking, U32, list[Payload]], Taking]
"""It with points taken up, offsets ascending; nothing of them may be in it."""


def create_shard(folder: Path, config: CollectionConfig, files: Files) -> Shard:
    """A new, empty shard; durable when this returns."""
    make_folder(folder, files)
    return open_shard(folder, config, files)


def make_folder(folder: Path, files: Files) -> None:
    """The folder of a shard with an empty store; durable when this returns."""
    files.make_directory(folder)
    files.make_directory(file_names.rows(folder))
    files.make_directory(file_names.derived(folder))
    create_store(file_names.points(folder), files=files)
    files.sync_directory(folder.parent)


def open_shard(folder: Path, config: CollectionConfig, files: Files) -> Shard:
    """The shard as its last commit left it. Raises Corrupted, StorageFailed."""
    store = PointStore(file_names.points(folder), files=files)
    shard = Shard(folder, store, files)
    try:
        _settle_vectors(shard, config)
        shard.schema = fields_from_json(store.writer.payload_schema())
        shard.indexes = _empty_indexes(shard)
        _recover(shard)
        state = store.writer.state()
        shard.freeze(rows=state.offset_next, operation_id=state.operation_id)
    except BaseException:
        shard.close()
        raise
    return shard


def vector_params(config: CollectionConfig) -> Mapping[str, VectorParams | SparseVectorParams]:
    """Settings of every named vector."""
    return {**config.vectors, **config.sparse_vectors}


def _settle_vectors(shard: Shard, config: CollectionConfig) -> None:
    """Makes the store's vectors those of the settings: a crash may have come between the two."""
    wanted = vector_params(config)
    known = shard.store.writer.vector_ids()
    writer = shard.store.writer
    if set(known) != set(wanted):
        writer.begin()
        dropped = [writer.drop_vector(name) for name in known if name not in wanted]
        for name in wanted:
            if name not in known:
                writer.create_vector(name)
        shard.store.sync(writer.commit())
        for vector_id in dropped:
            shard.files.remove(file_names.vector_file(shard.folder, vector_id))
    shard.config = config
    ids = writer.vector_ids()
    for name, params in wanted.items():
        shard.slots[name] = shard.open_slot(params, ids[name])


def _recover(shard: Shard) -> None:
    reader = shard.store.writer
    checkpoint = read_checkpoint(shard, reader)
    rows_covered = 0
    if checkpoint is not None:
        try:
            rows_covered = _load(shard, checkpoint)
        except (KeyError, ValueError):
            _forget(shard)
        else:
            catch_up_touched(shard, reader, checkpoint.covers_seq, rows_covered)
    read_from(shard, reader, rows_covered)
    # What had to be read is worth a checkpoint, so that it need not be read at the next start, nor stay in memory.
    shard.changed_since_checkpoint = reader.state().offset_next - rows_covered + entries_unwritten(shard)


def _forget(shard: Shard) -> None:
    """Back to nothing loaded."""
    for slot in shard.slots.values():
        slot.clear()
    shard.indexes = _empty_indexes(shard)
    shard.live = NO_POINTS


def _empty_indexes(shard: Shard) -> Indexes:
    fields = {key: make_index(index) for key, index in shard.schema.items()}
    sparse = {name: SparseIndex() for name, slot in shard.slots.items() if isinstance(slot, SparseSlot)}
    bounds = {name: NO_BOUNDS for name, slot in shard.slots.items() if isinstance(slot, MultiSlot)}
    return Indexes(fields, sparse, bounds=bounds)


def _load(shard: Shard, checkpoint: Checkpoint) -> int:
    """State from a checkpoint; returns how many offsets it covers. Vectors and fields made since are read afresh, and
    so are those of which a segment is gone.
    """
    rows, reader = checkpoint.rows, shard.store.writer
    sparse: dict[str, SparseIndex] = {}
    bounds: dict[str, BoundsIndex] = {}
    for name, slot in shard.slots.items():
        parts = checkpoint.vector(slot.id)
        if parts:
            slot.load(parts)
        else:
            fill_slot(slot, reader, 0, rows)
        if isinstance(slot, SparseSlot):
            postings = checkpoint.postings(slot.id) if parts else None
            sparse[name] = filled_postings(slot.id, reader, rows) if postings is None else SparseIndex(postings)
        elif isinstance(slot, MultiSlot):
            known_bounds = checkpoint.bounds(slot.id) if parts else None
            if known_bounds is None:
                bounds[name] = _with_bounds(NO_BOUNDS, slot.id, reader, 0, rows)
            else:
                bounds[name] = replace(NO_BOUNDS, stack=known_bounds)
    fields: dict[str, PayloadIndex] = {}
    saved = list(checkpoint.fields().items())
    for key, index in shard.schema.items():
        empty = make_index(index)
        known = checkpoint.field(saved.index((key, index)), empty.load) if (key, index) in saved else None
        fields[key] = filled_index(empty, key, reader, rows) if known is None else replace(empty, stack=known)
    known_ids = checkpoint.ids()
    ids = _with_ids(NO_IDS, reader, 0, rows) if known_ids is None else replace(NO_IDS, stack=known_ids)
    shard.indexes = Indexes(fields, sparse, ids=lagging_ids(ids), bounds=bounds)
    shard.live = Selection.from_bytes(checkpoint.live)
    return rows


def read_from(shard: Shard, reader: StoreReader, offset_from: int) -> None:
    """Takes into derived state every point from an offset on."""
    for offsets in reader.live_offsets(offset_from):
        shard.live = shard.live.union(Selection.from_offsets(offsets))
    sparse, bounds = dict(shard.indexes.sparse), dict(shard.indexes.bounds)
    for name, slot in shard.slots.items():
        fill_slot(slot, reader, offset_from, None)
        if isinstance(slot, SparseSlot):
            sparse[name] = _with_postings(sparse[name], slot.id, reader, offset_from, None)
        elif isinstance(slot, MultiSlot):
            bounds[name] = _with_bounds(bounds[name], slot.id, reader, offset_from, None)
    fields = {
        key: _with_payloads(index, partial(reindexed, key=key), reader, offset_from, None).settled()
        for key, index in shard.indexes.fields.items()
    }
    ids = _with_ids(shard.indexes.ids.get(), reader, offset_from, None)
    shard.indexes = Indexes(fields, sparse, ids=lagging_ids(ids), bounds=bounds)


def fill_slot(slot: Slot, reader: StoreReader, offset_from: int, offset_to: int | None) -> None:
    """Takes in what the store has of one vector, offsets from … to (exclusive)."""
    for offsets in reader.present_offsets(slot.id, offset_from):
        slot.present = slot.present.union(Selection.from_offsets(_below(offsets, offset_to)))


def filled_index(index: PayloadIndex, key: str, reader: StoreReader, rows: int) -> PayloadIndex:
    """An empty index with the payloads of the first offsets taken up."""
    return _with_payloads(index, partial(reindexed, key=key), reader, 0, rows).settled()


def filled_postings(vector_id: int, reader: StoreReader, rows: int) -> SparseIndex:
    """Postings of the sparse vectors of the first offsets."""
    return _with_postings(SparseIndex(), vector_id, reader, 0, rows)


def _with_payloads(
    index: Taking, take: Take[Taking], reader: StoreReader, offset_from: int, offset_to: int | None
) -> Taking:
    for offsets, texts in _payload_chunks(reader, offset_from, offset_to):
        index = take(index, offsets, [payload_of(text) for text in texts])
    return index


def _payload_chunks(
    reader: StoreReader, offset_from: int, offset_to: int | None
) -> Iterator[tuple[U32, list[bytes | None]]]:
    for offsets, texts in reader.iter_payloads(offset_from):
        kept = len(_below(offsets, offset_to))
        if kept:
            yield offsets[:kept], texts[:kept]
        if kept < len(offsets):
            return


def _with_postings(
    index: SparseIndex, vector_id: int, reader: StoreReader, offset_from: int, offset_to: int | None
) -> SparseIndex:
    for rows in reader.iter_sparse(vector_id, offset_from):
        offsets = _below(rows.offsets[rows.present], offset_to)
        index = index.with_points(offsets, sparse_vectors(rows)[: len(offsets)])
    return index.settled()


def _with_bounds(
    index: BoundsIndex, vector_id: int, reader: StoreReader, offset_from: int, offset_to: int | None
) -> BoundsIndex:
    for rows in reader.iter_ragged(vector_id, offset_from):
        owned = np.flatnonzero(rows.counts > 0)
        owned = owned[: len(_below(rows.offsets[owned], offset_to))]
        index = index.with_points(rows.offsets[owned], RowBounds.of(rows.starts[owned], rows.counts[owned]))
    return index.settled()


def _with_ids(index: IdIndex, reader: StoreReader, offset_from: int, offset_to: int | None) -> IdIndex:
    for offsets, ids in reader.iter_ids(offset_from):
        kept = len(_below(offsets, offset_to))
        index = index.with_points(offsets[:kept], PointIds.of(ids[:kept]))
    return index.settled()


def _below(offsets: U32, offset_to: int | None) -> U32:
    return offsets if offset_to is None else offsets[: int(np.searchsorted(offsets, offset_to))]


def catch_up_touched(shard: Shard, reader: StoreReader, seq: int, rows_covered: int) -> None:
    """Reads again every covered offset that was changed, and drops those that died, since ``seq``."""
    touched = reader.touched_since(seq)
    assert touched is not None
    changed = _below(touched.changed, rows_covered)
    dead = Selection.from_offsets(touched.dead)
    shard.live = shard.live.difference(dead)
    presence = reader.presence(changed)
    sparse = dict(shard.indexes.sparse)
    for name, slot in shard.slots.items():
        # Vectors of a live offset are never replaced, only taken away: what the others have is as it was.
        owning = np.array([mask >> slot.id & 1 for mask in presence], dtype=bool)
        gone = dead.union(Selection.from_offsets(changed[~owning]))
        slot.drop(gone)
        if name in sparse:
            sparse[name] = sparse[name].without(gone.bitmap)
    fields = {
        key: _caught_up(index, partial(reindexed, key=key), reader, changed, dead)
        for key, index in shard.indexes.fields.items()
    }
    shard.indexes = replace(shard.indexes, fields=fields, sparse=sparse)


def caught_up(index: Taking, take: Take[Taking], reader: StoreReader, *, seq: int, rows_covered: int) -> Taking:
    """What was filled from an older state brought up to what ``reader`` sees."""
    touched = reader.touched_since(seq)
    assert touched is not None, "the log was trimmed although it is needed"
    changed = _below(touched.changed, rows_covered)
    index = _caught_up(index, take, reader, changed, Selection.from_offsets(touched.dead))
    return _with_payloads(index, take, reader, rows_covered, None)


def _caught_up(index: Taking, take: Take[Taking], reader: StoreReader, changed: U32, dead: Selection) -> Taking:
    index = index.without(dead.union(Selection.from_offsets(changed)).bitmap)
    for at in range(0, len(changed), CHUNK_POINTS):
        chunk = changed[at : at + CHUNK_POINTS]
        index = take(index, chunk, [payload_of(text) for text in reader.payloads(chunk)])
    return index
