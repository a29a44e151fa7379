"""Stages that Qdrant refuses cannot be built."""

import numpy as np
import pytest

from qdrantlite.errors import BadInput, BadRequest
from qdrantlite.plan.bound import BoundFusion, BoundOrderBy, BoundSample, BoundStage, NearestDense, widened
from qdrantlite.query.search import FusionKind

LEAF = BoundStage()
RRF = BoundFusion(FusionKind.RRF)
NEAREST = NearestDense(np.zeros(2, dtype=np.float32), larger_is_better=True)


def test_prefetches_need_a_query() -> None:
    with pytest.raises(BadRequest, match="A query is needed to merge the prefetches"):
        BoundStage(children=(LEAF,))


def test_threshold_needs_a_query_with_scores() -> None:
    with pytest.raises(BadRequest, match="A query is needed to use the score_threshold"):
        BoundStage(score_threshold=0.5)
    with pytest.raises(BadRequest, match="Can't use score_threshold with an order_by query"):
        BoundStage(query=BoundOrderBy("n"), score_threshold=0.5)
    assert BoundStage(query=BoundSample(), score_threshold=0.5).score_threshold == 0.5


def test_fusion_needs_prefetches_and_no_vector_name() -> None:
    with pytest.raises(BadInput, match="Validation failed: cannot apply Fusion without prefetches"):
        BoundStage(query=RRF)
    with pytest.raises(BadRequest, match="Fusion queries cannot be combined with the 'using' field"):
        BoundStage(children=(LEAF,), query=RRF, using="dense")


def test_fusion_needs_a_weight_for_each_prefetch() -> None:
    with pytest.raises(BadRequest, match=r"RRF weights length \(2\) does not match number of prefetches \(1\)"):
        BoundStage(children=(LEAF,), query=BoundFusion(FusionKind.RRF, weights=(1.0, 2.0)))


def test_widening_leaves_the_root_limit_alone() -> None:
    deep = BoundStage(children=(BoundStage(children=(LEAF,), query=RRF, limit=3),), query=NEAREST, limit=7)
    wide = widened(deep, 4)
    assert (wide.limit, wide.children[0].limit, wide.children[0].children[0].limit) == (7, 12, 40)
    assert widened(deep, 1) is deep
