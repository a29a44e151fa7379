"""Where a long JSON text may be cut: its long lists, found by brackets and quotes alone, without parsing.

Only outermost lists count, those that no other list holds; they are cut between elements.
What is found is true of texts that are JSON; of other texts, some piece will not be JSON by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

DEPTH_MAX: Final = 128
"""Levels of arrays and objects that serde_json reads."""

_QUOTE, _OPEN_LIST, _CLOSE_LIST, _OPEN, _CLOSE = b'"[]{}'
_FOLD: Final = _OPEN ^ _OPEN_LIST
"""The bit by which brackets differ from braces; quotes have it."""


class TooDeep(Exception):
    """Arrays and objects nest deeper than ``DEPTH_MAX``."""


class Unfinished(Exception):
    """The text ends within a string, an array or an object."""


@dataclass(frozen=True, slots=True)
class LongList:
    """``cuts`` go from behind its opening bracket to its closing one; each piece but the first begins with a comma."""

    cuts: tuple[int, ...]


@dataclass(slots=True)
class _Open:
    """The outermost list that is open at the end of what was read; its elements are at ``depth``."""

    depth: int
    cuts: list[int]

    def cut(self, place: int) -> None:
        """Places come in order; the same one may come again."""
        if place > self.cuts[-1]:
            self.cuts.append(place)


@dataclass(slots=True)
class _Scan:
    """How far it has come: levels of all brackets, levels of lists, and whether it is inside a string."""

    piece_bytes: int
    depth: int = 0
    list_depth: int = 0
    quoted: bool = False
    open: _Open | None = None
    found: list[LongList] = field(default_factory=list)

    def read(self, block: bytes, start: int) -> None:
        """The next bytes of the text, which begin at ``start``. Raises TooDeep."""
        if b"\\" in block:
            block = block.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
        codes = np.frombuffer(block, np.uint8)
        folded = codes | np.uint8(_FOLD)
        at = np.flatnonzero((folded == _OPEN) | (folded == _CLOSE) | (folded == _QUOTE))
        quotes = folded[at] == _QUOTE
        quoted = np.logical_xor.accumulate(np.concatenate(([self.quoted], quotes)))[1:]
        self.quoted = bool(quoted[-1]) if len(quoted) else self.quoted
        at = at[~(quotes | quoted)]
        if len(at):
            self._pass(codes, folded, at, start)
        if self.open is not None and not self.quoted and self.depth == self.open.depth and block.endswith(b","):
            self.open.cut(start + len(block) - 1)

    def _pass(self, codes: NDArray[np.uint8], folded: NDArray[np.uint8], at: NDArray[np.intp], start: int) -> None:
        """The brackets ``at`` places of a block that begins at ``start``."""
        turns = np.where(folded[at] == _OPEN, 1, -1)
        depths = self.depth + np.cumsum(turns)
        is_list = (codes[at] == _OPEN_LIST) | (codes[at] == _CLOSE_LIST)
        list_depths = self.list_depth + np.cumsum(np.where(is_list, turns, 0))
        if depths.max() > DEPTH_MAX:
            raise TooDeep
        self.depth, self.list_depth = int(depths[-1]), int(list_depths[-1])
        self._cut(at + start, turns, depths, is_list & (list_depths == np.where(turns > 0, 1, 0)))

    def _cut(
        self, at: NDArray[np.intp], turns: NDArray[np.int_], depths: NDArray[np.int_], is_edge: NDArray[np.bool_]
    ) -> None:
        """Notes what the brackets ``at`` say; ``is_edge`` marks those that open and close outermost lists."""
        edges = np.flatnonzero(is_edge)
        if self.open is not None:
            end = int(edges[0]) if len(edges) else len(at)
            self._cut_open(self.open, at[:end][(turns[:end] < 0) & (depths[:end] == self.open.depth)])
            if not len(edges):
                return
            if len(self.open.cuts) > 1:
                self.found.append(LongList((*self.open.cuts, int(at[end]))))
            self.open = None
        if len(edges) and turns[edges[-1]] > 0:
            first = int(edges[-1])
            self.open = _Open(int(depths[first]), [int(at[first]) + 1])
            after = slice(first + 1, None)
            self._cut_open(self.open, at[after][(turns[after] < 0) & (depths[after] == self.open.depth)])

    def _cut_open(self, opened: _Open, ends: NDArray[np.intp]) -> None:
        """Cuts behind the last element that has ended, and before and behind one that is long by itself."""
        if len(ends):
            if ends[0] - opened.cuts[-1] > 2 * self.piece_bytes:
                opened.cut(int(ends[0]) + 1)
            opened.cut(int(ends[-1]) + 1)


def long_lists(content: bytes, piece_bytes: int) -> list[LongList]:
    """Those of more than about ``piece_bytes``, in the order of the text. Raises TooDeep, Unfinished."""
    scan = _Scan(piece_bytes)
    for start, end in _blocks(content, piece_bytes):
        scan.read(content[start:end], start)
    if scan.quoted or scan.depth > 0 or scan.open is not None:
        raise Unfinished
    return scan.found


def _blocks(content: bytes, size: int) -> Iterator[tuple[int, int]]:
    """About so long each; none ends between a backslash and what it escapes."""
    start = 0
    while start < len(content):
        end = content.rfind(b",", start, start + size) + 1 or min(start + size, len(content))
        while content[end - 1] == ord("\\") and end < len(content):
            end += 1
        yield start, end
        start = end
