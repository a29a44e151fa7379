"""A payload index as readers see it: a stack of segments, immutable; and the choice of its kind by the schema."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from pyroaring import AbstractBitMap

from qdrantlite.query.elements import instant_of
from qdrantlite.query.filter import (
    GeoBoundingBox,
    GeoPolygon,
    GeoRadius,
    IsNullFlag,
    MatchPhrase,
    MatchSubstring,
    Predicate,
)
from qdrantlite.segment.bitmaps import Offsets, visible_union
from qdrantlite.segment.cache import Cache
from qdrantlite.segment.merge_policy import is_tiny
from qdrantlite.segment.payload_index.bool import BoolKind, Flags
from qdrantlite.segment.payload_index.facet import Countable, FacetValues
from qdrantlite.segment.payload_index.fresh import Fresh, together
from qdrantlite.segment.payload_index.geo import GeoKind, held_point
from qdrantlite.segment.payload_index.keyword import KeywordKind, Keywords
from qdrantlite.segment.payload_index.kind import Kind, Piece, Values
from qdrantlite.segment.payload_index.numeric import (
    Numbers,
    datetime_kind,
    float_kind,
    float_of,
    integer_kind,
    integer_of,
)
from qdrantlite.segment.payload_index.ordered import OrderedValues
from qdrantlite.segment.payload_index.parts import Part, Parts
from qdrantlite.segment.payload_index.presence import Presence
from qdrantlite.segment.payload_index.text import TextKind, Texts
from qdrantlite.segment.payload_index.text_scores import TextScores, TextSegment
from qdrantlite.segment.payload_index.uuid import UuidKind, Uuids, uuids_among
from qdrantlite.segment.runs import VisibleRun
from qdrantlite.segment.stack import Layer, Stack
from qdrantlite.text.parameters import index_text_params
from qdrantlite.values.payload import Json
from qdrantlite.values.schema import FieldIndex, FieldKind, FieldParams

ANSWERS_OFFSETS_MAX = 1 << 20
"""Offsets in the answers that a segment keeps, at two bytes or less each."""
_LONG_TO_FIND = (MatchSubstring, MatchPhrase, GeoRadius, GeoBoundingBox, GeoPolygon)
"""The others are looked up, or put together from bitmaps that runs keep."""


@dataclass(frozen=True, slots=True, eq=False)
class IndexSegment:
    """What an index holds of some points; see ``stack.Segment``."""

    made: Values | Fresh
    presence: Presence
    held: AbstractBitMap
    answers: Cache[Predicate, AbstractBitMap] = field(default_factory=partial(Cache, offsets_max=ANSWERS_OFFSETS_MAX))
    """What was long to find, so that commits and other conditions beside it do not make it be found again."""

    @property
    def values(self) -> Values:
        """The values; those of fresh points are made now, if they have not been."""
        return self.made.values() if isinstance(self.made, Fresh) else self.made

    @property
    def size(self) -> int:
        """Number of values, and of points that have none of the kind; of fresh points at least that."""
        if isinstance(self.made, Fresh):
            return self.made.size
        return self.made.entries + len(self.held) - len(self.made.indexed)

    def match(self, predicate: Predicate) -> AbstractBitMap | None:
        """See ``kind.Values``."""
        if isinstance(self.made, Fresh) or not isinstance(predicate, _LONG_TO_FIND):
            return self.made.match(predicate)
        found = self.answers.find(predicate)
        if found is None:
            found = self.made.match(predicate)
            if found is not None:
                self.answers.keep(predicate, found, len(found))
        return found

    def dump(self) -> list[Part]:
        """Everything needed to ``load``."""
        return [*self.values.dump(), *self.presence.dump()]


@dataclass(frozen=True, slots=True, eq=False)
class PayloadIndex:
    """Which offsets hold which values of one payload field. Immutable: a commit makes a new one.

    Dead points are among them until they are forgotten: callers intersect with the live ones. Bitmaps it returns are
    not to be changed.
    """

    schema: FieldIndex
    kind: Kind
    stack: Stack[IndexSegment] = field(default_factory=Stack)

    def with_points(self, offsets: Offsets, elements: Sequence[list[Json]]) -> "PayloadIndex":
        """With points taken up: ``elements[i]`` is ``elements_at(payload, path)`` of ``offsets[i]``.

        Offsets ascend, each once; what is here of them already must have been forgotten before.
        """
        return replace(self, stack=self.stack.added(self.segment_of(offsets, elements), self.merged))

    def without(self, offsets: AbstractBitMap) -> "PayloadIndex":
        """With these points forgotten; those that are not here are no error."""
        return replace(self, stack=self.stack.without(offsets))

    def among(self, offsets: AbstractBitMap) -> "PayloadIndex":
        """What can be asked for these points, and may be wrong for others: the segments that hold some of them."""
        return PayloadIndex(self.schema, self.kind, self.stack.among(offsets))

    def emptied(self) -> "PayloadIndex":
        """Of the same kind, without a point."""
        return PayloadIndex(self.schema, self.kind)

    def below(self, other: "PayloadIndex") -> "PayloadIndex":
        """With the segments of another one of the same kind on top; no point counts in both."""
        return PayloadIndex(self.schema, self.kind, Stack((*self.stack.layers, *other.stack.layers)))

    def settled(self) -> "PayloadIndex":
        """With all segments merged that ought to be: answers do not change."""
        return replace(self, stack=self.stack.settled(self.merged))

    def segment_of(self, offsets: Offsets, elements: Sequence[list[Json]]) -> IndexSegment:
        """A segment of these points alone, see ``with_points``."""
        presence = Presence.of(offsets, elements)
        fresh = Fresh(self.kind, offsets, elements)
        made = fresh if is_tiny(fresh.size) else fresh.values()
        return IndexSegment(made, presence, presence.valued | presence.null_only)

    def merged(self, layers: Sequence[Layer[IndexSegment]]) -> IndexSegment:
        """One segment of several; see ``stack.Merge``."""
        presence = Presence.merged([(layer.segment.presence, layer.forgotten) for layer in layers])
        fresh = [(layer.segment.made, layer.forgotten) for layer in layers if isinstance(layer.segment.made, Fresh)]
        made: Values | Fresh
        if len(fresh) == len(layers) and is_tiny(sum([one.size for one, _ in fresh])):
            made = together(fresh)
        else:
            made = self.kind.merge([Piece(layer.segment.values, layer.forgotten) for layer in layers])
        return IndexSegment(made, presence, presence.valued | presence.null_only)

    def load(self, parts: Parts) -> IndexSegment:
        """A segment from its dump. Raises KeyError."""
        presence = Presence.load(parts)
        return IndexSegment(self.kind.load(parts), presence, presence.valued | presence.null_only)

    def match(self, predicate: Predicate) -> AbstractBitMap | None:
        """Offsets for which the predicate holds, dead ones included; ``None`` when this index cannot tell.

        Of the two flags only ``IsNullFlag(True)`` is answered: the others hold for points that are not here, see
        ``valued``.
        """
        if predicate == IsNullFlag(True):
            return visible_union([(layer.segment.presence.nulls, layer.forgotten) for layer in self.stack])
        found: list[tuple[AbstractBitMap, AbstractBitMap]] = []
        for layer in self._layers():
            holding = layer.segment.match(predicate)
            if holding is None:
                return None
            found.append((holding, layer.forgotten))
        return visible_union(found)

    def valued(self) -> tuple[AbstractBitMap, AbstractBitMap]:
        """Points with some value that is not null, whatever its type; and points with nothing but nulls.

        All other points are empty at this field. Of those with nothing but nulls a bare null is empty and an array of
        nulls is not, which only the payload tells.
        """
        valued = visible_union([(layer.segment.presence.valued, layer.forgotten) for layer in self.stack])
        return valued, visible_union([(layer.segment.presence.null_only, layer.forgotten) for layer in self.stack])

    def points(self, live: AbstractBitMap) -> int:
        """Number of live points with at least one value of this kind."""
        return sum([(values.indexed - gone).intersection_cardinality(live) for values, gone in self._segments()])

    def ordered(self) -> OrderedValues:
        """The numbers in order. Only where ``supports_order_by``."""
        runs = [
            VisibleRun(values.postings.run, forgotten)
            for values, forgotten in self._segments()
            if isinstance(values, Numbers)
        ]
        return OrderedValues(tuple(runs), integers=self.schema.kind is not FieldKind.FLOAT)

    def texts(self) -> TextScores:
        """The texts, to be ranked by words. Only where ``supports_ranking``."""
        return TextScores(
            tuple(
                [
                    TextSegment(values.words, values.lengths, forgotten)
                    for values, forgotten in self._segments()
                    if isinstance(values, Texts) and values.lengths is not None
                ]
            )
        )

    def facet(self) -> FacetValues:
        """The values, to be counted. Only where ``supports_facet``."""
        countable: list[tuple[Countable, AbstractBitMap]] = []
        for values, forgotten in self._segments():
            assert isinstance(values, Keywords | Numbers | Flags | Uuids)
            countable.append((values, forgotten))
        return FacetValues(tuple(countable))

    def _segments(self) -> list[tuple[Values, AbstractBitMap]]:
        """Values of each segment with what is forgotten there."""
        return [(layer.segment.values, layer.forgotten) for layer in self._layers()]

    def _layers(self) -> tuple[Layer[IndexSegment], ...]:
        """The segments; an empty one where there is none, to be asked."""
        return self.stack.layers or (Layer(self.segment_of(_NO_OFFSETS, ())),)


_NO_OFFSETS: Offsets = np.empty(0, dtype=np.uint32)


def make_index(schema: FieldIndex) -> PayloadIndex:
    """An empty index. Raises BadInput for a text index in languages that are not known."""
    return PayloadIndex(schema, _kind_of(schema))


def _kind_of(schema: FieldIndex) -> Kind:
    match schema.kind:
        case FieldKind.KEYWORD:
            return KeywordKind()
        case FieldKind.INTEGER:
            return integer_kind()
        case FieldKind.FLOAT:
            return float_kind()
        case FieldKind.BOOL:
            return BoolKind()
        case FieldKind.DATETIME:
            return datetime_kind()
        case FieldKind.UUID:
            return UuidKind()
        case FieldKind.GEO:
            return GeoKind()
        case FieldKind.TEXT:
            params = schema.params or FieldParams()
            phrases, scoring = params.phrase_matching is True, params.scoring is not None
            return TextKind(index_text_params(params), phrases=phrases, scoring=scoring)


def held_elements(kind: FieldKind, elements: Sequence[Json]) -> list[Json] | None:
    """What an index of a kind holds of the elements of its field, as it holds it; None where it gives nothing back."""
    match kind:
        case FieldKind.INTEGER:
            return list(dict.fromkeys(number for element in elements if (number := integer_of(element)) is not None))
        case FieldKind.FLOAT:
            return [found for element in elements if (found := float_of(element)) is not None]
        case FieldKind.KEYWORD:
            return [element for element in elements if isinstance(element, str)]
        case FieldKind.BOOL:
            return list(dict.fromkeys(element for element in elements if isinstance(element, bool)))
        case FieldKind.DATETIME:
            return [element for element in elements if instant_of(element) is not None]
        case FieldKind.UUID:
            return list(uuids_among(elements))
        case FieldKind.GEO:
            return [element for element in elements if held_point(element) is not None]
        case FieldKind.TEXT:
            return None


def supports_order_by(field: FieldIndex) -> bool:
    """Whether points can be ordered by an index of this schema: numbers and dates, of integers unless range is off."""
    if field.kind is FieldKind.INTEGER:
        return field.params is None or field.params.range is not False
    return field.kind in (FieldKind.FLOAT, FieldKind.DATETIME)


def supports_ranking(field: FieldIndex) -> bool:
    """Whether texts can be ranked by an index of this schema: of texts, if it is to score them."""
    return field.kind is FieldKind.TEXT and field.params is not None and field.params.scoring is not None


def supports_facet(field: FieldIndex) -> bool:
    """Whether an index of this schema counts values: keyword, uuid, bool, and integer unless its lookup is off."""
    if field.kind is FieldKind.INTEGER:
        return field.params is None or field.params.lookup is not False
    return field.kind in (FieldKind.KEYWORD, FieldKind.UUID, FieldKind.BOOL)
