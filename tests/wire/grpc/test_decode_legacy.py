"""Search, Recommend and Discover become the trees that Query would have made."""

from collections.abc import Callable
from typing import Any

import pytest

from qdrantlite.errors import InvalidRequest
from qdrantlite.query import search as tree
from qdrantlite.query.filter import EMPTY_FILTER
from qdrantlite.values.vector import DenseVector, SparseVector
from qdrantlite.wire.grpc.decode import legacy as decode
from qdrantlite.wire.pb import points as pb

ROOT: dict[str, Any] = {
    "collection_name": "c",
    "limit": 5,
    "filter": {},
    "with_payload": {"enable": True},
    "with_vectors": {"enable": True},
    "params": {"exact": True},
}
ONE: dict[str, Any] = {"id": {"num": 1}}
TWO: dict[str, Any] = {"vector": {"dense": {"data": [2.0]}}}


def check_root(search: tree.Search) -> None:
    assert (search.with_payload, search.with_vectors) == (tree.ALL_PAYLOAD, tree.ALL_VECTORS)
    node = search.stage
    assert (node.limit, node.filter, node.params.exact, node.using) == (5, EMPTY_FILTER, True, "v")


def test_search_is_a_nearest_query() -> None:
    fields: dict[str, Any] = {"vector": [1.0, 2.0], "vector_name": "v", "offset": 3, "score_threshold": 0.5}
    search = decode.decode_old_search(pb.SearchPoints(**ROOT, **fields))
    check_root(search)
    assert (search.offset, search.stage.score_threshold) == (3, 0.5)
    assert isinstance(search.stage.query, tree.Nearest)
    assert isinstance(search.stage.query.input, DenseVector)
    assert search.stage.query.input.values.tolist() == [1.0, 2.0]


def test_search_with_sparse_indices_is_sparse() -> None:
    fields: dict[str, Any] = {"vector": [1.0, 2.0], "sparse_indices": {"data": [9, 4]}}
    query = decode.decode_old_search(pb.SearchPoints(**ROOT, **fields)).stage.query
    assert isinstance(query, tree.Nearest)
    assert isinstance(query.input, SparseVector)
    assert (query.input.indices.tolist(), query.input.weights.tolist()) == ([4, 9], [2.0, 1.0])


def test_absent_selectors_return_neither_payload_nor_vectors() -> None:
    search = decode.decode_old_search(pb.SearchPoints(collection_name="c", vector=[1.0], limit=1))
    assert (search.with_payload, search.with_vectors) == (tree.NO_PAYLOAD, tree.NO_VECTORS)


def test_recommend_merges_ids_and_vectors() -> None:
    fields: dict[str, Any] = {
        "positive": [{"num": 1}],
        "negative": [{"num": 2}],
        "positive_vectors": [{"dense": {"data": [3.0]}}],
        "strategy": 2,
        "using": "v",
        "offset": 1,
        "lookup_from": {"collection_name": "other"},
    }
    search = decode.decode_recommend(pb.RecommendPoints(**ROOT, **fields))
    check_root(search)
    assert (search.offset, search.stage.lookup_from) == (1, tree.LookupFrom("other"))
    query = search.stage.query
    assert isinstance(query, tree.Recommend)
    assert query.strategy is tree.RecommendStrategy.SUM_SCORES
    first, second = query.positive
    assert (first, query.negative) == (1, (2,))
    assert isinstance(second, DenseVector)


def test_discover_with_and_without_target() -> None:
    pair: Any = {"positive": ONE, "negative": TWO}
    target: Any = {"single": TWO}
    search = decode.decode_discover(pb.DiscoverPoints(**ROOT, target=target, context=[pair], using="v"))
    check_root(search)
    query = search.stage.query
    assert isinstance(query, tree.Discover)
    assert isinstance(query.target, DenseVector)
    assert query.context[0].positive == 1
    context = decode.decode_discover(pb.DiscoverPoints(**ROOT, context=[pair])).stage.query
    assert isinstance(context, tree.Context)
    assert len(context.pairs) == 1


def test_groups_and_batches_arrive() -> None:
    group: dict[str, Any] = {"group_by": "k", "group_size": 2}
    one: Any = {"num": 1}
    target: Any = {"single": ONE}
    found = decode.decode_old_search_groups(pb.SearchPointGroups(**ROOT, **group, vector=[1.0], vector_name="v"))
    check_root(found.search)
    assert (found.group_by, found.group_size) == ("k", 2)
    found = decode.decode_recommend_groups(pb.RecommendPointGroups(**ROOT, **group, positive=[one], using="v"))
    check_root(found.search)
    search = pb.SearchPoints(**ROOT, vector=[1.0])
    assert (
        len(decode.decode_old_search_batch(pb.SearchBatchPoints(collection_name="c", search_points=[search] * 2))) == 2
    )
    recommend = pb.RecommendPoints(**ROOT, positive=[one])
    batch = pb.RecommendBatchPoints(collection_name="c", recommend_points=[recommend] * 3)
    assert len(decode.decode_recommend_batch(batch)) == 3
    discover = pb.DiscoverPoints(**ROOT, target=target)
    assert (
        len(decode.decode_discover_batch(pb.DiscoverBatchPoints(collection_name="c", discover_points=[discover]))) == 1
    )


def of(decoder: Callable[[Any], object], message: type[Any], **fields: object) -> Callable[[], object]:
    return lambda: decoder(message(**{"collection_name": "c", "limit": 1, **fields}))


REFUSED = [
    (
        of(decode.decode_old_search, pb.SearchPoints, vector=[1], limit=0),
        "[limit: value 0 invalid, must be 1 or larger]",
    ),
    (of(decode.decode_recommend, pb.RecommendPoints), "At least one positive vector ID required with this strategy"),
    (
        of(decode.decode_recommend, pb.RecommendPoints, strategy=1),
        "At least one positive or negative vector ID required with this strategy",
    ),
    (of(decode.decode_discover, pb.DiscoverPoints), "target and/or context_pairs must be specified"),
    (of(decode.decode_discover, pb.DiscoverPoints, context=[{"positive": ONE}]), "ContextPair negative is missing"),
    (
        of(decode.decode_old_search_groups, pb.SearchPointGroups, vector=[1], group_by="k"),
        "group_size: value 0 invalid",
    ),
    (of(decode.decode_old_search_groups, pb.SearchPointGroups, vector=[1], group_size=1), "group_by"),
]


@pytest.mark.parametrize(("decoder", "text"), REFUSED)
def test_bad_request_is_refused(decoder: Callable[[], object], text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoder()
    assert text in caught.value.message
