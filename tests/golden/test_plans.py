"""Plans of typical searches as ``explain`` prints them."""

from dataclasses import replace

import numpy as np

from qdrantlite.plan import bound as b
from qdrantlite.plan.custom import (
    BestScore,
    CustomScore,
    DenseExamples,
    MultiExamples,
    PairLosses,
    PairRanks,
    SparseExamples,
)
from qdrantlite.plan.explain import explain
from qdrantlite.plan.planner import plan
from qdrantlite.plan.trace import Step, Trace
from qdrantlite.query.formula import Constant, Mult, Sum, Variable
from qdrantlite.query.search import Direction, FusionKind, SearchParams
from qdrantlite.text.bm25 import Saturation
from qdrantlite.values.vector import SparseVector
from tests.golden.recorded import assert_as_recorded
from tests.plan.counted import PACKAGES
from tests.plan.passing import Passing

DENSE = b.NearestDense(np.zeros(384, dtype=np.float32), larger_is_better=True)
BYTE = b.NearestDense(np.zeros(64, dtype=np.float32), larger_is_better=False)
TOKENS = b.NearestMulti(np.zeros((8, 64), dtype=np.float32), larger_is_better=True)
TERMS = b.NearestSparse(SparseVector(np.arange(5, dtype=np.uint32), np.ones(5, dtype=np.float32)))
LIKE = CustomScore(DenseExamples(np.zeros((5, 384), dtype=np.float32)), BestScore(3), larger_is_better=True)
TOWARD = CustomScore(DenseExamples(np.zeros((5, 384), dtype=np.float32)), PairRanks(2), larger_is_better=True)
APART = CustomScore(DenseExamples(np.zeros((4, 384), dtype=np.float32)), PairLosses(2), larger_is_better=True)
WORDS = CustomScore(SparseExamples((TERMS.vector, TERMS.vector)), BestScore(1), larger_is_better=True)
PAGES = CustomScore(MultiExamples((TOKENS.rows, TOKENS.rows)), BestScore(2), larger_is_better=True)
SAID = b.BoundText("title", ("a", "b"), np.ones(2, dtype=np.float32), Saturation(1.2, 0.75, 9.0), 4000)
ASKED = replace(SAID, postings=3)
RRF = b.BoundFusion(FusionKind.RRF)
AGED = b.BoundFormula(Sum((Variable("$score[1]"), Mult((Constant(0.5), Variable("age"))))), {}, {}, {}, {})
BY_SIZE = b.BoundOrderBy("size", Direction.DESC, 100)


def dense(limit: int, passing: int | None = None, threshold: float | None = None) -> b.BoundStage:
    selection = None if passing is None else Passing(passing)
    return b.BoundStage(query=DENSE, using="dense", selection=selection, score_threshold=threshold, limit=limit)


def terms(limit: int) -> b.BoundStage:
    return b.BoundStage(query=TERMS, using="bm25", limit=limit)


def merge(query: b.BoundQuery, *children: b.BoundStage, using: str = "", limit: int = 10) -> b.BoundStage:
    return b.BoundStage(children=children, query=query, using=using, limit=limit)


BYTES = b.BoundStage(query=BYTE, using="byte", limit=1000)

SEARCHES = {
    "nearest": b.BoundSearch(dense(10)),
    "nearest, second page, threshold": b.BoundSearch(dense(10, threshold=0.5), offset=10),
    "filter that lets few through": b.BoundSearch(dense(10, passing=300)),
    "filter that lets everything through": b.BoundSearch(dense(10, passing=60_000)),
    "filter that lets nothing through": b.BoundSearch(dense(10, passing=0), offset=5),
    "half floats are scanned under a mask sooner": b.BoundSearch(
        b.BoundStage(query=DENSE, using="half", selection=Passing(20_000))
    ),
    "sparse": b.BoundSearch(terms(10)),
    "texts by rare words": b.BoundSearch(b.BoundStage(query=ASKED)),
    "texts by words, filtered": b.BoundSearch(
        merge(RRF, b.BoundStage(query=SAID, selection=Passing(900), score_threshold=1.5), dense(20))
    ),
    "multi, filtered": b.BoundSearch(b.BoundStage(query=TOKENS, using="tokens", selection=Passing(50))),
    "by id": b.BoundSearch(b.BoundStage(selection=Passing(7))),
    "order by value, scrolled": b.BoundSearch(b.BoundStage(query=BY_SIZE), repeats=True),
    "sample": b.BoundSearch(b.BoundStage(query=b.BoundSample())),
    "hybrid": b.BoundSearch(merge(RRF, dense(20), terms(20)), offset=5),
    "hybrid with an empty source": b.BoundSearch(
        merge(b.BoundFusion(FusionKind.RRF, 60, (2.0, 0.5)), dense(20, passing=0), terms(20))
    ),
    "hybrid of nothing": b.BoundSearch(merge(RRF, dense(20, passing=0), dense(5, passing=0)), offset=3),
    "three stages": b.BoundSearch(merge(TOKENS, merge(DENSE, BYTES, using="dense", limit=100), using="tokens")),
    "two filtered prefetches by size": b.BoundSearch(merge(BY_SIZE, dense(50, passing=900), dense(50, passing=4000))),
    "best score without a graph": b.BoundSearch(b.BoundStage(query=LIKE, using="dense")),
    "best score behind a graph": b.BoundSearch(b.BoundStage(query=LIKE, using="graph"), offset=10),
    "best score behind a graph, few pass": b.BoundSearch(
        b.BoundStage(query=LIKE, using="graph", selection=Passing(2000), score_threshold=0.5)
    ),
    "best score behind a graph, exact": b.BoundSearch(
        b.BoundStage(query=LIKE, using="graph", params=SearchParams(exact=True))
    ),
    "discover behind a graph": b.BoundSearch(b.BoundStage(query=TOWARD, using="graph")),
    "context behind a graph": b.BoundSearch(b.BoundStage(query=APART, using="graph")),
    "best score of sparse vectors": b.BoundSearch(b.BoundStage(query=WORDS, using="bm25")),
    "best score of multivectors, over prefetches": b.BoundSearch(
        merge(PAGES, dense(50), terms(50), using="tokens", limit=5)
    ),
    "diverse": b.BoundSearch(merge(b.BoundDiversity(DENSE, 0.5), dense(100), using="dense"), offset=5),
    "formula over two prefetches": b.BoundSearch(merge(AGED, dense(50, passing=0), terms(30)), offset=5),
    "sample of a spread fusion": b.BoundSearch(
        merge(b.BoundSample(), merge(b.BoundFusion(FusionKind.DBSF), dense(30), terms(30), limit=20), limit=3)
    ),
}


def test_plans_are_as_recorded() -> None:
    plans = [f"# {name}\n{explain(plan(search, PACKAGES))}\n" for name, search in SEARCHES.items()]
    assert_as_recorded("plans.txt", "\n".join(plans))


def test_plan_that_has_run_tells_what_happened() -> None:
    trace = Trace([Step(60_000, 20, 5012.3), Step(60_000, 18, 410.6), Step(38, 15, 5490.0), Step(15, 10, 5493.9)])
    assert_as_recorded("plan_run.txt", explain(plan(SEARCHES["hybrid"], PACKAGES), trace) + "\n")
