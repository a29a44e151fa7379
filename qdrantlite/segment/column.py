"""Columns: the values of one payload field, point by point, for conditions that no index answers.

A column holds what payloads hold under their first key, as JSON texts, each distinct one once. A condition is decided
for the texts by the very test that would be put to the payloads (``query.evaluate``), so that it means the same; what
is saved is reading and parsing a payload for each point. Derived, never saved, a stack of segments like an index.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import orjson
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.deadline import FOREVER, Ask
from qdrantlite.query.elements import Bools
from qdrantlite.query.evaluate import PayloadTest, at_once, payload_test
from qdrantlite.query.filter import Condition
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.payload_index.facet import Places
from qdrantlite.segment.payload_index.keyword import KeywordKind, Keywords
from qdrantlite.segment.payload_index.kind import Piece
from qdrantlite.segment.stack import Layer, Stack
from qdrantlite.values.payload import Json, Payload

COLUMNS_BYTES_MAX = 64 << 20
"""All columns of a shard together."""
PARSED_TEXTS_MAX = 4096
"""So many texts are parsed and held at a time, and kept parsed where there are no more."""


@dataclass(frozen=True, eq=False)
class ColumnSegment:
    """Values of some points as JSON texts; see ``stack.Segment``. Points without the key are not here."""

    key: str
    texts: Keywords

    @property
    def size(self) -> int:
        """Number of points."""
        return self.texts.entries

    @property
    def held(self) -> AbstractBitMap:
        """Its points."""
        return self.texts.indexed

    @property
    def memory_bytes(self) -> int:
        """Of its arrays."""
        run, words = self.texts.postings.run, self.texts.words
        return sum(
            [array.nbytes for array in (run.keys, run.starts, run.offsets, words.text, words.starts, words.heads)]
        )

    def passing(self, test: PayloadTest, step: int, ask: Ask) -> AbstractBitMap:
        """Points for which the test holds; ``ask`` is called before each ``step`` of texts."""
        held: list[Bools] = [np.zeros(0, dtype=np.bool_)]
        texts = list(self.texts.words) if len(self.texts.words) > PARSED_TEXTS_MAX else None
        for at in range(0, len(self.texts.words), step):
            ask()
            some = slice(at, at + step)
            held.append(test(self._parsed[some] if texts is None else self._payloads(texts[some])))
        places: Places = np.flatnonzero(np.concatenate(held))
        return self.texts.postings.with_one_of(places.astype(np.uint32))

    @cached_property
    def _parsed(self) -> list[Payload]:
        return self._payloads(list(self.texts.words))

    def _payloads(self, texts: Sequence[bytes]) -> list[Payload]:
        """A payload of the one key for each text."""
        return [{self.key: orjson.loads(text)} for text in texts]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The values under one key of all points of a state. Immutable: a commit makes a new one."""

    key: str
    stack: Stack[ColumnSegment] = field(default_factory=Stack)

    def with_points(self, offsets: Offsets, payloads: Sequence[Payload]) -> "Column":
        """With points taken up, offsets ascending; what is here of them must have been forgotten."""
        key = self.key
        texts: list[list[Json]] = [
            [orjson.dumps(payload[key]).decode()] if key in payload else [] for payload in payloads
        ]
        segment = ColumnSegment(key, KeywordKind().build(offsets, texts))
        return replace(self, stack=self.stack.added(segment, self.merged))

    def without(self, offsets: AbstractBitMap) -> "Column":
        """With these points forgotten; those that are not here are no error."""
        return replace(self, stack=self.stack.without(offsets))

    def among(self, offsets: AbstractBitMap) -> "Column":
        """What can be asked for these points, and may be wrong for others: the segments that hold some of them."""
        return replace(self, stack=self.stack.among(offsets))

    def settled(self) -> "Column":
        """With all segments merged that ought to be: answers do not change."""
        return replace(self, stack=self.stack.settled(self.merged))

    def merged(self, layers: Sequence[Layer[ColumnSegment]]) -> ColumnSegment:
        """One segment of several; see ``stack.Merge``."""
        pieces = [Piece(layer.segment.texts, layer.forgotten) for layer in layers]
        return ColumnSegment(self.key, KeywordKind().merge(pieces))

    def match(self, condition: Condition, live: AbstractBitMap, ask: Ask = FOREVER.check) -> AbstractBitMap:
        """The live points for which a condition holds that reads payloads under this key alone. ``ask`` is called
        between pieces of work, and may raise.
        """
        test = payload_test(condition)
        step = at_once(condition, PARSED_TEXTS_MAX)
        found: AbstractBitMap = BitMap()
        held: AbstractBitMap = BitMap()
        for layer in self.stack:
            found = found | (layer.segment.passing(test, step, ask) - layer.forgotten)
            held = held | (layer.held - layer.forgotten)
        if test([{}])[0]:
            found = found | (live - held)
        return found & live

    @property
    def memory_bytes(self) -> int:
        """Of all segments."""
        return sum([layer.segment.memory_bytes for layer in self.stack])


def bounded(columns: Mapping[str, Column]) -> Mapping[str, Column]:
    """Without the largest ones while all together take more than they may."""
    kept = dict(columns)
    while bytes_left(kept.values()) < 0:
        del kept[max(kept, key=lambda key: kept[key].memory_bytes)]
    return kept


def bytes_left(columns: Iterable[Column]) -> int:
    """How much another one may take beside these."""
    return COLUMNS_BYTES_MAX - sum([column.memory_bytes for column in columns])
