"""How many points hold each value of an indexed field, counted for a selection at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap

from qdrantlite.segment.selection import Selection
from qdrantlite.values.record import FacetHit

Counts: TypeAlias = npt.NDArray[np.int64]
Places: TypeAlias = npt.NDArray[np.int64]
FacetValue: TypeAlias = str | int | bool


class Countable(Protocol):
    """Values of one segment that are counted: each has a place."""

    def counts(self, selection: Selection, forgotten: AbstractBitMap) -> Counts:
        """Points of the selection that hold the value in each place and are not forgotten, ``(values,)``."""
        ...

    def names(self, places: Places) -> Sequence[FacetValue]:
        """The values in these places."""
        ...

    def places(self, names: Sequence[FacetValue]) -> Places:
        """The place of each of these values, -1 for one that is not here."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class FacetValues:
    """The values of a field at one moment, by segments with what is forgotten there; immutable."""

    segments: tuple[tuple[Countable, AbstractBitMap], ...]

    def most_frequent(self, selection: Selection, limit: int) -> list[FacetHit]:
        """The first ``limit`` values by the number of their points in the selection, then by value.

        Looks at every entry once. Only values that can be among the first are named: what several segments hold in all
        is at least the limit-th of what any segment tells of its own first ones, and then a segment has its share of it
        (P. Cao and Z. Wang, "Efficient Top-K Query Calculation in Distributed Networks", 2004).
        """
        if not len(selection) or not limit:
            return []
        counted = [(values, values.counts(selection, forgotten)) for values, forgotten in self.segments]
        reached: dict[FacetValue, int] = {}
        for values, counts in counted:
            first = np.flatnonzero(counts >= _least(counts, limit))
            for name, count in zip(values.names(first), counts[first].tolist(), strict=True):
                reached[name] = reached.get(name, 0) + count
        if len(counted) > 1:
            reached = _totals(counted, _least(np.array(list(reached.values()), dtype=np.int64), limit))
        hits = [FacetHit(value, count) for value, count in reached.items()]
        return sorted(hits, key=lambda hit: (-hit.count, hit.value))[:limit]


def _totals(counted: Sequence[tuple[Countable, Counts]], least: int) -> dict[FacetValue, int]:
    """All that is held by so many points, and perhaps others, with the number of their points."""
    share = -(-least // len(counted))
    names: dict[FacetValue, None] = {}
    for values, counts in counted:
        names.update(dict.fromkeys(values.names(np.flatnonzero(counts >= share))))
    hopeful = list(names)
    totals = np.zeros(len(hopeful), dtype=np.int64)
    for values, counts in counted:
        places = values.places(hopeful)
        here = np.flatnonzero(places >= 0)
        totals[here] += counts[places[here]]
    return dict(zip(hopeful, totals.tolist(), strict=True))


def _least(counts: Counts, limit: int) -> int:
    """What the first ``limit`` reach, at least 1."""
    return max(1, int(np.partition(counts, -limit)[-limit])) if limit < len(counts) else 1
