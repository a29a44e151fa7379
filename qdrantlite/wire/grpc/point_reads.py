"""The RPCs of ``qdrant.Points`` that read: decode, ask the engine, encode. ``RPCS`` is the table that is served."""

from collections.abc import Mapping
from typing import Protocol, TypeAlias

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from qdrantlite.deadline import Deadline
from qdrantlite.query.search import GroupSearch, Search
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.grpc import decode_legacy as old
from qdrantlite.wire.grpc.decode_read import decode_count, decode_facet, decode_get, decode_matrix, decode_scroll
from qdrantlite.wire.grpc.decode_search import decode_group_search, decode_search, decode_search_batch
from qdrantlite.wire.grpc.dispatch import Rpc
from qdrantlite.wire.grpc.encode_record import (
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
    """The fields that all searches share."""

    @property
    def collection_name(self) -> str:
        """Or an alias."""


ScoredPoints: TypeAlias = RepeatedCompositeFieldContainer[pb.ScoredPoint]
BatchResults: TypeAlias = RepeatedCompositeFieldContainer[pb.BatchResult]


def _one(engine: Engine, request: ReadRequest, search: Search, deadline: Deadline, into: ScoredPoints) -> None:
    encode_hits(engine.search(request.collection_name, search, deadline=deadline), into)


def _batch(
    engine: Engine, request: ReadRequest, searches: tuple[Search, ...], deadline: Deadline, into: BatchResults
) -> None:
    encode_batches(engine.search_batch(request.collection_name, searches, deadline=deadline), into)


def _groups(
    engine: Engine, request: ReadRequest, search: GroupSearch, deadline: Deadline, into: pb.GroupsResult
) -> None:
    encode_groups(engine.search_groups(request.collection_name, search, deadline=deadline), into)


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


def query(engine: Engine, request: pb.QueryPoints, deadline: Deadline) -> pb.QueryResponse:
    """All kinds of search."""
    response = pb.QueryResponse()
    _one(engine, request, decode_search(request), deadline, response.result)
    return response


def query_batch(engine: Engine, request: pb.QueryBatchPoints, deadline: Deadline) -> pb.QueryBatchResponse:
    """Several searches."""
    response = pb.QueryBatchResponse()
    _batch(engine, request, decode_search_batch(request), deadline, response.result)
    return response


def query_groups(engine: Engine, request: pb.QueryPointGroups, deadline: Deadline) -> pb.QueryGroupsResponse:
    """One search, grouped."""
    response = pb.QueryGroupsResponse()
    _groups(engine, request, decode_group_search(request), deadline, response.result)
    return response


def search(engine: Engine, request: pb.SearchPoints, deadline: Deadline) -> pb.SearchResponse:
    """Nearest vectors."""
    response = pb.SearchResponse()
    _one(engine, request, old.decode_old_search(request), deadline, response.result)
    return response


def search_batch(engine: Engine, request: pb.SearchBatchPoints, deadline: Deadline) -> pb.SearchBatchResponse:
    """Several searches for nearest vectors."""
    response = pb.SearchBatchResponse()
    _batch(engine, request, old.decode_old_search_batch(request), deadline, response.result)
    return response


def search_groups(engine: Engine, request: pb.SearchPointGroups, deadline: Deadline) -> pb.SearchGroupsResponse:
    """Nearest vectors, grouped."""
    response = pb.SearchGroupsResponse()
    _groups(engine, request, old.decode_old_search_groups(request), deadline, response.result)
    return response


def recommend(engine: Engine, request: pb.RecommendPoints, deadline: Deadline) -> pb.RecommendResponse:
    """Points like these and unlike those."""
    response = pb.RecommendResponse()
    _one(engine, request, old.decode_recommend(request), deadline, response.result)
    return response


def recommend_batch(engine: Engine, request: pb.RecommendBatchPoints, deadline: Deadline) -> pb.RecommendBatchResponse:
    """Several recommendations."""
    response = pb.RecommendBatchResponse()
    _batch(engine, request, old.decode_recommend_batch(request), deadline, response.result)
    return response


def recommend_groups(
    engine: Engine, request: pb.RecommendPointGroups, deadline: Deadline
) -> pb.RecommendGroupsResponse:
    """Recommendations, grouped."""
    response = pb.RecommendGroupsResponse()
    _groups(engine, request, old.decode_recommend_groups(request), deadline, response.result)
    return response


def discover(engine: Engine, request: pb.DiscoverPoints, deadline: Deadline) -> pb.DiscoverResponse:
    """Search steered by pairs of examples."""
    response = pb.DiscoverResponse()
    _one(engine, request, old.decode_discover(request), deadline, response.result)
    return response


def discover_batch(engine: Engine, request: pb.DiscoverBatchPoints, deadline: Deadline) -> pb.DiscoverBatchResponse:
    """Several searches steered by pairs."""
    response = pb.DiscoverBatchResponse()
    _batch(engine, request, old.decode_discover_batch(request), deadline, response.result)
    return response


RPCS: Mapping[str, Rpc] = {
    "Get": get,
    "Scroll": scroll,
    "Count": count,
    "Facet": facet,
    "SearchMatrixPairs": matrix_pairs,
    "SearchMatrixOffsets": matrix_offsets,
    "Query": query,
    "QueryBatch": query_batch,
    "QueryGroups": query_groups,
    "Search": search,
    "SearchBatch": search_batch,
    "SearchGroups": search_groups,
    "Recommend": recommend,
    "RecommendBatch": recommend_batch,
    "RecommendGroups": recommend_groups,
    "Discover": discover,
    "DiscoverBatch": discover_batch,
}
