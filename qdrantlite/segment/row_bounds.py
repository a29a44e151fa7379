"""Bounds by offset: where the rows of a point's multivector lie in their file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from qdrantlite.segment.by_offset import ByOffset, OffsetSegment
from qdrantlite.segment.payload_index.parts import Part, Parts, array_of


@dataclass(frozen=True, slots=True, eq=False)
class RowBounds:
    """Points own the rows ``starts[i] : starts[i] + counts[i]``, ``(n,)`` each."""

    starts: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.uint32]

    @staticmethod
    def of(starts: npt.NDArray[np.integer], counts: npt.NDArray[np.integer]) -> "RowBounds":
        """These, in the form in which they are kept."""
        return RowBounds(starts.astype(np.uint64), counts.astype(np.uint32))

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, places: npt.NDArray[np.integer], /) -> "RowBounds":
        """Those at these places, in that order."""
        return RowBounds(self.starts[places], self.counts[places])


BoundsIndex: TypeAlias = ByOffset[RowBounds]
BoundsSegment: TypeAlias = OffsetSegment[RowBounds]


class BoundsForm:
    """See ``by_offset.Form``. Twelve bytes a point."""

    def joined(self, parts: Sequence[RowBounds], /) -> RowBounds:
        """See ``by_offset.Form``."""
        starts = np.concatenate([_NO_STARTS, *(part.starts for part in parts)])
        return RowBounds(starts, np.concatenate([_NO_COUNTS, *(part.counts for part in parts)]))

    def dump(self, values: RowBounds, /) -> list[Part]:
        """See ``by_offset.Form``."""
        return [("starts", values.starts), ("counts", values.counts)]

    def load(self, parts: Parts, /) -> RowBounds:
        """See ``by_offset.Form``."""
        starts = array_of(parts, "starts").astype(np.uint64, copy=False)
        return RowBounds(starts, array_of(parts, "counts").astype(np.uint32, copy=False))


_NO_STARTS: npt.NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
_NO_COUNTS: npt.NDArray[np.uint32] = np.empty(0, dtype=np.uint32)
NO_BOUNDS: BoundsIndex = ByOffset(BoundsForm())
