"""One shard: a point store, its vector files, and the derived state that answers searches.

Two locks. The *writer lock* is held by whoever writes, for the length of a transaction, the sync of its rows included.
The *publish lock* pairs what readers begin with: it is held while a commit becomes visible and the state that belongs
to it is put in force (SQLite writes its log, a vector file may be made longer), and while a reader takes that state and
begins its read transaction; never during a sync, nor while an index is changed or asked. Whoever needs both takes the
writer lock first. ``state`` is complete, immutable and replaced as a whole: who has taken it needs no lock.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock, RLock
from typing import Literal
from weakref import ref

import numpy as np

from qdrantlite.collection.shard.changes import Changes
from qdrantlite.collection.shard.column_demand import ColumnDemand
from qdrantlite.collection.shard.indexing import Indexes, Lagging
from qdrantlite.collection.shard.record_cache import RecordCache
from qdrantlite.collection.shard.slots import DenseSlot, MultiSlot, Slot, SparseSlot
from qdrantlite.errors import NotFound
from qdrantlite.plan.nodes import Node
from qdrantlite.plan.statistics import VectorStatistics
from qdrantlite.query.filter import Filter
from qdrantlite.query.shape import Shape
from qdrantlite.segment.cache import Cache
from qdrantlite.segment.column import Column
from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.ids import IdIndex
from qdrantlite.segment.lately import Lately
from qdrantlite.segment.multivector import MultiVectorView
from qdrantlite.segment.payload_index.index import PayloadIndex
from qdrantlite.segment.selection import NO_POINTS, Selection
from qdrantlite.segment.sparse import SparseIndex
from qdrantlite.storage import file_names
from qdrantlite.storage.files import Files
from qdrantlite.storage.point_store import PointStore
from qdrantlite.storage.row_format import RowFormat
from qdrantlite.storage.vector_file import VectorFile
from qdrantlite.values.distance import Datatype
from qdrantlite.values.schema import CollectionConfig, FieldIndex, SparseVectorParams, VectorParams

logger = logging.getLogger(__name__)

ROW_DTYPES: Mapping[Datatype, Literal["float32", "float16", "uint8"]] = {
    Datatype.FLOAT32: "float32",
    Datatype.FLOAT16: "float16",
    Datatype.UINT8: "uint8",
    Datatype.TURBO4: "float32",
}


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ShardState:
    """What readers see of one commit. ``rows`` counts the offsets given out; ``present`` has every vector name."""

    config: CollectionConfig
    rows: int
    operation_id: int
    live: Selection
    present: Mapping[str, Selection]
    dense: Mapping[str, DenseView]
    multi: Mapping[str, MultiVectorView]
    sparse: Mapping[str, SparseIndex]
    schema: Mapping[str, FieldIndex]
    fields: Mapping[str, PayloadIndex]
    """By key, one for each of the schema."""
    columns: Mapping[str, Column]
    """By the first key of payloads, of fields that filters asked for without an index."""
    ids: Lagging[IdIndex]
    record_cache: RecordCache
    demand: ColumnDemand
    lately: Lately
    answers: "AnswerCache"
    statistics: dict[str, VectorStatistics] = field(default_factory=dict)
    """By vector, each put there by whoever asks for it first."""


@dataclass(slots=True, eq=False)
class KeptFilter:
    """What a filter lets through, as of the commit of this number, which alone may be put forward."""

    number: int
    selection: Selection


@dataclass(slots=True, eq=False)
class KeptPlan:
    """A plan that is known to hold as of the commit of this number, which alone may be put forward. ``touched`` is what
    the commits before the one that it was made for touched, ``made_from`` what its filters let through; ``None``: it
    holds for its own state alone.
    """

    node: Node
    number: int
    touched: int
    made_from: tuple[tuple[Filter, Selection], ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class AnswerCache:
    """What was found for states that follow one another by commits alone; ``lately`` tells what brings it forward."""

    filters: Cache[tuple[Filter, str | None], KeptFilter] = field(default_factory=Cache)
    """What filters let through and, narrowed to the points that have it, by vector."""
    plans: Cache[Shape, KeptPlan] = field(default_factory=Cache)
    """Of searches alike, whatever vectors they name."""


class ShardRetired(Exception):
    """Another shard has taken this one's place: ask again there. Nothing was done."""


class ShardBehind(Exception):
    """Derived state is not what the store says: open the shard anew and ask again. Nothing was done."""


class Shard:
    """See the module. Made by ``recovery.open_shard``.

    ``log_needed_seq``: the log of touched offsets after it is needed by somebody else than the checkpoint. ``vacant``:
    what is recorded as such; ``is_punched``: whether all of it is known to have been given back (``vacating``).
    """

    def __init__(self, folder: Path, store: PointStore, files: Files) -> None:
        self.folder = folder
        self.store = store
        self.files = files
        self.writer_lock = RLock()
        self.publish_lock = Lock()
        self.slots: dict[str, Slot] = {}
        self.schema: Mapping[str, FieldIndex] = {}
        self.indexes = Indexes({}, {})
        self.live = NO_POINTS
        self.config = CollectionConfig()
        self.state: ShardState
        self._states: tuple[ref[ShardState], ...] = ()
        self.record_cache = RecordCache()
        self.lately = Lately()
        self.answers = AnswerCache()
        self.demand = ColumnDemand()
        self.changed_since_checkpoint = 0
        self.log_needed_seq: int | None = None
        self.vacant = store.writer.vacant()
        self.is_punched = not self.vacant
        self.closed = False
        self.retired = False
        self.former: tuple[PointStore, ...] = ()
        """Of shards of this folder that were behind, and closed while they were read."""
        self.behind = False
        """What must go together has come apart, in memory or between catalogue and store; opening mends it."""

    def require_open(self) -> None:
        """Raises ShardRetired, ShardBehind, NotFound. The caller holds the publish lock or the writer lock."""
        if self.retired:
            raise ShardRetired
        if self.behind:
            raise ShardBehind
        if self.closed:
            raise NotFound("Collection doesn't exist!")

    @property
    def is_read_by_former(self) -> bool:
        """Whether searches are under way that began before the folder was opened anew: they read the same files, and
        states that this shard never had.
        """
        self.former = tuple(store for store in self.former if store.is_read)
        return bool(self.former)

    def open_slot(self, params: VectorParams | SparseVectorParams, vector_id: int) -> Slot:
        """An empty slot for a vector the store knows; its file holds what is committed."""
        if isinstance(params, SparseVectorParams):
            return SparseSlot(vector_id, NO_POINTS, params)
        committed = self.store.writer.committed_rows(vector_id)
        datatype, store = params.datatype or Datatype.FLOAT32, self.store

        def checksums() -> "np.ndarray[tuple[int], np.dtype[np.uint32]]":
            with store.open_view() as view:  # Not the shard's: a file that knew its shard would never go.
                return view.row_checksums(vector_id)

        file = VectorFile(
            file_names.vector_file(self.folder, vector_id),
            RowFormat(ROW_DTYPES[datatype], params.size),
            rows=committed.rows,
            crc=committed.crc,
            checksums=checksums,
            files=self.files,
            vacant=self.vacant.of(vector_id) if params.multivector else self.vacant.offsets,
        )
        if params.multivector:
            return MultiSlot(vector_id, NO_POINTS, params, file)
        return DenseSlot(vector_id, NO_POINTS, params, file)

    def row_slots(self) -> Iterator[DenseSlot | MultiSlot]:
        """Slots that have a vector file."""
        for slot in self.slots.values():
            if not isinstance(slot, SparseSlot):
                yield slot

    def dense_slots(self) -> Iterator[tuple[str, DenseSlot]]:
        """Slots that may have a graph, by name."""
        for name, slot in self.slots.items():
            if isinstance(slot, DenseSlot):
                yield name, slot

    @contextmanager
    def following(self) -> Iterator[None]:
        """Derived state follows a commit. What fails here cannot take the commit back: the shard is behind then, and
        whoever asks it next opens it anew.
        """
        try:
            yield
        except Exception as error:
            logger.error(
                "%s: a commit is not followed, the collection will be opened anew", self.folder, exc_info=error
            )
            self.behind = True

    @contextmanager
    def half_done(self) -> Iterator[None]:
        """Between two commits that belong together: what fails leaves a state that only opening puts in order."""
        try:
            yield
        except BaseException:
            self.behind = True
            raise

    def absorb(self, changes: Changes, indexes: Indexes) -> None:
        """Brings derived state up to a commit, after which the indexes are these. The caller holds the publish lock and
        calls ``freeze`` afterwards, with ``carrying``.
        """
        for inserted in changes.inserted:
            given = Selection.from_offsets(inserted.offsets)
            self.live = self.live.union(given)
            for name, slot in self.slots.items():
                slot.add(inserted, name, given)
        for removed in changes.vectors_removed:
            self.slots[removed.name].drop(Selection.from_offsets(removed.offsets))
        if changes.payloads or changes.versions:
            self.record_cache = RecordCache()
        if changes.dead:
            dead = Selection.from_offsets(np.concatenate(changes.dead))
            self.live = self.live.difference(dead)
            for slot in self.slots.values():
                slot.drop(dead)
        self.indexes = indexes
        if not changes.is_empty:
            touched = changes.touched()
            self.lately = self.lately.after(touched, changes.payloads_since)
            self.changed_since_checkpoint += len(touched)

    def freeze(self, *, rows: int, operation_id: int, carrying: bool = False) -> None:
        """Publishes derived state as it is now. The caller holds the publish lock. ``carrying``: it differs from the
        state in force by what was absorbed since and by nothing else, so that answers are brought forward.
        """
        if not carrying:
            self.answers = AnswerCache()
        dense: dict[str, DenseView] = {}
        multi: dict[str, MultiVectorView] = {}
        for name, slot in self.slots.items():
            match slot:
                case DenseSlot():
                    if slot.file.rows_appended < rows:
                        slot.file.append_zeros(rows - slot.file.rows_appended)
                    dense[name] = slot.view(rows, self.vacant.offsets)
                case MultiSlot():
                    multi[name] = slot.view(self.indexes.bounds[name])
                case SparseSlot():
                    pass
        self.state = ShardState(
            config=self.config,
            rows=rows,
            operation_id=operation_id,
            live=self.live,
            present={name: slot.present for name, slot in self.slots.items()},
            dense=dense,
            multi=multi,
            sparse=self.indexes.sparse,
            schema=self.schema,
            fields=self.indexes.fields,
            columns=self.indexes.columns,
            ids=self.indexes.ids,
            record_cache=self.record_cache,
            demand=self.demand,
            lately=self.lately,
            answers=self.answers,
        )
        self._keep_track()

    def _keep_track(self) -> None:
        """Of the state that is in force now, and of those before that somebody may still read."""
        self._states = (*(state for state in self._states if state() is not None), ref(self.state))

    def states(self) -> tuple[ShardState, tuple[ref[ShardState], ...]]:
        """The state in force, and those that it has replaced and somebody may still read."""
        with self.publish_lock:
            return self.state, self._states[:-1]

    def reshape(self, indexes: Indexes) -> None:
        """Publishes indexes that answer as those in force do. The caller holds the writer lock and the publish lock."""
        self.indexes = indexes
        self.state = replace(
            self.state,
            fields=indexes.fields,
            columns=indexes.columns,
            sparse=indexes.sparse,
            multi={name: replace(view, bounds=indexes.bounds[name]) for name, view in self.state.multi.items()},
            ids=indexes.ids,
        )
        self._keep_track()

    def close(self) -> None:
        """Closes files and store; nothing is written. No view is opened afterwards; those open may finish."""
        with self.publish_lock:
            self.closed = True
        with ExitStack() as all_of_them:
            all_of_them.callback(self.store.close)
            for slot in self.row_slots():
                all_of_them.callback(slot.file.close)
