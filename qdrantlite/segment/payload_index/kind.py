"""What a kind of payload index is made of: values of the points of one segment, immutable, one module per kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pyroaring import AbstractBitMap

from qdrantlite.query.filter import Predicate
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.payload_index.parts import Part, Parts
from qdrantlite.values.payload import Json


class Values(Protocol):
    """Which offsets hold which values of one field, of the points of one segment. Bitmaps are not to be changed."""

    @property
    def entries(self) -> int:
        """How many there are: a value of a point is one."""
        ...

    @property
    def indexed(self) -> AbstractBitMap:
        """Points with at least one value of the kind."""
        ...

    def match(self, predicate: Predicate) -> AbstractBitMap | None:
        """Points for which the predicate holds; ``None`` when this kind cannot tell, whatever the values."""
        ...

    def dump(self) -> list[Part]:
        """Everything needed to ``load``: a few arrays whatever the number of points."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Values of one segment, and the offsets among them that count no more."""

    values: Values
    forgotten: AbstractBitMap


class Kind(Protocol):
    """Makes values; knows the parameters of its index."""

    def build(self, offsets: Offsets, elements: Sequence[list[Json]]) -> Values:
        """Of points: ``elements[i]`` is ``elements_at(payload, path)`` of ``offsets[i]``; offsets ascend.

        Elements of other types are passed over.
        """
        ...

    def merge(self, pieces: Sequence[Piece]) -> Values:
        """The values of several segments of this kind that are not forgotten; no offset counts in two of them."""
        ...

    def load(self, parts: Parts) -> Values:
        """Values from a dump. Arrays are kept, not copied: they may be mapped. Raises KeyError."""
        ...
