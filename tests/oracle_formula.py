"""The oracle's formulas: the score of one point, written from the specification, for expressions drawn at random."""

from collections.abc import Mapping, Sequence

from qdrantlite.query import formula as e
from qdrantlite.query.search import Formula
from qdrantlite.values.payload import parse_path, values_at
from tests.oracle_filter import Point, holds


def formula_score(formula: Formula, point: Point, scores: Sequence[float | None]) -> float:
    """In float64; ``scores`` are those of the sources, None where a source does not have the point."""

    def value(expression: e.Expression) -> float:
        match expression:
            case e.Constant(number):
                return number
            case e.Variable(name) if name.startswith("$score"):
                source = 0 if name == "$score" else int(name[7:-1])
                given = scores[source] if source < len(scores) else None
                return _default(formula.defaults, name) if given is None else given
            case e.Variable(name):
                (found,) = [*values_at(point.payload, parse_path(name))] or [formula.defaults[name]]
                assert isinstance(found, int | float)
                return found
            case e.ConditionValue(condition):
                return float(holds(condition, point))
            case e.Sum(terms):
                return sum(map(value, terms), 0.0)
            case e.Mult(factors):
                product = 1.0
                for factor in factors:
                    if (found := value(factor)) == 0:
                        return 0.0
                    product *= found
                return product
            case e.Div(left, right, default):
                top = value(left)
                bottom = 1.0 if top == 0 else value(right)
                assert default is not None
                return default if bottom == 0 else top / bottom
            case e.Extreme(operands, largest):
                return (max if largest else min)(map(value, operands))
            case _:
                raise NotImplementedError(expression)

    return value(formula.expression)


def _default(defaults: Mapping[str, object], name: str) -> float:
    found = defaults.get(name, 0.0)
    assert isinstance(found, int | float)
    return found
