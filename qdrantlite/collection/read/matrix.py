"""The distance matrix: a random sample of points, and for each the nearest others of the sample."""

from collections.abc import Sequence

import numpy as np

from qdrantlite.collection.read.bind_vectors import VectorBinder
from qdrantlite.collection.read.view import ReadView
from qdrantlite.deadline import Deadline
from qdrantlite.execute.executor import execute_all
from qdrantlite.plan.bound import BoundSearch, BoundStage
from qdrantlite.plan.planner import plan
from qdrantlite.query.check import vector_kind
from qdrantlite.query.search import Matrix, Nearest, Prefetch, SearchParams, VectorsSelector
from qdrantlite.segment.selection import Selection
from qdrantlite.values.record import SampleMatrix
from qdrantlite.values.vector import F32, U32

POINTS_TOGETHER = 256
"""Searches that are planned, run and held at a time."""
EXACTLY = SearchParams(exact=True)


def sample_matrix(
    view: ReadView, selection: Selection | None, request: Matrix, binder: VectorBinder, deadline: Deadline
) -> SampleMatrix:
    """Points of the sample by id, and row by row the nearest others. Raises BadInput, TimedOut, Cancelled."""
    vector_kind(view.state.config, request.using)
    present = view.state.present[request.using]
    among = (present if selection is None else present.intersection(selection)).offsets()
    if len(among) < 2:
        return SampleMatrix.empty()
    chosen = view.random.choice(among, min(request.sample, len(among)), replace=False)
    ids = view.ids(chosen)
    order = ids.order(np.zeros(len(ids), dtype=np.int64), ascending=True)
    offsets: U32 = chosen[order]
    rows: list[U32] = []
    columns: list[U32] = []
    scores: list[F32] = []
    for start in range(0, len(offsets), POINTS_TOGETHER):
        some = offsets[start : start + POINTS_TOGETHER]
        for row, (near, found) in enumerate(_nearest(view, some, offsets, request, binder, deadline), start):
            rows.append(np.full(len(near), row, dtype=np.uint32))
            columns.append(near)
            scores.append(found)
    named = ids.take(order).to_list()
    return SampleMatrix(named, np.concatenate(rows), np.concatenate(columns), np.concatenate(scores))


def _nearest(
    view: ReadView, some: U32, sample: U32, request: Matrix, binder: VectorBinder, deadline: Deadline
) -> Sequence[tuple[U32, F32]]:
    """For some points of the sample the places in it of their nearest others, with scores, best first."""
    using, limit = request.using, min(request.limit, len(sample) - 1)
    asked = Prefetch(using=using)
    everyone = Selection.from_offsets(sample)
    queries = [
        binder.query(asked, Nearest(found[using]), None)
        for found in view.vectors(some, VectorsSelector(names=(using,)))
    ]
    stages = [BoundStage((), query, using, everyone, EXACTLY, limit=limit + 1) for query in queries]
    rankings = execute_all([plan(BoundSearch(stage), view) for stage in stages], view, deadline=deadline)
    by_offset = np.argsort(sample)
    nearest = []
    for own, ranking in zip(some.tolist(), rankings, strict=True):
        others = ranking.take(np.flatnonzero(ranking.offsets != own)).head(limit)
        places = by_offset[np.searchsorted(sample, others.offsets, sorter=by_offset)]
        nearest.append((places.astype(np.uint32), others.scores))
    return nearest
