"""What the last commits touched: with it, what was found for one state of a shard serves those that follow it.

What a filter asks of a point differs between two states for the offsets that the commits between them touched, and for
no other. So an answer kept for the earlier one is brought forward by asking anew of these alone.
"""

from dataclasses import dataclass

from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.selection import NO_POINTS, Selection

COMMITS_MAX = 64
OFFSETS_MAX = 1024
"""Answers are brought forward over so many at most; what is older is found anew."""


@dataclass(frozen=True, slots=True, eq=False)
class Lately:
    """Of one state: the number of its commit, how many offsets all commits up to it touched, repetitions counted, and
    what the last ``commits`` touched, newest last.
    """

    number: int = 0
    touched: int = 0
    commits: tuple[Selection, ...] = ()

    def after(self, offsets: Offsets) -> "Lately":
        """Of the state that follows a commit that touched these, at least one."""
        commits = (*self.commits, Selection.from_offsets(offsets)) if len(offsets) <= OFFSETS_MAX else ()
        return Lately(self.number + 1, self.touched + len(offsets), commits[-COMMITS_MAX:])

    def since(self, number: int) -> Selection | None:
        """The offsets touched since the commit of this number, none only if it is this one; None when they are not
        known, or too many, or that commit is yet to come.
        """
        behind = self.number - number
        if not 0 <= behind <= len(self.commits):
            return None
        if behind == 0:
            return NO_POINTS
        touched = self.commits[-1]
        for commit in self.commits[-behind:-1]:
            touched = touched.union(commit)
        return touched if len(touched) <= OFFSETS_MAX else None
