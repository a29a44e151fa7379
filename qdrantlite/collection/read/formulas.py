"""Formulas that meet a collection: all that can be wrong with one is found here, before anything runs."""

from collections.abc import Callable, Mapping
from math import isnan

from qdrantlite.errors import BadInput
from qdrantlite.plan.bound import BoundFormula, PointTest
from qdrantlite.query.filter import Condition
from qdrantlite.query.formula import (
    ConditionValue,
    Datetime,
    Decay,
    DecayKind,
    Expression,
    Variable,
    everything_in,
)
from qdrantlite.query.search import Formula
from qdrantlite.query.variable import payload_path, score_number
from qdrantlite.segment.payload_index.numeric import float_of
from qdrantlite.values.dates import parse_instant
from qdrantlite.values.numbers import spoken_number
from qdrantlite.values.payload import Json, Path, parse_path
from qdrantlite.values.schema import FieldIndex


def bind_formula(
    formula: Formula, schema: Mapping[str, FieldIndex], test_of: Callable[[Condition], PointTest]
) -> BoundFormula:
    """The formula over a state of a shard with these indexes; ``test_of`` binds a condition. Raises BadInput."""
    defaults: dict[Path, Json] = {}
    score_defaults: dict[int, float] = {}
    for name, value in formula.defaults.items():
        number = score_number(name)
        if number is None:
            defaults[payload_path(name)] = value
        elif (score := float_of(value)) is not None:
            score_defaults[number] = score
    conditions: dict[int, PointTest] = {}
    for expression in everything_in(formula.expression):
        _check(expression)
        if isinstance(expression, ConditionValue):
            conditions[id(expression.condition)] = test_of(expression.condition)
    indexed = {parse_path(key): index.kind for key, index in schema.items()}
    keys = {parse_path(key): key for key in schema}
    return BoundFormula(formula.expression, defaults, score_defaults, indexed, conditions, keys)


def _check(expression: Expression) -> None:
    match expression:
        case Variable(name):
            score_number(name)
        case Datetime(text) if parse_instant(text) is None:
            raise BadInput(f"Validation failed: failed to parse date-time {text}: input contains invalid characters")
        case Decay():
            _check_decay(expression)
        case _:
            pass


def _check_decay(decay: Decay) -> None:
    """A scale or, but for the linear kind, a midpoint that is no number passes, as in Qdrant, and fails later."""
    scale, midpoint = decay.scale, decay.midpoint
    if scale <= 0:
        raise BadInput(f"Validation failed: Decay scale should be non-zero positive, got {spoken_number(scale)}.")
    if decay.kind is DecayKind.LIN:
        if not 0 <= midpoint <= 1:
            raise BadInput(
                "Validation failed: Linear decay midpoint should be in the range [0.0, 1.0], got "
                f"{spoken_number(midpoint)}."
            )
    elif not (isnan(midpoint) or 0 < midpoint < 1):
        raise BadInput(
            f"Validation failed: Decay midpoint should be in the range (0.0, 1.0), got {spoken_number(midpoint)}."
        )
