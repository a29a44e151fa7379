"""The RPCs of ``qdrant.Points`` that read: decode, ask the engine, encode. ``RPCS`` is the table that is served."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from qdrantlite.deadline import Deadline
from qdrantlite.query.search import GroupSearch, Search
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.grpc.decode import legacy as old
from qdrantlite.wire.grpc.decode.read import decode_count, decode_facet, decode_get, decode_matrix, decode_scroll
from qdrantlite.wire.grpc.decode.search import decode_group_search, decode_search, decode_search_batch
from qdrantlite.wire.grpc.dispatch import Rpc
from qdrantlite.wire.grpc.encode.record import (
    encode_batches,
    encode_facet,
    encode_groups,
    encode_hits,
    encode_offsets,
    encode_page,
    encode_pairs,
    encode_record,
)
from qdrantlite.wire.pb import points as pb


class ReadRequest(Protocol):
    """The field that all searches share."""

    @property
    def collection_name(self) -> str:
        """Or an alias."""


Hits: TypeAlias = pb.QueryResponse | pb.SearchResponse | pb.RecommendResponse | pb.DiscoverResponse
Batches: TypeAlias = (
    pb.QueryBatchResponse | pb.SearchBatchResponse | pb.RecommendBatchResponse | pb.DiscoverBatchResponse
)
Groups: TypeAlias = pb.QueryGroupsResponse | pb.SearchGroupsResponse | pb.RecommendGroupsResponse


def _one(decode: Callable[[Any], Search], answer: Callable[[], Hits]) -> Rpc:
    """An RPC of one search."""

    def search(engine: Engine, request: ReadRequest, deadline: Deadline) -> Hits:
        response = answer()
        encode_hits(engine.search(request.collection_name, decode(request), deadline=deadline), response.result)
        return response

    return search


def _several(decode: Callable[[Any], tuple[Search, ...]], answer: Callable[[], Batches]) -> Rpc:
    """An RPC of several searches."""

    def search(engine: Engine, request: ReadRequest, deadline: Deadline) -> Batches:
        response = answer()
        batches = engine.search_batch(request.collection_name, decode(request), deadline=deadline)
        encode_batches(batches, response.result)
        return response

    return search


def _grouped(decode: Callable[[Any], GroupSearch], answer: Callable[[], Groups]) -> Rpc:
    """An RPC of one search in groups."""

    def search(engine: Engine, request: ReadRequest, deadline: Deadline) -> Groups:
        response = answer()
        groups = engine.search_groups(request.collection_name, decode(request), deadline=deadline)
        encode_groups(groups, response.result)
        return response

    return search


def get(engine: Engine, request: pb.GetPoints, deadline: Deadline) -> pb.GetResponse:
    """Points by id."""
    asked = decode_get(request)
    response = pb.GetResponse()
    selectors = asked.with_payload, asked.with_vectors
    for record in engine.retrieve(request.collection_name, asked.ids, *selectors, deadline=deadline):
        encode_record(record, response.result.add())
    return response


def scroll(engine: Engine, request: pb.ScrollPoints, deadline: Deadline) -> pb.ScrollResponse:
    """A page of points."""
    return encode_page(engine.scroll(request.collection_name, decode_scroll(request), deadline=deadline))


def count(engine: Engine, request: pb.CountPoints, deadline: Deadline) -> pb.CountResponse:
    """How many points pass."""
    asked = decode_count(request)
    number = engine.count(request.collection_name, asked.filter, exact=asked.exact, deadline=deadline)
    return pb.CountResponse(result=pb.CountResult(count=number))


def facet(engine: Engine, request: pb.FacetCounts, deadline: Deadline) -> pb.FacetResponse:
    """The most frequent values of a field."""
    response = pb.FacetResponse()
    encode_facet(engine.facet(request.collection_name, decode_facet(request), deadline=deadline), response.hits)
    return response


def matrix_pairs(engine: Engine, request: pb.SearchMatrixPoints, deadline: Deadline) -> pb.SearchMatrixPairsResponse:
    """Pairs of near points of a sample."""
    matrix = engine.matrix(request.collection_name, decode_matrix(request), deadline=deadline)
    return pb.SearchMatrixPairsResponse(result=encode_pairs(matrix))


def matrix_offsets(
    engine: Engine, request: pb.SearchMatrixPoints, deadline: Deadline
) -> pb.SearchMatrixOffsetsResponse:
    """The same by places in a list of ids."""
    matrix = engine.matrix(request.collection_name, decode_matrix(request), deadline=deadline)
    return pb.SearchMatrixOffsetsResponse(result=encode_offsets(matrix))


RPCS: Mapping[str, Rpc] = {
    "Get": get,
    "Scroll": scroll,
    "Count": count,
    "Facet": facet,
    "SearchMatrixPairs": matrix_pairs,
    "SearchMatrixOffsets": matrix_offsets,
    "Query": _one(decode_search, pb.QueryResponse),
    "QueryBatch": _several(decode_search_batch, pb.QueryBatchResponse),
    "QueryGroups": _grouped(decode_group_search, pb.QueryGroupsResponse),
    "Search": _one(old.decode_old_search, pb.SearchResponse),
    "SearchBatch": _several(old.decode_old_search_batch, pb.SearchBatchResponse),
    "SearchGroups": _grouped(old.decode_old_search_groups, pb.SearchGroupsResponse),
    "Recommend": _one(old.decode_recommend, pb.RecommendResponse),
    "RecommendBatch": _several(old.decode_recommend_batch, pb.RecommendBatchResponse),
    "RecommendGroups": _grouped(old.decode_recommend_groups, pb.RecommendGroupsResponse),
    "Discover": _one(old.decode_discover, pb.DiscoverResponse),
    "DiscoverBatch": _several(old.decode_discover_batch, pb.DiscoverBatchResponse),
}
