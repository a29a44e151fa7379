"""Requests of the official client in the words of the reference engine, and its answers in plain values."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import qdrant_edge as edge
from qdrant_client import models

LIMIT = 10
DISTANCES = {each: getattr(edge.Distance, each.value) for each in models.Distance}
DATATYPES = {
    models.Datatype.FLOAT32: edge.VectorStorageDatatype.Float32,
    models.Datatype.FLOAT16: edge.VectorStorageDatatype.Float16,
    models.Datatype.UINT8: edge.VectorStorageDatatype.Uint8,
}


def vector_params(params: models.VectorParams) -> Any:
    """Settings of a dense vector."""
    return edge.EdgeVectorParams(
        params.size,
        DISTANCES[params.distance],
        multivector_config=edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
        if params.multivector_config
        else None,
        datatype=DATATYPES[params.datatype] if params.datatype else None,
    )


def sparse_params(params: models.SparseVectorParams) -> Any:
    """Settings of a sparse vector."""
    return edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf if params.modifier == models.Modifier.IDF else None)


def text_index(params: models.TextIndexParams) -> Any:
    """Settings of a text index; stopwords and stemmers of one language each."""
    stemmer = None
    if isinstance(params.stemmer, models.SnowballParams):
        stemmer = edge.SnowballParams(getattr(edge.SnowballLanguage, params.stemmer.language.name.title()))
    return edge.TextIndexParams(
        getattr(edge.TokenizerType, (params.tokenizer or models.TokenizerType.WORD).name.title()),
        params.min_token_len,
        params.max_token_len,
        lowercase=params.lowercase,
        ascii_folding=params.ascii_folding,
        phrase_matching=params.phrase_matching,
        stopwords=getattr(edge.Language, params.stopwords.name.title())
        if isinstance(params.stopwords, models.Language)
        else None,
        stemmer=stemmer,
        scoring=params.scoring is not None,
    )


def vector(given: Any) -> Any:
    """Vectors of a point or of a query, named ones too."""
    if isinstance(given, models.SparseVector):
        return edge.SparseVector(given.indices, given.values)
    if isinstance(given, Mapping):
        return {name: vector(each) for name, each in given.items()}
    return given


def plain_vector(found: Any) -> Any:
    """Vectors of an answer as lists, dictionaries and pairs."""
    if isinstance(found, Mapping):
        return {name: plain_vector(each) for name, each in found.items()}
    if isinstance(found, edge.SparseVector | models.SparseVector):
        return list(found.indices), list(found.values)
    return found


def point_id(given: int | str | UUID) -> int | UUID:
    """Ids of both sides in one form."""
    return UUID(given) if isinstance(given, str) else given


def group(given: models.Filter | None) -> Any:
    """A filter."""
    if given is None:
        return None
    least = given.min_should
    return edge.Filter(
        must=_conditions(given.must),
        should=_conditions(given.should),
        must_not=_conditions(given.must_not),
        min_should=None if least is None else edge.MinShould(_conditions(least.conditions) or [], least.min_count),
    )


def _conditions(given: Any) -> list[Any] | None:
    if given is None:
        return None
    return [condition(each) for each in (given if isinstance(given, Sequence) else [given])]


def condition(given: Any) -> Any:
    """One condition."""
    match given:
        case models.Filter():
            return group(given)
        case models.FieldCondition():
            return _field(given)
        case models.IsEmptyCondition():
            return edge.IsEmptyCondition(given.is_empty.key)
        case models.IsNullCondition():
            return edge.IsNullCondition(given.is_null.key)
        case models.HasIdCondition():
            ids = given.has_id
            return edge.HasIdCondition({point_id(each) for each in ids})
        case models.HasVectorCondition():
            return edge.HasVectorCondition(given.has_vector)
        case models.SliceCondition():
            return edge.SliceCondition(given.slice.total, given.slice.index)  # type: ignore[attr-defined]  # its stub lacks it
        case models.NestedCondition():
            return edge.NestedCondition(given.nested.key, group(given.nested.filter))
        case _:
            raise NotImplementedError(given)


def _field(given: models.FieldCondition) -> Any:
    count = given.values_count
    return edge.FieldCondition(
        given.key,
        match=None if given.match is None else _match(given.match),
        range=None if given.range is None else _range(given.range),
        geo_radius=_area(given.geo_radius),
        geo_bounding_box=_area(given.geo_bounding_box),
        geo_polygon=_area(given.geo_polygon),
        values_count=None if count is None else edge.ValuesCount(**_bounds(count)),
        is_empty=given.is_empty,
        is_null=given.is_null,
    )


def _range(given: models.Range | models.DatetimeRange) -> Any:
    if isinstance(given, models.Range):
        return edge.RangeFloat(**_bounds(given))
    moments = {name: None if moment is None else moment.isoformat() for name, moment in _bounds(given).items()}
    return edge.RangeDateTime(**moments)


def _area(given: models.GeoRadius | models.GeoBoundingBox | models.GeoPolygon | None) -> Any:
    match given:
        case models.GeoRadius():
            return edge.GeoRadius(geo_point(given.center), given.radius)
        case models.GeoBoundingBox():
            return edge.GeoBoundingBox(geo_point(given.top_left), geo_point(given.bottom_right))
        case models.GeoPolygon():
            rings = [[geo_point(each) for each in ring.points] for ring in [given.exterior, *(given.interiors or [])]]
            return edge.GeoPolygon(rings[0], rings[1:])
        case None:
            return None


def geo_point(given: models.GeoPoint) -> Any:
    """A point on the globe."""
    return edge.GeoPoint(lon=given.lon, lat=given.lat)


def _bounds(given: models.Range | models.DatetimeRange | models.ValuesCount) -> dict[str, Any]:
    return {name: getattr(given, name) for name in ("lt", "gt", "gte", "lte")}


def _match(given: models.Match) -> Any:
    match given:
        case models.MatchValue():
            return edge.MatchValue(given.value)
        case models.MatchAny():
            return edge.MatchAny(given.any)
        case models.MatchExcept():
            return edge.MatchExcept(given.except_)
        case models.MatchText():
            return edge.MatchText(given.text)
        case models.MatchTextAny():
            return edge.MatchTextAny(given.text_any)
        case models.MatchPhrase():
            return edge.MatchPhrase(given.phrase)
        case models.MatchPrefix():
            return edge.MatchPrefix(given.prefix)
        case models.MatchSubstring():
            return edge.MatchSubstring(given.substring)
        case _:
            raise NotImplementedError(given)


def search(given: models.Prefetch, *, offset: int = 0, beyond: int = 0) -> Any:
    """A whole search, its root written as a prefetch; ``beyond`` more hits show who is tied at the end."""
    return edge.QueryRequest(
        limit=(given.limit or LIMIT) + beyond,
        offset=offset,
        query=_query(given),
        prefetches=[_prefetch(each) for each in _listed(given.prefetch)],
        filter=group(given.filter),
        score_threshold=given.score_threshold,
        params=_params(given.params),
    )


def _prefetch(given: models.Prefetch) -> Any:
    return edge.Prefetch(
        limit=given.limit or LIMIT,
        query=_query(given),
        prefetches=[_prefetch(each) for each in _listed(given.prefetch)],
        filter=group(given.filter),
        score_threshold=given.score_threshold,
        params=_params(given.params),
    )


def _listed(given: models.Prefetch | list[models.Prefetch] | None) -> list[models.Prefetch]:
    return [given] if isinstance(given, models.Prefetch) else given or []


def _params(given: models.SearchParams | None) -> Any:
    if given is None or given.idf is None:
        return None
    corpus = given.idf.corpus if isinstance(given.idf, models.IdfCorpusParams) else None
    return edge.SearchParams(idf=edge.IdfParams(group(corpus)))


def _query(given: models.Prefetch) -> Any:
    match given.query:
        case None:
            return None
        case models.TextQuery():
            return _text(given.query.text, given.using or "")
        case models.FusionQuery(fusion=models.Fusion.RRF):
            return edge.Fusion.Rrf(k=2)
        case models.FusionQuery():
            return edge.Fusion.Dbsf()
        case models.RrfQuery(rrf=rrf):
            return edge.Fusion.Rrf(k=rrf.k or 2, weights=rrf.weights)
        case models.FormulaQuery():
            return edge.Formula(expression(given.query.formula), given.query.defaults or {})
        case models.OrderByQuery(order_by=models.OrderBy() as order):
            down, first = order.direction == models.Direction.DESC, order.start_from
            start = first.isoformat() if isinstance(first, date) else first
            return edge.OrderBy(order.key, edge.Direction.Desc if down else edge.Direction.Asc, start)
        case _:
            return edge.Query.Nearest(vector(given.query), using=given.using)


def _text(given: str | models.TextQueryInput, field: str) -> Any:
    if isinstance(given, str):
        return edge.TextQuery(field, given)
    params = given.scoring.bm25 if given.scoring else models.Bm25Params()
    return edge.TextQuery(field, given.query, edge.Bm25Params(params.k, params.b))


def expression(given: Any) -> Any:
    """A part of a formula."""
    of = edge.Expression
    match given:
        case float() | int():
            return of.Constant(float(given))
        case str():
            return of.Variable(given)
        case models.GeoDistance(geo_distance=params):
            return of.GeoDistance(geo_point(params.origin), params.to)
        case models.DatetimeExpression():
            return of.Datetime(given.datetime)
        case models.DatetimeKeyExpression():
            return of.DatetimeKey(given.datetime_key)
        case models.MultExpression():
            return of.Mult([expression(each) for each in given.mult])
        case models.SumExpression():
            return of.Sum([expression(each) for each in given.sum])
        case models.MaxExpression():
            return of.Max([expression(each) for each in given.max])
        case models.MinExpression():
            return of.Min([expression(each) for each in given.min])
        case models.DivExpression(div=params):
            return of.Div(expression(params.left), expression(params.right), params.by_zero_default)
        case models.PowExpression(pow=params):
            return of.Pow(expression(params.base), expression(params.exponent))
        case models.LinDecayExpression(lin_decay=params):
            return _decay(edge.DecayKind.Lin, params)
        case models.ExpDecayExpression(exp_decay=params):
            return _decay(edge.DecayKind.Exp, params)
        case models.GaussDecayExpression(gauss_decay=params):
            return _decay(edge.DecayKind.Gauss, params)
        case _:
            return _one_argument(given)


def _one_argument(given: Any) -> Any:
    of = edge.Expression
    match given:
        case models.NegExpression():
            return of.Neg(expression(given.neg))
        case models.AbsExpression():
            return of.Abs(expression(given.abs))
        case models.SqrtExpression():
            return of.Sqrt(expression(given.sqrt))
        case models.ExpExpression():
            return of.Exp(expression(given.exp))
        case models.Log10Expression():
            return of.Log10(expression(given.log10))
        case models.LnExpression():
            return of.Ln(expression(given.ln))
        case models.AcoshExpression():
            return of.Acosh(expression(given.acosh))
        case _:
            return of.Condition(condition(given))


def _decay(kind: Any, params: models.DecayParamsExpression) -> Any:
    target = None if params.target is None else expression(params.target)
    return edge.Expression.Decay(kind, expression(params.x), target, params.midpoint, params.scale)
