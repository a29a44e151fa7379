"""Filters through indexes: against the recorded reference engine, and against the evaluator on random payloads."""

import json
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from qdrantlite.query import evaluate
from qdrantlite.query import filter as f
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.filter_bitmap import bind_filter
from qdrantlite.values.geo import GeoPoint
from qdrantlite.values.payload import Json, Payload
from qdrantlite.values.record import Record
from qdrantlite.values.schema import FieldKind
from qdrantlite.values.vector import DenseVector
from tests.query import filter_cases as cases
from tests.segment.listed_source import ListedSource

RECORDING = json.loads((Path(__file__).parent.parent / "recordings" / "filters.json").read_text())
VECTOR = DenseVector(np.ones(1, dtype=np.float32))


def wrong(
    filters: Sequence[f.Filter],
    payloads: Sequence[Payload],
    answers: list[list[int]],
    kinds: dict[str, FieldKind],
    columns: Sequence[str] = (),
) -> dict[str, tuple[list[int], list[int]]]:
    records = [Record(i, payload, {"v": VECTOR}) for i, payload in enumerate(payloads)]
    source = ListedSource(records, kinds, columns=columns)
    return {
        str(one): (found, wanted)
        for one, wanted in zip(filters, answers, strict=True)
        if (found := source.passing(one)) != wanted
    }


@pytest.mark.parametrize("kind", cases.INDEXES)
def test_answers_on_one_key_equal_the_recorded_ones(kind: FieldKind | None) -> None:
    answers = RECORDING["plain"][str(kind and kind.value)]
    assert wrong(cases.plain_filters(), cases.PLAIN, answers, {"k": kind} if kind else {}) == {}


def test_answers_of_columns_equal_the_recorded_ones() -> None:
    assert wrong(cases.plain_filters(), cases.PLAIN, RECORDING["plain"]["None"], {}, ["k"]) == {}
    assert wrong(cases.deep_filters(), cases.DEEP, RECORDING["deep"]["None"], {}, ["a"]) == {}
    assert wrong(cases.GROUPS, cases.DEEP, RECORDING["groups"], {}, ["a"]) == {}


def test_answers_on_paths_equal_the_recorded_ones() -> None:
    assert wrong(cases.deep_filters(), cases.DEEP, RECORDING["deep"]["None"], {}) == {}


def test_answers_on_indexed_paths_equal_the_recorded_ones() -> None:
    """One differs: where several values are all null or hold nothing but nulls, the payload decides, not the index."""
    kinds = dict.fromkeys(cases.PATHS, FieldKind.INTEGER)
    found = wrong(cases.deep_filters(), cases.DEEP, RECORDING["deep"]["integer"], kinds)
    odd = f.Filter(must=(f.FieldCondition("a[].b", f.IsEmptyFlag(True)),))
    assert list(found) == [str(odd)]
    ours, theirs = found[str(odd)]
    assert [cases.DEEP[i] for i in set(ours) ^ set(theirs)] == [{"a": [{"b": [None]}, {"b": None}]}]


def test_answers_of_groups_equal_the_recorded_ones() -> None:
    assert wrong(cases.GROUPS, cases.DEEP, RECORDING["groups"], {}) == {}


WORDS, NUMBERS, FLAGS = st.sampled_from(["a", "ab", "b", ""]), st.integers(-2, 3), st.booleans()
FLOATS = st.sampled_from([-1.5, 0.5, 2.5])


def field(values: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    several: st.SearchStrategy[Json] = st.lists(st.one_of(values, st.none()), max_size=3).map(list)
    return st.one_of(values, st.none(), several)


PAYLOADS: st.SearchStrategy[Payload] = st.fixed_dictionaries(
    {},
    optional={
        "word": field(WORDS),
        "number": field(NUMBERS),
        "float": field(st.one_of(FLOATS, NUMBERS)),
        "flag": field(FLAGS),
        "plain": field(st.one_of(WORDS, NUMBERS, FLOATS, FLAGS)),
    },
)
KINDS = {
    "word": FieldKind.KEYWORD,
    "number": FieldKind.INTEGER,
    "float": FieldKind.FLOAT,
    "flag": FieldKind.BOOL,
}
BOUND = st.one_of(st.none(), st.integers(-3, 4), st.sampled_from([-1.5, 0.5, 2.2, float("inf")]))
WIDER = st.one_of(BOUND, st.just(float("nan")))
INTEGER_RANGES = st.builds(f.Range, lt=BOUND, gt=BOUND, gte=BOUND, lte=BOUND)
"""An integer index takes NaN for 0, as Qdrant's does, and payloads do not: ``congruence/test_numbers``."""
RANGES = st.builds(f.Range, lt=WIDER, gt=WIDER, gte=WIDER, lte=WIDER)
ON_ANY = st.one_of(
    st.builds(f.IsEmptyFlag, FLAGS),
    st.builds(f.IsNullFlag, FLAGS),
    st.builds(f.ValuesCount, gte=st.one_of(st.none(), st.integers(0, 3)), lt=st.one_of(st.none(), st.integers(0, 3))),
)
ON_WORD = st.one_of(
    st.builds(f.MatchKeyword, WORDS),
    st.builds(f.MatchAnyKeyword, st.lists(WORDS, max_size=3).map(tuple)),
    st.builds(f.MatchExceptKeyword, st.lists(WORDS, max_size=3).map(tuple)),
    st.builds(f.MatchPrefix, WORDS),
    st.builds(f.MatchSubstring, WORDS),
)
ON_NUMBER = st.one_of(
    st.builds(f.MatchInteger, NUMBERS),
    st.builds(f.MatchAnyInteger, st.lists(NUMBERS, max_size=3).map(tuple)),
    st.builds(f.MatchExceptInteger, st.lists(NUMBERS, max_size=3).map(tuple)),
)
PREDICATES = {
    "word": st.one_of(ON_WORD, ON_ANY),
    "number": st.one_of(ON_NUMBER, INTEGER_RANGES, ON_ANY),
    "float": st.one_of(RANGES, ON_ANY),
    "flag": st.one_of(st.builds(f.MatchBool, FLAGS), ON_ANY),
    "plain": st.one_of(ON_WORD, ON_NUMBER, RANGES, st.builds(f.MatchBool, FLAGS), ON_ANY),
}
CONDITIONS: st.SearchStrategy[f.Condition] = st.one_of(
    *(st.builds(f.FieldCondition, st.just(key), predicate) for key, predicate in PREDICATES.items()),
    st.builds(f.IsEmpty, st.sampled_from(sorted(PREDICATES))),
    st.builds(f.IsNull, st.sampled_from(sorted(PREDICATES))),
    st.builds(f.HasId, st.lists(st.integers(0, 12), max_size=4).map(tuple)),
    st.builds(f.HasVector, st.sampled_from(["v", "none"])),
)


def groups(conditions: st.SearchStrategy[f.Condition]) -> st.SearchStrategy[f.Filter]:
    few = st.lists(conditions, max_size=3).map(tuple)
    least = st.one_of(st.none(), st.builds(f.MinShould, few, st.integers(0, 3)))
    return st.builds(f.Filter, should=few, must=few, must_not=few, min_should=least)


FILTERS = groups(st.one_of(CONDITIONS, groups(CONDITIONS)))


@given(st.lists(st.tuples(PAYLOADS, FLAGS, FLAGS), max_size=12), st.lists(FILTERS, min_size=1, max_size=4))
def test_indexes_agree_with_the_evaluator(points: list[tuple[Payload, bool, bool]], filters: list[f.Filter]) -> None:
    records = [Record(i, payload, {"v": VECTOR} if has else {}) for i, (payload, has, _) in enumerate(points)]
    dead = frozenset(i for i, (_, _, is_dead) in enumerate(points) if is_dead)
    source, plain = ListedSource(records, KINDS, dead=dead), ListedSource(records, {}, dead=dead)
    for one in filters:
        assert source.passing(one) == plain.passing(one)


@given(
    st.lists(st.tuples(PAYLOADS, FLAGS, FLAGS), max_size=12),
    st.lists(FILTERS, min_size=1, max_size=4),
    st.frozensets(st.sampled_from(sorted(PREDICATES))),
)
def test_columns_agree_with_the_evaluator(
    points: list[tuple[Payload, bool, bool]], filters: list[f.Filter], indexed: frozenset[str]
) -> None:
    records = [Record(i, payload, {"v": VECTOR} if has else {}) for i, (payload, has, _) in enumerate(points)]
    dead = frozenset(i for i, (_, _, is_dead) in enumerate(points) if is_dead)
    kinds = {key: kind for key, kind in KINDS.items() if key in indexed}
    source, plain = ListedSource(records, kinds, dead=dead, columns=PREDICATES), ListedSource(records, {}, dead=dead)
    for one in filters:
        assert source.passing(one) == plain.passing(one)
        assert not bind_filter(one, source).doubtful


def test_indexed_conditions_leave_no_doubt() -> None:
    payloads: list[Payload] = [{"word": "a", "number": i} for i in range(20)]
    source = ListedSource([Record(i, payload, {}) for i, payload in enumerate(payloads)], KINDS)
    one = f.Filter(
        must=(f.FieldCondition("word", f.MatchKeyword("a")),),
        must_not=(f.FieldCondition("number", f.Range(gte=5)), f.IsEmpty("number")),
    )
    binding = bind_filter(one, source)
    assert (len(binding.sure), len(binding.doubtful)) == (5, 0)


def test_indexed_condition_narrows_what_payloads_must_settle() -> None:
    payloads: list[Payload] = [{"number": i, "plain": i % 2} for i in range(20)]
    source = ListedSource([Record(i, payload, {}) for i, payload in enumerate(payloads)], KINDS)
    plain = f.FieldCondition("plain", f.MatchInteger(1))
    one = f.Filter(must=(f.FieldCondition("number", f.Range(lt=4)), plain))
    assert bind_filter(one, source).doubtful == BitMap({0, 1, 2, 3})
    assert source.passing(one) == [1, 3]
    either = f.Filter(should=(f.FieldCondition("number", f.Range(lt=4)), plain))
    assert bind_filter(either, source).sure == BitMap({0, 1, 2, 3})


class _Asked(ListedSource):
    """Counts how often a deadline could have been looked at."""

    asked = 0

    def ask(self) -> None:
        self.asked += 1

    def payloads(self, offsets: Offsets) -> list[Payload]:
        self.asked += 1
        return super().payloads(offsets)


@pytest.mark.parametrize("columns", [(), ("k",)])
def test_polygons_of_many_edges_are_compared_in_small_pieces(columns: Sequence[str]) -> None:
    corners = [GeoPoint(*corner) for corner in ((0.0, 0.0), (6.5, 0.0), (6.5, 1.0), (0.0, 1.0), (0.0, 0.0))]
    inside = f.Filter(must=(f.Nested("k", f.Filter(must=(f.FieldCondition("at", f.GeoPolygon(tuple(corners))),))),))
    records = [Record(i, {"k": [{"at": {"lon": i + 0.5, "lat": 0.5}}]}, {}) for i in range(10)]
    few, many = _Asked(records, {}, columns=columns), _Asked(records, {}, columns=columns)
    assert few.passing(inside) == list(range(6))
    with patch.object(evaluate, "PAIRS_MAX", 10):
        assert many.passing(inside) == list(range(6))
    assert few.asked < 5 <= many.asked
