"""The reference engine in this process: the same points and the same searches, spoken in its own words.

It has no collection layer: no ids as queries, no exclusion, no thresholds on orders.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import qdrant_edge as edge

from qdrantlite.query import filter as f
from qdrantlite.query import search as s
from qdrantlite.values.distance import Datatype
from qdrantlite.values.point_id import PointId
from qdrantlite.values.schema import CollectionConfig, Modifier, VectorParams
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector, Vector
from tests.oracle import Hit
from tests.oracle_filter import Point


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

    def search(self, search: s.Search, *, beyond: int = 0) -> list[Hit]:
        """The page, and up to ``beyond`` hits that follow it."""
        root = search.stage
        request = edge.QueryRequest(
            limit=root.limit + beyond,
            offset=search.offset,
            query=_query(root),
            prefetches=[_prefetch(child) for child in root.prefetch],
            filter=_filter(root.filter),
            score_threshold=root.score_threshold,
        )
        return [Hit(_id(hit.id), hit.score, hit.order_value) for hit in self.shard.query(request)]


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
    )


def _query(node: s.Prefetch) -> Any:
    match node.query:
        case None:
            return None
        case s.Nearest(DenseVector() | MultiVector() | SparseVector() as vector):
            return edge.Query.Nearest(_vector(vector), using=node.using)
        case s.Fusion(s.FusionKind.RRF, k, weights):
            return edge.Fusion.Rrf(k=k, weights=None if weights is None else list(weights))
        case s.Fusion():
            return edge.Fusion.Dbsf()
        case s.OrderBy(key, direction, start):
            way = edge.Direction.Asc if direction is s.Direction.ASC else edge.Direction.Desc
            return edge.OrderBy(key, way, start)
        case _:
            raise NotImplementedError(node.query)


def _filter(given: f.Filter | None) -> Any:
    return None if given is None else edge.Filter(must=[_condition(condition) for condition in given.must])


def _condition(condition: f.Condition) -> Any:
    match condition:
        case f.FieldCondition(key, f.Range(lt, gt, gte, lte)):
            return edge.FieldCondition(key=key, range=edge.RangeFloat(lt=lt, gt=gt, gte=gte, lte=lte))
        case f.HasId(ids):
            return edge.HasIdCondition({*ids})
        case _:
            raise NotImplementedError(condition)
