"""Expressions of a formula query: a tree evaluated for every candidate, from its scores and its payload."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, assert_never

from qdrantlite.query.filter import Condition
from qdrantlite.values.geo import GeoPoint


@dataclass(frozen=True, slots=True)
class Constant:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Variable:
    """``$score``, ``$score[i]`` or a payload path."""

    name: str


@dataclass(frozen=True, slots=True)
class ConditionValue:
    """1.0 where the condition holds, else 0.0."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class GeoDistance:
    """Metres from ``origin`` to the payload value at ``to``."""

    origin: GeoPoint
    to: str


@dataclass(frozen=True, slots=True)
class Datetime:
    """Seconds since the epoch of a date literal."""

    text: str


@dataclass(frozen=True, slots=True)
class DatetimeKey:
    """Seconds since the epoch of a date in the payload."""

    key: str


@dataclass(frozen=True, slots=True)
class Mult:
    """Product; stops at the first zero."""

    factors: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Sum:
    """Sum; empty is 0."""

    terms: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Div:
    """Quotient."""

    left: "Expression"
    right: "Expression"
    by_zero_default: float | None = None


class UnaryKind(Enum):
    """Functions of one argument."""

    NEG = "neg"
    ABS = "abs"
    SQRT = "sqrt"
    EXP = "exp"
    LOG10 = "log10"
    LN = "ln"
    ACOSH = "acosh"


@dataclass(frozen=True, slots=True)
class Unary:
    """A function of one argument."""

    kind: UnaryKind
    argument: "Expression"


@dataclass(frozen=True, slots=True)
class Pow:
    """Power."""

    base: "Expression"
    exponent: "Expression"


@dataclass(frozen=True, slots=True)
class Extreme:
    """Largest (or smallest) of at least one operand."""

    operands: "tuple[Expression, ...]"
    largest: bool


class DecayKind(Enum):
    """Shapes of decay."""

    EXP = "exp_decay"
    GAUSS = "gauss_decay"
    LIN = "lin_decay"


@dataclass(frozen=True, slots=True)
class Decay:
    """Falls from 1 with the distance of ``x`` from ``target``."""

    kind: DecayKind
    x: "Expression"
    target: "Expression | None" = None
    scale: float = 1.0
    midpoint: float = 0.5


Expression: TypeAlias = (
    Constant
    | Variable
    | ConditionValue
    | GeoDistance
    | Datetime
    | DatetimeKey
    | Mult
    | Sum
    | Div
    | Unary
    | Pow
    | Extreme
    | Decay
)


def parts_of(expression: Expression) -> tuple[Expression, ...]:
    """The expressions right below."""
    match expression:
        case Constant() | Variable() | ConditionValue() | GeoDistance() | Datetime() | DatetimeKey():
            return ()
        case Mult(parts) | Sum(parts) | Extreme(parts):
            return parts
        case Div(left, right) | Pow(left, right):
            return left, right
        case Unary(_, argument):
            return (argument,)
        case Decay(_, x, target):
            return (x,) if target is None else (x, target)
        case _:
            assert_never(expression)


def everything_in(expression: Expression) -> Iterator[Expression]:
    """An expression and all below it, in the order in which they are written; as deep as they like."""
    waiting = [expression]
    while waiting:
        one = waiting.pop()
        yield one
        waiting.extend(reversed(parts_of(one)))
