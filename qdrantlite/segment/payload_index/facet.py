"""How many points hold each value of an indexed field: frozen views of indexes, counted for a selection at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap

from qdrantlite.segment.runs import Key, LogView, VisibleRun, alive
from qdrantlite.segment.selection import Selection
from qdrantlite.values.record import FacetHit

Counts: TypeAlias = npt.NDArray[np.int64]


class FacetValues(Protocol):
    """The values of a field at one moment; immutable, may list dead points."""

    def most_frequent(self, selection: Selection, limit: int) -> list[FacetHit]:
        """The first ``limit`` values by the number of their points in the selection, then by value."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PostedValues(Generic[Key]):
    """Values that are keys of postings; ``values_of`` tells what these keys ``(k,)`` stand for."""

    entries: LogView[Key]
    values_of: Callable[[npt.NDArray[Key]], list[str] | list[int]]

    def most_frequent(self, selection: Selection, limit: int) -> list[FacetHit]:
        """See ``FacetValues``. Looks at every entry once; only values that can be among the first are named."""
        runs = self.entries.runs()
        if not runs or not len(selection) or not limit:
            return []
        keys, runs_of_keys = np.unique(np.concatenate([visible.run.keys for visible in runs]), return_inverse=True)
        counts = np.zeros(len(keys), dtype=np.int64)
        np.add.at(counts, runs_of_keys, np.concatenate([_counted(visible, selection) for visible in runs]))
        least = max(1, int(np.partition(counts, -limit)[-limit]) if limit < len(counts) else 1)
        chosen = np.flatnonzero(counts >= least)
        return _first(list(map(FacetHit, self.values_of(keys[chosen]), counts[chosen].tolist())), limit)


@dataclass(frozen=True, slots=True, eq=False)
class Flags:
    """Points that hold true, and points that hold false."""

    true: AbstractBitMap
    false: AbstractBitMap

    def most_frequent(self, selection: Selection, limit: int) -> list[FacetHit]:
        """See ``FacetValues``."""
        hits = [
            FacetHit(value, points.intersection_cardinality(selection.bitmap))
            for value, points in ((False, self.false), (True, self.true))
        ]
        return _first([hit for hit in hits if hit.count], limit)


def _counted(visible: VisibleRun[Key], selection: Selection) -> Counts:
    """How many of the entries of each key belong to points of the selection."""
    run = visible.run
    if not len(run.keys):
        return np.zeros(0, dtype=np.int64)
    counted = selection.contains(run.offsets) & alive(run.offsets, visible.dead)
    counts: Counts = np.add.reduceat(counted, run.starts[:-1].astype(np.intp), dtype=np.int64)
    return counts


def _first(hits: list[FacetHit], limit: int) -> list[FacetHit]:
    return sorted(hits, key=lambda hit: (-hit.count, hit.value))[:limit]
