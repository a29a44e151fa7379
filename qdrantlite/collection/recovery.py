"""Opening a shard, and the checkpoint that makes it quick.

Truth is the point store and its vector files. Derived state (live and present offsets, payload indexes, posting
lists, row bounds) is written to one checkpoint file now and then, with the place in the log of touched offsets that
it covers. Opening loads it and reads again only what was touched since; a missing or damaged file means reading
everything once.

Grammar of the part names: ``live``, ``rows`` (offsets covered), ``vector/<id>/<part>``, ``field/<number>/<part>``,
``fields`` (the payload schema whose keys the numbers count).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from qdrantlite.collection.columns import payload_of
from qdrantlite.collection.shard import Shard
from qdrantlite.collection.slots import DenseSlot, MultiSlot, Slot, SparseSlot
from qdrantlite.segment.payload_index.index import PayloadIndex, make_index
from qdrantlite.segment.selection import NO_POINTS, Selection
from qdrantlite.storage import file_names
from qdrantlite.storage.checkpoint import Derived, Part, read_derived, write_derived
from qdrantlite.storage.files import Files
from qdrantlite.storage.point_store import PointStore, create_store
from qdrantlite.storage.store_reader import StoreReader
from qdrantlite.values.payload import elements_at, parse_path
from qdrantlite.values.schema import CollectionConfig, SparseVectorParams, VectorParams
from qdrantlite.values.schema_format import fields_from_json, fields_to_json
from qdrantlite.values.vector import U32

FORMAT_VERSION = 1
CHECKPOINT = "state.ckpt"
CHUNK_POINTS = 4096


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
        shard.indexes = {key: make_index(index) for key, index in shard.schema.items()}
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
    derived = read_derived(
        file_names.derived(shard.folder) / CHECKPOINT, format_version=FORMAT_VERSION, files=shard.files
    )
    rows_covered = 0
    if derived is not None and _covers_a_past_state(derived, reader):
        try:
            rows_covered = _load(shard, derived)
        except (KeyError, ValueError):
            _forget(shard)
            derived = None
    else:
        derived = None
    if derived is not None:
        catch_up_touched(shard, reader, derived.covers_seq, rows_covered)
    read_from(shard, reader, rows_covered)


def _covers_a_past_state(derived: Derived, reader: StoreReader) -> bool:
    """Whether the log leads from it to the present; a file from the future of this store, or of another, tells lies."""
    state = reader.state()
    rows = derived.parts.get("rows")
    if rows is None or int(np.asarray(rows)[0]) > state.offset_next:
        return False
    return state.touched_trimmed <= derived.covers_seq <= state.touched_seq


def _forget(shard: Shard) -> None:
    """Back to nothing loaded."""
    for slot in shard.slots.values():
        slot.clear()
    shard.indexes = {key: make_index(index) for key, index in shard.schema.items()}
    shard.live = NO_POINTS


def _load(shard: Shard, derived: Derived) -> int:
    """State from a checkpoint; returns how many offsets it covers. Vectors and fields made since are read afresh."""
    rows_covered = int(np.asarray(derived.parts["rows"])[0])
    saved_fields = fields_from_json(bytes(derived.parts["fields"]))
    for slot in shard.slots.values():
        parts = _under(derived, f"vector/{slot.id}/")
        if parts:
            slot.load(parts)
        else:
            fill_slot(slot, shard.store.writer, 0, rows_covered)
    for number, (key, index) in enumerate(saved_fields.items()):
        if shard.schema.get(key) == index:
            shard.indexes[key].load(_under(derived, f"field/{number}/"))
    for key, payload_index in shard.indexes.items():
        if saved_fields.get(key) != shard.schema[key]:
            fill_index(payload_index, key, shard.store.writer, 0, rows_covered)
    shard.live = Selection.from_bytes(bytes(derived.parts["live"]))
    return rows_covered


def _under(derived: Derived, prefix: str) -> dict[str, Part]:
    return {name.removeprefix(prefix): part for name, part in derived.parts.items() if name.startswith(prefix)}


def read_from(shard: Shard, reader: StoreReader, offset_from: int) -> None:
    """Takes into derived state every point from an offset on."""
    for offsets in reader.live_offsets(offset_from):
        shard.live = shard.live.union(Selection.from_offsets(offsets))
    for slot in shard.slots.values():
        fill_slot(slot, reader, offset_from, None)
    for key, index in shard.indexes.items():
        fill_index(index, key, reader, offset_from, None)


def fill_slot(slot: Slot, reader: StoreReader, offset_from: int, offset_to: int | None) -> None:
    """Takes in what the store has of one vector, offsets from … to (exclusive)."""
    match slot:
        case DenseSlot():
            for offsets in reader.present_offsets(slot.id, offset_from):
                slot.present = slot.present.union(Selection.from_offsets(_below(offsets, offset_to)))
        case MultiSlot():
            for bounds in reader.iter_ragged(slot.id, offset_from):
                slot.add_rows(bounds, offset_to)
        case SparseSlot():
            for rows in reader.iter_sparse(slot.id, offset_from):
                slot.add_rows(rows, offset_to)


def fill_index(index: PayloadIndex, key: str, reader: StoreReader, offset_from: int, offset_to: int | None) -> None:
    """Takes in the payloads of offsets from … to (exclusive)."""
    for offsets, texts in _payload_chunks(reader, offset_from, offset_to):
        path = parse_path(key)
        index.add(offsets, [elements_at(payload_of(text), path) for text in texts])


def _payload_chunks(
    reader: StoreReader, offset_from: int, offset_to: int | None
) -> Iterator[tuple[U32, list[bytes | None]]]:
    for offsets, texts in reader.iter_payloads(offset_from):
        kept = len(_below(offsets, offset_to))
        if kept:
            yield offsets[:kept], texts[:kept]
        if kept < len(offsets):
            return


def _below(offsets: U32, offset_to: int | None) -> U32:
    return offsets if offset_to is None else offsets[: int(np.searchsorted(offsets, offset_to))]


def catch_up_touched(shard: Shard, reader: StoreReader, seq: int, rows_covered: int) -> None:
    """Reads again every covered offset that was changed, and drops those that died, since ``seq``."""
    touched = reader.touched_since(seq)
    assert touched is not None
    changed = _below(touched.changed, rows_covered)
    dead = Selection.from_offsets(touched.dead)
    gone = dead.union(Selection.from_offsets(changed))
    shard.live = shard.live.difference(dead)
    presence = reader.presence(changed)
    for slot in shard.slots.values():
        slot.drop(dead)
        # Vectors of a live offset are never replaced, only taken away: what the others have is as it was.
        owning = np.array([mask >> slot.id & 1 for mask in presence], dtype=bool)
        slot.strip(Selection.from_offsets(changed[~owning]))
    for key, index in shard.indexes.items():
        index.discard(gone.bitmap)
        _read_again(index, key, reader, changed)


def catch_up_index(index: PayloadIndex, key: str, reader: StoreReader, *, seq: int, rows_covered: int) -> None:
    """Brings an index that was filled from an older state up to what ``reader`` sees."""
    touched = reader.touched_since(seq)
    assert touched is not None
    changed = _below(touched.changed, rows_covered)
    index.discard(Selection.from_offsets(np.concatenate([touched.dead, changed])).bitmap)
    _read_again(index, key, reader, changed)
    fill_index(index, key, reader, rows_covered, None)


def _read_again(index: PayloadIndex, key: str, reader: StoreReader, changed: U32) -> None:
    path = parse_path(key)
    for at in range(0, len(changed), CHUNK_POINTS):
        chunk = changed[at : at + CHUNK_POINTS]
        index.add(chunk, [elements_at(payload_of(text), path) for text in reader.payloads(chunk)])


def write_checkpoint(shard: Shard) -> None:
    """Writes derived state to its file and forgets the log it covers. Writers and new searches wait while it is
    gathered, not while it is written. What it tells of is made durable first: after a power cut a derived file must
    not know points that the store has lost. Does nothing for a shard that is behind.
    """
    # Gathering compacts indexes, which searches must not watch: hence the publish lock.
    with shard.writer_lock, shard.publish_lock:
        if shard.behind:
            return
        state = shard.store.writer.state()
        parts: list[tuple[str, Part]] = [
            ("rows", np.array([state.offset_next], dtype=np.int64)),
            ("live", shard.live.to_bytes()),
            ("fields", fields_to_json(shard.schema)),
        ]
        for slot in shard.slots.values():
            parts += [(f"vector/{slot.id}/{name}", part) for name, part in slot.dump()]
        for number, key in enumerate(shard.schema):
            parts += [(f"field/{number}/{name}", part) for name, part in shard.indexes[key].dump()]
        shard.store.writer.begin()
        gathered_seq = shard.store.writer.commit()
        gathered = shard.changed_since_checkpoint
    shard.store.sync(gathered_seq)
    write_derived(
        file_names.derived(shard.folder) / CHECKPOINT,
        format_version=FORMAT_VERSION,
        covers_seq=state.touched_seq,
        parts=parts,
        files=shard.files,
    )
    with shard.writer_lock:
        shard.changed_since_checkpoint -= gathered
        covered_seq = (
            state.touched_seq if shard.log_needed_seq is None else min(state.touched_seq, shard.log_needed_seq)
        )
        if covered_seq > shard.store.writer.state().touched_trimmed:
            shard.store.writer.begin()
            try:
                shard.store.writer.trim_touched(covered_seq)
            except BaseException:
                shard.store.writer.rollback()
                raise
            shard.store.writer.commit()
