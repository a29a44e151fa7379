"""When segments of a stack are merged: a pure function of their sizes and of what is forgotten in them.

Tiers as in log-structured merge trees (P. O'Neil et al., "The Log-Structured Merge-Tree", 1996): a commit merges what
is tiny; behind it a segment is merged with its younger neighbours once these together are no longer small beside it.
So there are some ``log2(n / TINY_MAX)`` segments and each entry is written as often. At rest few segments are worth
more than writing seldom: then a segment is merged with its younger neighbours while it is no larger by a wider ratio.
Whoever rests after every single write has each entry written up to three times as often.
"""

from collections.abc import Sequence
from dataclasses import dataclass

TINY_MAX = 1024
"""A commit merges its segment with the one below if they have no more entries together."""
TINY_RATIO = 8
"""And if the one below has no more than so many times as many entries."""
RATIO = 2
RATIO_AT_REST = 16
SHARE_FORGOTTEN_MAX = 0.25
"""A segment in which more counts no longer is written anew."""


@dataclass(frozen=True, slots=True)
class SegmentSize:
    """Entries of a segment, and the share of its offsets that counts no more."""

    entries: int
    share_forgotten: float = 0.0


def merges_at_once(older: int, newer: int) -> bool:
    """Whether a commit merges its segment with the one below, by their numbers of entries."""
    return older <= TINY_RATIO * newer and is_tiny(older + newer)


def is_tiny(entries: int) -> bool:
    """Whether a segment of so many is made anew by commits, not behind them."""
    return entries <= TINY_MAX


def choose_merge(sizes: Sequence[SegmentSize], *, at_rest: bool = False) -> range | None:
    """Which adjacent segments, oldest first, to make one; None when they are well as they are.

    Of one segment alone what is forgotten is left out. ``at_rest``: nothing has been written for a while.
    """
    younger, ratio = 0, RATIO_AT_REST if at_rest else RATIO
    first = len(sizes)
    for at in range(len(sizes) - 1, -1, -1):
        if at < len(sizes) - 1 and sizes[at].entries <= ratio * younger:
            first = at
        younger += sizes[at].entries
    if first < len(sizes) - 1 and (at_rest or not _all_tiny(sizes[first:])):
        return range(first, len(sizes))
    for at, size in enumerate(sizes):
        if size.share_forgotten > SHARE_FORGOTTEN_MAX:
            return range(at, at + 1)
    return None


def _all_tiny(sizes: Sequence[SegmentSize]) -> bool:
    """Whether commits will merge them soon enough."""
    return is_tiny(sum(size.entries for size in sizes))
