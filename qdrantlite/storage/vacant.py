"""Which offsets and rows of a shard are vacant: nothing lives there, nothing ever will, and the disk may have them.

A range becomes vacant in this order: the point store is asked that no point lives in it; the store records the range,
durably; then the blocks of row files that lie wholly within are punched. Offsets and rows are given out once, so what
is vacant stays so, and a punch that a crash took back is made again. Vacant blocks may read as zeros or as what was
there: nobody looks.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ranges: TypeAlias = NDArray[np.int64]
"""``(n, 2)``: numbers ``start <= number < stop``, ascending; no two touch, none is empty."""

NO_RANGES: Ranges = np.empty((0, 2), np.int64)
NO_RANGES.setflags(write=False)


def ranges_of(pairs: NDArray[np.integer] | Collection[tuple[int, int]]) -> Ranges:
    """The numbers that are in any of these ``(start, stop)``, in any order; they may overlap, touch and be empty."""
    given = np.asarray(pairs, np.int64).reshape(-1, 2)
    given = given[given[:, 0] < given[:, 1]]
    if not len(given):
        return NO_RANGES
    given = given[np.argsort(given[:, 0], kind="stable")]
    reach = np.maximum.accumulate(given[:, 1])
    apart = np.flatnonzero(given[1:, 0] > reach[:-1])
    starts = given[np.concatenate(([0], apart + 1)), 0]
    found = np.stack((starts, reach[np.concatenate((apart, [len(given) - 1]))]), axis=1)
    found.setflags(write=False)
    return found


def joined(one: Ranges, other: Ranges) -> Ranges:
    """The numbers in either."""
    return ranges_of(np.concatenate((one, other)))


def blocks_within(ranges: Ranges, block_rows: int) -> Ranges:
    """The blocks of so many numbers, the first from 0, that lie wholly within a range."""
    return ranges_of(np.stack((-(-ranges[:, 0] // block_rows), ranges[:, 1] // block_rows), axis=1))


def between(ranges: Ranges, start: int, stop: int) -> tuple[tuple[int, int], ...]:
    """What of ``start <= number < stop`` is in no range, ascending; none is empty."""
    if not len(ranges):
        return ((start, stop),) if start < stop else ()
    bounds = np.concatenate(([start], np.clip(ranges, start, max(start, stop)).ravel(), [stop])).reshape(-1, 2)
    return tuple([(first, end) for first, end in bounds.tolist() if first < end])


def without(one: Ranges, other: Ranges) -> Ranges:
    """The numbers in the first that are not in the other."""
    return ranges_of([span for start, stop in one.tolist() for span in between(other, start, stop)])


def size_of(ranges: Ranges) -> int:
    """How many numbers there are."""
    return int((ranges[:, 1] - ranges[:, 0]).sum())


@dataclass(frozen=True, slots=True, eq=False)
class Vacant:
    """Of a shard: ``offsets``, hence rows of its dense vectors; ``rows`` of its multivectors, by id of the vector."""

    offsets: Ranges = field(default_factory=lambda: NO_RANGES)
    rows: Mapping[int, Ranges] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for ranges in (self.offsets, *self.rows.values()):
            bounds = ranges.ravel()
            assert (bounds[1:] > bounds[:-1]).all(), "ranges out of order"
            assert not len(bounds) or bounds[0] >= 0

    def __bool__(self) -> bool:
        return bool(len(self.offsets) or any(len(ranges) for ranges in self.rows.values()))

    def union(self, other: "Vacant") -> "Vacant":
        """What is vacant in either."""
        rows = {vector: joined(self.of(vector), other.of(vector)) for vector in {*self.rows, *other.rows}}
        return Vacant(joined(self.offsets, other.offsets), rows)

    def of(self, vector: int) -> Ranges:
        """Rows of a multivector."""
        return self.rows.get(vector, NO_RANGES)

    def among(self, vectors: Collection[int]) -> "Vacant":
        """The same of these vectors only."""
        return Vacant(self.offsets, {vector: ranges for vector, ranges in self.rows.items() if vector in vectors})

    def to_json(self) -> str:
        """``[offsets, {vector: rows}]``, each a list of ``[start, stop]``."""
        return json.dumps([self.offsets.tolist(), {vector: each.tolist() for vector, each in self.rows.items()}])

    @staticmethod
    def from_json(text: str) -> "Vacant":
        """Inverse of ``to_json``."""
        offsets, rows = json.loads(text)
        return Vacant(ranges_of(offsets), {int(vector): ranges_of(each) for vector, each in rows.items()})


NOTHING_VACANT = Vacant()
