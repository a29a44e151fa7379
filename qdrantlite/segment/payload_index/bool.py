"""Bool index: two sets of offsets."""

from collections.abc import Sequence

from pyroaring import AbstractBitMap, BitMap

from qdrantlite.query.filter import IsNullFlag, MatchBool, Predicate
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.payload_index.facet import FacetValues, Flags
from qdrantlite.segment.payload_index.parts import Part, Parts, bitmap_from, bitmap_part
from qdrantlite.segment.payload_index.presence import Presence
from qdrantlite.values.payload import Json
from qdrantlite.values.schema import FieldKind


class BoolIndex:
    """See ``PayloadIndex``. A point may hold both."""

    kind = FieldKind.BOOL

    def __init__(self) -> None:
        self._true = BitMap()
        self._false = BitMap()
        self._presence = Presence()

    def add(self, offsets: Offsets, elements: Sequence[list[Json]]) -> None:
        """See ``PayloadIndex``."""
        rows = offsets.tolist()
        for offset, found in zip(rows, elements, strict=True):
            for element in found:
                if element is True:
                    self._true.add(offset)
                elif element is False:
                    self._false.add(offset)
        self._presence.add(rows, elements)

    def remove(self, offset: int, elements: list[Json]) -> None:
        """See ``PayloadIndex``."""
        if elements:
            self.discard(BitMap((offset,)))

    def discard(self, offsets: AbstractBitMap) -> None:
        """See ``PayloadIndex``."""
        self._true -= offsets
        self._false -= offsets
        self._presence.discard(offsets)

    def match(self, predicate: Predicate) -> AbstractBitMap | None:
        """See ``PayloadIndex``."""
        match predicate:
            case MatchBool(flag):
                return (self._true if flag else self._false).copy()
            case IsNullFlag(True):
                return self._presence.nulls()
            case _:
                return None

    def valued(self) -> tuple[AbstractBitMap, AbstractBitMap]:
        """See ``PayloadIndex``."""
        return self._presence.valued()

    def points(self, live: AbstractBitMap) -> int:
        """See ``PayloadIndex``."""
        return (self._true | self._false).intersection_cardinality(live)

    def facet(self) -> FacetValues:
        """Both sets at this moment."""
        return Flags(self._true.copy(), self._false.copy())

    def dump(self) -> list[Part]:
        """See ``PayloadIndex``."""
        return [bitmap_part("true", self._true), bitmap_part("false", self._false), *self._presence.dump()]

    def load(self, parts: Parts) -> None:
        """See ``PayloadIndex``."""
        self._true = bitmap_from(parts, "true")
        self._false = bitmap_from(parts, "false")
        self._presence.load(parts)
