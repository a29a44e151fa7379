"""Filters over a shard: for searches under the publish lock, for writes inside an open transaction.

A filter is bound in two steps. Under the lock, indexes, ids and vector presence give the offsets that surely pass and
those that are doubtful; afterwards, without a lock, the payloads or ids of the doubtful ones settle them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qdrantlite.collection.changes import Changes
from qdrantlite.collection.columns import payload_of
from qdrantlite.collection.shard import Shard
from qdrantlite.collection.snapshot import Snapshot
from qdrantlite.deadline import Deadline
from qdrantlite.execute.ranking import Bools
from qdrantlite.query.filter import Filter
from qdrantlite.segment.bitmaps import Bitmap, Offsets
from qdrantlite.segment.filter_bitmap import FilterBinding, bind_filter
from qdrantlite.segment.payload_index.index import PayloadIndex
from qdrantlite.segment.selection import NO_POINTS, Selection
from qdrantlite.storage.store_reader import MISSING, StoreReader
from qdrantlite.values.payload import Payload
from qdrantlite.values.point_id import PointId
from qdrantlite.values.vector import U32


class ShardFilterSource:
    """Answers for a shard as ``reader`` sees it; ``live`` narrows the points, ``indexed`` False hides the indexes."""

    def __init__(
        self, shard: Shard, reader: StoreReader, live: Selection, deadline: Deadline, *, indexed: bool = True
    ) -> None:
        self._shard = shard
        self._reader = reader
        self._live = live
        self._deadline = deadline
        self._indexed = indexed

    @property
    def live(self) -> Bitmap:
        """Offsets the filter chooses from."""
        return self._live.bitmap

    def index(self, key: str) -> PayloadIndex | None:
        """The payload index on exactly this key."""
        return self._shard.indexes.get(key) if self._indexed else None

    def offsets_of(self, ids: Sequence[PointId]) -> Offsets:
        """Offsets of the ids that exist. Raises TimedOut, Cancelled."""
        found = self._reader.offsets_of(ids, self._deadline.check)
        existing: Offsets = found[found != MISSING]
        return existing

    def presence(self, vector_name: str) -> Bitmap:
        """Offsets of points that have this vector."""
        slot = self._shard.slots.get(vector_name)
        if slot is None:
            return NO_POINTS.bitmap
        if self._indexed:
            return slot.present.bitmap
        offsets = self._live.offsets()
        owning = [mask >> slot.id & 1 for mask in self._reader.presence(offsets)]
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
    """Implements ``execute.view.Sieve`` over an open snapshot."""

    def __init__(self, binding: FilterBinding, reader: StoreReader, deadline: Deadline) -> None:
        self._binding = binding
        self._points = StoredPoints(reader, deadline.pause)
        self._settled = None if binding.doubtful else Selection(binding.sure)
        self.possible = Selection(binding.sure | binding.doubtful)

    @property
    def is_settled(self) -> bool:
        """Whether indexes told everything."""
        return self._settled is not None

    def passes(self, offsets: U32) -> Bools:
        """Which of these pass, ``(n,) bool``."""
        if self._settled is None:
            return self._binding.passing(offsets, self._points)
        return self._settled.contains(offsets)

    def settle(self) -> Selection:
        """All that pass, found once."""
        if self._settled is None:
            self._settled = self._binding.settle(self._points)
        return self._settled


def sieve(shard: Shard, snapshot: Snapshot, filter: Filter, deadline: Deadline) -> PayloadSieve:
    """A filter that a request adds to a snapshot it has opened before.

    Indexes answer while the snapshot's state is in force; once another commit has changed them, all is left to the
    snapshot's payloads. Raises Unsupported, MalformedRequest.
    """
    with shard.publish_lock:
        source = ShardFilterSource(
            shard, snapshot.reader, snapshot.live, deadline, indexed=shard.state is snapshot.state
        )
        return PayloadSieve(bind_filter(filter, source), snapshot.reader, deadline)


def resolve_for_write(shard: Shard, filter: Filter, changes: Changes, deadline: Deadline) -> U32:
    """Live offsets, ascending, that pass a filter inside the open transaction.

    Points the transaction has not touched are answered by derived state; for the others, which it does not know yet,
    every condition is settled by what the writer reads. Raises TimedOut, Cancelled.
    """
    writer = shard.store.writer
    stored = StoredPoints(writer, deadline.check)
    if changes.is_empty:
        binding = bind_filter(filter, ShardFilterSource(shard, writer, shard.live, deadline))
        return binding.settle(stored).offsets()
    touched = Selection.from_offsets(changes.touched())
    dead = Selection.from_offsets(np.concatenate(changes.dead)) if changes.dead else NO_POINTS
    known = ShardFilterSource(shard, writer, shard.live.difference(touched), deadline)
    fresh = ShardFilterSource(shard, writer, touched.difference(dead), deadline, indexed=False)
    passing = [bind_filter(filter, source).settle(stored) for source in (known, fresh)]
    return passing[0].union(passing[1]).offsets()
