"""What the last commits touched: with it, what was found for one state of a shard serves those that follow it.

What a filter asks of a point differs between two states for the offsets that the commits between them touched, and for
no other. So an answer kept for the earlier one is brought forward by asking anew of these alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.selection import NO_POINTS, Selection
from qdrantlite.values.payload import Payload, elements_of, parse_path

COMMITS_MAX = 64
OFFSETS_MAX = 1024
"""Answers are brought forward over so many at most; what is older is found anew."""


class Touched:
    """What one commit touched; never changed. ``payloads`` are those that the points have since, None: not known."""

    __slots__ = ("_payloads", "_words", "offsets", "size")

    def __init__(self, offsets: Selection, payloads: Sequence[Payload] | None) -> None:
        self.offsets = offsets
        self.size = len(offsets)
        self._payloads = payloads
        self._words: dict[str, frozenset[str]] = {}

    def may_hold(self, key: str, word: str) -> bool:
        """Whether one of the points may have this string among its elements at a key."""
        if self._payloads is None:
            return True
        words = self._words.get(key)
        if words is None:
            found = chain.from_iterable(elements_of(self._payloads, parse_path(key)))
            words = self._words[key] = frozenset([element for element in found if isinstance(element, str)])
        return word in words


@dataclass(frozen=True, slots=True, eq=False)
class Lately:
    """Of one state: the number of its commit, how many offsets all commits up to it touched, repetitions counted, and
    what the last ``commits`` touched, newest last.
    """

    number: int = 0
    touched: int = 0
    commits: tuple[Touched, ...] = ()
    held: int = 0
    """Offsets in these, each counted in every commit that touched it."""

    def after(self, offsets: Offsets, payloads: Sequence[Payload] | None = None) -> "Lately":
        """Of the state that follows a commit that touched these, at least one; ``payloads``: see ``Touched``."""
        commits = (*self.commits, Touched(Selection.from_offsets(offsets), payloads))
        held, first = self.held + commits[-1].size, 0
        while held > OFFSETS_MAX or len(commits) - first > COMMITS_MAX:
            held, first = held - commits[first].size, first + 1
        return Lately(self.number + 1, self.touched + len(offsets), commits[first:], held)

    def since(self, number: int) -> Selection | None:
        """The offsets touched since the commit of this number, none only if it is this one; None when they are not
        known any more, or that commit is yet to come.
        """
        behind = self.number - number
        if not 0 <= behind <= len(self.commits):
            return None
        if behind == 0:
            return NO_POINTS
        touched = self.commits[-1].offsets
        for commit in self.commits[-behind:-1]:
            touched = touched.union(commit.offsets)
        return touched

    def may_hold(self, number: int, key: str, word: str) -> bool:
        """Whether a point touched since the commit of this number, which ``since`` knows, may have this string among
        its elements at a key.
        """
        return any(commit.may_hold(key, word) for commit in self.commits[number - self.number :])
