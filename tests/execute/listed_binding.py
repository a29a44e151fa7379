"""Binds a search to a listed shard as the specification says, filters answered by the oracle."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qdrantlite.collection.read.formulas import bind_formula
from qdrantlite.plan import bound as b
from qdrantlite.plan.custom import (
    BestScore,
    CustomScore,
    DenseExamples,
    MultiExamples,
    PairLosses,
    PairRanks,
    Scorer,
    SparseExamples,
    WeightedSum,
    feedback_weights,
)
from qdrantlite.query import search as s
from qdrantlite.query.filter import Condition, Filter, HasId
from qdrantlite.segment.vector_index.row_encoding import prepare_query
from qdrantlite.text.bm25 import Saturation
from qdrantlite.values.distance import Datatype
from qdrantlite.values.vector import U32, SparseVector, Vector
from tests.execute.listed_shard import ListedShard
from tests.oracle import Oracle, referenced
from tests.oracle_custom import inputs
from tests.oracle_filter import holds
from tests.oracle_scores import average, rows_of
from tests.oracle_text import asked_words, rarities, words_at


def bind(search: s.Search, oracle: Oracle, shard: ListedShard) -> b.BoundSearch:
    """Ids become vectors, filters selections; ids referenced anywhere are excluded everywhere."""
    ids = tuple(referenced(search.stage))
    above = (Filter(must_not=(HasId(ids),)),) if ids else ()
    return b.BoundSearch(_stage(search.stage, above, oracle, shard, root=True), search.offset)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A condition answered by the oracle."""

    shard: ListedShard
    condition: Condition

    def passes(self, offsets: U32) -> NDArray[np.bool_]:
        return np.array([holds(self.condition, self.shard.points[offset]) for offset in offsets.tolist()], np.bool_)


def _stage(
    node: s.Prefetch, above: tuple[Filter, ...], oracle: Oracle, shard: ListedShard, *, root: bool
) -> b.BoundStage:
    filters = above if node.filter is None else (*above, node.filter)
    stage = b.BoundStage(
        children=tuple(_stage(child, filters, oracle, shard, root=False) for child in node.prefetch),
        query=_query(node, oracle, shard),
        using=node.using,
        selection=shard.select(oracle.passing(filters)) if filters and not node.prefetch else None,
        score_threshold=node.score_threshold,
        limit=node.limit,
    )
    if not isinstance(node.query, s.NearestMmr):
        return stage
    candidates = node.limit if node.query.candidates_limit is None else node.query.candidates_limit
    if not root and not node.prefetch:
        return replace(stage, limit=candidates)
    picks = b.BoundDiversity(_prepared(oracle.vector(node, node.query.input), node, oracle), node.query.diversity)
    children = (replace(stage, limit=candidates),) if root else stage.children
    return b.BoundStage(children=children, query=picks, using=node.using, limit=node.limit)


def _query(node: s.Prefetch, oracle: Oracle, shard: ListedShard) -> b.BoundQuery | None:
    match node.query:
        case None:
            return None
        case s.OrderBy(key, direction, start):
            assert not isinstance(start, str)
            return b.BoundOrderBy(key, direction, start)
        case s.Fusion(kind, k, weights):
            return b.BoundFusion(kind, k, weights)
        case s.TextQuery() as query:
            return _ranked(query, node.using, oracle)
        case s.Sample():
            return b.BoundSample()
        case s.Formula():
            return bind_formula(node.query, {}, lambda condition: _Listed(shard, condition))
        case s.Nearest(given) | s.NearestMmr(given):
            return _nearest(node, oracle.vector(node, given), oracle)
        case s.Recommend(positive, negative, s.RecommendStrategy.AVERAGE_VECTOR):
            sides = ([oracle.vector(node, each) for each in side] for side in (positive, negative))
            return _nearest(node, average(*sides), oracle)
        case _:
            return _custom(node, oracle)


def _ranked(query: s.TextQuery, key: str, oracle: Oracle) -> b.BoundText:
    documents = [said for point in oracle.points if (said := words_at(point, key))]
    words = asked_words(query)
    average = sum(map(len, documents)) / len(documents) if documents else 1.0
    saturation = Saturation(query.k, query.b, average)
    return b.BoundText(key, words, np.array(rarities(words, documents), dtype=np.float32), saturation, len(documents))


def _nearest(node: s.Prefetch, vector: Vector, oracle: Oracle) -> b.NearestQuery:
    return _prepared(_weighted(node, vector, oracle), node, oracle)


def _weighted(node: s.Prefetch, vector: Vector, oracle: Oracle) -> Vector:
    """A sparse vector with IDF."""
    if not isinstance(vector, SparseVector):
        return vector
    weights = oracle.weights(node.using, vector)
    return SparseVector(vector.indices, np.array(list(weights.values()), dtype=np.float32))


def _prepared(vector: Vector, node: s.Prefetch, oracle: Oracle) -> b.NearestQuery:
    if isinstance(vector, SparseVector):
        return b.NearestSparse(vector)
    params = oracle.config.vectors[node.using]
    query = prepare_query(rows_of(vector), params.distance, params.datatype or Datatype.FLOAT32)
    if params.multivector:
        return b.NearestMulti(query, params.distance.larger_is_better)
    return b.NearestDense(query[0], params.distance.larger_is_better)


def _custom(node: s.Prefetch, oracle: Oracle) -> CustomScore:
    query = node.query
    given: list[s.VectorInput] = list(inputs(query))
    scorer: Scorer
    match query:
        case s.Recommend(positive, negative, s.RecommendStrategy.BEST_SCORE):
            scorer = BestScore(len(positive))
        case s.Recommend(positive, negative):
            scorer = WeightedSum(np.array([1] * len(positive) + [-1] * len(negative), dtype=np.float32))
        case s.Discover(target, pairs):
            scorer, given = PairRanks(len(pairs)), [*given[1:], target]
        case s.Context(pairs):
            scorer = PairLosses(len(pairs))
        case s.RelevanceFeedback(_, feedback, a, power, c):
            scores = np.array([item.score for item in feedback], dtype=np.float32)
            scorer = WeightedSum(feedback_weights(scores, a, power, c))
        case _:
            raise NotImplementedError(query)
    vectors = [_nearest(node, oracle.vector(node, each), oracle) for each in given]
    params = oracle.config.vectors.get(node.using)
    if params is None:
        sparse = tuple(vector.vector for vector in vectors if isinstance(vector, b.NearestSparse))
        return CustomScore(SparseExamples(sparse), scorer, larger_is_better=True)
    larger = params.distance.larger_is_better
    if params.multivector:
        rows = tuple(vector.rows for vector in vectors if isinstance(vector, b.NearestMulti))
        return CustomScore(MultiExamples(rows), scorer, larger)
    dense = [vector.vector for vector in vectors if isinstance(vector, b.NearestDense)]
    matrix = np.array(dense, dtype=np.float32).reshape(-1, params.size)
    return CustomScore(DenseExamples(matrix), scorer, larger)
