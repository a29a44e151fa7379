"""Filters as bitmaps: what indexes know at once, what payloads must settle later.

Each condition becomes two sets of offsets: those for which it surely holds, and those for which it may. An indexed
condition has both the same, and so has one that a column answers; one that only payloads can answer has nothing and
everything. Sets may hold dead offsets until the end, where both are cut to the live ones.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeAlias, assert_never

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.query.evaluate import PayloadTest, Rows, at_once, passing, payload_test
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
from qdrantlite.segment.bitmaps import Offsets, bitmap_of, offsets_in
from qdrantlite.segment.column import Column
from qdrantlite.segment.many_sets import in_at_least, intersection_of, union_of
from qdrantlite.segment.payload_index.index import PayloadIndex
from qdrantlite.segment.selection import Selection
from qdrantlite.values.cardinality import Cardinality
from qdrantlite.values.payload import Payload, parse_path
from qdrantlite.values.point_id import PointId
from qdrantlite.values.siphash import in_slice

CHUNK_POINTS = 1024
"""Points whose payloads are read and held at a time."""


class FilterSource(Protocol):
    """What a filter is bound to: one state, which nobody changes."""

    @property
    def live(self) -> AbstractBitMap:
        """Offsets of all points the filter chooses from; never changed afterwards."""
        ...

    def index(self, key: str) -> PayloadIndex | None:
        """The payload index on exactly this key, if there is one."""
        ...

    def column(self, key: str) -> Column | None:
        """The values under the first key of payloads, if they are kept as a column."""
        ...

    def offsets_of(self, ids: Sequence[PointId]) -> Offsets:
        """Offsets of those ids that exist, in any order."""
        ...

    def presence(self, vector_name: str) -> AbstractBitMap:
        """Offsets of points that have this vector; empty for unknown names."""
        ...

    def ask(self) -> None:
        """Called between pieces of work. May raise."""
        ...


class PointReader(Protocol):
    """Reads what settles a filter; needs no lock. Offsets are live ones of the state that the filter was bound to."""

    def payloads(self, offsets: Offsets) -> Sequence[Payload]:
        """Payloads in the order given."""
        ...

    def ids(self, offsets: Offsets) -> Sequence[PointId]:
        """Ids in the order given."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """Where a condition surely holds and where it may; ``sure`` is within ``possible``. ``by`` tells what said so."""

    sure: AbstractBitMap
    possible: AbstractBitMap
    by: str = ""

    @property
    def is_settled(self) -> bool:
        return self.sure is self.possible


Answers: TypeAlias = dict[int, _Known]
"""What was found for each condition, by its identity: equal conditions may stand in a filter several times."""


@dataclass(frozen=True, slots=True, eq=False)
class FilterBinding:
    """A filter at one moment: ``sure`` offsets pass, ``doubtful`` ones are settled by what is read. Both are live."""

    filter: Filter
    sure: AbstractBitMap
    doubtful: AbstractBitMap
    answers: Answers

    @property
    def missing_columns(self) -> frozenset[str]:
        """The first keys of payloads that are read for the doubtful ones."""
        return frozenset(_keys_read(self.filter, self.answers))

    @property
    def told_by(self) -> tuple[tuple[str, str], ...]:
        """For ``explain``: of each condition that is no filter what it is about, and what answers it."""
        return tuple(_told(self.filter, self.answers))

    @property
    def cardinality(self) -> Cardinality:
        """How many points pass, as far as known without reading: half of the doubtful ones are expected."""
        low, doubtful = len(self.sure), len(self.doubtful)
        return Cardinality(low, low + doubtful // 2, low + doubtful)

    def settle(self, reader: PointReader) -> Selection:
        """The points that pass."""
        if not self.doubtful:
            return Selection(self.sure)
        doubts = offsets_in(self.doubtful)
        return Selection(self.sure | bitmap_of(doubts[self.passing(doubts, reader)]))

    def passing(self, offsets: Offsets, reader: PointReader) -> npt.NDArray[np.bool_]:
        """Which of these live offsets pass, ``(n,) bool`` in the order given."""
        tests = _Tests({})
        step = at_once(self.filter, CHUNK_POINTS)
        chunks = [offsets[start : start + step] for start in range(0, len(offsets), step)]
        passed = [_Settling(self, chunk, reader, tests).passing() for chunk in chunks]
        return np.concatenate(passed) if passed else np.zeros(0, dtype=np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class _Tests:
    """Of payloads, by the identity of their conditions; each is made when first needed."""

    made: dict[int, PayloadTest]

    def of(self, condition: Condition) -> PayloadTest:
        found = self.made.get(id(condition))
        if found is None:
            found = self.made[id(condition)] = payload_test(condition)
        return found


class _Settling:
    """Some offsets and a filter: what indexes know of each condition, and where they do not, what is read."""

    def __init__(self, binding: FilterBinding, offsets: Offsets, reader: PointReader, tests: _Tests) -> None:
        self._binding = binding
        self._offsets = offsets
        self._reader = reader
        self._tests = tests
        self._payloads: dict[int, Payload] = {}

    def passing(self) -> npt.NDArray[np.bool_]:
        """Which of the offsets pass, ``(n,) bool``."""
        return passing(self._binding.filter, np.arange(len(self._offsets)), self._holds)

    def _holds(self, condition: Condition, rows: Rows) -> npt.NDArray[np.bool_]:
        known = self._binding.answers[id(condition)]
        offsets = self._offsets[rows]
        held = Selection(known.sure).contains(offsets)
        if not known.is_settled:
            doubtful = np.flatnonzero(Selection(known.possible).contains(offsets) & ~held)
            if len(doubtful):
                held[doubtful] = self._read(condition, rows[doubtful])
        return held

    def _read(self, condition: Condition, rows: Rows) -> npt.NDArray[np.bool_]:
        match condition:
            case Filter():
                return passing(condition, rows, self._holds)
            case Slice(total, index):
                return in_slice(self._reader.ids(self._offsets[rows]), index=index, total=total)
            case _:
                return self._tests.of(condition)(self._payloads_of(rows))

    def _payloads_of(self, rows: Rows) -> list[Payload]:
        wanted = rows.tolist()
        missing = [row for row in wanted if row not in self._payloads]
        if missing:
            read = self._reader.payloads(self._offsets[missing])
            self._payloads.update(zip(missing, read, strict=True))
        return [self._payloads[row] for row in wanted]


def _keys_read(filter: Filter, answers: Answers) -> Iterator[str]:
    for condition in filter.conditions():
        if answers[id(condition)].is_settled:
            continue
        match condition:
            case Filter():
                yield from _keys_read(condition, answers)
            case FieldCondition(key) | IsEmpty(key) | IsNull(key) | Nested(key):
                yield first_key(key)
            case _:
                pass


def _told(filter: Filter, answers: Answers) -> Iterator[tuple[str, str]]:
    for condition in filter.conditions():
        match condition:
            case Filter():
                yield from _told(condition, answers)
            case FieldCondition(key) | IsEmpty(key) | IsNull(key) | Nested(key) | HasVector(key):
                yield key, answers[id(condition)].by
            case HasId() | Slice():
                yield "id", answers[id(condition)].by
            case _:
                assert_never(condition)


def bind_filter(filter: Filter, source: FilterSource) -> FilterBinding:
    """Evaluate a filter as far as indexes, ids and vectors tell. Raises MalformedRequest (bad path)."""
    live = source.live
    answers: Answers = {}
    filter = _of_objects(filter, source)
    known = _bind(filter, source, answers)
    if known.is_settled:
        return FilterBinding(filter, known.sure & live, BitMap(), answers)
    sure = known.sure & live
    return FilterBinding(filter, sure, (known.possible & live) - sure, answers)


def _of_objects(filter: Filter, source: FilterSource) -> Filter:
    """The filter, but for what is to be asked of each object of an array, because an index is ``nested`` there."""

    def asked(condition: Condition) -> Condition:
        match condition:
            case Filter():
                return _of_objects(condition, source)
            case IsEmpty(key) | FieldCondition(key, IsEmptyFlag(True) | IsNullFlag(False)):
                index = source.index(key)
                outer = None if index is None or index.schema.params is None else index.schema.params.nested
                if outer is None or not key.startswith(f"{outer}."):
                    return condition
                return Nested(outer, Filter(must=(replace(condition, key=key[len(outer) + 1 :]),)))
            case _:
                return condition

    must, must_not, should = (tuple(map(asked, each)) for each in (filter.must, filter.must_not, filter.should))
    least = filter.min_should
    if least is not None:
        least = MinShould(tuple(map(asked, least.conditions)), least.min_count)
    return Filter(should=should, must=must, must_not=must_not, min_should=least)


def _bind(filter: Filter, source: FilterSource, answers: Answers) -> _Known:
    """All parts of a filter together."""

    def known(condition: Condition) -> _Known:
        source.ask()
        found = _bind(condition, source, answers) if isinstance(condition, Filter) else _answer(condition, source)
        answers[id(condition)] = found
        return found

    live = source.live
    parts = [known(condition) for condition in filter.must]
    parts.extend(_negated(known(condition), live) for condition in filter.must_not)
    if filter.should:
        parts.append(_combined([known(condition) for condition in filter.should], partial(union_of, ask=source.ask)))
    if filter.min_should is not None:
        least = filter.min_should
        alternatives = [known(condition) for condition in least.conditions]
        parts.append(_combined(alternatives, lambda sets: in_at_least(least.min_count, sets, live, source.ask)))
    if not parts:
        return _exactly(live)
    return parts[0] if len(parts) == 1 else _combined(parts, partial(intersection_of, ask=source.ask))


def _answer(condition: Condition, source: FilterSource) -> _Known:
    """One condition that is not a filter."""
    match condition:
        case HasId(ids):
            return _exactly(bitmap_of(source.offsets_of(ids)) if ids else BitMap(), "ids")
        case HasVector(name):
            return _exactly(source.presence(name), "vectors")
        case FieldCondition(key, predicate):
            return _by_column(condition, key, _field_answer(key, predicate, source), source)
        case IsEmpty(key):
            return _by_column(condition, key, _field_answer(key, IsEmptyFlag(True), source), source)
        case IsNull(key):
            return _by_column(condition, key, _field_answer(key, IsNullFlag(True), source), source)
        case Nested(key):
            return _by_column(condition, key, _unknown(source, "payloads"), source)
        case Slice():
            return _unknown(source, "ids")
        case Filter():
            raise AssertionError(condition)
        case _:
            assert_never(condition)


def _field_answer(key: str, predicate: Predicate, source: FilterSource) -> _Known:
    index = source.index(key)
    if index is None:
        return _unknown(source, "payloads")
    match predicate:
        case IsEmptyFlag(wanted):
            valued, null_only = index.valued()
            held = source.live - valued - null_only if wanted else valued
            return _Known(held, held | null_only, "index and payloads") if null_only else _exactly(held, "index")
        case IsNullFlag(False):
            nulls = index.match(IsNullFlag(True))
            return _unknown(source, "payloads") if nulls is None else _exactly(source.live - nulls, "index")
        case _:
            found = index.match(predicate)
            return _unknown(source, "payloads") if found is None else _exactly(found, "index")


def _by_column(condition: Condition, key: str, known: _Known, source: FilterSource) -> _Known:
    """What the column of a field tells where its index does not."""
    column = None if known.is_settled else source.column(first_key(key))
    return known if column is None else _exactly(column.match(condition, source.live, source.ask), "column")


def first_key(key: str) -> str:
    """The key of the payload itself under which a path lies. Raises MalformedRequest for a bad path."""
    first = parse_path(key)[0]
    assert isinstance(first, str)
    return first


def _exactly(bitmap: AbstractBitMap, by: str = "") -> _Known:
    return _Known(bitmap, bitmap, by)


def _unknown(source: FilterSource, by: str) -> _Known:
    return _Known(BitMap(), source.live, by)


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
