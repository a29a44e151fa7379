"""Filters over a shard: for searches over a view, for writes inside an open transaction.

A filter is bound in two steps: indexes, ids and vector presence give the offsets that surely pass and those that are
doubtful; then the payloads or ids of the doubtful ones settle them. Neither needs a lock.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qdrantlite.collection.read.view import ReadView
from qdrantlite.collection.shard.changes import Changes
from qdrantlite.collection.shard.column_demand import ColumnDemand
from qdrantlite.collection.shard.indexing import index_among
from qdrantlite.collection.shard.payload_text import payload_of
from qdrantlite.collection.shard.shard import KeptFilter, Shard, ShardState
from qdrantlite.deadline import FOREVER, Deadline
from qdrantlite.execute.ranking import Bools
from qdrantlite.execute.view import Doubtful
from qdrantlite.query.filter import FieldCondition, Filter, MatchKeyword
from qdrantlite.segment.bitmaps import Bitmap, Offsets
from qdrantlite.segment.column import Column
from qdrantlite.segment.filter_bitmap import FilterBinding, bind_filter
from qdrantlite.segment.payload_index.index import PayloadIndex
from qdrantlite.segment.selection import NO_POINTS, Selection
from qdrantlite.storage.store_reader import MISSING, StoreReader
from qdrantlite.values.payload import Payload
from qdrantlite.values.point_id import PointId
from qdrantlite.values.schema import FieldKind
from qdrantlite.values.vector import U32

SIFTED_MIN = 1000
"""Of fewer doubtful points all payloads are read at once."""


class ShardFilterSource:
    """Answers for a state of a shard and ``reader``, which sees the same commit; ``live`` narrows the points.

    ``indexed`` False hides what the state knows of fields and vectors: ``reader`` has gone on since. ``few``: there are
    so few points in ``live`` that most segments need not be asked.
    """

    def __init__(
        self,
        state: ShardState,
        reader: StoreReader,
        live: Selection,
        deadline: Deadline,
        *,
        indexed: bool = True,
        few: bool = False,
    ) -> None:
        self._state = state
        self._reader = reader
        self._live = live
        self._deadline = deadline
        self._indexed = indexed
        self._few = few

    @property
    def live(self) -> Bitmap:
        """Offsets the filter chooses from."""
        return self._live.bitmap

    def index(self, key: str) -> PayloadIndex | None:
        """The payload index on exactly this key."""
        if not self._indexed:
            return None
        return index_among(self._state.fields, key, self.live) if self._few else self._state.fields.get(key)

    def column(self, key: str) -> Column | None:
        """The column of the values under this first key of payloads."""
        column = self._state.columns.get(key) if self._indexed else None
        if column is not None:
            self._state.demand.used(key)
            column = column.among(self.live) if self._few else column
        return column

    def offsets_of(self, ids: Sequence[PointId]) -> Offsets:
        """Offsets of the ids that exist. Raises TimedOut, Cancelled."""
        found = self._reader.offsets_of(ids, self._deadline.check)
        existing: Offsets = found[found != MISSING]
        return existing

    def ask(self) -> None:
        """Lets other calls pass. Raises TimedOut, Cancelled."""
        self._deadline.pause()

    def presence(self, vector_name: str) -> Bitmap:
        """Offsets of points that have this vector."""
        present = self._state.present.get(vector_name)
        if present is None:
            return NO_POINTS.bitmap
        if self._indexed:
            return present.bitmap
        offsets, vector_id = self._live.offsets(), self._reader.vector_ids()[vector_name]
        owning = [mask >> vector_id & 1 for mask in self._reader.presence(offsets)]
        return Selection.from_offsets(offsets[np.array(owning, dtype=bool)]).bitmap


@dataclass(frozen=True, slots=True, eq=False)
class StoredPoints:
    """What settles filters, read from the store; see ``segment.filter_bitmap.PointReader``.

    ``ask`` is called before each read, and may raise.
    """

    reader: StoreReader
    ask: Callable[[], None]

    def payloads(self, offsets: Offsets) -> list[Payload]:
        """Payloads in the order given."""
        self.ask()
        return [payload_of(text) for text in self.reader.payloads(offsets)]

    def ids(self, offsets: Offsets) -> list[PointId]:
        """Ids in the order given."""
        self.ask()
        return self.reader.ids(offsets)


class PayloadSieve:
    """Implements ``execute.view.Sieve`` over an open view."""

    def __init__(self, binding: FilterBinding, reader: StoreReader, deadline: Deadline, demand: ColumnDemand) -> None:
        self._binding = binding
        self._points = StoredPoints(reader, deadline.pause)
        self._demand = demand
        self._read = 0
        self._passed = self._failed = NO_POINTS
        self._settled = None if binding.doubtful else Selection(binding.sure)
        self.possible = Selection(binding.sure | binding.doubtful)

    @property
    def doubtful(self) -> int:
        """How many of the possible points payloads must settle."""
        return 0 if self._settled is not None else len(self._binding.doubtful)

    @property
    def told_by(self) -> str:
        """What answers each condition, one line."""
        return ", ".join([f"{about} by {by}" for about, by in self._binding.told_by])

    @property
    def is_settled(self) -> bool:
        """Whether indexes told everything."""
        return self._settled is not None

    def passes(self, offsets: U32) -> Bools:
        """Which of these pass, ``(n,) bool``."""
        if self._settled is not None:
            return self._settled.contains(offsets)
        new = np.unique(offsets[~(self._passed.contains(offsets) | self._failed.contains(offsets))])
        if len(new):
            self._reads(len(new))
            held = self._binding.passing(new, self._points)
            self._passed = self._passed.union(Selection.from_offsets(new[held]))
            self._failed = self._failed.union(Selection.from_offsets(new[~held]))
        return self._passed.contains(offsets)

    def settle(self) -> Selection:
        """All that pass, found once."""
        if self._settled is None:
            self._reads(len(self._binding.doubtful))
            self._settled = self._binding.settle(self._points)
        return self._settled

    def _reads(self, payloads: int) -> None:
        """Notes that columns would have saved reading so many."""
        self._demand.missed(self._binding.missing_columns, payloads, before=self._read)
        self._read += payloads


def sieve(view: ReadView, filter: Filter, deadline: Deadline) -> PayloadSieve:
    """A filter over a view. Raises Unsupported, MalformedRequest, TimedOut, Cancelled."""
    source = ShardFilterSource(view.state, view.reader, view.live, deadline)
    return PayloadSieve(bind_filter(filter, source), view.reader, deadline, view.state.demand)


def sifted(view: ReadView, filter: Filter | None, deadline: Deadline) -> Selection | Doubtful | None:
    """What a filter lets through, as ``selections_of``, but for one that has many payloads to read: then what may
    pass, so that a search reads those of its own candidates only.
    """
    if filter is None or filter.is_empty:
        return None
    known = known_selection(view, filter, deadline)
    if known is not None:
        return known
    found = sieve(view, filter, deadline)
    return Doubtful(found.possible, found) if found.doubtful >= SIFTED_MIN else _settled(view, filter, found)


def selections_of(
    view: ReadView, filters: Sequence[Filter | None], deadline: Deadline = FOREVER
) -> list[Selection | None]:
    """What each filter lets through, None for one that lets everything through. Raises MalformedRequest, TimedOut,
    Cancelled.
    """
    selections = list[Selection | None]()
    for filter in filters:
        selection = None
        if filter is not None and not filter.is_empty:
            selection = known_selection(view, filter, deadline)
            if selection is None:
                selection = _settled(view, filter, sieve(view, filter, deadline))
        selections.append(selection)
    return selections


def _settled(view: ReadView, filter: Filter, found: PayloadSieve) -> Selection:
    """All that pass, remembered."""
    selection = found.settle()
    _keep(view, filter, selection)
    return selection


def known_selection(view: ReadView, filter: Filter, deadline: Deadline) -> Selection | None:
    """What a filter lets through, if that was found lately: the very selection found then, unless a point that was
    touched since is or was among them. Raises TimedOut, Cancelled.
    """
    kept = view.state.answers.filters.find((filter, None))
    touched = None if kept is None else view.state.lately.since(kept.number)
    if kept is None or touched is None:
        return None
    if not len(touched):
        return kept.selection
    lacking = _is_lacked(view, filter, kept.number)
    selection = _brought_forward(view, filter, kept.selection, touched, deadline, none_pass=lacking)
    if selection is kept.selection:
        kept.number = view.state.lately.number
    else:
        _keep(view, filter, selection)
    return selection


def _is_lacked(view: ReadView, filter: Filter, number: int) -> bool:
    """Whether no point touched since the commit of this number can pass, because none has a word that must be there."""
    state = view.state
    for condition in filter.must:
        if isinstance(condition, FieldCondition) and isinstance(condition.predicate, MatchKeyword):
            schema = state.schema.get(condition.key)
            known = schema is not None and schema.kind is FieldKind.KEYWORD
            if known and not state.lately.may_hold(number, condition.key, condition.predicate.value):
                return True
    return False


def _brought_forward(
    view: ReadView, filter: Filter, before: Selection, touched: Selection, deadline: Deadline, *, none_pass: bool
) -> Selection:
    """What a filter lets through, from what it did before these points were touched, of which perhaps none pass."""
    living, passing = NO_POINTS if none_pass else touched.intersection(view.live), NO_POINTS
    if len(living):
        source = ShardFilterSource(view.state, view.reader, living, deadline, few=True)
        passing = bind_filter(filter, source).settle(StoredPoints(view.reader, deadline.pause))
    if not len(passing) and before.is_apart_from(touched):
        return before
    return before.difference(touched).union(passing)


def _keep(view: ReadView, filter: Filter, selection: Selection) -> None:
    kept = KeptFilter(view.state.lately.number, selection)
    view.state.answers.filters.keep((filter, None), kept, len(selection))


def resolve_for_write(shard: Shard, filter: Filter, changes: Changes, deadline: Deadline) -> U32:
    """Live offsets, ascending, that pass a filter inside the open transaction.

    Points the transaction has not touched are answered by derived state; for the others, which it does not know yet,
    every condition is settled by what the writer reads. Raises TimedOut, Cancelled.
    """
    writer, state = shard.store.writer, shard.state
    stored = StoredPoints(writer, deadline.check)
    if changes.is_empty:
        binding = bind_filter(filter, ShardFilterSource(state, writer, state.live, deadline))
        return binding.settle(stored).offsets()
    touched = Selection.from_offsets(changes.touched())
    dead = Selection.from_offsets(np.concatenate(changes.dead)) if changes.dead else NO_POINTS
    known = ShardFilterSource(state, writer, state.live.difference(touched), deadline)
    fresh = ShardFilterSource(state, writer, touched.difference(dead), deadline, indexed=False)
    passing = [bind_filter(filter, source).settle(stored) for source in (known, fresh)]
    return passing[0].union(passing[1]).offsets()
