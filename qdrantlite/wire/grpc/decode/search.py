"""Query, QueryBatch and QueryGroups: messages to ``Search`` and ``GroupSearch``.

Semantic checks that need the whole tree or the collection (a query to merge prefetches, depth, weights) belong to
binding.
"""

from dataclasses import replace
from functools import lru_cache

from qdrantlite.query.search import (
    DEFAULT_PARAMS,
    GROUPS_DEFAULT,
    LIMIT_DEFAULT,
    NO_PAYLOAD,
    NO_VECTORS,
    GroupSearch,
    Nearest,
    Prefetch,
    Search,
)
from qdrantlite.values.vector import DenseVector
from qdrantlite.wire.bounds import collection_name, each_inside, inside
from qdrantlite.wire.checked import search as checked
from qdrantlite.wire.grpc.decode.filter import decode_filter
from qdrantlite.wire.grpc.decode.query import decode_query
from qdrantlite.wire.grpc.decode.selector import (
    check_timeout,
    decode_lookup_from,
    decode_payload_selector,
    decode_search_params,
    decode_vectors_selector,
    decode_with_lookup,
    shards_read,
)
from qdrantlite.wire.grpc.decode.vector import packed_floats
from qdrantlite.wire.pb import points as pb

REMEMBERED_BYTES_MAX = 1024


def decode_search(message: pb.QueryPoints) -> Search:
    """Raises InvalidRequest. The collection's name is checked, not kept."""
    plain = _plain(message)
    return _decode_whole(message) if plain is None else plain


def _plain(message: pb.QueryPoints) -> Search | None:
    """The search for the nearest to one dense vector; None when the message asks for anything else.

    What such messages say beside the vector comes again and again, and is decoded once.
    """
    count = len(message.query.nearest.dense.data)
    if count == 0 or message.prefetch:
        return None
    encoded = message.SerializeToString()
    opening = _opening(message.collection_name, count)
    end = len(opening) + 4 * count
    if len(encoded) - end > REMEMBERED_BYTES_MAX or not encoded.startswith(opening):
        return None
    alike = _with_zeros(opening, count, encoded[end:])
    vector = DenseVector(packed_floats(encoded, count, len(opening)))
    return replace(alike, stage=replace(alike.stage, query=Nearest(vector)))


@lru_cache(maxsize=64)
def _opening(collection: str, count: int) -> bytes:
    """The bytes of a message before the components of its vector, when it asks for the nearest to one.

    Fields are written in the order of their numbers; should a message ever come otherwise, it does not begin like this.
    """
    nearest = pb.Query(nearest=pb.VectorInput(dense=pb.DenseVector(data=[0.0] * count)))
    return pb.QueryPoints(collection_name=collection, query=nearest).SerializeToString()[: -4 * count]


@lru_cache(maxsize=256)
def _with_zeros(opening: bytes, count: int, rest: bytes) -> Search:
    return _decode_whole(pb.QueryPoints.FromString(opening + bytes(4 * count) + rest))


def _decode_whole(message: pb.QueryPoints) -> Search:
    collection_name(message.collection_name)
    check_timeout(message)
    shards_read(message)
    return Search(
        stage=_decode_stage(message, LIMIT_DEFAULT),
        offset=message.offset,
        with_payload=decode_payload_selector(message.with_payload) if message.HasField("with_payload") else NO_PAYLOAD,
        with_vectors=decode_vectors_selector(message.with_vectors) if message.HasField("with_vectors") else NO_VECTORS,
    )


def decode_search_batch(message: pb.QueryBatchPoints) -> tuple[Search, ...]:
    """In the order given. Names and timeouts inside are checked, then those of the batch count."""
    collection_name(message.collection_name)
    check_timeout(message)
    return each_inside("query_points", decode_search, message.query_points)


def decode_group_search(message: pb.QueryPointGroups) -> GroupSearch:
    """Raises InvalidRequest."""
    collection_name(message.collection_name)
    check_timeout(message)
    shards_read(message)
    return checked.group_search(
        Search(
            stage=_decode_stage(message, GROUPS_DEFAULT),
            with_payload=decode_payload_selector(message.with_payload)
            if message.HasField("with_payload")
            else NO_PAYLOAD,
            with_vectors=decode_vectors_selector(message.with_vectors)
            if message.HasField("with_vectors")
            else NO_VECTORS,
        ),
        message.group_by,
        message.group_size if message.HasField("group_size") else None,
        decode_with_lookup(message.with_lookup) if message.HasField("with_lookup") else None,
    )


def _decode_stage(message: pb.QueryPoints | pb.QueryPointGroups | pb.PrefetchQuery, limit_default: int) -> Prefetch:
    """The fields that the root and every prefetch share. Absent messages cost one ``HasField`` each."""
    limit = checked.limit_of(message.limit, limit_default) if message.HasField("limit") else limit_default
    prefetch = message.prefetch
    return Prefetch(
        prefetch=each_inside("prefetch", _decode_prefetch, prefetch) if prefetch else (),
        query=inside("query", decode_query, message.query) if message.HasField("query") else None,
        using=message.using,
        filter=inside("filter", decode_filter, message.filter) if message.HasField("filter") else None,
        params=inside("params", decode_search_params, message.params) if message.HasField("params") else DEFAULT_PARAMS,
        score_threshold=message.score_threshold if message.HasField("score_threshold") else None,
        limit=limit,
        lookup_from=decode_lookup_from(message.lookup_from) if message.HasField("lookup_from") else None,
    )


def _decode_prefetch(message: pb.PrefetchQuery) -> Prefetch:
    return _decode_stage(message, LIMIT_DEFAULT)
