"""Frees what a long request has made, little by little.

Python frees a list, and all that only it refers to, in one go while no other thread runs: half a second for what 32 MB
of small values have become. Whoever holds the last reference can take it apart first.
"""

from enum import Enum
from gc import get_referents
from typing import Final

LONG_BYTES: Final = 2**18
"""What a shorter text becomes, or comes from, is freed soon enough by itself."""

PARTS_ENOUGH: Final = 1000
"""A thousandth of what 32 MB become is freed in less than a millisecond."""

LEVELS_MAX: Final = 8
"""How far down parts are looked for; in what nests deeper they are few."""


def release(held: list[object]) -> None:
    """Empties ``held``; what nothing else refers to is gone then. Nothing that is referred to is changed."""
    while held:
        parts = [held.pop()]
        for _ in range(LEVELS_MAX):
            if len(parts) >= PARTS_ENOUGH:
                break
            parts = _within(parts)
        while parts:  # Between two turns of a loop other threads may run.
            parts.pop()


def _within(parts: list[object]) -> list[object]:
    """What ``parts`` consist of, which they no longer hold together."""
    found: list[object] = []
    while parts:
        part = parts.pop()
        if not isinstance(part, type | Enum):
            found += get_referents(part)
    return found
