"""Filters over a shard: for searches under the publish lock, for writes inside an open transaction.

A filter is bound in two steps. Under the lock, indexes, ids and vector presence give the offsets that surely pass and
those that are doubtful; afterwards, without a lock, the payloads of the doubtful ones settle them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from qdrantlite.collection.changes import Changes
from qdrantlite.collection.columns import payload_of
from qdrantlite.collection.shard import Shard
from qdrantlite.collection.snapshot import Snapshot
from qdrantlite.deadline import Deadline
from qdrantlite.execute.ranking import Bools
from qdrantlite.query.filter import Filter
from qdrantlite.segment.bitmaps import Bitmap, Offsets, offsets_in
from qdrantlite.segment.filter_bitmap import FilterBinding, bind_filter
from qdrantlite.segment.payload_index.index import PayloadIndex
from qdrantlite.segment.selection import NO_POINTS, Selection
from qdrantlite.storage.store_reader import MISSING, StoreReader
from qdrantlite.values.payload import Payload
from qdrantlite.values.point_id import PointId
from qdrantlite.values.vector import U32

CHUNK_POINTS = 1024


class ShardFilterSource:
    """Answers for a shard as ``reader`` sees it; ``live`` narrows the points, ``indexed`` False hides the indexes."""

    def __init__(self, shard: Shard, reader: StoreReader, live: Selection, *, indexed: bool = True) -> None:
        self._shard = shard
        self._reader = reader
        self._live = live
        self._indexed = indexed

    @property
    def live(self) -> Bitmap:
        """Offsets the filter chooses from."""
        return self._live.bitmap

    def index(self, key: str) -> PayloadIndex | None:
        """The payload index on exactly this key."""
        return self._shard.indexes.get(key) if self._indexed else None

    def offsets_of(self, ids: Sequence[PointId]) -> Offsets:
        """Offsets of the ids that exist."""
        found = self._reader.offsets_of(ids)
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


def settle(binding: FilterBinding, reader: StoreReader, ask: Callable[[], None]) -> Selection:
    """The points that pass, reading the payloads of the doubtful ones; ``ask`` is called between blocks of them."""
    return binding.settle(_payloads(binding, reader, ask))


def _payloads(binding: FilterBinding, reader: StoreReader, ask: Callable[[], None]) -> Iterator[tuple[int, Payload]]:
    doubtful = offsets_in(binding.doubtful)
    for at in range(0, len(doubtful), CHUNK_POINTS):
        ask()
        chunk = doubtful[at : at + CHUNK_POINTS]
        for offset, text in zip(chunk.tolist(), reader.payloads(chunk), strict=True):
            yield offset, payload_of(text)


class PayloadSieve:
    """Implements ``execute.view.Sieve`` over an open snapshot."""

    def __init__(self, binding: FilterBinding, reader: StoreReader, deadline: Deadline) -> None:
        self._binding = binding
        self._reader = reader
        self._deadline = deadline
        self._settled = None if binding.doubtful else Selection(binding.sure)
        self.possible = Selection(binding.sure | binding.doubtful)

    @property
    def is_settled(self) -> bool:
        """Whether indexes told everything."""
        return self._settled is not None

    def passes(self, offsets: U32) -> Bools:
        """Which of these pass, ``(n,) bool``."""
        if self._settled is None:
            among = Selection.from_offsets(offsets).bitmap
            own = self._binding
            asked = replace(own, sure=own.sure & among, doubtful=own.doubtful & among)
            return settle(asked, self._reader, self._deadline.pause).contains(offsets)
        return self._settled.contains(offsets)

    def settle(self) -> Selection:
        """All that pass, found once."""
        if self._settled is None:
            self._settled = settle(self._binding, self._reader, self._deadline.pause)
        return self._settled


def sieve(shard: Shard, snapshot: Snapshot, filter: Filter, deadline: Deadline) -> PayloadSieve:
    """A filter that a request adds to a snapshot it has opened before.

    Indexes answer while the snapshot's state is in force; once another commit has changed them, all is left to the
    snapshot's payloads. Raises Unsupported, MalformedRequest.
    """
    with shard.publish_lock:
        source = ShardFilterSource(shard, snapshot.reader, snapshot.live, indexed=shard.state is snapshot.state)
        return PayloadSieve(bind_filter(filter, source), snapshot.reader, deadline)


def resolve_for_write(shard: Shard, filter: Filter, changes: Changes, deadline: Deadline) -> U32:
    """Live offsets, ascending, that pass a filter inside the open transaction.

    Points the transaction has not touched are answered by derived state; for the others, which it does not know yet,
    every condition is settled by what the writer reads. Raises TimedOut, Cancelled.
    """
    writer = shard.store.writer
    if changes.is_empty:
        return settle(
            bind_filter(filter, ShardFilterSource(shard, writer, shard.live)), writer, deadline.check
        ).offsets()
    touched = Selection.from_offsets(changes.touched())
    dead = Selection.from_offsets(np.concatenate(changes.dead)) if changes.dead else NO_POINTS
    known = ShardFilterSource(shard, writer, shard.live.difference(touched))
    fresh = ShardFilterSource(shard, writer, touched.difference(dead), indexed=False)
    passing = [settle(bind_filter(filter, source), writer, deadline.check) for source in (known, fresh)]
    return passing[0].union(passing[1]).offsets()
