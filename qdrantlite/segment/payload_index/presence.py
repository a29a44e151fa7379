"""Which points have anything at all at an indexed field: the part of an index that does not depend on its kind."""

from collections.abc import Sequence

from pyroaring import AbstractBitMap, BitMap

from qdrantlite.segment.payload_index.parts import Part, Parts, bitmap_from, bitmap_part
from qdrantlite.values.payload import Json


class Presence:
    """Three sets of offsets: with some value that is not null, with nothing but nulls, with a null among the values."""

    def __init__(self) -> None:
        self._valued = BitMap()
        self._null_only = BitMap()
        self._nulls = BitMap()

    def add(self, offsets: list[int], elements: Sequence[list[Json]]) -> None:
        """Take up points by their elements at the field."""
        valued: list[int] = []
        for offset, found in zip(offsets, elements, strict=True):
            if None in found:
                self._nulls.add(offset)
                if all(element is None for element in found):
                    self._null_only.add(offset)
                    continue
            if found:
                valued.append(offset)
        self._valued.update(valued)

    def discard(self, offsets: AbstractBitMap) -> None:
        """Forget points."""
        for bitmap in (self._valued, self._null_only, self._nulls):
            bitmap.difference_update(offsets)

    def valued(self) -> tuple[AbstractBitMap, AbstractBitMap]:
        """Points with a value that is not null, and points with nothing but nulls."""
        return self._valued.copy(), self._null_only.copy()

    def nulls(self) -> AbstractBitMap:
        """Points with a null among their values."""
        return self._nulls.copy()

    def dump(self) -> list[Part]:
        """Everything needed to ``load``."""
        named = (("valued", self._valued), ("null_only", self._null_only), ("nulls", self._nulls))
        return [bitmap_part(name, bitmap) for name, bitmap in named]

    def load(self, parts: Parts) -> None:
        """Take the state of a dump. Raises KeyError."""
        self._valued = bitmap_from(parts, "valued")
        self._null_only = bitmap_from(parts, "null_only")
        self._nulls = bitmap_from(parts, "nulls")
