"""Payload indexes, sparse postings, ids and bounds of rows after a commit: new values beside the old ones, which stay.

Made from what commits wrote, without a lock that readers wait for. What a small commit wrote waits: an index takes it
up when it is first asked, together with what waits from commits before. So an index that nobody asks costs a commit
next to nothing. What waits is bounded; a large commit is taken up before it is visible.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Generic, TypeVar

import numpy as np

from qdrantlite.collection.shard.changes import Changes
from qdrantlite.segment.bitmaps import Bitmap, Offsets, bitmap_of
from qdrantlite.segment.column import Column, bounded
from qdrantlite.segment.ids import NO_IDS, IdIndex
from qdrantlite.segment.payload_index.index import PayloadIndex
from qdrantlite.segment.row_bounds import BoundsIndex, RowBounds
from qdrantlite.segment.runs import alive
from qdrantlite.segment.sparse import SparseIndex
from qdrantlite.segment.stack import NOTHING
from qdrantlite.values.payload import Payload, elements_of, parse_path
from qdrantlite.values.point_ids import PointIds

WAITING_COMMITS_MAX = 64
WAITING_OFFSETS_MAX = 256

Index = TypeVar("Index")


class Brought:
    """What one or several commits changed, in the forms in which indexes take it up. Not to be changed any more."""

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self.size = changes.size

    @cached_property
    def dead(self) -> Bitmap:
        """Offsets that died."""
        return bitmap_of(np.concatenate(self.changes.dead)) if self.changes.dead else NOTHING

    @cached_property
    def older(self) -> Bitmap:
        """Offsets whose payloads in an index are not in force any more. Of what is new nothing is there yet."""
        changed = self.changes.payloads
        return bitmap_of(np.concatenate([part.offsets for part in changed])) | self.dead if changed else self.dead

    @cached_property
    def points(self) -> tuple[Offsets, Sequence[Payload]]:
        """The offsets inserted or changed that live now, ascending, and what they hold."""
        inserted, changed = self.changes.inserted, self.changes.payloads
        if not changed and not self.changes.dead:
            offsets = np.concatenate([_NO_OFFSETS, *(part.offsets for part in inserted)])
            return offsets, list(chain.from_iterable([part.payloads for part in inserted]))
        payloads: dict[int, Payload] = {}
        for part in inserted:
            payloads.update(zip(part.offsets.tolist(), part.payloads, strict=True))
        for each in changed:
            payloads.update(each.pairs())
        offsets = np.fromiter(payloads, dtype=np.uint32, count=len(payloads))
        living = alive(offsets, self.dead).nonzero()[0]
        living = living[np.argsort(offsets[living], kind="stable")]
        values = list(payloads.values())
        return offsets[living], [values[at] for at in living.tolist()]


def _together(waiting: tuple[Brought, ...]) -> Brought:
    """What several commits brought, at least one."""
    return waiting[0] if len(waiting) == 1 else Brought(Changes.joined([each.changes for each in waiting]))


class Lagging(Generic[Index]):
    """An index of one commit that takes up what waits for it when it is first asked. Never changes as seen from
    outside; threads may share it.
    """

    __slots__ = ("_apart", "_known", "_take_up")

    def __init__(
        self,
        index: Index,
        take_up: Callable[[Index, Brought], Index],
        waiting: tuple[Brought, ...] = (),
        waiting_offsets: int = 0,
    ) -> None:
        """``waiting_offsets``: how many the ``waiting`` touched."""
        self._take_up = take_up
        self._known: tuple[Index, tuple[Brought, ...], int] = index, waiting, waiting_offsets
        """Replaced as a whole: threads that ask at the same time may each take it up."""
        self._apart: tuple[Brought, Index] | None = None

    def get(self) -> Index:
        """The index."""
        index, waiting, _ = self._known
        if waiting:
            index = self._take_up(index, _together(waiting))
            self._known = index, (), 0
        return index

    def apart(self, emptied: Callable[[Index], Index]) -> tuple[Index, tuple[Brought, Index] | None]:
        """What was taken up, and beside it what waits and an index of that alone, made once of an ``emptied`` one."""
        index, waiting, _ = self._known
        if not waiting:
            return index, None
        if self._apart is None:
            brought = _together(waiting)
            self._apart = brought, self._take_up(emptied(index), brought)
        return index, self._apart

    def after(self, brought: Brought) -> "Lagging[Index]":
        """What it is after one more commit."""
        index, waiting, offsets = self._known
        waiting, offsets = (*waiting, brought), offsets + brought.size
        following = Lagging(index, self._take_up, waiting, offsets)
        if len(waiting) > WAITING_COMMITS_MAX or offsets > WAITING_OFFSETS_MAX:
            following.get()
        return following


class Following(Mapping[str, Index]):
    """Indexes of one kind by name, each of which may lag until it is asked for."""

    def __init__(self, lagging: Mapping[str, Lagging[Index]]) -> None:
        self._lagging = lagging

    @staticmethod
    def after(
        indexes: Mapping[str, Index], take_up: Callable[[str], Callable[[Index, Brought], Index]], brought: Brought
    ) -> "Following[Index]":
        """These after a commit; ``take_up`` tells how the index of a name takes it up."""
        known: Mapping[str, Lagging[Index]]
        if isinstance(indexes, Following):
            known = indexes._lagging
        else:
            known = {name: Lagging(index, take_up(name)) for name, index in indexes.items()}
        return Following({name: index.after(brought) for name, index in known.items()})

    def lagging(self, name: str) -> Lagging[Index]:
        """One of them as it is. Raises KeyError."""
        return self._lagging[name]

    def __getitem__(self, name: str) -> Index:
        return self._lagging[name].get()

    def __contains__(self, name: object) -> bool:
        return name in self._lagging

    def __iter__(self) -> Iterator[str]:
        return iter(self._lagging)

    def __len__(self) -> int:
        return len(self._lagging)


@dataclass(frozen=True, slots=True, eq=False)
class Indexes:
    """Payload indexes by key, postings by the name of their sparse vector, bounds of rows by that of their multivector,
    columns by the first key of payloads, and the ids of all points; all of one commit.
    """

    fields: Mapping[str, PayloadIndex]
    sparse: Mapping[str, SparseIndex]
    columns: Mapping[str, Column] = field(default_factory=dict)
    ids: Lagging[IdIndex] = field(default_factory=lambda: lagging_ids(NO_IDS))
    bounds: Mapping[str, BoundsIndex] = field(default_factory=dict)

    def after(self, changes: Changes) -> "Indexes":
        """What they are when a transaction with these changes, which never change again, has committed."""
        if changes.is_empty:
            return self
        brought = Brought(changes)
        return Indexes(
            Following.after(self.fields, _taking_payloads, brought),
            Following.after(self.sparse, _taking_postings, brought),
            _columns_after(self.columns, brought) if self.columns else {},
            self.ids.after(brought),
            Following.after(self.bounds, _taking_bounds, brought),
        )


def index_among(fields: Mapping[str, PayloadIndex], key: str, offsets: Bitmap) -> PayloadIndex | None:
    """What the index of a key, if there is one, holds of these few points; it may be wrong for all others. Nothing is
    taken up for it.
    """
    if key not in fields:
        return None
    if not isinstance(fields, Following):
        return fields[key].among(offsets)
    lagging: Lagging[PayloadIndex] = fields.lagging(key)
    index, beside = lagging.apart(PayloadIndex.emptied)
    few = index.among(offsets)
    if beside is None:
        return few
    brought, waiting = beside
    return (few.without(brought.older) if brought.older else few).below(waiting)


def reindexed(index: PayloadIndex, offsets: Offsets, payloads: Sequence[Payload], *, key: str) -> PayloadIndex:
    """With points taken up by their payloads, offsets ascending; nothing of them may be in it."""
    if not len(offsets):
        return index
    return index.with_points(offsets, elements_of(payloads, parse_path(key)))


def _taking_payloads(key: str) -> Callable[[PayloadIndex, Brought], PayloadIndex]:
    def take_up(index: PayloadIndex, brought: Brought) -> PayloadIndex:
        forgotten = index.without(brought.older) if brought.older else index
        return reindexed(forgotten, *brought.points, key=key)

    return take_up


def _taking_postings(name: str) -> Callable[[SparseIndex, Brought], SparseIndex]:
    def take_up(index: SparseIndex, brought: Brought) -> SparseIndex:
        changes, dead = brought.changes, brought.dead
        parts = [part for inserted in changes.inserted if (part := inserted.sparse.get(name)) is not None]
        if parts:
            offsets = np.concatenate([part.offsets for part in parts])
            index = index.with_points(offsets, list(chain.from_iterable([part.vectors for part in parts])))
        gone = [bitmap_of(removed.offsets) for removed in changes.vectors_removed if removed.name == name]
        forgotten = dead.union(*gone) if gone else dead
        return index.without(forgotten) if forgotten else index

    return take_up


def _taking_bounds(name: str) -> Callable[[BoundsIndex, Brought], BoundsIndex]:
    def take_up(index: BoundsIndex, brought: Brought) -> BoundsIndex:
        for inserted in brought.changes.inserted:
            part = inserted.multi.get(name)
            if part is not None:
                index = index.with_points(part.offsets, RowBounds.of(part.starts, part.counts))
        return index

    return take_up


def _columns_after(columns: Mapping[str, Column], brought: Brought) -> Mapping[str, Column]:
    """Never lagging: how much they take together is looked at with each commit."""
    if brought.older:
        columns = {key: column.without(brought.older) for key, column in columns.items()}
    return bounded({key: column.with_points(*brought.points) for key, column in columns.items()})


def lagging_ids(index: IdIndex) -> Lagging[IdIndex]:
    """These ids, and what commits bring from now on when they are asked for."""
    return Lagging(index, _taking_ids)


def _taking_ids(index: IdIndex, brought: Brought) -> IdIndex:
    inserted = brought.changes.inserted
    if not inserted:
        return index
    offsets = np.concatenate([part.offsets for part in inserted])
    return index.with_points(offsets, PointIds.joined([part.ids for part in inserted]))


_NO_OFFSETS: Offsets = np.empty(0, dtype=np.uint32)
