"""Reads without a query: Get, Scroll, Count, Facet and the distance matrix."""

from dataclasses import dataclass

from qdrantlite.query.filter import Filter
from qdrantlite.query.search import (
    ALL_PAYLOAD,
    NO_PAYLOAD,
    NO_VECTORS,
    Facet,
    Matrix,
    PayloadSelector,
    Scroll,
    VectorsSelector,
)
from qdrantlite.values.point_id import PointId
from qdrantlite.wire.bounds import collection_name, inside
from qdrantlite.wire.checked import search as checked
from qdrantlite.wire.grpc.decode.filter import decode_filter
from qdrantlite.wire.grpc.decode.selector import (
    check_timeout,
    decode_order_by,
    decode_payload_selector,
    decode_vectors_selector,
    shards_read,
)
from qdrantlite.wire.grpc.id_codec import decode_id, decode_ids
from qdrantlite.wire.pb import points as pb


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What Get asks for."""

    ids: tuple[PointId, ...]
    with_payload: PayloadSelector
    with_vectors: VectorsSelector


@dataclass(frozen=True, slots=True)
class Counting:
    """What Count asks for."""

    filter: Filter | None
    exact: bool


def decode_get(message: pb.GetPoints) -> Retrieval:
    """Payload and vectors only if asked for. Raises InvalidRequest."""
    collection_name(message.collection_name)
    shards_read(message)
    return Retrieval(
        decode_ids(message.ids),
        decode_payload_selector(message.with_payload) if message.HasField("with_payload") else NO_PAYLOAD,
        decode_vectors_selector(message.with_vectors) if message.HasField("with_vectors") else NO_VECTORS,
    )


def decode_scroll(message: pb.ScrollPoints) -> Scroll:
    """Payload comes along unless switched off. Raises InvalidRequest."""
    collection_name(message.collection_name)
    shards_read(message)
    return checked.scroll(
        filter=inside("filter", decode_filter, message.filter) if message.HasField("filter") else None,
        offset=decode_id(message.offset) if message.HasField("offset") else None,
        limit=message.limit if message.HasField("limit") else None,
        order_by=inside("order_by", decode_order_by, message.order_by) if message.HasField("order_by") else None,
        with_payload=decode_payload_selector(message.with_payload) if message.HasField("with_payload") else ALL_PAYLOAD,
        with_vectors=decode_vectors_selector(message.with_vectors) if message.HasField("with_vectors") else NO_VECTORS,
    )


def decode_count(message: pb.CountPoints) -> Counting:
    """Exact unless told otherwise. Raises InvalidRequest."""
    collection_name(message.collection_name)
    shards_read(message)
    return Counting(
        inside("filter", decode_filter, message.filter) if message.HasField("filter") else None,
        message.exact if message.HasField("exact") else True,
    )


def decode_facet(message: pb.FacetCounts) -> Facet:
    """Raises InvalidRequest."""
    collection_name(message.collection_name)
    shards_read(message)
    check_timeout(message)
    return checked.facet(
        message.key,
        inside("filter", decode_filter, message.filter) if message.HasField("filter") else None,
        message.limit if message.HasField("limit") else None,
        exact=message.exact,
    )


def decode_matrix(message: pb.SearchMatrixPoints) -> Matrix:
    """Raises InvalidRequest."""
    collection_name(message.collection_name)
    shards_read(message)
    check_timeout(message)
    return checked.matrix(
        message.using,
        inside("filter", decode_filter, message.filter) if message.HasField("filter") else None,
        message.sample if message.HasField("sample") else None,
        message.limit if message.HasField("limit") else None,
    )
