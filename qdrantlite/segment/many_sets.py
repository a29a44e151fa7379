"""What any number of bitmaps have together, in steps that let others pass.

``ask`` is called between steps, and may raise.
"""

from collections.abc import Sequence

from pyroaring import BitMap

from qdrantlite.deadline import Ask
from qdrantlite.segment.bitmaps import Bitmap

SETS_AT_ONCE = 256
"""Combined in one call, while nothing else runs."""


def union_of(sets: Sequence[Bitmap], ask: Ask) -> Bitmap:
    """Offsets in any of the sets, of which there is at least one."""
    found = sets[0]
    for at in range(1, len(sets), SETS_AT_ONCE):
        ask()
        found = found.union(*sets[at : at + SETS_AT_ONCE])
    return found


def intersection_of(sets: Sequence[Bitmap], ask: Ask) -> Bitmap:
    """Offsets in all of the sets, of which there is at least one; smallest first, so that little is left to look at
    early.
    """
    found, *others = sorted(sets, key=len)
    for at in range(0, len(others), SETS_AT_ONCE):
        ask()
        found = found.intersection(*others[at : at + SETS_AT_ONCE])
    return found


def in_at_least(count: int, sets: Sequence[Bitmap], every: Bitmap, ask: Ask) -> Bitmap:
    """Offsets in at least ``count`` of the sets, all of which lie within ``every``; that itself when nothing is asked.

    In how many each offset lies is counted in binary: one bitmap for each digit, added to with a carry. So a set costs
    two operations on average, however large the count (O'Neil and Quass, "Improved Query Performance with Variant
    Indexes", SIGMOD 1997, on bit-sliced indexes).
    """
    if count <= 0:
        return every
    digits: list[Bitmap] = []
    for number, one in enumerate(sets):
        if number % SETS_AT_ONCE == 0:
            ask()
        carry = one
        for at, digit in enumerate(digits):
            if not carry:
                break
            digits[at], carry = digit ^ carry, digit & carry
        if carry:
            digits.append(carry)
    if count >> len(digits):
        return BitMap()
    more: Bitmap = BitMap()
    equal = BitMap.union(*digits)
    for at in reversed(range(len(digits))):
        if count >> at & 1:
            equal &= digits[at]
        else:
            more |= equal & digits[at]
            equal -= digits[at]
    return more | equal
