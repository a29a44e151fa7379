"""Searches and filters of ``query`` as models of the official client, which sends them over either transport."""

from typing import Any, assert_never
from uuid import UUID

from qdrant_client import models

from qdrantlite.query import filter as f
from qdrantlite.query import formula as e
from qdrantlite.query import search as s
from qdrantlite.values.point_id import PointId
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector, Vector


def id_model(point_id: PointId) -> int | str:
    """As JSON has it."""
    return str(point_id) if isinstance(point_id, UUID) else point_id


def vector_model(vector: Vector) -> Any:
    """A list, a list of lists or a sparse vector."""
    match vector:
        case DenseVector(values):
            return values.tolist()
        case MultiVector(rows):
            return rows.tolist()
        case SparseVector(indices, weights):
            return models.SparseVector(indices=indices.tolist(), values=weights.tolist())
        case _:
            assert_never(vector)


def filter_model(tree: f.Filter | None) -> models.Filter | None:
    """Lists that are empty are left out."""
    if tree is None:
        return None
    minimum = tree.min_should
    return models.Filter(
        should=_conditions(tree.should),
        must=_conditions(tree.must),
        must_not=_conditions(tree.must_not),
        min_should=None
        if minimum is None
        else models.MinShould(conditions=_conditions(minimum.conditions) or [], min_count=minimum.min_count),
    )


def _conditions(conditions: tuple[f.Condition, ...]) -> list[Any] | None:
    return [_condition(condition) for condition in conditions] or None


def _condition(condition: f.Condition) -> Any:
    match condition:
        case f.FieldCondition(key, predicate):
            return models.FieldCondition(key=key, **_predicate(predicate))
        case f.IsEmpty(key):
            return models.IsEmptyCondition(is_empty=models.PayloadField(key=key))
        case f.IsNull(key):
            return models.IsNullCondition(is_null=models.PayloadField(key=key))
        case f.HasId(ids):
            return models.HasIdCondition(has_id=[id_model(each) for each in ids])
        case f.HasVector(name):
            return models.HasVectorCondition(has_vector=name)
        case f.Slice(total, index):
            return models.SliceCondition(slice=models.Slice(total=total, index=index))
        case f.Nested(key, inner):
            return models.NestedCondition(nested=models.Nested(key=key, filter=filter_model(inner) or models.Filter()))
        case f.Filter():
            return filter_model(condition)
        case _:
            assert_never(condition)


def _predicate(predicate: f.Predicate) -> dict[str, Any]:
    match predicate:
        case f.MatchKeyword(value) | f.MatchInteger(value) | f.MatchBool(value):
            return {"match": models.MatchValue(value=value)}
        case f.MatchAnyKeyword(values) | f.MatchAnyInteger(values):
            return {"match": models.MatchAny.model_validate({"any": list(values)})}
        case f.MatchExceptKeyword(values) | f.MatchExceptInteger(values):
            return {"match": models.MatchExcept.model_validate({"except": list(values)})}
        case f.MatchPrefix(prefix):
            return {"match": models.MatchPrefix(prefix=prefix)}
        case f.MatchSubstring(substring):
            return {"match": models.MatchSubstring(substring=substring)}
        case f.Range():
            return {"range": models.Range(lt=predicate.lt, gt=predicate.gt, gte=predicate.gte, lte=predicate.lte)}
        case f.ValuesCount():
            bounds = {name: getattr(predicate, name) for name in ("lt", "gt", "gte", "lte")}
            return {"values_count": models.ValuesCount(**bounds)}
        case f.IsEmptyFlag(wanted):
            return {"is_empty": wanted}
        case f.IsNullFlag(wanted):
            return {"is_null": wanted}
        case _:
            raise NotImplementedError(predicate)


def _input(given: s.VectorInput) -> Any:
    if isinstance(given, int | UUID):
        return id_model(given)
    assert isinstance(given, DenseVector | MultiVector | SparseVector)
    return vector_model(given)


def query_model(query: s.Query | None) -> Any:
    """What ``query`` of a request is."""
    match query:
        case None:
            return None
        case s.Nearest(given):
            return models.NearestQuery(nearest=_input(given))
        case s.Fusion(s.FusionKind.RRF, k, weights):
            return models.RrfQuery(rrf=models.Rrf(k=k, weights=None if weights is None else list(weights)))
        case s.OrderBy(key, direction, start_from):
            assert not isinstance(start_from, str)
            return models.OrderByQuery(
                order_by=models.OrderBy(
                    key=key, direction=models.Direction(direction.name.lower()), start_from=start_from
                )
            )
        case s.Formula(expression, defaults):
            return models.FormulaQuery(formula=_expression(expression), defaults=dict(defaults))
        case s.TextQuery(text, k, b):
            scoring = models.Bm25Scoring(bm25=models.Bm25Params(k=k, b=b))
            return models.TextQuery(text=models.TextQueryInput(query=text, scoring=scoring))
        case s.Sample():
            return models.SampleQuery(sample=models.Sample.RANDOM)
        case _:
            return _examples_model(query)


def _examples_model(query: s.Query) -> Any:
    match query:
        case s.NearestMmr(given, diversity, candidates):
            mmr = models.Mmr(diversity=diversity, candidates_limit=candidates)
            return models.NearestQuery(nearest=_input(given), mmr=mmr)
        case s.Recommend(positive, negative, strategy):
            named = models.RecommendStrategy(strategy.name.lower())
            sides = [_input(each) for each in positive], [_input(each) for each in negative]
            examples = models.RecommendInput(positive=sides[0], negative=sides[1], strategy=named)
            return models.RecommendQuery(recommend=examples)
        case s.Discover(target, context):
            return models.DiscoverQuery(discover=models.DiscoverInput(target=_input(target), context=_pairs(context)))
        case s.Context(pairs):
            return models.ContextQuery(context=_pairs(pairs))
        case s.RelevanceFeedback(target, feedback, a, b, c):
            items = [models.FeedbackItem(example=_input(item.example), score=item.score) for item in feedback]
            naive = models.NaiveFeedbackStrategy(naive=models.NaiveFeedbackStrategyParams(a=a, b=b, c=c))
            asked = models.RelevanceFeedbackInput(target=_input(target), feedback=items, strategy=naive)
            return models.RelevanceFeedbackQuery(relevance_feedback=asked)
        case _:
            raise NotImplementedError(query)


def _pairs(pairs: tuple[s.ContextPair, ...]) -> list[models.ContextPair]:
    return [models.ContextPair(positive=_input(pair.positive), negative=_input(pair.negative)) for pair in pairs]


def _expression(expression: e.Expression) -> Any:
    match expression:
        case e.Constant(value):
            return value
        case e.Variable(name):
            return name
        case e.ConditionValue(condition):
            return _condition(condition)
        case e.Sum(parts):
            return models.SumExpression(sum=[_expression(part) for part in parts])
        case e.Mult(parts):
            return models.MultExpression(mult=[_expression(part) for part in parts])
        case e.Extreme(parts, True):
            return models.MaxExpression(max=[_expression(part) for part in parts])
        case e.Extreme(parts):
            return models.MinExpression(min=[_expression(part) for part in parts])
        case e.Div(left, right, default):
            sides = models.DivParams(left=_expression(left), right=_expression(right), by_zero_default=default)
            return models.DivExpression(div=sides)
        case _:
            raise NotImplementedError(expression)


def prefetch_model(stage: s.Prefetch) -> models.Prefetch:
    """A stage below the root."""
    return models.Prefetch(
        prefetch=[prefetch_model(each) for each in stage.prefetch] or None,
        query=query_model(stage.query),
        using=stage.using,
        filter=filter_model(stage.filter),
        score_threshold=stage.score_threshold,
        limit=stage.limit,
    )


def request_model(search: s.Search) -> models.QueryRequest:
    """A whole search, with payload and vectors."""
    root = prefetch_model(search.stage)
    return models.QueryRequest(
        **{name: getattr(root, name) for name in models.Prefetch.model_fields if name != "lookup_from"},
        offset=search.offset,
        with_payload=True,
        with_vector=True,
    )
