"""Filters as bitmaps: what indexes know at once, what payloads must settle later.

Each condition becomes two sets of offsets: those for which it surely holds, and those for which it may. An indexed
condition has both the same; one that only payloads can answer has nothing and everything. Sets may hold dead offsets
until the end, where both are cut to the live ones. Binding runs under the collection's lock, settling does not.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, assert_never

import numpy as np
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.query.evaluate import passes, payload_matches, require_supported
from qdrantlite.query.filter import (
    Condition,
    FieldCondition,
    Filter,
    HasId,
    HasVector,
    IsEmpty,
    IsEmptyFlag,
    IsNull,
    IsNullFlag,
    MinShould,
    Nested,
    Predicate,
    Slice,
)
from qdrantlite.segment.bitmaps import Offsets, bitmap_of
from qdrantlite.segment.payload_index.index import PayloadIndex
from qdrantlite.segment.selection import Selection
from qdrantlite.values.cardinality import Cardinality
from qdrantlite.values.payload import Payload
from qdrantlite.values.point_id import PointId


class FilterSource(Protocol):
    """What a filter is bound to; asked under the collection's lock only."""

    @property
    def live(self) -> AbstractBitMap:
        """Offsets of all points the filter chooses from; never changed afterwards."""
        ...

    def index(self, key: str) -> PayloadIndex | None:
        """The payload index on exactly this key, if there is one."""
        ...

    def offsets_of(self, ids: Sequence[PointId]) -> Offsets:
        """Offsets of those ids that exist, in any order."""
        ...

    def presence(self, vector_name: str) -> AbstractBitMap:
        """Offsets of points that have this vector; empty for unknown names."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """Where a condition surely holds and where it may; ``sure`` is within ``possible``."""

    sure: AbstractBitMap
    possible: AbstractBitMap

    @property
    def is_settled(self) -> bool:
        return self.sure is self.possible


Answers: TypeAlias = dict[int, _Known]
"""What was found for each condition, by its identity: equal conditions may stand in a filter several times."""


@dataclass(frozen=True, slots=True, eq=False)
class FilterBinding:
    """A filter at one moment: ``sure`` offsets pass, ``doubtful`` ones are settled by payloads. Both are live."""

    filter: Filter
    sure: AbstractBitMap
    doubtful: AbstractBitMap
    answers: Answers

    @property
    def cardinality(self) -> Cardinality:
        """How many points pass, as far as known without payloads: half of the doubtful ones are expected."""
        low, doubtful = len(self.sure), len(self.doubtful)
        return Cardinality(low, low + doubtful // 2, low + doubtful)

    def settle(self, payloads: Iterable[tuple[int, Payload]]) -> Selection:
        """The points that pass, given each doubtful offset with its payload; needs no lock."""
        if not self.doubtful:
            return Selection(self.sure)
        passed = [offset for offset, payload in payloads if self._passes(self.filter, offset, payload)]
        return Selection(self.sure | bitmap_of(np.array(passed, dtype=np.uint32)))

    def _passes(self, filter: Filter, offset: int, payload: Payload) -> bool:
        def holds(condition: Condition) -> bool:
            known = self.answers.get(id(condition))
            if known is not None and offset in known.sure:
                return True
            if known is not None and offset not in known.possible:
                return False
            if isinstance(condition, Filter):
                return self._passes(condition, offset, payload)
            return payload_matches(condition, payload)

        return passes(filter, holds)


def bind_filter(filter: Filter, source: FilterSource) -> FilterBinding:
    """Evaluate a filter as far as indexes, ids and vectors tell. Raises Unsupported, MalformedRequest (bad path)."""
    require_supported(filter)
    live = source.live
    answers: Answers = {}
    known = _bind(filter, source, answers)
    if known.is_settled:
        return FilterBinding(filter, known.sure & live, BitMap(), answers)
    sure = known.sure & live
    return FilterBinding(filter, sure, (known.possible & live) - sure, answers)


def _bind(filter: Filter, source: FilterSource, answers: Answers) -> _Known:
    """All parts of a filter together."""

    def known(condition: Condition) -> _Known:
        found = _bind(condition, source, answers) if isinstance(condition, Filter) else _answer(condition, source)
        answers[id(condition)] = found
        return found

    live = source.live
    parts = [known(condition) for condition in filter.must]
    parts.extend(_negated(known(condition), live) for condition in filter.must_not)
    if filter.should:
        parts.append(_combined([known(condition) for condition in filter.should], _union))
    if filter.min_should is not None:
        least = filter.min_should
        alternatives = [known(condition) for condition in least.conditions]
        parts.append(_combined(alternatives, lambda sets: _at_least(least, sets, live)))
    if not parts:
        return _exactly(live)
    return parts[0] if len(parts) == 1 else _combined(parts, _intersection)


def _answer(condition: Condition, source: FilterSource) -> _Known:
    """One condition that is not a filter."""
    match condition:
        case HasId(ids):
            return _exactly(bitmap_of(source.offsets_of(ids)) if ids else BitMap())
        case HasVector(name):
            return _exactly(source.presence(name))
        case FieldCondition(key, predicate):
            return _field_answer(key, predicate, source)
        case IsEmpty(key):
            return _field_answer(key, IsEmptyFlag(True), source)
        case IsNull(key):
            return _field_answer(key, IsNullFlag(True), source)
        case Nested():
            return _unknown(source)
        case Slice() | Filter():
            raise AssertionError(condition)
        case _:
            assert_never(condition)


def _field_answer(key: str, predicate: Predicate, source: FilterSource) -> _Known:
    index = source.index(key)
    if index is None:
        return _unknown(source)
    match predicate:
        case IsEmptyFlag(wanted):
            valued, null_only = index.valued()
            filled = _exactly(valued) if not null_only else _Known(valued, valued | null_only)
            return _negated(filled, source.live) if wanted else filled
        case IsNullFlag(False):
            nulls = index.match(IsNullFlag(True))
            return _unknown(source) if nulls is None else _exactly(source.live - nulls)
        case _:
            found = index.match(predicate)
            return _unknown(source) if found is None else _exactly(found)


def _exactly(bitmap: AbstractBitMap) -> _Known:
    return _Known(bitmap, bitmap)


def _unknown(source: FilterSource) -> _Known:
    return _Known(BitMap(), source.live)


def _negated(known: _Known, live: AbstractBitMap) -> _Known:
    if known.is_settled:
        return _exactly(live - known.sure)
    return _Known(live - known.possible, live - known.sure)


def _combined(parts: list[_Known], combine: Callable[[list[AbstractBitMap]], AbstractBitMap]) -> _Known:
    """Combine sure sets and possible sets alike; ``combine`` must be monotone."""
    sure = combine([part.sure for part in parts])
    if all(part.is_settled for part in parts):
        return _exactly(sure)
    return _Known(sure, combine([part.possible for part in parts]))


def _union(sets: list[AbstractBitMap]) -> AbstractBitMap:
    return sets[0].union(*sets[1:]) if len(sets) > 1 else sets[0]


def _intersection(sets: list[AbstractBitMap]) -> AbstractBitMap:
    """Smallest first, so that little is left to look at early."""
    first, *others = sorted(sets, key=len)
    return first.intersection(*others)


def _at_least(least: MinShould, sets: list[AbstractBitMap], live: AbstractBitMap) -> AbstractBitMap:
    """Offsets in at least ``min_count`` of the sets: ``reached[k]`` holds those seen in more than ``k`` sets so far."""
    if least.min_count <= 0:
        return live
    if least.min_count > len(sets):
        return BitMap()
    reached = [BitMap() for _ in range(least.min_count)]
    for one in sets:
        for count in range(least.min_count - 1, 0, -1):
            reached[count] |= reached[count - 1] & one
        reached[0] |= one
    return reached[-1]
