"""The checkpoint of a shard: derived state on disk, so that opening need not read the points again.

One manifest, replaced as a whole, and a file for each large segment, written once. The manifest holds what is small
(offsets that live, those that have a vector, segments of few entries, what is forgotten in others) and names the files;
so a checkpoint writes what is new. A file's name is never used twice, and files that no manifest names are garbage,
removed with the next.

A segment's file is not read at opening: it tells ``size`` and ``held``, all that stacks ask of it, and its arrays are
compared with their checksums when somebody asks it, or behind the first searches.

Grammar of the manifest's part names: ``rows`` (offsets covered), ``live``, ``fields`` (the payload schema, whose keys
are numbered), ``vector/<id>/<part>``, ``segments`` (JSON: the name of each stack to the files of its segments, null for
one that is here), ``<stack>/<number>/forgotten``, ``<stack>/<number>/<part>``. Stacks are ``ids``, ``field/<number>``,
``postings/<vector id>`` and ``bounds/<vector id>``.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias, TypeVar
from uuid import uuid4
from weakref import ref

import numpy as np

from qdrantlite.collection.shard.indexing import Indexes, lagging_ids
from qdrantlite.collection.shard.shard import Shard, ShardBehind
from qdrantlite.errors import StorageFailed
from qdrantlite.segment.ids import NO_IDS, IdSegment
from qdrantlite.segment.payload_index.index import IndexSegment, PayloadIndex
from qdrantlite.segment.row_bounds import NO_BOUNDS, BoundsIndex, BoundsSegment
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.sparse import SparseIndex, SparseSegment
from qdrantlite.segment.stack import Layer, Segment, Stack, Unread
from qdrantlite.storage import file_names
from qdrantlite.storage.checkpoint import Derived, Part, open_derived, read_derived, write_derived
from qdrantlite.storage.files import Files
from qdrantlite.storage.store_reader import StoreReader
from qdrantlite.values.schema import FieldIndex
from qdrantlite.values.schema_format import fields_from_json, fields_to_json

logger = logging.getLogger(__name__)

FORMAT_VERSION = 2
MANIFEST = "state.ckpt"
SUFFIX = ".segment"
INLINE_ENTRIES_MAX = 4096
"""Segments of no more entries stand in the manifest itself."""

AnySegment: TypeAlias = IndexSegment | SparseSegment | IdSegment | BoundsSegment
AnyStack: TypeAlias = Stack[IndexSegment] | Stack[SparseSegment] | Stack[IdSegment] | Stack[BoundsSegment]
AnyLayer: TypeAlias = Layer[IndexSegment] | Layer[SparseSegment] | Layer[IdSegment] | Layer[BoundsSegment]
Written: TypeAlias = Mapping[int, tuple[str, Mapping[str, Part]]]
"""The files of segments and what is mapped from them, by the identity of the segments they were written from."""
S = TypeVar("S", bound=Segment)
Load: TypeAlias = Callable[[Mapping[str, Part]], S]
"""A segment from its parts. Raises KeyError."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A manifest that leads to the present, and where its segments lie."""

    derived: Derived
    shard: Shard

    @property
    def rows(self) -> int:
        """How many offsets it covers."""
        return int(np.asarray(self.derived.parts["rows"])[0])

    @property
    def covers_seq(self) -> int:
        """The place in the log of touched offsets that it covers."""
        return self.derived.covers_seq

    @property
    def live(self) -> bytes:
        """Offsets of points. Raises KeyError, as all below."""
        return bytes(self.derived.parts["live"])

    def fields(self) -> dict[str, FieldIndex]:
        """The payload schema it was written under."""
        return fields_from_json(bytes(self.derived.parts["fields"]))

    def vector(self, vector_id: int) -> dict[str, Part]:
        """What it holds of a vector; nothing of one made since."""
        return self._under(f"vector/{vector_id}/")

    def field(self, number: int, load: Load[IndexSegment]) -> Stack[IndexSegment] | None:
        """The segments of an index; None when one is missing, or damaged as far as it is read by now."""
        return self._stack(f"field/{number}", load)

    def postings(self, vector_id: int) -> Stack[SparseSegment] | None:
        """The segments of a sparse vector; None when one is missing or damaged."""
        return self._stack(f"postings/{vector_id}", SparseSegment.load)

    def ids(self) -> Stack[IdSegment] | None:
        """The segments of ids; None when there are none, or one is missing or damaged."""
        return self._stack("ids", NO_IDS.load)

    def bounds(self, vector_id: int) -> Stack[BoundsSegment] | None:
        """The segments of the bounds of a multivector; None when there are none, or one is missing or damaged."""
        return self._stack(f"bounds/{vector_id}", NO_BOUNDS.load)

    def _stack(self, name: str, load: Load[S]) -> Stack[S] | None:
        named = json.loads(bytes(self.derived.parts["segments"]))
        if name not in named:  # Written before there were such stacks.
            return None
        layers: list[Layer[S]] = []
        for number, file in enumerate(named[name]):
            parts = self._under(f"{name}/{number}/")
            forgotten = Selection.from_bytes(bytes(parts["forgotten"])).bitmap
            source = _read_inline(parts, load) if file is None else _open_segment(self.shard, file, load)
            if source is None:
                logger.warning("%s: segment %s of %s is missing or damaged", self.shard.folder, file or number, name)
                return None
            layers.append(Layer(source, forgotten, file))
        return Stack(tuple(layers))

    def _under(self, prefix: str) -> dict[str, Part]:
        parts = self.derived.parts
        return {name.removeprefix(prefix): part for name, part in parts.items() if name.startswith(prefix)}


def _read_inline(parts: Mapping[str, Part], load: Load[S]) -> S | None:
    """A segment of the manifest itself; None when it lacks a part that is needed by now."""
    try:
        return load(parts)
    except KeyError:
        return None


def _open_segment(shard: Shard, name: str, load: Load[S]) -> S | Unread[S] | None:
    """A segment whose arrays are read when somebody asks it, None when it is missing. One that proves to be damaged
    then is removed, and the shard is behind: opened anew, it reads the points instead.
    """
    path, files, known_by = file_names.derived(shard.folder) / name, shard.files, ref(shard)
    kept = open_derived(path, format_version=FORMAT_VERSION, files=files)
    if kept is None:
        return None
    if not {"size", "held"} <= kept.parts.keys():  # Of a release that read all of it at once.
        return _read_inline(kept.parts, load) if kept.is_whole() else None

    def loaded() -> S:
        segment = _read_inline(kept.parts, load) if kept.is_whole() else None
        if segment is None:
            logger.warning("%s is damaged; the points are read instead", path)
            files.remove(path)
            if (shard := known_by()) is not None:
                shard.behind = True
            raise ShardBehind
        return segment

    size = int.from_bytes(bytes(kept.parts["size"]), "little")
    return Unread(size, Selection.from_bytes(bytes(kept.parts["held"])).bitmap, loaded)


def verify_segments(shard: Shard, entries_max: int) -> None:
    """Reads segments that nobody has asked yet, about so many entries of them. Raises ShardBehind for a damaged one."""
    for stack in _stacks(shard, shard.indexes).values():
        for layer in stack.layers:
            if isinstance(layer.source, Unread) and not layer.source.is_read:
                layer.source.get()
                entries_max -= layer.size
                if entries_max <= 0:
                    return


def read_checkpoint(shard: Shard, reader: StoreReader) -> Checkpoint | None:
    """The last one; None when it is missing, damaged, or the log does not lead from it to the present."""
    folder = file_names.derived(shard.folder)
    derived = read_derived(folder / MANIFEST, format_version=FORMAT_VERSION, files=shard.files)
    if derived is None or not _covers_a_past_state(derived, reader):
        return None
    return Checkpoint(derived, shard)


def _covers_a_past_state(derived: Derived, reader: StoreReader) -> bool:
    """Whether the log leads from it to the present; a file from the future of this store, or of another, tells lies."""
    state = reader.state()
    rows = derived.parts.get("rows")
    if rows is None or int(np.asarray(rows)[0]) > state.offset_next:
        return False
    return state.touched_trimmed <= derived.covers_seq <= state.touched_seq


def write_checkpoint(shard: Shard) -> None:
    """Writes what of derived state is not on the disk, and forgets the log it covers. Writers wait while it is taken,
    not while it is written; searches never do. What it tells of is made durable first: after a power cut a derived file
    must not know points that the store has lost. One at a time. Does nothing for a shard that is behind.
    """
    with shard.writer_lock:
        if shard.behind:
            return
        state = shard.store.writer.state()
        indexes = shard.indexes
        stacks = _stacks(shard, indexes)
        parts: list[tuple[str, Part]] = [
            ("rows", np.array([state.offset_next], dtype=np.int64)),
            ("live", shard.live.to_bytes()),
            ("fields", fields_to_json(shard.schema)),
        ]
        for slot in shard.slots.values():
            parts += [(f"vector/{slot.id}/{name}", part) for name, part in slot.dump()]
        shard.store.writer.begin()
        taken_seq = shard.store.writer.commit()
        taken = shard.changed_since_checkpoint
    shard.store.sync(taken_seq)
    written = _write_segments(shard, stacks)
    named = {name: [_file_of(layer, written) for layer in stack] for name, stack in stacks.items()}
    parts.append(("segments", json.dumps(named).encode()))
    for name, stack in stacks.items():
        parts += _stack_parts(name, stack.layers, named[name])
    folder = file_names.derived(shard.folder)
    write_derived(
        folder / MANIFEST,
        format_version=FORMAT_VERSION,
        covers_seq=state.touched_seq,
        parts=parts,
        files=shard.files,
    )
    with shard.writer_lock:
        _use_files(shard, written)
        shard.changed_since_checkpoint -= taken
        _trim_log(shard, state.touched_seq)
    _remove_others(folder, {file for files in named.values() for file in files}, shard.files)


def _stacks(shard: Shard, indexes: Indexes) -> dict[str, AnyStack]:
    """All stacks by the names they have in a manifest."""
    stacks: dict[str, AnyStack] = {}
    for number, key in enumerate(shard.schema):
        stacks[f"field/{number}"] = indexes.fields[key].stack
    for name, sparse in indexes.sparse.items():
        stacks[f"postings/{shard.slots[name].id}"] = sparse.stack
    for name, bounds in indexes.bounds.items():
        stacks[f"bounds/{shard.slots[name].id}"] = bounds.stack
    stacks["ids"] = indexes.ids.get().stack
    return stacks


def write_segment(shard: Shard, segment: AnySegment) -> tuple[str, Mapping[str, Part]]:
    """A file of a new name, and what is mapped from it. Garbage until a manifest names it. Raises StorageFailed."""
    name = uuid4().hex + SUFFIX
    path = file_names.derived(shard.folder) / name
    known: list[tuple[str, Part]] = [
        ("size", segment.size.to_bytes(8, "little")),
        ("held", Selection(segment.held).to_bytes()),
    ]
    parts = [*segment.dump(), *known]
    write_derived(path, format_version=FORMAT_VERSION, covers_seq=0, parts=parts, files=shard.files)
    kept = read_derived(path, format_version=FORMAT_VERSION, files=shard.files)
    if kept is None:
        raise StorageFailed("a segment is not as it was written", detail=str(path))
    return name, kept.parts


def _write_segments(shard: Shard, stacks: Mapping[str, AnyStack]) -> Written:
    """A file for each large segment that has none, mapped again."""
    return {
        id(layer.source): write_segment(shard, layer.segment)
        for stack in stacks.values()
        for layer in stack.layers
        if layer.file is None and _is_large(layer)
    }


def entries_unwritten(shard: Shard) -> int:
    """Of large segments that have no file yet."""
    layers = [layer for stack in _stacks(shard, shard.indexes).values() for layer in stack.layers]
    return sum([layer.size for layer in layers if layer.file is None and _is_large(layer)])


def _is_large(layer: AnyLayer) -> bool:
    return layer.size > INLINE_ENTRIES_MAX


def _file_of(layer: AnyLayer, written: Written) -> str | None:
    return written[id(layer.source)][0] if id(layer.source) in written else layer.file


def _stack_parts(name: str, layers: Sequence[AnyLayer], files: Sequence[str | None]) -> list[tuple[str, Part]]:
    parts: list[tuple[str, Part]] = []
    for number, (layer, file) in enumerate(zip(layers, files, strict=True)):
        parts.append((f"{name}/{number}/forgotten", Selection(layer.forgotten).to_bytes()))
        if file is None:
            parts += [(f"{name}/{number}/{part_name}", part) for part_name, part in layer.segment.dump()]
    return parts


def _use_files(shard: Shard, written: Written) -> None:
    """What was written is mapped from its file from now on, and private memory no more. The caller holds the writer
    lock.
    """
    if not written or shard.closed or shard.retired or shard.behind:
        return
    indexes = shard.indexes
    fields: dict[str, PayloadIndex] = {
        key: replace(index, stack=index.stack.kept(written, index.load)) for key, index in indexes.fields.items()
    }
    sparse: dict[str, SparseIndex] = {
        name: replace(index, stack=index.stack.kept(written, SparseSegment.load))
        for name, index in indexes.sparse.items()
    }
    bounds: dict[str, BoundsIndex] = {
        name: replace(index, stack=index.stack.kept(written, index.load)) for name, index in indexes.bounds.items()
    }
    known_ids = indexes.ids.get()
    ids = lagging_ids(replace(known_ids, stack=known_ids.stack.kept(written, known_ids.load)))
    with shard.publish_lock:
        shard.reshape(replace(indexes, fields=fields, sparse=sparse, ids=ids, bounds=bounds))


def _trim_log(shard: Shard, covered_seq: int) -> None:
    needed = shard.log_needed_seq
    covered_seq = covered_seq if needed is None else min(covered_seq, needed)
    writer = shard.store.writer
    if covered_seq > writer.state().touched_trimmed:
        with writer.begun():
            writer.trim_touched(covered_seq)
            writer.commit()


def _remove_others(folder: Path, used: set[str | None], files: Files) -> None:
    for name in files.names(folder):
        if name.endswith(SUFFIX) and name not in used:
            files.remove(folder / name)
