"""Formulas: ``Expression`` messages to the tree of ``query.formula``. Constants are float32 on the wire."""

from qdrantlite.errors import MalformedRequest
from qdrantlite.query.formula import (
    ConditionValue,
    Constant,
    Datetime,
    DatetimeKey,
    Decay,
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
from qdrantlite.query.search import Formula
from qdrantlite.values.payload import spelled
from qdrantlite.wire.bounds import each_inside, inside
from qdrantlite.wire.checked import query as checked
from qdrantlite.wire.grpc.decode.filter import decode_condition, decode_geo_point
from qdrantlite.wire.grpc.json_codec import decode_fields
from qdrantlite.wire.pb import points as pb


def decode_formula(message: pb.Formula) -> Formula:
    """Raises InvalidRequest."""
    if not message.HasField("expression"):
        raise MalformedRequest("Formula expression is missing")
    return Formula(inside("expression", decode_expression, message.expression), decode_fields(message.defaults))


def decode_expression(message: pb.Expression) -> Expression:
    """Raises InvalidRequest. Names of variables are checked when the formula is bound."""
    match message.WhichOneof("variant"):
        case "constant":
            return Constant(message.constant)
        case "variable":
            return Variable(message.variable)
        case "condition":
            condition = inside("variant", decode_condition, message.condition)
            if condition is None:
                raise MalformedRequest("Condition of the expression is missing")
            return ConditionValue(condition)
        case "geo_distance":
            return _decode_geo_distance(message.geo_distance)
        case "datetime":
            return Datetime(message.datetime)
        case "datetime_key":
            return DatetimeKey(spelled(message.datetime_key))
        case "mult":
            return Mult(each_inside("variant.mult", decode_expression, message.mult.mult))
        case "sum":
            return Sum(each_inside("variant.sum", decode_expression, message.sum.sum))
        case "max":
            return checked.extreme(each_inside("variant.max", decode_expression, message.max.max), largest=True)
        case "min":
            return checked.extreme(each_inside("variant.min", decode_expression, message.min.min), largest=False)
        case "div":
            return _decode_div(message.div)
        case "pow":
            return _decode_pow(message.pow)
        case "exp_decay":
            return _decode_decay(DecayKind.EXP, message.exp_decay)
        case "gauss_decay":
            return _decode_decay(DecayKind.GAUSS, message.gauss_decay)
        case "lin_decay":
            return _decode_decay(DecayKind.LIN, message.lin_decay)
        case None:
            raise MalformedRequest("Expression variant is missing")
        case unary:
            return Unary(UnaryKind(unary), inside("variant", decode_expression, getattr(message, unary)))


def _decode_geo_distance(message: pb.GeoDistance) -> GeoDistance:
    if not message.HasField("origin"):
        raise MalformedRequest("GeoDistance origin is missing")
    to = spelled(message.to)
    return GeoDistance(inside("variant.origin", decode_geo_point, message.origin), to)


def _decode_div(message: pb.DivExpression) -> Div:
    if not (message.HasField("left") and message.HasField("right")):
        raise MalformedRequest("DivExpression left or right is missing")
    return Div(
        left=inside("variant.left", decode_expression, message.left),
        right=inside("variant.right", decode_expression, message.right),
        by_zero_default=message.by_zero_default if message.HasField("by_zero_default") else None,
    )


def _decode_pow(message: pb.PowExpression) -> Pow:
    if not (message.HasField("base") and message.HasField("exponent")):
        raise MalformedRequest("PowExpression base or exponent is missing")
    return Pow(
        inside("variant.base", decode_expression, message.base),
        inside("variant.exponent", decode_expression, message.exponent),
    )


def _decode_decay(kind: DecayKind, message: pb.DecayParamsExpression) -> Decay:
    if not message.HasField("x"):
        raise MalformedRequest("DecayParamsExpression x is missing")
    return checked.decay(
        kind,
        inside("variant.x", decode_expression, message.x),
        target=inside("variant.target", decode_expression, message.target) if message.HasField("target") else None,
        scale=message.scale if message.HasField("scale") else None,
        midpoint=message.midpoint if message.HasField("midpoint") else None,
    )
