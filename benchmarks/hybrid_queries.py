"""Hybrid and multi-stage queries over package records, drawn so that no two are alike.

Dense and byte queries are rows with noise, sparse ones terms of several records with weights of their own, filters are
drawn from all sections, examples from all rows. Requests are the client's, from which each engine gets its own.
"""

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from qdrant_client import models
from qdrant_client.conversions.conversion import RestToGrpc

from benchmarks.measure import SAMPLE
from qdrantlite.text.bm25 import embed_document
from qdrantlite.wire.pb import points as pb

NAME = "packages"
LIMIT = 10
EF = 128
NOISE = 0.3
"""Its length, by that of the row that it is added to."""
DENSE, BYTE, SPARSE = "dense", "byte", "sparse"
SECTION, SIZE = "section", "installed_size_kib"
PARAMS = models.SearchParams(hnsw_ef=EF)
VECTORS = {
    DENSE: models.VectorParams(size=384, distance=models.Distance.COSINE),
    BYTE: models.VectorParams(size=64, distance=models.Distance.COSINE, datatype=models.Datatype.UINT8),
}
SPARSE_VECTORS = {SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)}
INDEXES = {SECTION: models.PayloadSchemaType.KEYWORD, SIZE: models.PayloadSchemaType.INTEGER}


class Data:
    """Records, their vectors, and a source of what to ask."""

    def __init__(self, folder: Path | None) -> None:
        with gzip.open((folder or SAMPLE) / "packages.jsonl.gz", "rt") as lines:
            self.records = [json.loads(line) for line in lines]
        if folder is None:
            stored = np.load(SAMPLE / "vectors.npz")
            self.dense, self.byte = stored["dense"].astype(np.float32), stored["byte"]
        else:
            self.dense, self.byte = np.load(folder / "dense.npy").astype(np.float32), np.load(folder / "byte.npy")
        texts = [" ".join([each["name"], each["description"], *(each.get("tags") or ())]) for each in self.records]
        self.sparse = [embed_document(text) for text in texts]
        self.sections = sorted({each[SECTION] for each in self.records})
        self.chance = np.random.default_rng(5)

    def points(self, size: int) -> Iterator[list[models.PointStruct]]:
        """All records, so many at a time."""
        for start in range(0, len(self.records), size):
            yield [self._point(at) for at in range(start, min(start + size, len(self.records)))]

    def _point(self, at: int) -> models.PointStruct:
        terms, weights = self.sparse[at]
        return models.PointStruct(
            id=at,
            vector={
                DENSE: self.dense[at].tolist(),
                BYTE: self.byte[at].astype(float).tolist(),
                SPARSE: models.SparseVector(indices=terms.tolist(), values=weights.tolist()),
            },
            payload={key: self.records[at].get(key) for key in ("name", SECTION, SIZE)},
        )

    def row(self) -> int:
        """Any record."""
        return int(self.chance.integers(len(self.records)))

    def dense_query(self) -> list[float]:
        """A record's vector with noise."""
        row = self.dense[self.row()]
        noise = self.chance.normal(size=row.shape) * NOISE * np.linalg.norm(row) / np.sqrt(len(row))
        query: list[float] = (row + noise).astype(np.float32).tolist()
        return query

    def byte_query(self) -> list[float]:
        """A record's bytes with noise."""
        row = self.byte[self.row()].astype(np.int64) + self.chance.integers(-6, 7, self.byte.shape[1])
        query: list[float] = np.clip(row, 0, 255).astype(float).tolist()
        return query

    def sparse_query(self) -> models.SparseVector:
        """Eight terms of three records."""
        terms = np.unique(np.concatenate([self.sparse[self.row()][0] for _ in range(3)]))
        terms = np.sort(self.chance.permutation(terms)[:8])
        return models.SparseVector(indices=terms.tolist(), values=self.chance.uniform(0.5, 1.5, len(terms)).tolist())

    def dense_stage(self, limit: int) -> models.Prefetch:
        """A search by a dense query."""
        return models.Prefetch(query=self.dense_query(), using=DENSE, limit=limit, params=PARAMS)

    def sparse_stage(self, limit: int) -> models.Prefetch:
        """A search by a sparse query."""
        return models.Prefetch(query=self.sparse_query(), using=SPARSE, limit=limit)


@dataclass(frozen=True)
class Workload:
    """A way to ask; ``stages`` counts the vector searches in it, ``group_by`` is the key of those in groups."""

    name: str
    make: Callable[[Data], models.QueryRequest]
    stages: int = 1
    group_by: str | None = None


def _nearest(data: Data) -> models.QueryRequest:
    return models.QueryRequest(query=data.dense_query(), using=DENSE, limit=LIMIT, params=PARAMS)


def _fused(data: Data) -> models.QueryRequest:
    sources, rrf = [data.dense_stage(50), data.sparse_stage(50)], models.FusionQuery(fusion=models.Fusion.RRF)
    return models.QueryRequest(prefetch=sources, query=rrf, limit=LIMIT)


def _fused_in_section(data: Data) -> models.QueryRequest:
    section = str(data.sections[int(data.chance.integers(len(data.sections)))])
    match = models.FieldCondition(key=SECTION, match=models.MatchValue(value=section))
    return _fused(data).model_copy(update={"filter": models.Filter(must=[match])})


def _rescored(data: Data) -> models.QueryRequest:
    coarse = models.Prefetch(query=data.byte_query(), using=BYTE, limit=1000, params=PARAMS)
    fine = models.Prefetch(prefetch=coarse, query=data.dense_query(), using=DENSE, limit=100)
    return models.QueryRequest(prefetch=fine, query=data.sparse_query(), using=SPARSE, limit=LIMIT)


def _grouped(data: Data) -> models.QueryRequest:
    return _nearest(data).model_copy(update={"limit": 5})


def _recommended(data: Data) -> models.QueryRequest:
    positive, negative = [data.dense_query() for _ in range(3)], [data.dense_query() for _ in range(2)]
    strategy = models.RecommendStrategy.BEST_SCORE
    examples = models.RecommendInput(positive=positive, negative=negative, strategy=strategy)
    query = models.RecommendQuery(recommend=examples)
    return models.QueryRequest(query=query, using=DENSE, limit=LIMIT, params=PARAMS)


def _discovered(data: Data) -> models.QueryRequest:
    pair = models.ContextPair(positive=data.dense_query(), negative=data.dense_query())
    query = models.DiscoverQuery(discover=models.DiscoverInput(target=data.dense_query(), context=[pair]))
    return models.QueryRequest(query=query, using=DENSE, limit=LIMIT, params=PARAMS)


def _computed(data: Data) -> models.QueryRequest:
    decay = models.DecayParamsExpression(x=SIZE, target=float(data.chance.integers(0, 5000)), scale=1000.0)
    bonus = models.MultExpression(mult=[0.25, models.ExpDecayExpression(exp_decay=decay)])
    query = models.FormulaQuery(formula=models.SumExpression(sum=["$score", bonus]), defaults={SIZE: 0})
    return models.QueryRequest(prefetch=data.dense_stage(100), query=query, limit=LIMIT)


WORKLOADS = (
    Workload("dense", _nearest),
    Workload("hybrid RRF", _fused, 2),
    Workload("hybrid RRF, filtered", _fused_in_section, 2),
    Workload("three stages", _rescored),
    Workload("groups", _grouped, group_by=SECTION),
    Workload("recommend 3 + 2", _recommended),
    Workload("discover", _discovered),
    Workload("formula", _computed),
)
"""The first is what the others are compared with. Recommending is by best score, groups are five sections of three
points each, a formula adds a decay over the installed size, and a filter asks for one section.
"""


def exactly(request: models.QueryRequest) -> models.QueryRequest:
    """The request with each of its vector searches exact."""
    exact = models.SearchParams(exact=True)
    return request.model_copy(
        update={"params": exact, "prefetch": [_exact(each) for each in _listed(request.prefetch)]}
    )


def _exact(stage: models.Prefetch) -> models.Prefetch:
    below = [_exact(each) for each in _listed(stage.prefetch)]
    return stage.model_copy(update={"params": models.SearchParams(exact=True), "prefetch": below})


def _listed(given: models.Prefetch | Sequence[models.Prefetch] | None) -> Sequence[models.Prefetch]:
    return [given] if isinstance(given, models.Prefetch) else given or ()


def message_of(request: models.QueryRequest, group_by: str | None) -> Any:
    """The request as the client sends it, in our messages: ``QueryPoints``, or ``QueryPointGroups`` of three points."""
    sent = RestToGrpc.convert_query_request(request, NAME).SerializeToString()
    message = pb.QueryPoints.FromString(sent)
    if group_by is None:
        return message
    return pb.QueryPointGroups(
        collection_name=NAME,
        query=message.query,
        using=message.using,
        limit=message.limit,
        params=message.params,
        group_by=group_by,
        group_size=3,
    )
