"""What flows between nodes: offsets with scores, best first, as arrays.

Invariants: all arrays have the same length; offsets are unique except after an order by value that keeps repeats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdrantlite.values.vector import F32, U32

Bools: TypeAlias = NDArray[np.bool_]
Positions: TypeAlias = NDArray[np.intp]

NO_VALUE = 0
INTEGER_VALUE = 1
FLOAT_VALUE = 2


@dataclass(frozen=True, slots=True, eq=False)
class OrderValues:
    """The value by which each row was ordered.

    ``kinds`` ``(n,) uint8``: 0 none, 1 integer, 2 float. ``bits`` ``(n,) int64``: the integer, or the bit pattern of
    the float64.
    """

    kinds: NDArray[np.uint8]
    bits: NDArray[np.int64]

    @staticmethod
    def of(values: "NDArray[np.int64] | NDArray[np.float64]") -> "OrderValues":
        """From the values of one index, ``(n,)`` int64 or float64."""
        kind = INTEGER_VALUE if values.dtype == np.int64 else FLOAT_VALUE
        return OrderValues(np.full(len(values), kind, dtype=np.uint8), np.ascontiguousarray(values).view(np.int64))

    @staticmethod
    def none(count: int) -> "OrderValues":
        """``count`` rows without a value."""
        return OrderValues(np.zeros(count, dtype=np.uint8), np.zeros(count, dtype=np.int64))

    def take(self, positions: "Positions | slice") -> "OrderValues":
        """The values at these positions."""
        return OrderValues(self.kinds[positions], self.bits[positions])

    def at(self, position: int) -> int | float | None:
        """The value of one row as Python has it."""
        kind = self.kinds[position]
        if kind == NO_VALUE:
            return None
        bits = self.bits[position : position + 1]
        return int(bits[0]) if kind == INTEGER_VALUE else float(bits.view(np.float64)[0])


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Rows best first.

    ``offsets`` ``(n,) uint32``, ``scores`` ``(n,) float32`` as the API returns them, ``versioned`` ``(n,) bool``:
    False = the API reports version 0, as for scroll-like results. ``order`` is None when no row has a value.
    """

    offsets: U32
    scores: F32
    versioned: Bools
    order: OrderValues | None = None

    def __len__(self) -> int:
        return len(self.offsets)

    @staticmethod
    def empty() -> "Ranking":
        """No rows."""
        return _EMPTY

    @staticmethod
    def scored(offsets: U32, scores: F32) -> "Ranking":
        """The answer of a vector query: every row carries its point's version."""
        count = len(offsets)
        return Ranking(offsets, scores, _ALL[:count] if count <= len(_ALL) else np.ones(count, dtype=np.bool_))

    @staticmethod
    def unscored(offsets: U32, order: OrderValues | None = None) -> "Ranking":
        """A scroll-like answer: score 1.0 and version 0 everywhere."""
        count = len(offsets)
        return Ranking(offsets, np.ones(count, dtype=np.float32), np.zeros(count, dtype=np.bool_), order)

    @staticmethod
    def joined(rankings: "Sequence[Ranking]") -> "Ranking":
        """The rows of each ranking, one after the other; a point may stand in several."""
        if len(rankings) == 1:
            return rankings[0]
        parts = [ranking.order for ranking in rankings if ranking.order is not None]
        order = None
        if parts:
            values = [ranking.order or OrderValues.none(len(ranking)) for ranking in rankings]
            kinds = np.concatenate([value.kinds for value in values])
            order = OrderValues(kinds, np.concatenate([value.bits for value in values]))
        return Ranking(
            np.concatenate([_EMPTY.offsets, *[ranking.offsets for ranking in rankings]]),
            np.concatenate([_EMPTY.scores, *[ranking.scores for ranking in rankings]]),
            np.concatenate([_EMPTY.versioned, *[ranking.versioned for ranking in rankings]]),
            order,
        )

    def take(self, positions: "Positions | slice") -> "Ranking":
        """The rows at these positions, in that order."""
        order = None if self.order is None else self.order.take(positions)
        return Ranking(self.offsets[positions], self.scores[positions], self.versioned[positions], order)

    def head(self, limit: int) -> "Ranking":
        """The best ``limit`` rows."""
        return self if len(self.offsets) <= limit else self.take(slice(limit))


_ALL = np.ones(4096, dtype=np.bool_)
_ALL.setflags(write=False)
_EMPTY = Ranking.unscored(np.empty(0, dtype=np.uint32))
