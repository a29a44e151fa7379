"""When dead points give back what they hold, how, and which. Pure: counts and settings in, a decision out.

Offsets are never given out twice. *Held* are those whose rows take room on the disk; others are vacant. In place, what
dead points hold becomes vacant, stretch by stretch: the points that still live in one are moved to the end first, so
it costs as much as lives among the dead. A copy costs as much as lives at all, and numbers offsets anew.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from qdrantlite.segment.selection import Selection
from qdrantlite.storage.store_reader import MISSING
from qdrantlite.storage.vacant import Ranges, ranges_of
from qdrantlite.values.schema import OptimizersConfig

WORTH_BYTES = 16 << 20
WORTH_OFFSETS = MISSING // 2
OFFSETS_MAX = 4
"""Offsets given out for each living point, beyond which a copy numbers them anew: it costs a quarter of what was ever
written, at most."""
OFFSET_BYTES = 32
"""What an offset takes that holds no rows: an id, a place in a graph and in codes, bounds."""
LEFT_SHARE = 0.5
"""Of the share of dead points that is too much: what may be left of them, so that the next time is not at once."""
ROUND_SHARE = 0.1
"""Of what is held, how much is moved before what it leaves is given back: so much more is held meanwhile."""
STRETCH_MAX = 1 << 16
STRETCHES = 64
"""At least, where offsets are that many: so a small shard has stretches that are dead, too."""

Counts = npt.NDArray[np.int64]


class Vacuum(Enum):
    """What to do."""

    NOTHING = "nothing"
    IN_PLACE = "in place"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class Waste:
    """What a shard holds, and in vain. Bytes are those on disk, roughly."""

    offsets: int
    """Given out."""
    vacant: int
    """Of these, how many hold nothing any more."""
    live: int
    """Of these, how many belong to points."""
    dead_bytes: int
    """Of rows of dead points."""
    free_bytes: int
    """Of pages that the point store will use again, but not give back."""
    live_bytes: int
    """Of rows and pages in use."""

    @property
    def held(self) -> int:
        """Offsets that are not vacant."""
        return self.offsets - self.vacant


def is_worn(offsets: int, live: int, settings: OptimizersConfig) -> bool:
    """Whether so many points have died that their bytes are worth counting."""
    assert settings.vacuum_min_vector_number is not None
    return offsets >= settings.vacuum_min_vector_number and _is_too_much(offsets - live, offsets, settings)


def choose(waste: Waste, settings: OptimizersConfig, *, in_place: bool) -> Vacuum:
    """What is to be done; ``in_place``: whether parts of files can be given back."""
    if not is_worn(waste.offsets, waste.live, settings):
        return Vacuum.NOTHING
    dead, is_dead = waste.dead_bytes, _is_too_much(waste.held - waste.live, waste.held, settings)
    numbered = dead + waste.free_bytes + OFFSET_BYTES * (waste.offsets - waste.live)
    if waste.offsets > WORTH_OFFSETS or (waste.offsets > OFFSETS_MAX * waste.live and numbered >= WORTH_BYTES):
        return Vacuum.COPY
    if waste.free_bytes >= WORTH_BYTES and waste.free_bytes > waste.live_bytes:
        return Vacuum.COPY
    if not in_place:
        return Vacuum.COPY if is_dead and dead + waste.free_bytes >= WORTH_BYTES else Vacuum.NOTHING
    return Vacuum.IN_PLACE if is_dead and dead >= WORTH_BYTES else Vacuum.NOTHING


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """As many offsets each, ``size``, from 0 on, without what is left at the end."""

    size: int
    held: Counts
    """Of each, offsets that are not vacant, ``(n,)``."""
    living: Counts
    """Of these, those that belong to points."""

    def ranges(self, chosen: Counts) -> Ranges:
        """The offsets of these stretches."""
        return ranges_of(np.stack((chosen, chosen + 1), axis=1) * self.size)


def stretches_of(live: Selection, offsets: int, vacant: Ranges) -> Stretches:
    """Those of all offsets that are given out."""
    size = min(STRETCH_MAX, 1 << max(0, (offsets // STRETCHES).bit_length() - 1))
    count = offsets // size
    held = size - np.diff(_vacant_below(vacant, np.arange(count + 1) * size))
    living = np.bincount(live.offsets() // np.uint32(size), minlength=count)[:count]
    return Stretches(size, held, living)


def deadest(stretches: Stretches, *, held: int, live: int, settings: OptimizersConfig, moves_max: int) -> Counts:
    """Stretches to be emptied now, ascending: the deadest, until few enough dead are left in all that is ``held``, or
    ``moves_max`` points would have to be moved.
    """
    assert settings.deleted_threshold is not None
    share = LEFT_SHARE * settings.deleted_threshold
    dead = stretches.held - stretches.living
    worth = np.flatnonzero(dead > share * stretches.held)
    worth = worth[np.argsort(-(dead[worth] / stretches.held[worth]), kind="stable")]
    emptied = np.cumsum(dead[worth])
    before = emptied - dead[worth]
    is_needed = held - live - before > share * (held - before)
    return np.sort(worth[is_needed & (np.cumsum(stretches.living[worth]) <= moves_max)])


def _is_too_much(dead: int, of: int, settings: OptimizersConfig) -> bool:
    assert settings.deleted_threshold is not None
    return dead > settings.deleted_threshold * of


def _vacant_below(vacant: Ranges, bounds: Counts) -> Counts:
    """How many vacant offsets lie below each bound, ``(n,)``."""
    sums = np.concatenate(([0], np.cumsum(vacant[:, 1] - vacant[:, 0])))
    begun = vacant[:, 0].searchsorted(bounds)
    cut = np.maximum(vacant[begun - 1, 1] - bounds, 0) if len(vacant) else np.zeros(len(bounds), np.int64)
    return sums[begun] - np.where(begun > 0, cut, 0)
