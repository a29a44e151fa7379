"""Binds a search to a listed shard as the specification says, filters answered by the oracle."""

import numpy as np

from qdrantlite.plan import bound as b
from qdrantlite.query import search as s
from qdrantlite.query.filter import Filter, HasId
from qdrantlite.segment.vector_index.row_encoding import prepare_query
from qdrantlite.values.distance import Datatype
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector
from tests.execute.listed_shard import ListedShard
from tests.oracle import Oracle, referenced


def bind(search: s.Search, oracle: Oracle, shard: ListedShard) -> b.BoundSearch:
    """Ids become vectors, filters selections; ids referenced anywhere are excluded everywhere."""
    ids = tuple(referenced(search.stage))
    above = (Filter(must_not=(HasId(ids),)),) if ids else ()
    return b.BoundSearch(_stage(search.stage, above, oracle, shard), search.offset)


def _stage(node: s.Prefetch, above: tuple[Filter, ...], oracle: Oracle, shard: ListedShard) -> b.BoundStage:
    filters = above if node.filter is None else (*above, node.filter)
    return b.BoundStage(
        children=tuple(_stage(child, filters, oracle, shard) for child in node.prefetch),
        query=_query(node, oracle),
        using=node.using,
        selection=shard.select(oracle.passing(filters)) if filters and not node.prefetch else None,
        score_threshold=node.score_threshold,
        limit=node.limit,
    )


def _query(node: s.Prefetch, oracle: Oracle) -> b.BoundQuery | None:
    match node.query:
        case None:
            return None
        case s.OrderBy(key, direction, start):
            assert not isinstance(start, str)
            return b.BoundOrderBy(key, direction, start)
        case s.Fusion(kind, k, weights):
            return b.BoundFusion(kind, k, weights)
        case s.Sample():
            return b.BoundSample()
        case s.Nearest(given):
            return _nearest(node, given, oracle)
        case _:
            raise NotImplementedError(node.query)


def _nearest(node: s.Prefetch, given: s.VectorInput, oracle: Oracle) -> b.BoundVectorQuery:
    match oracle.vector(node, given):
        case SparseVector() as vector:
            weights = oracle.weights(node.using, vector)
            return b.NearestSparse(SparseVector(vector.indices, np.array(list(weights.values()), dtype=np.float32)))
        case DenseVector(values):
            params = oracle.config.vectors[node.using]
            query = prepare_query(values, params.distance, params.datatype or Datatype.FLOAT32)
            return b.NearestDense(query, params.distance.larger_is_better)
        case MultiVector(rows):
            params = oracle.config.vectors[node.using]
            query = prepare_query(rows, params.distance, params.datatype or Datatype.FLOAT32)
            return b.NearestMulti(query, params.distance.larger_is_better)
