"""Ids by offset: what points are called, for ties and short pages, without asking the store.

An offset's id never changes, and offsets are given out in order: so a segment covers a range of them, and nothing is
ever forgotten; offsets that died keep their places until compaction gives out new ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.segment.bitmaps import Offsets, bitmap_of
from qdrantlite.segment.payload_index.parts import Part, Parts, array_of
from qdrantlite.segment.stack import Layer, Stack
from qdrantlite.values.point_ids import PointIds, UuidHalves

RANGE_SHARE = 2
"""A segment covers a range while one in so many of its offsets has an id."""


@dataclass(frozen=True, slots=True, eq=False)
class IdSegment:
    """The ids of offsets ``first <= offset < first + len(ids)``; or of those ``listed``
    ``(n,)``, ascending, where they lie far apart. See ``stack.Segment``.
    """

    first: int
    ids: PointIds
    listed: Offsets | None = None

    @property
    def size(self) -> int:
        """Number of offsets."""
        return len(self.ids)

    @property
    def held(self) -> AbstractBitMap:
        """Its offsets."""
        return BitMap(range(self.first, self.first + self.size)) if self.listed is None else bitmap_of(self.listed)

    @property
    def offsets(self) -> Offsets:
        """Its offsets, ascending."""
        return np.arange(self.first, self.first + self.size, dtype=np.uint32) if self.listed is None else self.listed

    def at(self, offsets: Offsets) -> PointIds:
        """The ids of these offsets, in the order given."""
        if self.listed is not None:
            return self.ids.take(self.listed.searchsorted(offsets))
        return self.ids.take(offsets - np.uint32(self.first))

    def dump(self) -> list[Part]:
        """Everything needed to ``load``: two arrays, and more where there are UUIDs or offsets far apart."""
        parts: list[Part] = [("first", np.array([self.first], dtype=np.uint32)), ("low", self.ids.low)]
        if self.listed is not None:
            parts.append(("listed", self.listed))
        wide = self.ids.wide
        return parts if wide is None else [*parts, ("upper", wide.upper), ("uuids", wide.are_uuids.view(np.uint8))]

    @staticmethod
    def load(parts: Parts) -> "IdSegment":
        """From a dump. Arrays are kept, not copied: they may be mapped. Raises KeyError."""
        wide, listed = None, None
        if "upper" in parts:
            uuids = array_of(parts, "uuids").astype(np.uint8, copy=False).view(np.bool_)
            wide = UuidHalves(array_of(parts, "upper").astype(np.uint64, copy=False), uuids)
        if "listed" in parts:
            listed = array_of(parts, "listed").astype(np.uint32, copy=False)
        ids = PointIds(array_of(parts, "low").astype(np.uint64, copy=False), wide)
        return IdSegment(int(array_of(parts, "first").astype(np.int64)[0]), ids, listed)


@dataclass(frozen=True, slots=True, eq=False)
class IdView:
    """Ids at one moment: ``starts`` are the first offsets of the segments, ascending."""

    starts: npt.NDArray[np.int64]
    segments: tuple[IdSegment, ...]

    def at(self, offsets: Offsets) -> PointIds:
        """The ids of points, in the order given. Every offset must have had one."""
        if len(self.segments) == 1:
            return self.segments[0].at(offsets)
        if not len(offsets):
            return PointIds(np.empty(0, dtype=np.uint64))
        owners = self.starts.searchsorted(offsets, side="right") - 1
        places = [(owners == number).nonzero()[0] for number in range(len(self.segments))]
        found = [segment.at(offsets[own]) for own, segment in zip(places, self.segments, strict=True)]
        return PointIds.joined(found).take(np.argsort(np.concatenate(places)))


@dataclass(frozen=True, slots=True, eq=False)
class IdIndex:
    """The ids of a shard. Immutable: a commit makes a new one, which shares segments."""

    stack: Stack[IdSegment] = field(default_factory=Stack)

    def with_points(self, offsets: Offsets, ids: PointIds) -> "IdIndex":
        """With points taken up, offsets ascending and beyond all that are here."""
        if not len(offsets):
            return self
        return replace(self, stack=self.stack.added(_segment([(offsets, ids)]), self.merged))

    def settled(self) -> "IdIndex":
        """With all segments merged that ought to be: answers do not change."""
        return replace(self, stack=self.stack.settled(self.merged))

    @staticmethod
    def merged(layers: Sequence[Layer[IdSegment]]) -> IdSegment:
        """One segment of several; see ``stack.Merge``."""
        segments = [layer.segment for layer in layers]
        return _segment([(each.offsets, each.ids) for each in segments])

    def view(self) -> IdView:
        """What searches ask. Takes time in proportion to the number of segments."""
        segments = tuple([layer.segment for layer in self.stack])
        return IdView(np.array([segment.first for segment in segments], dtype=np.int64), segments)


def _segment(parts: Sequence[tuple[Offsets, PointIds]]) -> IdSegment:
    """The points of at least one part, offsets ascending, as one range if few of it are missing."""
    offsets = np.concatenate([offsets for offsets, _ in parts])
    ids = PointIds.joined([ids for _, ids in parts])
    first, span = int(offsets[0]), int(offsets[-1]) - int(offsets[0]) + 1
    if span == len(offsets):
        return IdSegment(first, ids)
    if span > RANGE_SHARE * len(offsets):
        return IdSegment(first, ids, offsets)
    # What stands between is not asked for: it is filled with the id before it.
    return IdSegment(first, ids.take(offsets.searchsorted(np.arange(first, first + span), side="right") - 1))
