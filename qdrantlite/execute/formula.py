"""Formulas: one score for each candidate, from what its sources gave it and from its payload.

Every part of an expression is computed for all candidates at once, in float64, but only for those that need it: a
product stops at the first factor of zero and a fraction at a numerator of zero, and what is not computed cannot fail.
One candidate that fails fails the request. No part of this recurses: a formula may be as deep as it likes.
"""

from collections.abc import Callable, Generator, Sequence
from math import log
from typing import Never, TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

from qdrantlite.errors import BadInput
from qdrantlite.execute.merge import best_first, settled
from qdrantlite.execute.ranking import Positions, Ranking
from qdrantlite.execute.variables import Candidates
from qdrantlite.execute.view import ShardView
from qdrantlite.plan.nodes import Formula
from qdrantlite.query.formula import (
    ConditionValue,
    Constant,
    Datetime,
    DatetimeKey,
    Decay,
    DecayKind,
    Div,
    Expression,
    Extreme,
    GeoDistance,
    Mult,
    Pow,
    Sum,
    Unary,
    UnaryKind,
    Variable,
)
from qdrantlite.values.dates import MICROSECONDS, parse_instant
from qdrantlite.values.geo import F64, distance_m
from qdrantlite.values.numbers import spoken_number
from qdrantlite.values.vector import U32

_Steps: TypeAlias = Generator[tuple[Expression, Positions], F64, F64]
"""Asks for the values of a part at some candidates, is sent them, and returns its own."""

_FUNCTIONS: dict[UnaryKind, tuple[Callable[[F64], F64], str]] = {
    UnaryKind.SQRT: (np.sqrt, "√{}"),
    UnaryKind.EXP: (np.exp, "exp({})"),
    UnaryKind.LOG10: (np.log10, "log10({})"),
    UnaryKind.LN: (np.log, "ln({})"),
    UnaryKind.ACOSH: (np.arccosh, "acosh({})"),
}


def scored_by_formula(node: Formula, offsets: U32, sources: Sequence[Ranking], view: ShardView) -> Ranking:
    """The best candidates by their formula, larger first. Raises BadInput where it cannot be computed."""
    candidates = Candidates(node.query, offsets, sources, view)
    with np.errstate(all="ignore"):
        exact = _value(node.query.expression, np.arange(len(offsets)), candidates)
        scores = exact.astype(np.float32)
    for at in _first_infinite(scores):
        _fail(f"{spoken_number(exact[at])} as f32 = {spoken_number(scores[at])}")
    order = best_first(scores, larger_is_better=True)
    ranking = Ranking.scored(offsets[order], scores[order])
    if node.threshold is not None:
        ranking = ranking.take(np.flatnonzero(ranking.scores >= np.float32(node.threshold)))
    return settled(ranking, ranking.scores, node.limit, view.ids)


def _value(expression: Expression, rows: Positions, candidates: Candidates) -> F64:
    """Values of an expression at some candidates, ``(n,)``: the parts wait for each other on a stack."""
    waiting = [_steps(expression, rows, candidates)]
    answer: F64 | None = None
    while True:
        try:
            part, some = next(waiting[-1]) if answer is None else waiting[-1].send(answer)
        except StopIteration as done:
            answer = done.value
            assert answer is not None
            waiting.pop()
            if not waiting:
                return answer
        else:
            waiting.append(_steps(part, some, candidates))
            answer = None


def _steps(expression: Expression, rows: Positions, candidates: Candidates) -> _Steps:
    """How one part is computed at ``rows``; a generator that asks for the parts below."""
    match expression:
        case Mult():
            return (yield from _product(expression, rows))
        case Sum(terms):
            total = np.zeros(len(rows))
            for term in terms:
                total += yield term, rows
            return total
        case Div():
            return (yield from _quotient(expression, rows))
        case Unary(kind, argument):
            return _function(kind, (yield argument, rows))
        case Pow(base, exponent):
            left, right = (yield base, rows), (yield exponent, rows)
            power = np.power(left, right)
            for at in _first_infinite(power):
                _fail(f"{spoken_number(left[at])}^{spoken_number(right[at])} = {spoken_number(power[at])}")
            return power
        case Extreme(operands, largest):
            best = np.full(len(rows), -np.inf if largest else np.inf)
            for operand in operands:
                best = (np.fmax if largest else np.fmin)(best, (yield operand, rows))
            return best
        case Decay(_, x, target):
            there = yield x, rows
            return _decayed(expression, there - (0.0 if target is None else (yield target, rows)))
        case _:
            return _leaf(expression, rows, candidates)


def _leaf(
    expression: Constant | Variable | ConditionValue | GeoDistance | Datetime | DatetimeKey,
    rows: Positions,
    candidates: Candidates,
) -> F64:
    match expression:
        case Constant(value):
            return np.full(len(rows), value, dtype=np.float64)
        case Variable(name):
            return candidates.variable(name, rows)
        case ConditionValue(condition):
            return candidates.meeting(condition, rows).astype(np.float64)
        case GeoDistance(origin, to):
            return distance_m(*candidates.places(to, rows), origin)
        case Datetime(text):
            moment = parse_instant(text)
            assert moment is not None
            return np.full(len(rows), moment.micros / MICROSECONDS)
        case DatetimeKey(key):
            return candidates.seconds(key, rows)
        case _:
            assert_never(expression)


def _product(expression: Mult, rows: Positions) -> _Steps:
    product, open_at = np.ones(len(rows)), np.arange(len(rows))
    for factor in expression.factors:
        if not len(open_at):
            break
        values = yield factor, rows[open_at]
        product[open_at] *= values
        product[open_at[values == 0]] = 0.0
        open_at = open_at[values != 0]
    return product


def _quotient(expression: Div, rows: Positions) -> _Steps:
    left = yield expression.left, rows
    quotient, open_at = np.zeros(len(rows)), np.flatnonzero(left != 0)
    if not len(open_at):
        return quotient
    left = left[open_at]
    right = yield expression.right, rows[open_at]
    found, default = left / right, expression.by_zero_default
    if default is not None:
        found[right == 0] = default
    checked = ~np.isfinite(found) & ((right != 0) | (default is None))
    for at in np.flatnonzero(checked)[:1]:
        _fail(f"{spoken_number(left[at])}/{spoken_number(right[at])} = {spoken_number(found[at])}")
    quotient[open_at] = found
    return quotient


def _function(kind: UnaryKind, argument: F64) -> F64:
    match kind:
        case UnaryKind.NEG:
            return -argument
        case UnaryKind.ABS:
            return np.abs(argument)
        case _:
            function, name = _FUNCTIONS[kind]
            values = function(argument)
            for at in _first_infinite(values):
                _fail(f"{name.format(spoken_number(argument[at]))} = {spoken_number(values[at])}")
            return values


def _decayed(decay: Decay, distance: F64) -> F64:
    scale, midpoint = decay.scale, decay.midpoint
    match decay.kind:
        case DecayKind.LIN:
            return np.fmax(1.0 - (1.0 - midpoint) / scale * np.abs(distance), 0.0)
        case DecayKind.EXP:
            return np.exp(log(midpoint) / scale * np.abs(distance))
        case DecayKind.GAUSS:
            return np.exp(log(midpoint) / (scale * scale) * distance * distance)
        case _:
            assert_never(decay.kind)


def _first_infinite(values: NDArray[np.floating]) -> NDArray[np.intp]:
    return np.flatnonzero(~np.isfinite(values))[:1]


def _fail(expression: str) -> Never:
    raise BadInput(f"The expression {expression} produced a non-finite number")
