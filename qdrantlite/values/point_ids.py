"""Many point ids as arrays: 8 bytes for a number, 17 where there are UUIDs among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from qdrantlite.values.point_id import PointId

U64: TypeAlias = NDArray[np.uint64]
HALF_BITS = 64
HALF_MASK = 2**HALF_BITS - 1


@dataclass(frozen=True, slots=True, eq=False)
class UuidHalves:
    """What UUIDs have beyond numbers: ``upper`` ``(n,) uint64`` halves, 0 of a number, and which are UUIDs ``(n,)``."""

    upper: U64
    are_uuids: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class PointIds:
    """``(n,)`` ids: ``low`` ``(n,) uint64`` has the numbers, and the lower halves of UUIDs if there is ``wide``."""

    low: U64
    wide: UuidHalves | None = None

    def __len__(self) -> int:
        return len(self.low)

    @staticmethod
    def of(ids: Sequence[PointId]) -> "PointIds":
        """These ids in their order."""
        if not any(isinstance(each, UUID) for each in ids):
            return PointIds(np.array(ids, dtype=np.uint64))
        whole = [each.int if isinstance(each, UUID) else each for each in ids]
        return PointIds(
            np.array([each & HALF_MASK for each in whole], dtype=np.uint64),
            UuidHalves(
                np.array([each >> HALF_BITS for each in whole], dtype=np.uint64),
                np.array([isinstance(each, UUID) for each in ids], dtype=np.bool_),
            ),
        )

    @staticmethod
    def joined(parts: "Sequence[PointIds]") -> "PointIds":
        """The ids of at least one part, one after the other."""
        low = np.concatenate([part.low for part in parts])
        if all(part.wide is None for part in parts):
            return PointIds(low)
        wide = [part.wide or UuidHalves(np.zeros_like(part.low), np.zeros(len(part), np.bool_)) for part in parts]
        upper, uuids = np.concatenate([each.upper for each in wide]), np.concatenate([each.are_uuids for each in wide])
        return PointIds(low, UuidHalves(upper, uuids))

    def take(self, places: "NDArray[np.integer] | slice") -> "PointIds":
        """The ids at these places, in that order."""
        wide = self.wide
        return PointIds(
            self.low[places], None if wide is None else UuidHalves(wide.upper[places], wide.are_uuids[places])
        )

    def order(self, group: NDArray[np.generic], *, ascending: bool) -> NDArray[np.intp]:
        """Places that sort by group, ascending, and within one by id, as Qdrant orders ids, ascending or descending."""
        keys: list[NDArray[np.integer] | NDArray[np.bool_]] = [self.low]
        if self.wide is not None:
            keys += [self.wide.upper, self.wide.are_uuids]
        if not ascending:
            keys = [~key for key in keys]
        order: NDArray[np.intp] = np.lexsort((*keys, group))
        return order

    def to_list(self) -> list[PointId]:
        """The ids themselves."""
        low: list[int] = self.low.tolist()
        if self.wide is None:
            return [*low]
        halves = zip(low, self.wide.upper.tolist(), self.wide.are_uuids.tolist(), strict=True)
        return [UUID(int=upper << HALF_BITS | lower) if is_uuid else lower for lower, upper, is_uuid in halves]
