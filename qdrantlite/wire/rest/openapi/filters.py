"""Schemas of filters and formulas."""

from qdrantlite.wire.rest.openapi.schema import (
    COUNT,
    FLAG,
    FLOAT,
    INTEGER,
    NUMBER,
    SMALL_COUNT,
    TEXT,
    Schema,
    Schemas,
    array,
    at_least,
    needs,
    one,
    ref,
    some,
    tagged,
    within,
)

_BOUNDS = ("lt", "gt", "gte", "lte")


def _bounded(of: Schema) -> Schema:
    return needs({}, dict.fromkeys(_BOUNDS, of))


FILTERS: Schemas = {
    "PayloadPath": {
        **TEXT,
        "description": "keys joined by dots, `[]` for every element, `[n]` for one",
        "minLength": 1,
    },
    "GeoPoint": needs({"lon": within(-180, 180, NUMBER), "lat": within(-90, 90, NUMBER)}),
    "GeoLineString": needs({"points": array(ref("GeoPoint"), least=4)}, about="closed: it ends where it begins"),
    "GeoBoundingBox": needs({"top_left": ref("GeoPoint"), "bottom_right": ref("GeoPoint")}),
    "GeoRadius": needs({"center": ref("GeoPoint"), "radius": NUMBER}, about="in metres"),
    "GeoPolygon": needs({"exterior": ref("GeoLineString")}, {"interiors": array(ref("GeoLineString"))}),
    "Range": _bounded(NUMBER),
    "DatetimeRange": _bounded(TEXT),
    "ValuesCount": _bounded(COUNT),
    "Match": one(
        tagged("value", one(TEXT, INTEGER, FLAG)),
        tagged("text", TEXT),
        tagged("text_any", TEXT),
        tagged("phrase", TEXT),
        tagged("prefix", TEXT),
        tagged("substring", TEXT),
        tagged("any", one(array(TEXT), array(INTEGER))),
        tagged("except", one(array(TEXT), array(INTEGER))),
    ),
    "FieldCondition": needs(
        {"key": ref("PayloadPath")},
        {
            "match": ref("Match"),
            "range": one(ref("Range"), ref("DatetimeRange")),
            "geo_bounding_box": ref("GeoBoundingBox"),
            "geo_radius": ref("GeoRadius"),
            "geo_polygon": ref("GeoPolygon"),
            "values_count": ref("ValuesCount"),
            "is_empty": FLAG,
            "is_null": FLAG,
        },
        about="at least one predicate beside the key",
    ),
    "IsEmptyCondition": tagged("is_empty", tagged("key", ref("PayloadPath"))),
    "IsNullCondition": tagged("is_null", tagged("key", ref("PayloadPath"))),
    "HasIdCondition": tagged("has_id", array(ref("ExtendedPointId"))),
    "HasVectorCondition": tagged("has_vector", TEXT),
    "NestedCondition": tagged("nested", needs({"key": ref("PayloadPath"), "filter": ref("Filter")})),
    "SliceCondition": tagged("slice", needs({"index": SMALL_COUNT, "total": at_least(1, SMALL_COUNT)})),
    "Condition": one(
        ref("FieldCondition"),
        ref("IsEmptyCondition"),
        ref("IsNullCondition"),
        ref("HasIdCondition"),
        ref("HasVectorCondition"),
        ref("NestedCondition"),
        ref("SliceCondition"),
        ref("Filter"),
    ),
    "MinShould": needs({"conditions": array(ref("Condition")), "min_count": at_least(1)}, closed=True),
    "Filter": needs(
        {},
        {
            "should": some(ref("Condition")),
            "must": some(ref("Condition")),
            "must_not": some(ref("Condition")),
            "min_should": ref("MinShould"),
        },
        closed=True,
    ),
}

_DECAY = needs(
    {"x": ref("Expression")},
    {"target": ref("Expression"), "scale": {**FLOAT, "exclusiveMinimum": 0}, "midpoint": within(0, 1)},
)

FORMULAS: Schemas = {
    "Expression": one(
        FLOAT,
        TEXT,
        ref("Condition"),
        tagged("geo_distance", needs({"origin": ref("GeoPoint"), "to": ref("PayloadPath")})),
        tagged("datetime", TEXT),
        tagged("datetime_key", ref("PayloadPath")),
        tagged("mult", array(ref("Expression"))),
        tagged("sum", array(ref("Expression"))),
        tagged("max", array(ref("Expression"), least=1)),
        tagged("min", array(ref("Expression"), least=1)),
        tagged("div", needs({"left": ref("Expression"), "right": ref("Expression")}, {"by_zero_default": FLOAT})),
        tagged("pow", needs({"base": ref("Expression"), "exponent": ref("Expression")})),
        *(tagged(name, ref("Expression")) for name in ("neg", "abs", "sqrt", "exp", "log10", "ln", "acosh")),
        *(tagged(name, ref("DecayParamsExpression")) for name in ("exp_decay", "gauss_decay", "lin_decay")),
    ),
    "DecayParamsExpression": _DECAY,
}
