"""Values by offset, for whatever an offset is given once and keeps: ids of points, bounds of their rows.

Offsets are given out in order: so a segment covers a range of them, and nothing is ever forgotten; offsets that died
keep their places until compaction gives out new ones. A commit adds a segment of what it brought (``segment.stack``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.segment.bitmaps import Offsets, bitmap_of
from qdrantlite.segment.payload_index.parts import Part, Parts, array_of
from qdrantlite.segment.stack import Layer, Stack

RANGE_SHARE = 2
"""A segment covers a range while one in so many of its offsets has a value."""


class Values(Protocol):
    """Columns of one length; immutable."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def take(self, places: "npt.NDArray[np.integer]", /) -> Self:
        """Those at these places, in that order."""
        ...


V = TypeVar("V", bound=Values)


class Form(Protocol[V]):
    """How values of one kind are put together and kept."""

    def joined(self, parts: Sequence[V], /) -> V:
        """Those of all parts, one after the other; none of no parts."""
        ...

    def dump(self, values: V, /) -> list[Part]:
        """Everything needed to ``load``: arrays whose names are none of a segment's own."""
        ...

    def load(self, parts: Parts, /) -> V:
        """From a dump. Arrays are kept, not copied: they may be mapped. Raises KeyError."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class OffsetSegment(Generic[V]):
    """The values of offsets ``first <= offset < first + len(values)``; or of those ``listed`` ``(n,)``, ascending,
    where they lie far apart. See ``stack.Segment``.
    """

    form: Form[V]
    first: int
    values: V
    listed: Offsets | None = None

    @property
    def size(self) -> int:
        """Number of offsets."""
        return len(self.values)

    @property
    def held(self) -> AbstractBitMap:
        """Its offsets."""
        return BitMap(range(self.first, self.first + self.size)) if self.listed is None else bitmap_of(self.listed)

    @property
    def offsets(self) -> Offsets:
        """Its offsets, ascending."""
        return np.arange(self.first, self.first + self.size, dtype=np.uint32) if self.listed is None else self.listed

    def at(self, offsets: Offsets) -> V:
        """The values of these offsets, in the order given."""
        if self.listed is not None:
            return self.values.take(self.listed.searchsorted(offsets))
        return self.values.take(offsets - np.uint32(self.first))

    def dump(self) -> list[Part]:
        """Everything needed to ``load``."""
        parts: list[Part] = [("first", np.array([self.first], dtype=np.uint32)), *self.form.dump(self.values)]
        return parts if self.listed is None else [*parts, ("listed", self.listed)]

    @staticmethod
    def load(form: Form[V], parts: Parts) -> "OffsetSegment[V]":
        """From a dump. Arrays are kept, not copied: they may be mapped. Raises KeyError."""
        listed = array_of(parts, "listed").astype(np.uint32, copy=False) if "listed" in parts else None
        return OffsetSegment(form, int(array_of(parts, "first").astype(np.int64)[0]), form.load(parts), listed)


@dataclass(frozen=True, eq=False)
class ByOffset(Generic[V]):
    """The values of a shard. Immutable: a commit makes a new one, which shares segments."""

    form: Form[V]
    stack: Stack[OffsetSegment[V]] = field(default_factory=Stack)

    def at(self, offsets: Offsets) -> V:
        """The values of offsets, in the order given. Every offset must have been given one."""
        starts, segments = self._segments
        if len(segments) == 1:
            return segments[0].at(offsets)
        if not len(offsets):
            return self.form.joined([])
        owners = starts.searchsorted(offsets, side="right") - 1
        places = [(owners == number).nonzero()[0] for number in range(len(segments))]
        found = [segment.at(offsets[own]) for own, segment in zip(places, segments, strict=True)]
        return self.form.joined(found).take(np.argsort(np.concatenate(places)))

    def with_points(self, offsets: Offsets, values: V) -> "ByOffset[V]":
        """With points taken up, offsets ascending and beyond all that are here."""
        if not len(offsets):
            return self
        return replace(self, stack=self.stack.added(self._segment([(offsets, values)]), self.merged))

    def settled(self) -> "ByOffset[V]":
        """With all segments merged that ought to be: answers do not change."""
        return replace(self, stack=self.stack.settled(self.merged))

    def merged(self, layers: Sequence[Layer[OffsetSegment[V]]]) -> OffsetSegment[V]:
        """One segment of several; see ``stack.Merge``."""
        segments = [layer.segment for layer in layers]
        return self._segment([(each.offsets, each.values) for each in segments])

    def load(self, parts: Parts) -> OffsetSegment[V]:
        """A segment from its dump. Raises KeyError."""
        return OffsetSegment.load(self.form, parts)

    @cached_property
    def _segments(self) -> tuple[npt.NDArray[np.int64], tuple[OffsetSegment[V], ...]]:
        """The segments, and the first offset of each, ascending: found when they are first asked for."""
        segments = tuple([layer.segment for layer in self.stack])
        return np.array([segment.first for segment in segments], dtype=np.int64), segments

    def _segment(self, parts: Sequence[tuple[Offsets, V]]) -> OffsetSegment[V]:
        """The points of at least one part, offsets ascending, as one range if few of it are missing."""
        offsets = np.concatenate([offsets for offsets, _ in parts])
        values = self.form.joined([values for _, values in parts])
        first, span = int(offsets[0]), int(offsets[-1]) - int(offsets[0]) + 1
        if span == len(offsets):
            return OffsetSegment(self.form, first, values)
        if span > RANGE_SHARE * len(offsets):
            return OffsetSegment(self.form, first, values, offsets)
        # What stands between is not asked for: it is filled with the value before it.
        filled = values.take(offsets.searchsorted(np.arange(first, first + span), side="right") - 1)
        return OffsetSegment(self.form, first, filled)
