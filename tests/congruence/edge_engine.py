"""The reference engine in this process: the same points and the same searches, spoken in its own words.

It has no collection layer: no ids as queries, no exclusion, no thresholds on orders.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import qdrant_edge as edge

from qdrantlite.query import filter as f
from qdrantlite.query import formula as c
from qdrantlite.query import search as s
from qdrantlite.values.distance import Datatype
from qdrantlite.values.point_id import PointId
from qdrantlite.values.schema import CollectionConfig, Modifier, VectorParams
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector, Vector
from tests.oracle import Hit
from tests.oracle_filter import Point
from tests.oracle_scores import average


class EdgeEngine:
    """One shard of the reference engine with integer indexes on ``integer_keys``."""

    def __init__(
        self, folder: Path, config: CollectionConfig, points: Iterable[Point], integer_keys: Sequence[str] = ()
    ) -> None:
        self.shard = edge.EdgeShard.create(
            str(folder),
            edge.EdgeConfig(
                vectors={name: _dense_params(params) for name, params in config.vectors.items()},
                sparse_vectors={
                    name: edge.EdgeSparseVectorParams(
                        modifier=edge.Modifier.Idf if params.modifier is Modifier.IDF else None
                    )
                    for name, params in config.sparse_vectors.items()
                },
            ),
        )
        stored = [
            edge.Point(point.id, {name: _vector(vector) for name, vector in point.vectors.items()}, point.payload)
            for point in points
        ]
        self.shard.update(edge.UpdateOperation.upsert_points(stored))
        for key in integer_keys:
            self.shard.update(edge.UpdateOperation.create_field_index(key, edge.PayloadSchemaType.Integer))

    def delete(self, ids: Sequence[PointId]) -> None:
        """Whole points."""
        self.shard.update(edge.UpdateOperation.delete_points(list(ids)))

    def search(self, search: s.Search, *, beyond: int = 0) -> list[Hit]:
        """The page, and up to ``beyond`` hits that follow it."""
        found = self.shard.query(request_of(search, beyond=beyond))
        return [Hit(_id(hit.id), hit.score, hit.order_value) for hit in found]


def request_of(search: s.Search, *, beyond: int = 0) -> Any:
    """A search in the engine's words, for up to ``beyond`` hits more."""
    root = search.stage
    return edge.QueryRequest(
        limit=root.limit + beyond,
        offset=search.offset,
        query=_query(root),
        prefetches=[_prefetch(child) for child in root.prefetch],
        filter=_filter(root.filter),
        score_threshold=root.score_threshold,
        params=_params(root.params),
    )


def _id(given: int | UUID | str) -> PointId:
    return UUID(given) if isinstance(given, str) else given


def _dense_params(params: VectorParams) -> Any:
    datatypes = {
        Datatype.FLOAT16: edge.VectorStorageDatatype.Float16,
        Datatype.UINT8: edge.VectorStorageDatatype.Uint8,
    }
    return edge.EdgeVectorParams(
        params.size,
        getattr(edge.Distance, params.distance.value),
        multivector_config=edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim) if params.multivector else None,
        datatype=None if params.datatype is None else datatypes.get(params.datatype),
    )


def _vector(vector: Vector) -> Any:
    match vector:
        case DenseVector(values):
            return values.tolist()
        case MultiVector(rows):
            return rows.tolist()
        case SparseVector(indices, weights):
            return edge.SparseVector(indices.tolist(), weights.tolist())


def _prefetch(node: s.Prefetch) -> Any:
    return edge.Prefetch(
        limit=node.limit,
        query=_query(node),
        prefetches=[_prefetch(child) for child in node.prefetch],
        filter=_filter(node.filter),
        score_threshold=node.score_threshold,
        params=_params(node.params),
    )


def _params(given: s.SearchParams) -> Any:
    return edge.SearchParams(hnsw_ef=given.hnsw_ef, exact=given.exact)


def _query(node: s.Prefetch) -> Any:
    match node.query:
        case None:
            return None
        case s.Nearest(given):
            return edge.Query.Nearest(_given(given), using=node.using)
        case s.NearestMmr(given, diversity, candidates):
            return edge.Mmr(_given(given), 1 - diversity, node.limit if candidates is None else candidates, node.using)
        case s.Recommend(positive, negative, strategy):
            return _recommend(positive, negative, strategy, node.using)
        case s.Discover(target, context):
            return edge.Query.Discover(edge.DiscoverQuery(_given(target), _pairs(context)), using=node.using)
        case s.Context(pairs):
            return edge.Query.Context(edge.ContextQuery(_pairs(pairs)), using=node.using)
        case s.RelevanceFeedback(target, feedback, a, b, c):
            items = [edge.FeedbackItem(_given(item.example), item.score) for item in feedback]
            naive = edge.FeedbackNaiveQuery(_given(target), items, edge.NaiveFeedbackStrategy(a, b, c))
            return edge.Query.FeedbackNaive(naive, using=node.using)
        case s.Formula(expression, defaults):
            return edge.Formula(_expression(expression), dict(defaults))
        case s.Fusion(s.FusionKind.RRF, k, weights):
            return edge.Fusion.Rrf(k=k, weights=None if weights is None else list(weights))
        case s.Fusion():
            return edge.Fusion.Dbsf()
        case s.OrderBy(key, direction, start):
            way = edge.Direction.Asc if direction is s.Direction.ASC else edge.Direction.Desc
            return edge.OrderBy(key, way, start)
        case _:
            raise NotImplementedError(node.query)


def _given(given: s.VectorInput) -> Any:
    """The engine knows no ids as queries."""
    assert isinstance(given, DenseVector | MultiVector | SparseVector)
    return _vector(given)


def _vectors(given: Sequence[s.VectorInput]) -> list[Vector]:
    return [each for each in given if isinstance(each, DenseVector | MultiVector | SparseVector)]


def _recommend(
    positive: Sequence[s.VectorInput], negative: Sequence[s.VectorInput], strategy: s.RecommendStrategy, using: str
) -> Any:
    """The engine knows no averages, only the search for the vector that they are."""
    if strategy is s.RecommendStrategy.AVERAGE_VECTOR:
        return edge.Query.Nearest(_vector(average(*map(_vectors, (positive, negative)))), using=using)
    examples = edge.RecommendQuery([_given(each) for each in positive], [_given(each) for each in negative])
    if strategy is s.RecommendStrategy.BEST_SCORE:
        return edge.Query.RecommendBestScore(examples, using=using)
    return edge.Query.RecommendSumScores(examples, using=using)


def _pairs(given: Sequence[s.ContextPair]) -> list[Any]:
    return [edge.ContextPair(_given(pair.positive), _given(pair.negative)) for pair in given]


def _expression(given: c.Expression) -> Any:
    of = edge.Expression
    match given:
        case c.Constant(value):
            return of.Constant(value)
        case c.Variable(name):
            return of.Variable(name)
        case c.Sum(terms):
            return of.Sum([_expression(each) for each in terms])
        case c.Mult(factors):
            return of.Mult([_expression(each) for each in factors])
        case c.Unary(c.UnaryKind.ABS, argument):
            return of.Abs(_expression(argument))
        case c.Decay(c.DecayKind.EXP, x, target, scale, midpoint):
            aim = None if target is None else _expression(target)
            return of.Decay(edge.DecayKind.Exp, _expression(x), aim, midpoint, scale)
        case _:
            raise NotImplementedError(given)


def _filter(given: f.Filter | None) -> Any:
    return None if given is None else edge.Filter(must=[_condition(condition) for condition in given.must])


def _condition(condition: f.Condition) -> Any:
    match condition:
        case f.FieldCondition(key, f.MatchKeyword(keyword)):
            return edge.FieldCondition(key=key, match=edge.MatchValue(keyword))
        case f.FieldCondition(key, f.Range(lt, gt, gte, lte)):
            return edge.FieldCondition(key=key, range=edge.RangeFloat(lt=lt, gt=gt, gte=gte, lte=lte))
        case f.HasId(ids):
            return edge.HasIdCondition({*ids})
        case _:
            raise NotImplementedError(condition)
