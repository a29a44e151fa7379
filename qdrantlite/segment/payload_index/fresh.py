"""Fresh points of an index: what a commit has brought, and values only once a search asks for them.

Making values takes longer than all else that a small commit does, and most of it is in vain while nobody asks: commits
that follow one another make one segment, and an index that is not in a filter is not asked.
"""

from collections.abc import Sequence
from itertools import chain, compress

import numpy as np
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.query.filter import MatchKeyword, Predicate
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.payload_index.keyword import KeywordKind
from qdrantlite.segment.payload_index.kind import Kind, Values
from qdrantlite.segment.runs import alive
from qdrantlite.values.payload import Json

SCANNED_MAX = 64
"""Elements."""


class Fresh:
    """Points by their elements at the field, offsets ascending. Never changed; safe to use from any thread."""

    __slots__ = ("_values", "elements", "kind", "offsets", "size")

    def __init__(self, kind: Kind, offsets: Offsets, elements: Sequence[list[Json]]) -> None:
        self.kind = kind
        self.offsets = offsets
        self.elements = elements
        self.size = sum([len(found) for found in elements])
        self._values: Values | None = None

    def values(self) -> Values:
        """Their values, made once; threads that ask at the same time may each make the same."""
        if self._values is None:
            self._values = self.kind.build(self.offsets, self.elements)
        return self._values

    def match(self, predicate: Predicate) -> AbstractBitMap | None:
        """See ``kind.Values``. One word among few points is looked for as they are: quicker than making values."""
        is_word = isinstance(predicate, MatchKeyword) and isinstance(self.kind, KeywordKind)
        if not is_word or self._values is not None or self.size > SCANNED_MAX:
            return self.values().match(predicate)
        assert isinstance(predicate, MatchKeyword)
        word = predicate.value
        return BitMap(compress(self.offsets.tolist(), [word in found for found in self.elements]))


def together(pieces: Sequence[tuple[Fresh, AbstractBitMap]]) -> Fresh:
    """Several, at least one, each without the offsets forgotten there; no offset counts in two of them."""
    kept = [_without(fresh, forgotten) if forgotten else (fresh.offsets, fresh.elements) for fresh, forgotten in pieces]
    offsets = np.concatenate([some for some, _ in kept])
    elements = list(chain.from_iterable([some for _, some in kept]))
    if (offsets[1:] < offsets[:-1]).any():  # Seldom: what is changed has an older offset than what is new.
        order = np.argsort(offsets, kind="stable")
        offsets, elements = offsets[order], [elements[at] for at in order.tolist()]
    return Fresh(pieces[0][0].kind, offsets, elements)


def _without(fresh: Fresh, forgotten: AbstractBitMap) -> tuple[Offsets, list[list[Json]]]:
    """The offsets that are not forgotten, and their elements."""
    kept = alive(fresh.offsets, forgotten)
    return fresh.offsets[kept], list(compress(fresh.elements, kept))
