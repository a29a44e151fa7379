"""Search, Recommend and Discover, the RPCs that Query replaced: decoded into the same tree, without prefetches."""

from collections.abc import Sequence

import numpy as np

from qdrantlite.errors import MalformedRequest
from qdrantlite.query.search import (
    DEFAULT_PARAMS,
    NO_PAYLOAD,
    NO_VECTORS,
    Context,
    ContextPair,
    Discover,
    GroupSearch,
    Nearest,
    Prefetch,
    Query,
    Recommend,
    Search,
    VectorInput,
)
from qdrantlite.values.vector import DenseVector
from qdrantlite.wire.bounds import collection_name, each_inside, inside
from qdrantlite.wire.checked import query as checked_query
from qdrantlite.wire.checked import search as checked
from qdrantlite.wire.grpc.decode.filter import decode_filter
from qdrantlite.wire.grpc.decode.query import decode_strategy
from qdrantlite.wire.grpc.decode.selector import (
    check_timeout,
    decode_lookup_from,
    decode_payload_selector,
    decode_search_params,
    decode_vectors_selector,
    decode_with_lookup,
    shards_read,
)
from qdrantlite.wire.grpc.decode.vector import decode_sparse, decode_vector
from qdrantlite.wire.grpc.id_codec import decode_id, decode_ids
from qdrantlite.wire.pb import points as pb
from qdrantlite.wire.pb import qdrant_common

Old = pb.SearchPoints | pb.SearchPointGroups | pb.RecommendPoints | pb.RecommendPointGroups | pb.DiscoverPoints


def decode_old_search(message: pb.SearchPoints) -> Search:
    """Raises InvalidRequest."""
    return _search(message, _decode_nearest(message), using=message.vector_name, offset=message.offset)


def decode_old_search_batch(message: pb.SearchBatchPoints) -> tuple[Search, ...]:
    """In the order given. Raises InvalidRequest."""
    collection_name(message.collection_name)
    check_timeout(message)
    return each_inside("search_points", decode_old_search, message.search_points)


def decode_old_search_groups(message: pb.SearchPointGroups) -> GroupSearch:
    """Raises InvalidRequest."""
    return _groups(message, _search(message, _decode_nearest(message), using=message.vector_name))


def decode_recommend(message: pb.RecommendPoints) -> Search:
    """Raises InvalidRequest."""
    return _search(message, _decode_examples(message), using=message.using, offset=message.offset)


def decode_recommend_batch(message: pb.RecommendBatchPoints) -> tuple[Search, ...]:
    """In the order given. Raises InvalidRequest."""
    collection_name(message.collection_name)
    check_timeout(message)
    return each_inside("recommend_points", decode_recommend, message.recommend_points)


def decode_recommend_groups(message: pb.RecommendPointGroups) -> GroupSearch:
    """Raises InvalidRequest."""
    return _groups(message, _search(message, _decode_examples(message), using=message.using))


def decode_discover(message: pb.DiscoverPoints) -> Search:
    """A request without a target is a context search. Raises InvalidRequest."""
    return _search(message, _decode_discovery(message), using=message.using, offset=message.offset)


def decode_discover_batch(message: pb.DiscoverBatchPoints) -> tuple[Search, ...]:
    """In the order given. Raises InvalidRequest."""
    collection_name(message.collection_name)
    check_timeout(message)
    return each_inside("discover_points", decode_discover, message.discover_points)


def _search(message: Old, query: Query, *, using: str, offset: int = 0) -> Search:
    collection_name(message.collection_name)
    check_timeout(message)
    shards_read(message)
    threshold = None if isinstance(message, pb.DiscoverPoints) else _threshold(message)
    return Search(
        stage=Prefetch(
            query=query,
            using=using,
            filter=inside("filter", decode_filter, message.filter) if message.HasField("filter") else None,
            params=inside("params", decode_search_params, message.params)
            if message.HasField("params")
            else DEFAULT_PARAMS,
            score_threshold=threshold,
            limit=checked.limit_of(message.limit, message.limit),
            lookup_from=None
            if isinstance(message, pb.SearchPoints | pb.SearchPointGroups) or not message.HasField("lookup_from")
            else decode_lookup_from(message.lookup_from),
        ),
        offset=offset,
        with_payload=decode_payload_selector(message.with_payload) if message.HasField("with_payload") else NO_PAYLOAD,
        with_vectors=decode_vectors_selector(message.with_vectors) if message.HasField("with_vectors") else NO_VECTORS,
    )


def _threshold(
    message: pb.SearchPoints | pb.SearchPointGroups | pb.RecommendPoints | pb.RecommendPointGroups,
) -> float | None:
    return message.score_threshold if message.HasField("score_threshold") else None


def _groups(message: pb.SearchPointGroups | pb.RecommendPointGroups, search: Search) -> GroupSearch:
    return checked.group_search(
        search,
        message.group_by,
        message.group_size,
        decode_with_lookup(message.with_lookup) if message.HasField("with_lookup") else None,
    )


def _decode_nearest(message: pb.SearchPoints | pb.SearchPointGroups) -> Nearest:
    if message.HasField("sparse_indices"):
        return Nearest(decode_sparse(message.sparse_indices.data, message.vector))
    return Nearest(DenseVector(np.array(message.vector, dtype=np.float32)))


def _decode_examples(message: pb.RecommendPoints | pb.RecommendPointGroups) -> Recommend:
    return checked_query.old_recommend(
        _examples("positive_vectors", message.positive, message.positive_vectors),
        _examples("negative_vectors", message.negative, message.negative_vectors),
        decode_strategy(message.strategy),
    )


def _examples(
    field: str, ids: Sequence[qdrant_common.PointId], vectors: Sequence[pb.Vector]
) -> tuple[VectorInput, ...]:
    return (*decode_ids(ids), *each_inside(field, decode_vector, vectors))


def _decode_discovery(message: pb.DiscoverPoints) -> Discover | Context:
    pairs = each_inside("context", _decode_pair, message.context)
    given = message.target.WhichOneof("target") is not None
    return checked_query.old_discover(_decode_example(message.target.single) if given else None, pairs)


def _decode_pair(message: pb.ContextExamplePair) -> ContextPair:
    if not message.HasField("positive"):
        raise MalformedRequest("ContextPair positive is missing")
    if not message.HasField("negative"):
        raise MalformedRequest("ContextPair negative is missing")
    return ContextPair(_decode_example(message.positive), _decode_example(message.negative))


def _decode_example(message: pb.VectorExample) -> VectorInput:
    match message.WhichOneof("example"):
        case "id":
            return decode_id(message.id)
        case "vector":
            return decode_vector(message.vector)
        case None:
            raise MalformedRequest("No vector example provided")
