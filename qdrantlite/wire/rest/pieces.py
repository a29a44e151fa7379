"""Where a long JSON text may be cut: its long lists, or its object, found by brackets and quotes without parsing.

A list is cut between elements, an object between members. Of lists only the outermost count, those that no other list
holds. What is found is true of texts that are JSON; of other texts, some piece will not be JSON by itself.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

DEPTH_MAX: Final = 128
"""Levels of arrays and objects that serde_json reads."""

LIST, OBJECT = b"[{"
"""Kinds of what is cut, by what opens them."""

_QUOTE, _OPEN, _CLOSE = b'"{}'
_FOLD: Final = OBJECT ^ LIST
"""The bit by which brackets differ from braces; quotes have it."""


class TooDeep(Exception):
    """Arrays and objects nest deeper than ``DEPTH_MAX``."""


class Unfinished(Exception):
    """The text ends within a string, an array or an object."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some elements, or members: the text from ``start`` to ``end``, which begins with a comma unless it is the first.

    ``inner`` is where its last one opens, if that is long by itself.
    """

    start: int
    end: int
    inner: int | None


@dataclass(frozen=True, slots=True)
class Long:
    """A list or an object. ``cuts`` go from behind its opening bracket to its closing one; ``inner`` is by the cut."""

    cuts: tuple[int, ...]
    inner: Mapping[int, int]

    def pieces(self) -> Iterator[Piece]:
        """In order."""
        for start, end in pairwise(self.cuts):
            yield Piece(start, end, self.inner.get(start))


@dataclass(slots=True)
class _Open:
    """What is cut and still open at the end of what was read; what it holds is at ``depth``."""

    depth: int
    cuts: list[int]
    within: int = -1
    """Where the last array or object in it opens."""
    inner: dict[int, int] = field(default_factory=dict)

    def cut(self, place: int) -> None:
        """Places come in order; the same one may come again."""
        if place > self.cuts[-1]:
            self.cuts.append(place)


@dataclass(slots=True)
class _Scan:
    """How far it has come: levels of all brackets, levels of those of the kind that is cut, whether within a string."""

    kind: int
    piece_bytes: int
    depth: int = 0
    kind_depth: int = 0
    quoted: bool = False
    open: _Open | None = None
    found: list[Long] = field(default_factory=list)

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
        is_kind = (codes[at] == self.kind) | (codes[at] == self.kind + _CLOSE - _OPEN)
        kind_depths = self.kind_depth + np.cumsum(np.where(is_kind, turns, 0))
        if depths.max() > DEPTH_MAX:
            raise TooDeep
        self.depth, self.kind_depth = int(depths[-1]), int(kind_depths[-1])
        self._cut(at + start, turns, depths, is_kind & (kind_depths == np.where(turns > 0, 1, 0)))

    def _cut(
        self, at: NDArray[np.intp], turns: NDArray[np.int_], depths: NDArray[np.int_], is_edge: NDArray[np.bool_]
    ) -> None:
        """Notes what the brackets ``at`` say; ``is_edge`` marks those that open and close what is cut."""
        edges = np.flatnonzero(is_edge)
        if self.open is not None:
            end = int(edges[0]) if len(edges) else len(at)
            self._cut_open(self.open, at[:end], turns[:end], depths[:end])
            if not len(edges):
                return
            if len(self.open.cuts) > 1:
                self.found.append(Long((*self.open.cuts, int(at[end])), self.open.inner))
            self.open = None
        if len(edges) and turns[edges[-1]] > 0:
            first = int(edges[-1])
            self.open = _Open(int(depths[first]), [int(at[first]) + 1])
            self._cut_open(self.open, at[first + 1 :], turns[first + 1 :], depths[first + 1 :])

    def _cut_open(self, opened: _Open, at: NDArray[np.intp], turns: NDArray[np.int_], depths: NDArray[np.int_]) -> None:
        """Cuts behind the last array or object within that has ended, and behind one that is long by itself."""
        ends = at[(turns < 0) & (depths == opened.depth)]
        if len(ends):
            if ends[0] - opened.cuts[-1] > 2 * self.piece_bytes:
                if opened.within >= opened.cuts[-1]:
                    opened.inner[opened.cuts[-1]] = opened.within
                opened.cut(int(ends[0]) + 1)
            opened.cut(int(ends[-1]) + 1)
        begins = at[(turns > 0) & (depths == opened.depth + 1)]
        if len(begins):
            opened.within = int(begins[-1])


def long_lists(content: bytes, piece_bytes: int) -> list[Long]:
    """Those of more than about ``piece_bytes``, in the order of the text. Raises TooDeep, Unfinished."""
    return _scanned(content, LIST, piece_bytes)


def long_object(content: bytes, piece_bytes: int) -> Long | None:
    """The object that a text is, if it may be cut. Raises TooDeep, Unfinished."""
    found = _scanned(content, OBJECT, piece_bytes)
    return found[0] if found and not content[: found[0].cuts[0] - 1].strip() else None


def _scanned(content: bytes, kind: int, piece_bytes: int) -> list[Long]:
    scan = _Scan(kind, piece_bytes)
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
