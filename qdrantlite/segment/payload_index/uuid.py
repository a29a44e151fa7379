"""UUID index: a keyword index of UUIDs in their usual spelling, for they may be spelled in several ways.

Strings that are no UUIDs are not here, so a match of such strings is left to payloads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pyroaring import AbstractBitMap

from qdrantlite.query.filter import MatchAnyKeyword, MatchExceptKeyword, MatchKeyword, Predicate
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.payload_index.facet import Counts, FacetValue, Places
from qdrantlite.segment.payload_index.keyword import KeywordKind, Keywords
from qdrantlite.segment.payload_index.kind import Piece
from qdrantlite.segment.payload_index.parts import Part, Parts
from qdrantlite.segment.selection import Selection
from qdrantlite.values.payload import Json
from qdrantlite.values.point_id import usual_uuid


@dataclass(frozen=True, slots=True, eq=False)
class Uuids:
    """See ``kind.Values``."""

    keywords: Keywords

    @property
    def entries(self) -> int:
        """See ``kind.Values``."""
        return self.keywords.entries

    @property
    def indexed(self) -> AbstractBitMap:
        """See ``kind.Values``."""
        return self.keywords.indexed

    def match(self, predicate: Predicate) -> AbstractBitMap | None:
        """See ``kind.Values``."""
        match predicate:
            case MatchKeyword(word):
                spelled = _spelled([word])
                return None if spelled is None else self.keywords.match(MatchKeyword(*spelled))
            case MatchAnyKeyword(words):
                spelled = _spelled(words)
                return None if spelled is None else self.keywords.match(MatchAnyKeyword(spelled))
            case MatchExceptKeyword(words):
                spelled = _spelled(words)
                return None if spelled is None else self.keywords.match(MatchExceptKeyword(spelled))
            case _:
                return None

    def counts(self, selection: Selection, forgotten: AbstractBitMap) -> Counts:
        """See ``facet.Countable``."""
        return self.keywords.counts(selection, forgotten)

    def names(self, places: Places) -> list[str]:
        """See ``facet.Countable``."""
        return self.keywords.names(places)

    def places(self, names: Sequence[FacetValue]) -> Places:
        """See ``facet.Countable``."""
        return self.keywords.places(names)

    def dump(self) -> list[Part]:
        """See ``kind.Values``."""
        return self.keywords.dump()


class UuidKind:
    """See ``kind.Kind``."""

    def __init__(self) -> None:
        self._keywords = KeywordKind()

    def build(self, offsets: Offsets, elements: Sequence[list[Json]]) -> Uuids:
        """See ``kind.Kind``."""
        return Uuids(self._keywords.build(offsets, [list[Json](uuids_among(found)) for found in elements]))

    def merge(self, pieces: Sequence[Piece]) -> Uuids:
        """See ``kind.Kind``."""
        return Uuids(self._keywords.merge([Piece(_uuids(piece).keywords, piece.forgotten) for piece in pieces]))

    def load(self, parts: Parts) -> Uuids:
        """See ``kind.Kind``."""
        return Uuids(self._keywords.load(parts))


def uuids_among(elements: Sequence[Json]) -> list[str]:
    """The UUIDs among elements, in their usual spelling."""
    return [
        spelled for element in elements if isinstance(element, str) and (spelled := usual_uuid(element)) is not None
    ]


def _spelled(words: Sequence[str]) -> tuple[str, ...] | None:
    """In their usual spelling; None when some are no UUIDs."""
    found = uuids_among(words)
    return tuple(found) if len(found) == len(words) else None


def _uuids(piece: Piece) -> Uuids:
    assert isinstance(piece.values, Uuids)
    return piece.values
