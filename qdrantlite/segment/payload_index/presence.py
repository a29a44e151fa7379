"""Which points have anything at all at an indexed field: the part of an index that does not depend on its kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pyroaring import AbstractBitMap, BitMap

from qdrantlite.segment.bitmaps import Offsets, visible_union
from qdrantlite.segment.payload_index.parts import Part, Parts, bitmap_from, bitmap_part
from qdrantlite.values.payload import Json

Bitmap: TypeAlias = AbstractBitMap


@dataclass(frozen=True, slots=True, eq=False)
class Presence:
    """Three sets of offsets, not to be changed."""

    valued: Bitmap
    """With some value that is not null."""
    null_only: Bitmap
    """With nothing but nulls."""
    nulls: Bitmap
    """With a null among the values."""

    @staticmethod
    def of(offsets: Offsets, elements: Sequence[list[Json]]) -> "Presence":
        """Of points by their elements at the field."""
        valued, null_only, nulls = list[int](), list[int](), list[int]()
        for offset, found in zip(offsets.tolist(), elements, strict=True):
            if None in found:
                nulls.append(offset)
                if all(element is None for element in found):
                    null_only.append(offset)
                    continue
            if found:
                valued.append(offset)
        return Presence(BitMap(valued), BitMap(null_only), BitMap(nulls))

    @staticmethod
    def merged(pieces: "Sequence[tuple[Presence, Bitmap]]") -> "Presence":
        """Of several segments, each without what is forgotten there."""
        return Presence(
            visible_union([(presence.valued, forgotten) for presence, forgotten in pieces]),
            visible_union([(presence.null_only, forgotten) for presence, forgotten in pieces]),
            visible_union([(presence.nulls, forgotten) for presence, forgotten in pieces]),
        )

    @staticmethod
    def load(parts: Parts) -> "Presence":
        """From a dump. Raises KeyError."""
        return Presence(bitmap_from(parts, "valued"), bitmap_from(parts, "null_only"), bitmap_from(parts, "nulls"))

    def dump(self) -> list[Part]:
        """Everything needed to ``load``."""
        named = (("valued", self.valued), ("null_only", self.null_only), ("nulls", self.nulls))
        return [bitmap_part(name, bitmap) for name, bitmap in named]
