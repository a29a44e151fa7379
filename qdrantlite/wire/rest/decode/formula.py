"""Formulas: a bare number is a constant, a bare text a variable, an object one operation or a condition."""

from collections.abc import Callable, Mapping

from qdrantlite.query.formula import (
    ConditionValue,
    Constant,
    Datetime,
    DatetimeKey,
    DecayKind,
    Div,
    Expression,
    GeoDistance,
    Mult,
    Pow,
    Sum,
    Unary,
    UnaryKind,
    Variable,
)
from qdrantlite.values.payload import Json
from qdrantlite.wire.checked import query as checked
from qdrantlite.wire.rest.decode.filter import decode_condition, geo_point
from qdrantlite.wire.rest.reading import Misread, fields, inside, items, path, small_number, text


def decode_expression(value: Json) -> Expression:
    """Raises InvalidRequest. Names of variables are checked when the formula is bound."""
    match value:
        case bool() | None | list():
            raise Misread("data did not match any variant of untagged enum Expression")
        case int() | float():
            return Constant(small_number(value))
        case str():
            return Variable(value)
        case dict():
            for name, operand in value.items():
                if name in _OPERATIONS:
                    return inside(name, _OPERATIONS[name], operand)
            return ConditionValue(decode_condition(value))


def _operands(value: Json) -> tuple[Expression, ...]:
    return items(value, decode_expression)


def _geo_distance(value: Json) -> Expression:
    members = fields(value)
    return GeoDistance(members.needed("origin", geo_point), members.needed("to", path))


def _div(value: Json) -> Expression:
    members = fields(value)
    return Div(
        left=members.needed("left", decode_expression),
        right=members.needed("right", decode_expression),
        by_zero_default=members.small_number("by_zero_default"),
    )


def _pow(value: Json) -> Expression:
    members = fields(value)
    return Pow(members.needed("base", decode_expression), members.needed("exponent", decode_expression))


def _unary(kind: UnaryKind) -> Callable[[Json], Expression]:
    return lambda value: Unary(kind, decode_expression(value))


def _decay(kind: DecayKind) -> Callable[[Json], Expression]:
    def decode(value: Json) -> Expression:
        members = fields(value)
        return checked.decay(
            kind,
            members.needed("x", decode_expression),
            target=members.read("target", decode_expression),
            scale=members.small_number("scale"),
            midpoint=members.small_number("midpoint"),
        )

    return decode


_OPERATIONS: Mapping[str, Callable[[Json], Expression]] = {
    "geo_distance": _geo_distance,
    "datetime": lambda value: Datetime(text(value)),
    "datetime_key": lambda value: DatetimeKey(path(value)),
    "mult": lambda value: Mult(_operands(value)),
    "sum": lambda value: Sum(_operands(value)),
    "max": lambda value: checked.extreme(_operands(value), largest=True),
    "min": lambda value: checked.extreme(_operands(value), largest=False),
    "div": _div,
    "pow": _pow,
    **{kind.value: _unary(kind) for kind in UnaryKind},
    **{kind.value: _decay(kind) for kind in DecayKind},
}
