"""Rows that have other numbers now, for what knows rows by their numbers."""

from dataclasses import dataclass

import numpy as np

from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.runs import found_in
from qdrantlite.segment.selection import Selection

NOWHERE = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, eq=False)
class Renumbering:
    """The n-th of ``before`` is the n-th of ``after``. Others have the number that they had if ``others_stay``, else
    they are gone, or have come since.
    """

    before: Selection
    after: Selection
    others_stay: bool

    def __post_init__(self) -> None:
        assert len(self.before) == len(self.after)

    def origins(self, offsets: Offsets) -> Offsets:
        """The number that each of these rows had, ``(n,) uint32`` in the order given; NOWHERE: none."""
        origins = offsets.copy() if self.others_stay else np.full(len(offsets), NOWHERE, dtype=np.uint32)
        named, ranks = found_in(self.after.offsets(), offsets)
        origins[named] = self.before.offsets()[ranks]
        return origins
