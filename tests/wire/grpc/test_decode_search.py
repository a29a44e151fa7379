"""Query requests of the official client arrive as the same tree; bounds are checked with Qdrant's texts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qdrant_client import grpc as client
from qdrant_client import models
from qdrant_client.conversions.conversion import RestToGrpc

from qdrantlite.errors import InvalidRequest, MalformedRequest, ValidationFailed
from qdrantlite.query import formula as shape
from qdrantlite.query import search as tree
from qdrantlite.query.filter import FieldCondition, Filter, IsNullFlag
from qdrantlite.values.geo import GeoPoint
from qdrantlite.values.vector import DenseVector, Document, InferenceInput, MultiVector, SparseVector
from qdrantlite.wire.grpc.decode.search import _decode_whole, decode_group_search, decode_search, decode_search_batch
from qdrantlite.wire.pb import points as pb
from qdrantlite.wire.pb import qdrant_common as common
from tests.wire.grpc.client_messages import received

NULL = models.FieldCondition(key="k", is_null=True)


def stage(query: models.Query, **rest: Any) -> tree.Prefetch:
    request = models.QueryRequest(query=query, **rest)
    return decode_search(received(RestToGrpc.convert_query_request(request, "books"))).stage


def query(sent: models.Query) -> Any:
    return stage(sent).query


def test_bare_request_takes_the_defaults() -> None:
    search = decode_search(pb.QueryPoints(collection_name="books"))
    assert (search.offset, search.with_payload, search.with_vectors) == (0, tree.NO_PAYLOAD, tree.NO_VECTORS)
    node = search.stage
    assert (node.query, node.using, node.filter, node.limit, node.prefetch) == (None, "", None, 10, ())
    assert node.params is tree.DEFAULT_PARAMS
    assert (node.score_threshold, node.lookup_from) == (None, None)


def test_fields_of_the_root_arrive() -> None:
    request = models.QueryRequest(
        query=models.NearestQuery(nearest=7),
        using="image",
        filter=models.Filter(must=[NULL]),
        params=models.SearchParams(
            hnsw_ef=9,
            exact=True,
            indexed_only=True,
            quantization=models.QuantizationSearchParams(ignore=True, rescore=False, oversampling=1.5),
            acorn=models.AcornSearchParams(enable=True, max_selectivity=0.25),
        ),
        score_threshold=0.5,
        limit=3,
        offset=4,
        with_vector=["image"],
        with_payload=models.PayloadSelectorExclude(exclude=["a.b"]),
        lookup_from=models.LookupLocation(collection="other", vector="v"),
    )
    search = decode_search(received(RestToGrpc.convert_query_request(request, "books")))
    node = search.stage
    assert isinstance(node.query, tree.Nearest)
    assert node.query.input == 7
    assert node.filter == Filter(must=(FieldCondition("k", IsNullFlag(True)),))
    assert node.params == tree.SearchParams(9, True, tree.QuantizationParams(True, False, 1.5), True, 0.25, None)
    assert (node.using, node.score_threshold, node.limit, search.offset) == ("image", 0.5, 3, 4)
    assert node.lookup_from == tree.LookupFrom("other", "v")
    assert search.with_vectors == tree.VectorsSelector(names=("image",))
    assert search.with_payload == tree.PayloadSelector(exclude=("a.b",))


PLAIN: list[dict[str, Any]] = [
    {},
    {"collection_name": "b" * 200, "limit": 3, "offset": 2, "using": "image", "score_threshold": 0.5, "timeout": 7},
    {"params": {"hnsw_ef": 64, "exact": False, "quantization": {"rescore": False}}},
    {"filter": {"must": [{"field": {"key": "k", "match": {"keyword": "v"}}}]}, "with_payload": {"enable": True}},
    {"with_vectors": {"include": {"names": ["a", "b"]}}, "lookup_from": {"collection_name": "other"}},
    {"filter": {"must": [{"field": {"key": "k" * 2000, "match": {"keyword": "v"}}}]}},
]


def plain(values: list[float], **fields: Any) -> pb.QueryPoints:
    asked = pb.Query(nearest=pb.VectorInput(dense=pb.DenseVector(data=values)))
    return pb.QueryPoints(**{"collection_name": "books", "query": asked, **fields})


@pytest.mark.parametrize("fields", PLAIN)
@pytest.mark.parametrize("size", [1, 31, 32, 4096])
def test_searches_for_one_vector_are_decoded_as_all_others_are(fields: dict[str, Any], size: int) -> None:
    for values in (np.arange(size, dtype=np.float32), np.full(size, np.nan, dtype=np.float32)):
        found = decode_search(plain(values.tolist(), **fields))
        expected = _decode_whole(plain(values.tolist(), **fields))
        asked = found.stage.query
        assert isinstance(asked, tree.Nearest)
        assert isinstance(asked.input, DenseVector)
        np.testing.assert_array_equal(asked.input.values, values)
        for name in ("using", "filter", "params", "score_threshold", "limit", "lookup_from", "prefetch"):
            assert getattr(found.stage, name) == getattr(expected.stage, name)
        for name in ("offset", "with_payload", "with_vectors"):
            assert getattr(found, name) == getattr(expected, name)


def test_what_stands_beside_the_vector_is_decoded_once() -> None:
    for fields in PLAIN[:5]:
        one, other = (decode_search(plain(values, **fields)) for values in ([1.0, 2.0], [3.0, 4.0]))
        assert one.stage.params is other.stage.params
        assert one.stage.filter is other.stage.filter
        assert one.with_payload is other.with_payload


def test_search_that_is_more_than_one_vector_is_decoded_as_a_whole() -> None:
    staged = plain([1.0], prefetch=[pb.PrefetchQuery(limit=2)])
    by_id = pb.QueryPoints(collection_name="books", query=pb.Query(nearest=pb.VectorInput(id=common.PointId(num=1))))
    newer = plain([1.0])
    newer.query.MergeFromString(b"\xfa\x3f\x01x")  # A field of a later version, beside the vector.
    assert len(decode_search(staged).stage.prefetch) == 1
    asked = decode_search(by_id).stage.query
    assert isinstance(asked, tree.Nearest)
    assert asked.input == 1
    asked = decode_search(newer).stage.query
    assert isinstance(asked, tree.Nearest)
    assert isinstance(asked.input, DenseVector)
    assert decode_search(pb.QueryPoints(collection_name="books")).stage.query is None


def test_refusal_of_a_search_for_one_vector_comes_every_time() -> None:
    for _ in range(2):
        with pytest.raises(ValidationFailed, match=r"params\.acorn\.max_selectivity"):
            decode_search(plain([1.0], params={"acorn": {"max_selectivity": 2}}))
        with pytest.raises(ValidationFailed, match="collection_name"):
            decode_search(plain([1.0], collection_name=""))


def test_prefetches_nest() -> None:
    inner = models.Prefetch(query=models.NearestQuery(nearest=1), limit=100, using="a", score_threshold=0.25)
    outer = models.Prefetch(prefetch=[inner, inner], query=models.FusionQuery(fusion=models.Fusion.DBSF))
    node = stage(models.RrfQuery(rrf=models.Rrf(k=5, weights=[1.0, 0.5])), prefetch=[outer], limit=2)
    assert node.query == tree.Fusion(tree.FusionKind.RRF, k=5, weights=(1.0, 0.5))
    (middle,) = node.prefetch
    assert (middle.query, middle.limit) == (tree.Fusion(tree.FusionKind.DBSF), 10)
    assert [(leaf.limit, leaf.using, leaf.score_threshold) for leaf in middle.prefetch] == [(100, "a", 0.25)] * 2


def test_vector_inputs_arrive() -> None:
    dense = query(models.NearestQuery(nearest=[1.0, 2.5])).input
    assert isinstance(dense, DenseVector)
    np.testing.assert_array_equal(dense.values, np.array([1.0, 2.5], dtype=np.float32))
    assert dense.values.dtype == np.float32
    assert dense.values.flags.aligned
    sparse = query(models.NearestQuery(nearest=models.SparseVector(indices=[5, 2], values=[0.5, 1.0]))).input
    assert isinstance(sparse, SparseVector)
    assert (sparse.indices.tolist(), sparse.weights.tolist()) == ([2, 5], [1.0, 0.5])
    multi = query(models.NearestQuery(nearest=[[1.0, 2.0], [3.0, 4.0]])).input
    assert isinstance(multi, MultiVector)
    assert multi.rows.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    document = query(
        models.NearestQuery(nearest=models.Document(text="t", model="qdrant/bm25", options={"k": 1.5}))
    ).input
    assert isinstance(document, Document)
    assert (document.text, document.model, document.options) == ("t", "qdrant/bm25", {"k": 1.5})
    image = query(models.NearestQuery(nearest=models.Image(image="url", model="clip"))).input
    assert image == InferenceInput("image", "clip")
    thing = query(models.NearestQuery(nearest=models.InferenceObject(object={"a": 1}, model="m"))).input
    assert thing == InferenceInput("object", "m")


@pytest.mark.parametrize("size", [1, 31, 32, 4095, 4096, 65536])
def test_dense_vectors_of_any_size_are_exact(size: int) -> None:
    values = np.arange(size, dtype=np.float32)
    nearest = pb.VectorInput(dense=pb.DenseVector(data=values))
    search = decode_search(pb.QueryPoints(collection_name="c", query=pb.Query(nearest=nearest)))
    assert isinstance(search.stage.query, tree.Nearest)
    assert isinstance(search.stage.query.input, DenseVector)
    np.testing.assert_array_equal(search.stage.query.input.values, values)


def test_kinds_of_query_arrive() -> None:
    strategy = models.RecommendStrategy.BEST_SCORE
    found = query(models.RecommendQuery(recommend=models.RecommendInput(positive=[1], negative=[2], strategy=strategy)))
    assert (found.positive, found.negative) == ((1,), (2,))
    assert found.strategy is tree.RecommendStrategy.BEST_SCORE
    pair = models.ContextPair(positive=1, negative=2)
    found = query(models.DiscoverQuery(discover=models.DiscoverInput(target=3, context=[pair])))
    assert (found.target, found.context[0].positive, found.context[0].negative) == (3, 1, 2)
    found = query(models.ContextQuery(context=[pair, pair]))
    assert len(found.pairs) == 2
    found = query(
        models.OrderByQuery(order_by=models.OrderBy(key="size", direction=models.Direction.DESC, start_from=5))
    )
    assert found == tree.OrderBy("size", tree.Direction.DESC, 5)
    assert query(models.SampleQuery(sample=models.Sample.RANDOM)) == tree.Sample()
    found = query(models.NearestQuery(nearest=1, mmr=models.Mmr(diversity=0.25, candidates_limit=7)))
    assert (found.input, found.diversity, found.candidates_limit) == (1, 0.25, 7)


def test_feedback_arrives() -> None:
    naive = models.NaiveFeedbackStrategy(naive=models.NaiveFeedbackStrategyParams(a=1.0, b=2.0, c=0.5))
    item = models.FeedbackItem(example=4, score=0.75)
    sent = models.RelevanceFeedbackInput(target=3, feedback=[item], strategy=naive)
    found = query(models.RelevanceFeedbackQuery(relevance_feedback=sent))
    assert (found.target, found.feedback[0].example, found.feedback[0].score) == (3, 4, 0.75)
    assert (found.a, found.b, found.c) == (1.0, 2.0, 0.5)


def test_formula_arrives() -> None:
    decay = models.DecayParamsExpression(
        x=models.DatetimeKeyExpression(datetime_key="made"),
        target=models.DatetimeExpression(datetime="2020-01-01"),
        scale=2.0,
    )
    formula = models.FormulaQuery(
        formula=models.SumExpression(
            sum=[
                "$score",
                models.MultExpression(mult=[0.5, models.NegExpression(neg="a.b"), NULL]),
                models.DivExpression(div=models.DivParams(left=1.0, right="x", by_zero_default=0.25)),
                models.PowExpression(pow=models.PowParams(base=2.0, exponent=models.SqrtExpression(sqrt=4.0))),
                models.GeoDistance(
                    geo_distance=models.GeoDistanceParams(origin=models.GeoPoint(lon=1, lat=2), to="geo")
                ),
                models.GaussDecayExpression(gauss_decay=decay),
                models.MaxExpression(max=[1.0, 2.0]),
            ]
        ),
        defaults={"x": 3},
    )
    constant = shape.Constant
    assert query(formula) == tree.Formula(
        shape.Sum(
            (
                shape.Variable("$score"),
                shape.Mult(
                    (
                        constant(0.5),
                        shape.Unary(shape.UnaryKind.NEG, shape.Variable("a.b")),
                        shape.ConditionValue(FieldCondition("k", IsNullFlag(True))),
                    )
                ),
                shape.Div(constant(1.0), shape.Variable("x"), 0.25),
                shape.Pow(constant(2.0), shape.Unary(shape.UnaryKind.SQRT, constant(4.0))),
                shape.GeoDistance(GeoPoint(lon=1.0, lat=2.0), "geo"),
                shape.Decay(shape.DecayKind.GAUSS, shape.DatetimeKey("made"), shape.Datetime("2020-01-01"), 2.0),
                shape.Extreme((constant(1.0), constant(2.0)), largest=True),
            )
        ),
        {"x": 3},
    )


@pytest.mark.parametrize("kind", list(shape.UnaryKind))
def test_every_function_of_one_argument_arrives(kind: shape.UnaryKind) -> None:
    expression = pb.Expression(**{kind.value: pb.Expression(constant=1.0)})  # type: ignore[arg-type]  # a field's name
    message = pb.QueryPoints(collection_name="c", query=pb.Query(formula=pb.Formula(expression=expression)))
    found = decode_search(message).stage.query
    assert found == tree.Formula(shape.Unary(kind, shape.Constant(1.0)), {})


def test_groups_take_defaults_of_their_own() -> None:
    found = decode_group_search(pb.QueryPointGroups(collection_name="c", group_by="a.b"))
    assert (found.search.stage.limit, found.group_size, found.group_by, found.with_lookup) == (10, 3, "a.b", None)


def test_lookup_of_groups_brings_payload_unless_switched_off() -> None:
    lookup = models.WithLookup(collection="other", with_payload=False, with_vectors=True)
    message = pb.QueryPointGroups(
        collection_name="c", group_by="k", with_lookup=received(RestToGrpc.convert_with_lookup(lookup))
    )
    assert decode_group_search(message).with_lookup == tree.WithLookup("other", tree.NO_PAYLOAD, tree.ALL_VECTORS)
    bare = pb.QueryPointGroups(collection_name="c", group_by="k", with_lookup=pb.WithLookup(collection="other"))
    assert decode_group_search(bare).with_lookup == tree.WithLookup("other")


def test_batch_keeps_order_and_names_the_failing_query() -> None:
    good = pb.QueryPoints(collection_name="c", limit=1)
    batch = pb.QueryBatchPoints(collection_name="c", query_points=[good, pb.QueryPoints(collection_name="c", limit=2)])
    assert [search.stage.limit for search in decode_search_batch(batch)] == [1, 2]
    batch.query_points[1].limit = 0
    with pytest.raises(ValidationFailed, match=r"query_points\[1\]\.limit: value 0 invalid, must be 1 or larger"):
        decode_search_batch(batch)


def refused(**fields: Any) -> Callable[[], object]:
    return lambda: decode_search(pb.QueryPoints(**{"collection_name": "c", **fields}))


def refused_groups(**fields: Any) -> Callable[[], object]:
    fields = {"collection_name": "c", "group_by": "k", **fields}
    return lambda: decode_group_search(pb.QueryPointGroups(**fields))


REFUSED = [
    (refused(limit=0), "Validation error in body: [limit: value 0 invalid, must be 1 or larger]"),
    (refused(timeout=0), "[timeout: value 0 invalid, must be 1 or larger]"),
    (refused(collection_name=""), '[collection_name: value "" invalid, must be from 1 to 255 characters]'),
    (refused(collection_name="a/b"), 'collection name cannot contain "/" char'),
    (refused(prefetch=[{}, {"limit": 0}]), "[prefetch[1].limit: value 0 invalid, must be 1 or larger]"),
    (
        refused(params={"quantization": {"oversampling": 0.5}}),
        "[params.quantization.oversampling: value 0.5 invalid, must be 1.0 or larger]",
    ),
    (
        refused(params={"acorn": {"max_selectivity": 2}}),
        "[params.acorn.max_selectivity: value 2.0 invalid, must be from 0.0 to 1.0]",
    ),
    (refused(query={}), "Query variant is missing"),
    (refused(query={"nearest": {}}), "VectorInput variant is missing"),
    (refused(query={"nearest": {"dense": {}}}), "query.variant.variant.data"),
    (refused(query={"nearest": {"sparse": {"values": [1], "indices": [1, 2]}}}), "must be the same length as indices"),
    (refused(query={"nearest": {"sparse": {"values": [1, 2], "indices": [1, 1]}}}), "must be unique"),
    (refused(query={"nearest": {"multi_dense": {}}}), "at least one vector"),
    (refused(query={"nearest": {"multi_dense": {"vectors": [{}]}}}), "non-empty"),
    (
        refused(query={"nearest": {"multi_dense": {"vectors": [{"data": [1]}, {"data": [1, 2]}]}}}),
        "same dimension",
    ),
    (refused(query={"discover": {}}), "DiscoverInput target is missing"),
    (refused(query={"context": {"pairs": [{}]}}), "ContextPair positive is missing"),
    (refused(query={"recommend": {}}), "Positive vectors should not be empty with `average` strategy"),
    (refused(query={"recommend": {"strategy": 1}}), "At least one positive or negative vector"),
    (refused(query={"rrf": {"k": 0}}), "[query.variant.k: value 0 invalid, must be 1 or larger]"),
    (refused(query={"fusion": 9}), "Unknown fusion: 9"),
    (
        refused(query={"nearest_with_mmr": {"nearest": {"id": {"num": 1}}, "mmr": {"diversity": 1.5}}}),
        "mmr.diversity: value 1.5 invalid, must be from 0.0 to 1.0",
    ),
    (
        refused(query={"nearest_with_mmr": {"nearest": {"id": {"num": 1}}, "mmr": {"candidates_limit": 16385}}}),
        "mmr.candidates_limit: value 16385 invalid, must be 16384 or smaller",
    ),
    (refused(query={"order_by": {"key": ""}}), "Invalid json path: ''"),
    (refused(query={"formula": {}}), "Formula expression is missing"),
    (refused(query={"formula": {"expression": {}}}), "Expression variant is missing"),
    (refused(query={"formula": {"expression": {"max": {}}}}), "needs at least one operand"),
    (refused(with_payload={}), "No PayloadSelector"),
    (refused(lookup_from={}), "lookup_from.collection_name"),
    (refused_groups(group_by=""), "group_by"),
    (refused_groups(group_size=0), "[group_size: value 0 invalid, must be 1 or larger]"),
    (refused_groups(limit=0), "[limit: value 0 invalid, must be 1 or larger]"),
]


@pytest.mark.parametrize(("decode", "text"), REFUSED)
def test_bad_request_is_refused(decode: Callable[[], object], text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode()
    assert text in caught.value.message


def test_unknown_direction_and_strategy_fall_back() -> None:
    order_by = pb.QueryPoints(collection_name="c", query={"order_by": {"key": "k", "direction": 9}})  # type: ignore[arg-type]  # 9 is not of the enum
    assert decode_search(order_by).stage.query == tree.OrderBy("k", tree.Direction.ASC)
    examples = {"positive": [{"id": {"num": 1}}], "strategy": 9}
    recommend = decode_search(pb.QueryPoints(collection_name="c", query={"recommend": examples})).stage.query  # type: ignore[arg-type]  # 9 is not of the enum
    assert isinstance(recommend, tree.Recommend)
    assert recommend.strategy is tree.RecommendStrategy.AVERAGE_VECTOR


def test_order_may_start_from_a_moment() -> None:
    moment = {"timestamp": {"seconds": 3, "nanos": 5_000}}
    message = pb.QueryPoints(collection_name="c", query={"order_by": {"key": "k", "start_from": moment}})  # type: ignore[arg-type]  # nested fields
    assert decode_search(message).stage.query == tree.OrderBy("k", start_from=3_000_005)


def test_client_side_message_without_id_kind_is_refused() -> None:
    sent = client.QueryPoints(collection_name="c", query=client.Query(nearest=client.VectorInput(id=client.PointId())))
    with pytest.raises(MalformedRequest, match="No ID options provided"):
        decode_search(received(sent))
