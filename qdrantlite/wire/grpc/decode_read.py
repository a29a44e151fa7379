"""Reads without a query: Get, Scroll and Count."""

from dataclasses import dataclass

from qdrantlite.errors import BadRequest
from qdrantlite.query.filter import Filter
from qdrantlite.query.search import (
    ALL_PAYLOAD,
    LIMIT_DEFAULT,
    NO_PAYLOAD,
    NO_VECTORS,
    PayloadSelector,
    Scroll,
    VectorsSelector,
)
from qdrantlite.values.point_id import PointId
from qdrantlite.wire.bounds import at_least, collection_name, inside
from qdrantlite.wire.grpc.decode_filter import decode_filter
from qdrantlite.wire.grpc.decode_selector import (
    decode_order_by,
    decode_payload_selector,
    decode_timeout,
    decode_vectors_selector,
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
    decode_timeout(message)
    return Retrieval(
        decode_ids(message.ids),
        decode_payload_selector(message.with_payload) if message.HasField("with_payload") else NO_PAYLOAD,
        decode_vectors_selector(message.with_vectors) if message.HasField("with_vectors") else NO_VECTORS,
    )


def decode_scroll(message: pb.ScrollPoints) -> Scroll:
    """Payload comes along unless switched off. Raises InvalidRequest."""
    collection_name(message.collection_name)
    decode_timeout(message)
    if message.HasField("limit"):
        at_least("limit", message.limit, 1)
    if message.HasField("offset") and message.HasField("order_by"):
        raise BadRequest(
            "Cannot use an `offset` when using `order_by`. The alternative for paging is to use "
            "`order_by.start_from` and a filter to exclude the IDs that you've already seen for the value"
        )
    return Scroll(
        filter=inside("filter", decode_filter, message.filter) if message.HasField("filter") else None,
        offset=decode_id(message.offset) if message.HasField("offset") else None,
        limit=message.limit if message.HasField("limit") else LIMIT_DEFAULT,
        order_by=inside("order_by", decode_order_by, message.order_by) if message.HasField("order_by") else None,
        with_payload=decode_payload_selector(message.with_payload) if message.HasField("with_payload") else ALL_PAYLOAD,
        with_vectors=decode_vectors_selector(message.with_vectors) if message.HasField("with_vectors") else NO_VECTORS,
    )


def decode_count(message: pb.CountPoints) -> Counting:
    """Exact unless told otherwise. Raises InvalidRequest."""
    collection_name(message.collection_name)
    decode_timeout(message)
    return Counting(
        inside("filter", decode_filter, message.filter) if message.HasField("filter") else None,
        message.exact if message.HasField("exact") else True,
    )
