"""Queries with several examples through the official client over gRPC, and the older requests for the same.

What the answers are is compared with the reference engine in ``test_random_trees``; here it is that the wire and the
binder bring them there: ids stand for the vectors stored for them, older requests for queries, errors for themselves.
"""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client import grpc as wire

NAME, OTHER = "examples", "other examples"
DIM, COUNT = 8, 80
BARE = 79
"""A point without vectors."""
BEST, SUM, MEAN = (
    models.RecommendStrategy.BEST_SCORE,
    models.RecommendStrategy.SUM_SCORES,
    models.RecommendStrategy.AVERAGE_VECTOR,
)
CHANCE = np.random.default_rng(11)


def drawn(using: str) -> Any:
    if using == "sparse":
        indices = np.unique(CHANCE.integers(0, 25, size=6))
        return models.SparseVector(indices=indices.tolist(), values=CHANCE.normal(size=len(indices)).tolist())
    rows = CHANCE.normal(size=(2, DIM)).astype(np.float32)
    return rows.tolist() if using == "tokens" else rows[0].tolist()


def options(distance: models.Distance) -> dict[str, Any]:
    tokens = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    dense = {
        "dense": models.VectorParams(size=DIM, distance=distance),
        "tokens": models.VectorParams(size=DIM, distance=distance, multivector_config=tokens),
    }
    thin = {"sparse": models.SparseVectorParams(modifier=models.Modifier.IDF)}
    return {"vectors_config": dense, "sparse_vectors_config": thin}


@pytest.fixture(scope="module", params=[models.Distance.COSINE, models.Distance.EUCLID])
def filled(request: pytest.FixtureRequest, client: QdrantClient) -> Iterator[QdrantClient]:
    for name in (NAME, OTHER):
        client.create_collection(name, **options(request.param))
        points = [
            models.PointStruct(id=number, vector={using: drawn(using) for using in USED}) for number in range(COUNT - 1)
        ]
        client.upsert(name, [*points, models.PointStruct(id=BARE, vector={})], wait=True)
    yield client
    for name in (NAME, OTHER):
        client.delete_collection(name)


USED = ("dense", "tokens", "sparse")
QUERIES: dict[str, Callable[[list[Any]], models.Query]] = {
    "mean": lambda v: models.RecommendQuery(
        recommend=models.RecommendInput(positive=v[:3], negative=v[3:], strategy=MEAN)
    ),
    "best": lambda v: models.RecommendQuery(
        recommend=models.RecommendInput(positive=v[:3], negative=v[3:], strategy=BEST)
    ),
    "sum": lambda v: models.RecommendQuery(
        recommend=models.RecommendInput(positive=v[:3], negative=v[3:], strategy=SUM)
    ),
    "unlike": lambda v: models.RecommendQuery(recommend=models.RecommendInput(negative=v[3:], strategy=BEST)),
    "discover": lambda v: models.DiscoverQuery(
        discover=models.DiscoverInput(target=v[0], context=[models.ContextPair(positive=v[1], negative=v[2])])
    ),
    "context": lambda v: models.ContextQuery(context=[models.ContextPair(positive=v[1], negative=v[2])]),
    "feedback": lambda v: models.RelevanceFeedbackQuery(
        relevance_feedback=models.RelevanceFeedbackInput(
            target=v[0],
            feedback=[models.FeedbackItem(example=each, score=at / 3) for at, each in enumerate(v[1:])],
            strategy=models.NaiveFeedbackStrategy(naive=models.NaiveFeedbackStrategyParams(a=1.0, b=0.5, c=0.7)),
        )
    ),
    "diverse": lambda v: models.NearestQuery(nearest=v[0], mmr=models.Mmr(diversity=0.6, candidates_limit=30)),
}
MENTIONED = {"unlike": slice(3, None), "context": slice(1, 3), "discover": slice(3), "diverse": slice(1)}
IDS = [3, 14, 15, 9, 26]


def hits(found: Any) -> list[tuple[Any, Any]]:
    return [(each.id, pytest.approx(each.score, rel=1e-5, abs=1e-6)) for each in found]


def without(ids: list[int]) -> models.Filter:
    return models.Filter(must_not=[models.HasIdCondition(has_id=list(ids))])


def stored(client: QdrantClient, ids: list[int], using: str, name: str = NAME) -> list[Any]:
    records = client.retrieve(name, ids, with_vectors=[using])
    assert all(isinstance(record.vector, dict) for record in records)
    return [record.vector[using] for record in records]  # type: ignore[index, call-overload] # named, as asserted


@pytest.mark.parametrize("using", USED)
@pytest.mark.parametrize("kind", QUERIES)
def test_ids_stand_for_their_vectors_and_are_kept_out(filled: QdrantClient, kind: str, using: str) -> None:
    by_id = filled.query_points(NAME, QUERIES[kind](IDS), using=using, limit=12, offset=2).points
    excluded = without(IDS[MENTIONED.get(kind, slice(None))])
    query = QUERIES[kind](stored(filled, IDS, using))
    by_vector = filled.query_points(NAME, query, using=using, query_filter=excluded, limit=12, offset=2).points
    assert hits(by_vector) == hits(by_id)
    assert len(by_id) == 12
    below = [models.Prefetch(query=QUERIES[kind](IDS), using=using, limit=9), models.Prefetch(limit=30)]
    nested = filled.query_points(NAME, QUERIES[kind](IDS), using=using, prefetch=below, limit=40).points
    assert not {each.id for each in nested} & set(IDS[MENTIONED.get(kind, slice(None))])
    assert nested


@pytest.mark.parametrize("kind", QUERIES)
def test_ids_of_another_collection_are_looked_up_there_and_stay(filled: QdrantClient, kind: str) -> None:
    lookup = models.LookupLocation(collection=OTHER)
    found = filled.query_points(NAME, QUERIES[kind](IDS), using="dense", lookup_from=lookup, limit=COUNT).points
    query = QUERIES[kind](stored(filled, IDS, "dense", OTHER))
    assert hits(filled.query_points(NAME, query, using="dense", limit=COUNT).points) == hits(found)
    assert kind == "diverse" or {each.id for each in found} >= set(IDS)


def test_batch_answers_as_single_requests_do(filled: QdrantClient) -> None:
    asked = [models.QueryRequest(query=QUERIES[kind](IDS), using=using, limit=7) for kind in QUERIES for using in USED]
    together = filled.query_batch_points(NAME, asked)
    for request, answer in zip(asked, together, strict=True):
        alone = filled.query_points(NAME, request.query, using=request.using, limit=7).points
        assert hits(alone) == hits(answer.points)


@pytest.mark.parametrize("strategy", [MEAN, BEST, SUM])
def test_recommend_rpc_answers_as_the_query_and_passes_over_points_without_the_vector(
    filled: QdrantClient, strategy: models.RecommendStrategy
) -> None:
    stub = filled.grpc_points
    vector = drawn("dense")
    request = wire.RecommendPoints(
        collection_name=NAME,
        positive=[wire.PointId(num=each) for each in (3, BARE, 14)],
        negative=[wire.PointId(num=9)],
        positive_vectors=[wire.Vector(dense=wire.DenseVector(data=vector))],
        strategy={MEAN: wire.AverageVector, BEST: wire.BestScore, SUM: wire.SumScores}[strategy],
        using="dense",
        limit=10,
    )
    old = stub.Recommend(request).result
    recommend = models.RecommendInput(positive=[3, 14, vector], negative=[9], strategy=strategy)
    query = models.RecommendQuery(recommend=recommend)
    new = filled.query_points(NAME, query, using="dense", query_filter=without([BARE]), limit=10).points
    assert [(each.id.num, each.score) for each in old] == [
        (each.id, pytest.approx(each.score, rel=1e-5)) for each in new
    ]
    batch = stub.RecommendBatch(wire.RecommendBatchPoints(collection_name=NAME, recommend_points=[request, request]))
    assert [list(each.result) for each in batch.result] == [list(old), list(old)]


def test_discover_rpc_with_and_without_target(filled: QdrantClient) -> None:
    stub, examples = (
        filled.grpc_points,
        [wire.VectorExample(id=wire.PointId(num=each)) for each in IDS],
    )
    pair = wire.ContextExamplePair(positive=examples[1], negative=examples[2])
    asked: Any = {"collection_name": NAME, "context": [pair], "using": "dense", "limit": 10}
    toward = stub.Discover(wire.DiscoverPoints(target=wire.TargetVector(single=examples[0]), **asked)).result
    apart = stub.Discover(wire.DiscoverPoints(**asked)).result
    for old, kind in ((toward, "discover"), (apart, "context")):
        new = filled.query_points(NAME, QUERIES[kind](IDS), using="dense", limit=10).points
        assert [(each.id.num, each.score) for each in old] == [(each.id, each.score) for each in new]


def recommending(**given: Any) -> models.RecommendQuery:
    return models.RecommendQuery(recommend=models.RecommendInput(**given))


DENSE = [1.0] * DIM
THIN = models.SparseVector(indices=[1], values=[1.0])
REFUSED: list[tuple[models.Query, str, grpc.StatusCode, str]] = [
    (recommending(negative=[1]), "dense", grpc.StatusCode.INVALID_ARGUMENT, "Positive vectors should not be empty"),
    (recommending(strategy=BEST), "dense", grpc.StatusCode.INVALID_ARGUMENT, "At least one positive or negative"),
    (
        recommending(positive=[DENSE, THIN]),
        "dense",
        grpc.StatusCode.INVALID_ARGUMENT,
        "Can't average vectors with different types",
    ),
    (recommending(positive=[DENSE, [1.0]]), "dense", grpc.StatusCode.INVALID_ARGUMENT, "expected dim: 8, got 1"),
    (recommending(positive=[[1.0]], strategy=SUM), "dense", grpc.StatusCode.INVALID_ARGUMENT, "expected dim: 8, got 1"),
    (
        recommending(positive=[THIN], strategy=BEST),
        "dense",
        grpc.StatusCode.INVALID_ARGUMENT,
        "Conversion between sparse",
    ),
    (
        recommending(positive=[DENSE], strategy=BEST),
        "sparse",
        grpc.StatusCode.INVALID_ARGUMENT,
        "Conversion between sparse",
    ),
    (
        recommending(positive=[[DENSE]], strategy=BEST),
        "dense",
        grpc.StatusCode.INVALID_ARGUMENT,
        "Conversion between multi",
    ),
    (recommending(positive=[1, 404]), "dense", grpc.StatusCode.NOT_FOUND, "No point with id 404 found"),
    (
        recommending(positive=[1, BARE], strategy=BEST),
        "dense",
        grpc.StatusCode.NOT_FOUND,
        'Vector with name "dense" for point',
    ),
    (QUERIES["context"]([1, 2, BARE]), "sparse", grpc.StatusCode.NOT_FOUND, 'Vector with name "sparse" for point'),
    (QUERIES["discover"]([1, 2, 3]), "none", grpc.StatusCode.INVALID_ARGUMENT, "Not existing vector name error: none"),
    (QUERIES["diverse"]([404]), "dense", grpc.StatusCode.NOT_FOUND, "No point with id 404 found"),
    (QUERIES["feedback"]([1, 2, 404]), "tokens", grpc.StatusCode.NOT_FOUND, "No point with id 404 found"),
]


@pytest.mark.parametrize(("query", "using", "code", "text"), REFUSED)
def test_what_does_not_fit_is_refused(
    filled: QdrantClient, query: models.Query, using: str, code: grpc.StatusCode, text: str
) -> None:
    prefetch = [models.Prefetch(query=query, using=using, limit=3)]
    for given in ({"query": query, "using": using}, {"query": [1.0] * DIM, "using": "dense", "prefetch": prefetch}):
        with pytest.raises(grpc.RpcError) as refused:
            filled.query_points(NAME, **given)
        assert refused.value.code() is code
        assert text in refused.value.details()


def test_many_examples_are_answered(filled: QdrantClient) -> None:
    many = [drawn("dense") for _ in range(20)] * 500
    for strategy in (BEST, SUM, MEAN):
        found = filled.query_points(
            NAME, recommending(positive=many, strategy=strategy), using="dense", limit=2**32 - 1
        )
        assert len(found.points) == COUNT - 1


def test_no_candidates_leave_nothing_and_the_limit_counts_with_the_offset(filled: QdrantClient) -> None:
    def picked(limit: int, offset: int, candidates: int | None) -> list[Any]:
        mmr = models.Mmr(diversity=0.7, candidates_limit=candidates)
        query = models.NearestQuery(nearest=DENSE, mmr=mmr)
        found = filled.query_points(NAME, query, using="dense", limit=limit, offset=offset)
        return [each.id for each in found.points]

    assert picked(10, 0, 0) == []
    assert len(picked(10, 0, 4)) == 4
    assert picked(5, 3, 40) == picked(8, 0, 40)[3:]
    assert len(picked(10, 5, None)) == 5
