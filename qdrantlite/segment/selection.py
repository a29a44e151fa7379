"""Selections: immutable sets of offsets, the currency between filters, scans and the planner."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.segment.bitmaps import Offsets, bitmap_of, bits_at, offsets_in, packed_bits

FEW = 48
FEW_SHIFT = 11
"""Up to so many offsets, and one more for each 2,048 that the bitmap spans, are quicker asked one by one than by
unpacking it."""


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """A set of offsets over a roaring bitmap that nobody changes any more. Picklable, cheap to combine."""

    bitmap: AbstractBitMap

    @property
    def is_settled(self) -> bool:
        """True: see ``plan.bound.OffsetSet``."""
        return True

    @staticmethod
    def from_offsets(offsets: npt.NDArray[np.unsignedinteger]) -> "Selection":
        """The set of these offsets, in any order, repetitions allowed."""
        return Selection(bitmap_of(offsets))

    @staticmethod
    def of_range(start: int, stop: int) -> "Selection":
        """All offsets of ``start <= offset < stop``."""
        return Selection(BitMap(range(start, stop)))

    @staticmethod
    def from_bytes(data: bytes) -> "Selection":
        """The set written by ``to_bytes``."""
        return Selection(BitMap.deserialize(data))

    def to_bytes(self) -> bytes:
        """Roaring's portable serialised form, runs as runs: most offsets live."""
        packed = BitMap(self.bitmap)
        packed.run_optimize()
        return packed.serialize()

    def __len__(self) -> int:
        return len(self.bitmap)

    def count_below(self, stop: int) -> int:
        """Number of members less than ``stop``."""
        return self.bitmap.rank(stop - 1) if stop else 0

    def at(self, rank: int) -> int:
        """The member that so many others are less than."""
        return self.bitmap[rank]

    def offsets(self) -> Offsets:
        """All members, ``(n,) uint32`` ascending."""
        return offsets_in(self.bitmap)

    def mask(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        """Bits of the range, packed eight to a byte in little bit order: bit ``i`` tells of offset ``start + i``.

        ``(ceil((stop - start) / 8),) uint8``; bits beyond ``stop`` are 0.
        """
        return packed_bits(self.bitmap, start, stop)

    def contains(self, offsets: Offsets) -> npt.NDArray[np.bool_]:
        """Membership of each of the offsets, ``(n,) bool`` in the order given."""
        if len(offsets) == 0:
            return np.zeros(0, dtype=np.bool_)
        last = int(offsets.max())
        if len(offsets) < FEW + (last >> FEW_SHIFT):
            return np.array([offset in self.bitmap for offset in offsets.tolist()], dtype=np.bool_)
        return bits_at(self.mask(0, last + 1), offsets)

    def is_apart_from(self, other: "Selection") -> bool:
        """Whether no offset is in both."""
        return self.bitmap.isdisjoint(other.bitmap)

    def intersection(self, other: "Selection") -> "Selection":
        """Offsets in both."""
        return Selection(self.bitmap & other.bitmap)

    def union(self, other: "Selection") -> "Selection":
        """Offsets in either."""
        return Selection(self.bitmap | other.bitmap)

    def difference(self, other: "Selection") -> "Selection":
        """Offsets here and not in ``other``."""
        return Selection(self.bitmap - other.bitmap)


NO_POINTS = Selection(BitMap())
