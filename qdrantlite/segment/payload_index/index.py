"""What every payload index offers, and the choice of one by kind."""

from collections.abc import Sequence
from typing import Protocol

from pyroaring import AbstractBitMap

from qdrantlite.errors import Unsupported
from qdrantlite.query.filter import Predicate
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.payload_index.bool import BoolIndex
from qdrantlite.segment.payload_index.keyword import KeywordIndex
from qdrantlite.segment.payload_index.numeric import float_index, float_of, integer_index, integer_of
from qdrantlite.segment.payload_index.parts import Part, Parts
from qdrantlite.values.payload import Json
from qdrantlite.values.schema import FieldIndex, FieldKind


class PayloadIndex(Protocol):
    """Which offsets hold which values of one payload field.

    Offsets of dead points stay in until they are discarded: callers intersect with the live ones. All methods run under
    the collection's lock; what they return is never changed afterwards and may be used without it.
    """

    @property
    def kind(self) -> FieldKind:
        """The kind it was made for."""
        ...

    def add(self, offsets: Offsets, elements: Sequence[list[Json]]) -> None:
        """Take up points: ``elements[i]`` is ``elements_at(payload, path)`` of ``offsets[i]``, each offset once.

        Values of other types are skipped. An offset that is in already must be removed or discarded first.
        """
        ...

    def remove(self, offset: int, elements: list[Json]) -> None:
        """Forget one point, whose elements were these."""
        ...

    def discard(self, offsets: AbstractBitMap) -> None:
        """Forget these points; offsets that are not in are no error. One call for many points is one step."""
        ...

    def match(self, predicate: Predicate) -> AbstractBitMap | None:
        """Offsets for which the predicate holds, dead ones included; ``None`` when this index cannot tell.

        Of the two flags only ``IsNullFlag(True)`` is answered: the others hold for points that are not here, see
        ``valued``.
        """
        ...

    def valued(self) -> tuple[AbstractBitMap, AbstractBitMap]:
        """Points with some value that is not null, whatever its type; and points with nothing but nulls.

        All other points are empty at this field. Of those with nothing but nulls a bare null is empty and an array of
        nulls is not, which only the payload tells.
        """
        ...

    def points(self, live: AbstractBitMap) -> int:
        """Number of live points with at least one value of this kind."""
        ...

    def dump(self) -> list[Part]:
        """Everything needed to ``load`` into a fresh index of the kind: a few arrays whatever the number of points."""
        ...

    def load(self, parts: Parts) -> None:
        """Take the state of a dump; the index must be fresh. Arrays are kept, not copied. Raises KeyError."""
        ...


def make_index(field: FieldIndex) -> PayloadIndex:
    """An empty index of the field's kind. Raises Unsupported for kinds that do not exist yet."""
    match field.kind:
        case FieldKind.KEYWORD:
            return KeywordIndex()
        case FieldKind.INTEGER:
            return integer_index()
        case FieldKind.FLOAT:
            return float_index()
        case FieldKind.BOOL:
            return BoolIndex()
        case FieldKind.GEO | FieldKind.TEXT | FieldKind.DATETIME | FieldKind.UUID:
            raise Unsupported(f"Payload indexes of kind `{field.kind.value}` are not supported yet")


def held_elements(kind: FieldKind, elements: Sequence[Json]) -> list[Json]:
    """What an index of a kind holds of the elements of its field, as it holds it."""
    match kind:
        case FieldKind.INTEGER:
            return list(dict.fromkeys(number for element in elements if (number := integer_of(element)) is not None))
        case FieldKind.FLOAT:
            return [found for element in elements if (found := float_of(element)) is not None]
        case FieldKind.KEYWORD:
            return [element for element in elements if isinstance(element, str)]
        case FieldKind.BOOL:
            return list(dict.fromkeys(element for element in elements if isinstance(element, bool)))
        case FieldKind.GEO | FieldKind.TEXT | FieldKind.DATETIME | FieldKind.UUID:
            raise Unsupported(f"Payload indexes of kind `{kind.value}` are not supported yet")


def supports_order_by(field: FieldIndex) -> bool:
    """Whether points can be ordered by an index of this schema: float, and integer unless its range is switched off."""
    if field.kind is FieldKind.INTEGER:
        return field.params is None or field.params.range is not False
    return field.kind is FieldKind.FLOAT


def supports_facet(field: FieldIndex) -> bool:
    """Whether an index of this schema counts values: keyword, bool, and integer unless its lookup is switched off."""
    if field.kind is FieldKind.INTEGER:
        return field.params is None or field.params.lookup is not False
    return field.kind in (FieldKind.KEYWORD, FieldKind.BOOL)
