"""Tricky payloads and filters, whose answers by the reference engine are in ``recordings/filters.json``."""

import json

from qdrantlite.query import filter as f
from qdrantlite.values.payload import Payload
from qdrantlite.values.schema import FieldKind

INDEXES: tuple[FieldKind | None, ...] = (None, FieldKind.KEYWORD, FieldKind.INTEGER, FieldKind.FLOAT)

_VALUES = """[
    null, [], [null], "x", "Xy", ["x", "y"], ["x", 5], [5, "z"], 5, 5.0, 6, 5.5, [5, 6], true, [true, 5], {"q": 1},
    [["x"]], [null, "x"], [[]], "", [5, 5], -3, [[null]], [{"q": null}], 1.0, 0, false, {}, 9007199254740993
]"""

PLAIN: tuple[Payload, ...] = ({}, *({"k": value} for value in json.loads(_VALUES)))
"""Values of every type at one key."""

_TREES = """[
    null, [], {}, {"b": 1}, {"b": [1, 2]}, [{"b": 1}, {"b": 2}], [{"b": [1, 2]}, {"b": 3}], [{"b": null}], [{"b": []}],
    [{"b": []}, {"b": []}], [{"b": []}, {"b": 1}], [{"b": null}, {"b": 1}], [{"b": [null]}], [{"c": 1}], [1, 2, "x"],
    [[{"b": 1}]], [{"b": null}, {"b": null}], [{"b": [null]}, {"b": null}], [{"b": [[1]]}], {"b": null}, [1, [2, 3]],
    [{"b": 1, "c": 1}, {"b": 2, "c": 2}], [{}], [{"b": []}, {"b": null}], {"b": [{"c": 1}, {"c": 2}]}, 1,
    [[1, null], [2]], [[]], [[], []], [null, null]
]"""

DEEP: tuple[Payload, ...] = ({}, *({"a": value} for value in json.loads(_TREES)))
"""Objects and arrays in each other."""

PREDICATES: tuple[f.Predicate, ...] = (
    *(f.MatchKeyword("x"), f.MatchInteger(5), f.MatchInteger(1), f.MatchInteger(2**53 + 1)),
    *(f.MatchAnyKeyword(("x", "z")), f.MatchAnyInteger((5, 6)), f.MatchAnyKeyword(())),
    *(
        f.MatchExceptKeyword(("x",)),
        f.MatchExceptInteger((5,)),
        f.MatchExceptInteger((5, 6)),
        f.MatchExceptKeyword(("q",)),
    ),
    *(f.MatchPrefix("x"), f.MatchPrefix(""), f.MatchSubstring("y"), f.MatchSubstring("")),
    *(f.Range(gte=5.2), f.Range(lt=5.5), f.Range(gt=5.5), f.Range(lte=5.4), f.Range(lte=-2.5), f.Range(gte=-3.5)),
    *(
        f.Range(),
        f.Range(gt=4, lt=5.2),
        f.Range(gt=5, lt=6),
        f.Range(gt=6, lt=5),
        f.Range(gte=1e30),
        f.Range(gte=5, lte=5),
    ),
    *(f.Range(gte=2.0**53, lte=2.0**53), f.Range(gt=-3, lt=0.5), f.Range(gte=float("-inf"))),
    *(f.IsEmptyFlag(True), f.IsEmptyFlag(False), f.IsNullFlag(True), f.IsNullFlag(False)),
    *(f.ValuesCount(lte=0), f.ValuesCount(gte=1, lte=1), f.ValuesCount(gt=1), f.ValuesCount(lt=1), f.ValuesCount()),
)

PATHS = ("a[].b", "a.b", "a[0].b", "a[]", "a[0]", "a[1]", "a[][]", "a[].b[]", "a[0][]", "a[].b[0]", "a.b[].c")

DEEP_PREDICATES: tuple[f.Predicate, ...] = (
    *(f.MatchInteger(1), f.MatchExceptInteger((1,)), f.Range(gte=2)),
    *(f.IsEmptyFlag(True), f.IsEmptyFlag(False), f.IsNullFlag(True), f.IsNullFlag(False)),
    *(f.ValuesCount(gte=1), f.ValuesCount(gte=2), f.ValuesCount(lt=1), f.ValuesCount(lte=1)),
)


def _b(predicate: f.Predicate) -> f.FieldCondition:
    return f.FieldCondition("b", predicate)


def _c(predicate: f.Predicate) -> f.FieldCondition:
    return f.FieldCondition("c", predicate)


ONE, TWO = f.MatchInteger(1), f.MatchInteger(2)

GROUPS: tuple[f.Filter, ...] = (
    *(f.Filter(), f.Filter(must=(f.Filter(),)), f.Filter(must_not=(f.Filter(),))),
    f.Filter(min_should=f.MinShould((), 0)),
    f.Filter(min_should=f.MinShould((), 1)),
    f.Filter(min_should=f.MinShould((f.FieldCondition("a.b", ONE),), 0)),
    f.Filter(
        min_should=f.MinShould(
            (f.FieldCondition("a.b", ONE), f.FieldCondition("a.b", TWO), f.FieldCondition("a[].b", TWO)), 2
        )
    ),
    f.Filter(must_not=(f.HasVector("other"),)),
    f.Filter(must=(f.HasVector("v"),), must_not=(f.HasId((1, 2)),)),
    f.Filter(must=(f.HasId((1, 2, 999)),)),
    f.Filter(must=(f.HasId(()),)),
    f.Filter(should=(f.IsNull("a"), f.HasId((5,))), must_not=(f.IsEmpty("a"),)),
    f.Filter(must=(f.Nested("a", f.Filter(must=(_b(ONE),))),)),
    f.Filter(must=(f.Nested("a[]", f.Filter(must=(_b(ONE),))),)),
    f.Filter(must=(f.Nested("a[0]", f.Filter(must=(_b(ONE),))),)),
    f.Filter(must=(f.Nested("a[][]", f.Filter(must=(_b(ONE),))),)),
    f.Filter(must=(f.Nested("a", f.Filter(must=(_b(ONE), _c(TWO)))),)),
    f.Filter(must=(f.Nested("a", f.Filter(must_not=(_b(ONE),))),)),
    f.Filter(must_not=(f.Nested("a", f.Filter(must=(_b(ONE),))),)),
    f.Filter(must=(f.Nested("a", f.Filter(must=(f.IsEmpty("b"),))),)),
    f.Filter(must=(f.Nested("a", f.Filter(must=(f.IsNull("b"),))),)),
    f.Filter(must=(f.Nested("a", f.Filter()),)),
    f.Filter(must=(f.Nested("a", f.Filter(must=(f.HasId((6, 7)),))),)),
    f.Filter(must=(f.Nested("a", f.Filter(must_not=(f.HasId((6, 7)),))),)),
    f.Filter(must=(f.Nested("a", f.Filter(must=(f.HasVector("v"),))),)),
    f.Filter(must=(f.Nested("a", f.Filter(should=(_b(TWO), _c(ONE)))),)),
    f.Filter(must=(f.Nested("a.b", f.Filter(must=(_c(ONE),))),)),
    f.Filter(must=(f.Nested("a", f.Filter(min_should=f.MinShould((_b(ONE), _c(ONE)), 2))),)),
)


def plain_filters() -> tuple[f.Filter, ...]:
    """Filters for ``PLAIN``."""
    return tuple(f.Filter(must=(f.FieldCondition("k", predicate),)) for predicate in PREDICATES)


def deep_filters() -> tuple[f.Filter, ...]:
    """Filters for ``DEEP`` that test one path."""
    conditions = (f.FieldCondition(path, predicate) for path in PATHS for predicate in DEEP_PREDICATES)
    return tuple(f.Filter(must=(condition,)) for condition in conditions)
