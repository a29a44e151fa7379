"""Payload indexes, sparse postings, ids and bounds of rows after a commit: new values beside the old ones, which stay.

Made before the commit, from what it wrote, without a lock that readers wait for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from qdrantlite.collection.shard.changes import Changes
from qdrantlite.segment.bitmaps import Bitmap, Offsets, bitmap_of
from qdrantlite.segment.column import Column, bounded
from qdrantlite.segment.ids import NO_IDS, IdIndex
from qdrantlite.segment.payload_index.index import PayloadIndex
from qdrantlite.segment.row_bounds import BoundsIndex, RowBounds
from qdrantlite.segment.runs import alive
from qdrantlite.segment.sparse import SparseIndex
from qdrantlite.values.payload import Payload, elements_of, parse_path
from qdrantlite.values.point_ids import PointIds


@dataclass(frozen=True, slots=True, eq=False)
class Indexes:
    """Payload indexes by key, postings by the name of their sparse vector, bounds of rows by that of their multivector,
    columns by the first key of payloads, and the ids of all points; all of one commit.
    """

    fields: Mapping[str, PayloadIndex]
    sparse: Mapping[str, SparseIndex]
    columns: Mapping[str, Column] = field(default_factory=dict)
    ids: IdIndex = NO_IDS
    bounds: Mapping[str, BoundsIndex] = field(default_factory=dict)

    def after(self, changes: Changes) -> "Indexes":
        """What they are when a transaction with these changes has committed."""
        if changes.is_empty:
            return self
        dead = bitmap_of(np.concatenate([_NO_OFFSETS, *changes.dead]))
        sparse = {name: _sparse_after(name, index, changes, dead) for name, index in self.sparse.items()}
        bounds = {name: _bounds_after(name, index, changes) for name, index in self.bounds.items()}
        ids = _ids_after(self.ids, changes)
        if not self.fields and not self.columns:
            return Indexes({}, sparse, {}, ids, bounds)
        # Of what is new nothing is here yet.
        older = bitmap_of(np.concatenate([_NO_OFFSETS, *(part.offsets for part in changes.payloads)])) | dead
        fields, columns = self.fields, self.columns
        if older:
            fields = {key: index.without(older) for key, index in fields.items()}
            columns = {key: column.without(older) for key, column in columns.items()}
        offsets, payloads = _payloads_of(changes, dead)
        return Indexes(
            {key: reindexed(index, offsets, payloads, key=key) for key, index in fields.items()},
            sparse,
            bounded({key: column.with_points(offsets, payloads) for key, column in columns.items()}),
            ids,
            bounds,
        )


def _payloads_of(changes: Changes, dead: Bitmap) -> tuple[Offsets, list[Payload]]:
    """The offsets inserted or changed that live now, ascending, and what they hold."""
    payloads: dict[int, Payload] = {}
    for inserted in changes.inserted:
        payloads.update(zip(inserted.offsets.tolist(), inserted.payloads, strict=True))
    for changed in changes.payloads:
        payloads.update(changed.pairs())
    offsets = np.fromiter(payloads, dtype=np.uint32, count=len(payloads))
    living = alive(offsets, dead).nonzero()[0]
    living = living[np.argsort(offsets[living], kind="stable")]
    values = list(payloads.values())
    return offsets[living], [values[at] for at in living.tolist()]


def reindexed(index: PayloadIndex, offsets: Offsets, payloads: Sequence[Payload], *, key: str) -> PayloadIndex:
    """With points taken up by their payloads, offsets ascending; nothing of them may be in it."""
    if not len(offsets):
        return index
    return index.with_points(offsets, elements_of(payloads, parse_path(key)))


def _ids_after(index: IdIndex, changes: Changes) -> IdIndex:
    if not changes.inserted:
        return index
    offsets = np.concatenate([inserted.offsets for inserted in changes.inserted])
    return index.with_points(offsets, PointIds.joined([inserted.ids for inserted in changes.inserted]))


def _bounds_after(name: str, index: BoundsIndex, changes: Changes) -> BoundsIndex:
    for inserted in changes.inserted:
        part = inserted.multi.get(name)
        if part is not None:
            index = index.with_points(part.offsets, RowBounds.of(part.starts, part.counts))
    return index


def _sparse_after(name: str, index: SparseIndex, changes: Changes, dead: Bitmap) -> SparseIndex:
    brought = [part for inserted in changes.inserted if (part := inserted.sparse.get(name)) is not None]
    if brought:
        offsets = np.concatenate([part.offsets for part in brought])
        index = index.with_points(offsets, list(chain.from_iterable(part.vectors for part in brought)))
    gone = [bitmap_of(removed.offsets) for removed in changes.vectors_removed if removed.name == name]
    forgotten = dead.union(*gone) if gone else dead
    return index.without(forgotten) if forgotten else index


_NO_OFFSETS: Offsets = np.empty(0, dtype=np.uint32)
