"""Bool index: two sets of offsets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.query.filter import MatchBool, Predicate
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.payload_index.facet import Counts, FacetValue, Places
from qdrantlite.segment.payload_index.kind import Piece
from qdrantlite.segment.payload_index.parts import Part, Parts, bitmap_from, bitmap_part
from qdrantlite.segment.selection import Selection
from qdrantlite.values.payload import Json


@dataclass(frozen=True, slots=True, eq=False)
class Flags:
    """See ``kind.Values``. A point may hold both."""

    true: AbstractBitMap
    false: AbstractBitMap

    @property
    def entries(self) -> int:
        """See ``kind.Values``."""
        return len(self.true) + len(self.false)

    @property
    def indexed(self) -> AbstractBitMap:
        """See ``kind.Values``."""
        return self.true | self.false

    def match(self, predicate: Predicate) -> AbstractBitMap | None:
        """See ``kind.Values``."""
        match predicate:
            case MatchBool(flag):
                return self.true if flag else self.false
            case _:
                return None

    def counts(self, selection: Selection, forgotten: AbstractBitMap) -> Counts:
        """See ``facet.Countable``; false comes first."""
        held = [points - forgotten for points in (self.false, self.true)]
        return np.array([points.intersection_cardinality(selection.bitmap) for points in held], dtype=np.int64)

    def names(self, places: Places) -> list[bool]:
        """See ``facet.Countable``."""
        return [place == 1 for place in places.tolist()]

    def places(self, names: Sequence[FacetValue]) -> Places:
        """See ``facet.Countable``."""
        return np.array(names, dtype=np.int64)

    def dump(self) -> list[Part]:
        """See ``kind.Values``."""
        return [bitmap_part("true", self.true), bitmap_part("false", self.false)]


class BoolKind:
    """See ``kind.Kind``."""

    def build(self, offsets: Offsets, elements: Sequence[list[Json]]) -> Flags:
        """See ``kind.Kind``."""
        true, false = list[int](), list[int]()
        for offset, found in zip(offsets.tolist(), elements, strict=True):
            for element in found:
                if element is True:
                    true.append(offset)
                elif element is False:
                    false.append(offset)
        return Flags(BitMap(true), BitMap(false))

    def merge(self, pieces: Sequence[Piece]) -> Flags:
        """See ``kind.Kind``."""
        true, false = BitMap(), BitMap()
        for piece in pieces:
            assert isinstance(piece.values, Flags)
            true |= piece.values.true - piece.forgotten
            false |= piece.values.false - piece.forgotten
        return Flags(true, false)

    def load(self, parts: Parts) -> Flags:
        """See ``kind.Kind``."""
        return Flags(bitmap_from(parts, "true"), bitmap_from(parts, "false"))
