"""Formulas over listed candidates: what they compute, what they do not, and what they say when they cannot."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qdrantlite.collection.read.formulas import bind_formula
from qdrantlite.errors import BadInput
from qdrantlite.execute.formula import scored_by_formula
from qdrantlite.execute.ranking import Ranking
from qdrantlite.plan.bound import PointTest
from qdrantlite.plan.nodes import Estimate, Formula
from qdrantlite.query import formula as f
from qdrantlite.query import search as s
from qdrantlite.query.filter import Condition, HasId
from qdrantlite.values.cardinality import Cardinality
from qdrantlite.values.geo import GeoPoint
from qdrantlite.values.payload import Json, Payload
from qdrantlite.values.schema import CollectionConfig, FieldIndex, FieldKind
from qdrantlite.values.vector import U32
from tests.execute.listed_shard import ListedShard
from tests.oracle_filter import Point

MISSING = f.Variable("missing")
ZERO, ONE, HUGE = f.Constant(0.0), f.Constant(1.0), f.Pow(f.Constant(10.0), f.Constant(300.0))


@dataclass(frozen=True, slots=True)
class _OddIds:
    """Holds for points of odd id."""

    shard: ListedShard

    def passes(self, offsets: U32) -> NDArray[np.bool_]:
        return np.array(
            [isinstance(point_id, int) and point_id % 2 == 1 for point_id in self.shard.ids(offsets).to_list()]
        )


def scores(
    expression: f.Expression,
    payloads: list[Payload],
    *,
    sources: list[list[float]] | None = None,
    defaults: Mapping[str, Json] | None = None,
    schema: Mapping[str, FieldIndex] | None = None,
    threshold: float | None = None,
) -> dict[int, float]:
    """Score of each point, by id; source i handed up the first points with these scores."""
    shard = ListedShard(CollectionConfig(), [Point(number, {}, payload) for number, payload in enumerate(payloads)])
    given = sources if sources is not None else [[1.0] * len(payloads)]
    listed = np.array([shard.offsets[number] for number in range(len(payloads))], dtype=np.uint32)
    rankings = [Ranking.scored(listed[: len(source)], np.array(source, dtype=np.float32)) for source in given]

    def test_of(condition: Condition) -> PointTest:
        assert condition == HasId(())
        return _OddIds(shard)

    bound = bind_formula(s.Formula(expression, defaults or {}), schema or {}, test_of)
    node = Formula((), bound, len(payloads), threshold, Estimate(Cardinality.exactly(0), 0.0))
    found = scored_by_formula(node, np.sort(listed), rankings, shard)
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    return dict(zip(shard.ids(found.offsets).to_list(), found.scores.tolist(), strict=True))  # type: ignore[arg-type]  # integers


def score(expression: f.Expression, payload: Payload | None = None, **given: Json) -> float:
    return scores(expression, [payload or {}], defaults=given)[0]


def test_scores_of_sources_have_defaults_where_a_source_is_silent() -> None:
    total = f.Sum((f.Variable("$score"), f.Mult((f.Constant(10.0), f.Variable("$score[1]"))), f.Variable("$score[7]")))
    assert scores(total, [{}, {}], sources=[[2.0, 3.0], [0.5]]) == {0: 7.0, 1: 3.0}
    assert scores(total, [{}, {}], sources=[[2.0, 3.0], [0.5]], defaults={"$score[1]": 4, "$score[7]": "x"})[1] == 43.0


def test_only_candidates_that_need_a_factor_evaluate_it() -> None:
    product = f.Mult((f.Variable("n"), MISSING))
    assert scores(product, [{"n": 0}, {"n": [0]}]) == {0: 0.0, 1: 0.0}
    assert scores(product, [{"n": 0}, {"n": 2, "missing": 3}]) == {0: 0.0, 1: 6.0}
    with pytest.raises(BadInput, match="Expected number value for missing"):
        scores(product, [{"n": 0}, {"n": 2}])
    assert score(f.Div(ZERO, MISSING)) == 0.0
    assert score(f.Div(ONE, ZERO, by_zero_default=0.25)) == 0.25
    assert scores(f.ConditionValue(HasId(())), [{}, {}, {}]) == {1: 1.0, 0: 0.0, 2: 0.0}


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (f.Div(ONE, ZERO), "1/0 = inf"),
        (f.Div(HUGE, f.Pow(f.Constant(10.0), f.Constant(-300.0)), 1.0), " = inf"),
        (f.Unary(f.UnaryKind.SQRT, f.Constant(-2.0)), "√-2 = NaN"),
        (f.Unary(f.UnaryKind.LN, ZERO), r"ln\(0\) = -inf"),
        (f.Unary(f.UnaryKind.EXP, f.Constant(1000.0)), r"exp\(1000\) = inf"),
        (f.Unary(f.UnaryKind.ACOSH, f.Constant(0.5)), r"acosh\(0.5\) = NaN"),
        (f.Pow(ZERO, f.Constant(-1.0)), r"0\^-1 = inf"),
        (f.Mult((HUGE, HUGE)), "inf as f32 = inf"),
        (f.Pow(f.Constant(10.0), f.Constant(39.0)), "1000000000000000000000000000000000000000 as f32 = inf"),
    ],
)
def test_what_is_not_finite_is_told(expression: f.Expression, text: str) -> None:
    with pytest.raises(BadInput, match=f"The expression .*{text} produced a non-finite number"):
        score(expression)


@pytest.mark.parametrize("value", ["x", None, True, [1, 2], [None], {"a": 1}])
def test_value_of_another_type_is_no_number_whatever_the_default(value: Json) -> None:
    with pytest.raises(BadInput, match=r"Expected number value for k in .* Error: Value is not a number"):
        score(f.Variable("k"), {"k": value}, k=5)


def test_missing_values_and_empty_arrays_have_defaults() -> None:
    assert scores(f.Variable('"k"'), [{}, {"k": []}, {"k": [3]}], defaults={"k": 5}) == {0: 5.0, 1: 5.0, 2: 3.0}


@given(
    st.one_of(
        st.lists(st.integers(-(2**63), 2**64 - 1), min_size=1, max_size=4),
        st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=4),
        st.lists(st.one_of(st.integers(-5, 5), st.sampled_from([1.5, -0.0, 3.0])), min_size=1, max_size=4),
    ),
    st.sampled_from([None, FieldKind.INTEGER, FieldKind.FLOAT, FieldKind.KEYWORD]),
)
def test_numbers_mean_the_same_whatever_else_is_in_their_field(values: list[Json], kind: FieldKind | None) -> None:
    payloads: list[Payload] = [{"price": value} for value in values]
    schema = {} if kind is None else {"price": FieldIndex(kind)}
    others: list[Payload] = [{}, {"price": []}]
    alone, beside = (
        scores(f.Variable("price"), some, defaults={"price": -7.0}, schema=schema)
        for some in (payloads, payloads + others)
    )
    assert alone == {number: beside[number] for number in range(len(values))}


def test_index_holds_no_values_of_other_types() -> None:
    schema = {"k": FieldIndex(FieldKind.INTEGER)}
    payloads: list[Payload] = [{"k": "x"}, {"k": 2.0}, {"k": 2.5}, {"k": [3, 3, "x"]}, {"k": None}]
    found = scores(f.Variable("k"), payloads, defaults={"k": 9}, schema=schema)
    assert found == {0: 9.0, 1: 2.0, 2: 9.0, 3: 3.0, 4: 9.0}


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(0.5, 50), st.floats(0.1, 0.9))
def test_decays_fall_to_their_midpoint_at_their_scale(x: float, target: float, scale: float, midpoint: float) -> None:
    there, fall = f.Constant(target + scale), (scale, midpoint)
    for kind in f.DecayKind:
        assert score(f.Decay(kind, there, f.Constant(target), *fall)) == pytest.approx(midpoint, rel=1e-5)
        assert score(f.Decay(kind, f.Constant(target), f.Constant(target), *fall)) == 1.0
    away = abs(x - target) / scale
    wanted = {f.DecayKind.EXP: midpoint**away, f.DecayKind.GAUSS: midpoint ** (away * away)}
    wanted[f.DecayKind.LIN] = max(0.0, 1 - (1 - midpoint) * away)
    for kind, value in wanted.items():
        assert score(f.Decay(kind, f.Constant(x), f.Constant(target), *fall)) == pytest.approx(
            value, rel=1e-4, abs=1e-6
        )


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (f.Variable("$scor"), r"failed to parse variable ID \$scor: Invalid reserved word: \$scor"),
        (f.Variable("$score[x]"), r"Invalid reserved variable: \$score\[x\]"),
        (f.Variable("$score.a"), r"Invalid reserved variable: \$score.a"),
        (f.Variable("a..b"), "Invalid payload variable: a..b"),
        (f.Datetime("soon"), "failed to parse date-time soon"),
        (f.Decay(f.DecayKind.LIN, ONE, scale=0.0), "Decay scale should be non-zero positive, got 0."),
        (f.Decay(f.DecayKind.LIN, ONE, midpoint=1.5), r"in the range \[0.0, 1.0\], got 1.5."),
        (f.Decay(f.DecayKind.EXP, ONE, midpoint=1.0), r"in the range \(0.0, 1.0\), got 1."),
    ],
)
def test_formula_that_cannot_be_meant_is_refused_before_it_runs(expression: f.Expression, text: str) -> None:
    with pytest.raises(BadInput, match=text):
        score(f.Mult((ZERO, expression)))


def test_dates_and_places_are_read() -> None:
    payload: Payload = {"when": ["1970-01-01T00:00:01.5Z"], "where": {"lon": 0, "lat": 90}}
    assert score(f.DatetimeKey("when"), payload) == 1.5
    pole = score(f.GeoDistance(GeoPoint(0.0, 0.0), "where"), payload)
    assert pole == pytest.approx(math.pi / 2 * 6_371_008.8)
    with pytest.raises(BadInput, match="Expected datetime value for where"):
        score(f.DatetimeKey("where"), payload)
    with pytest.raises(BadInput, match="Expected geo point value for when"):
        score(f.GeoDistance(GeoPoint(0.0, 0.0), "when"), payload)


def test_threshold_includes_scores_equal_to_it() -> None:
    assert scores(f.Variable("n"), [{"n": 1}, {"n": 2}, {"n": 3}], threshold=2.0) == {1: 2.0, 2: 3.0}


def test_formula_may_be_as_deep_as_it_likes() -> None:
    deep: f.Expression = f.Variable("n")
    for _ in range(20_000):
        deep = f.Sum((deep, ONE))
    assert scores(deep, [{"n": 1}, {"n": 2}]) == {0: 20_001.0, 1: 20_002.0}
