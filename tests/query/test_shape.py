"""Shapes: equal for searches that differ in their vectors alone, and in nothing else."""

from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest

from qdrantlite.query import filter as f
from qdrantlite.query import search as s
from qdrantlite.query.shape import shape_of
from qdrantlite.values.vector import DenseVector, SparseVector


def dense(*values: float) -> DenseVector:
    return DenseVector(np.array(values, dtype=np.float32))


def color(value: str) -> f.Filter:
    return f.Filter(must=(f.FieldCondition("color", f.MatchKeyword(value)),))


def leaf(*values: float) -> s.Prefetch:
    return s.Prefetch(query=s.Nearest(dense(*values)), using="v", filter=color("red"), limit=5)


def fused(*values: float) -> s.Search:
    words = SparseVector(np.array([1, 2], dtype=np.uint32), np.array(values[:2], dtype=np.float32))
    sources = leaf(*values), s.Prefetch(query=s.Nearest(words), using="w")
    return s.Search(s.Prefetch(sources, s.Fusion(s.FusionKind.RRF), filter=color("red")), offset=2)


def pair(*values: float) -> s.ContextPair:
    return s.ContextPair(dense(*values), dense(0, 0))


def test_searches_that_differ_in_their_vectors_alone_are_alike() -> None:
    assert shape_of(fused(1, 2)) == shape_of(fused(3, 4))
    assert len({shape_of(fused(1, 2)), shape_of(fused(3, 4))}) == 1
    queries: list[tuple[s.Query, s.Query]] = [
        (s.Recommend((dense(1, 2),), (dense(2, 1),)), s.Recommend((dense(3, 2),), (dense(5, 1),))),
        (s.Discover(dense(1, 2), (pair(1, 2),)), s.Discover(dense(2, 2), (pair(3, 2),))),
        (s.Context((pair(1, 2),)), s.Context((pair(3, 2),))),
    ]
    for one, other in queries:
        assert shape_of(s.Search(s.Prefetch(query=one))) == shape_of(s.Search(s.Prefetch(query=other))) is not None


ROOT = fused(1, 2)
LEAF = ROOT.stage.prefetch[0]
DIFFERENT = [
    replace(ROOT, offset=3),
    replace(ROOT, with_vectors=s.VectorsSelector(names=("v",))),
    replace(ROOT, stage=replace(ROOT.stage, prefetch=ROOT.stage.prefetch[::-1])),
    replace(ROOT, stage=replace(ROOT.stage, prefetch=(replace(LEAF, prefetch=(LEAF,)), ROOT.stage.prefetch[1]))),
    replace(ROOT, stage=replace(ROOT.stage, query=s.Fusion(s.FusionKind.DBSF))),
    replace(ROOT, stage=replace(ROOT.stage, query=s.Fusion(s.FusionKind.RRF, k=3))),
    replace(ROOT, stage=replace(ROOT.stage, filter=color("green"))),
    replace(ROOT, stage=replace(ROOT.stage, limit=3)),
    replace(ROOT, stage=replace(ROOT.stage, score_threshold=0.5)),
    replace(ROOT, stage=replace(ROOT.stage, params=s.SearchParams(exact=True))),
    replace(ROOT, stage=LEAF),
    replace(ROOT, stage=replace(LEAF, using="w")),
    *[
        replace(ROOT, stage=replace(LEAF, query=query))
        for query in (
            s.Recommend((dense(1, 2), dense(1, 2)), ()),
            s.Recommend((dense(1, 2),), (dense(1, 2),)),
            s.Recommend((dense(1, 2), dense(1, 2)), (), s.RecommendStrategy.BEST_SCORE),
            s.Discover(dense(1, 2), ()),
            s.Discover(dense(1, 2), (pair(1, 2),)),
            s.Context((pair(1, 2),)),
            s.Context((pair(1, 2), pair(1, 2))),
        )
    ],
]


def test_searches_that_differ_in_anything_else_are_not_alike() -> None:
    shapes = [shape_of(each) for each in (ROOT, *DIFFERENT)]
    assert None not in shapes
    assert len(set(shapes)) == len(shapes)


@pytest.mark.parametrize(
    "stage",
    [
        s.Prefetch(),
        s.Prefetch(query=s.Nearest(7)),
        s.Prefetch(query=s.Nearest(UUID(int=7))),
        s.Prefetch(query=s.Recommend((dense(1, 2),), (7,))),
        s.Prefetch(query=s.Discover(7, (pair(1, 2),))),
        s.Prefetch(query=s.Context((s.ContextPair(dense(1, 2), 7),))),
        s.Prefetch(query=s.RelevanceFeedback(dense(1, 2), (s.FeedbackItem(7, 1.0),), 1.0, 1.0, 1.0)),
        s.Prefetch(query=s.NearestMmr(dense(1, 2))),
        s.Prefetch(query=s.OrderBy("n")),
        s.Prefetch(query=s.Sample()),
        s.Prefetch(query=s.TextQuery("words")),
        replace(LEAF, params=s.SearchParams(idf_corpus=color("red"))),
        replace(ROOT.stage, prefetch=(LEAF, s.Prefetch(query=s.Nearest(7)))),
    ],
)
def test_search_of_ids_orders_texts_and_corpora_is_like_no_other(stage: s.Prefetch) -> None:
    assert shape_of(s.Search(stage)) is None
