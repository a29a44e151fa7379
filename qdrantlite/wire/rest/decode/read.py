"""Reads without a query: points by id, pages, counts, facets and the distance matrix."""

from typing import NamedTuple

from qdrantlite.query.filter import Filter
from qdrantlite.query.search import ALL_PAYLOAD, LIMIT_DEFAULT, Facet, Matrix, PayloadSelector, Scroll, VectorsSelector
from qdrantlite.values.payload import Json
from qdrantlite.values.point_id import PointId
from qdrantlite.values.vector import DEFAULT_VECTOR
from qdrantlite.wire.checked import search as checked
from qdrantlite.wire.rest.decode.selector import (
    exact,
    filter_of,
    order_by,
    payload_selector,
    shards_read,
    vectors_selector,
)
from qdrantlite.wire.rest.decode.vector import point_id
from qdrantlite.wire.rest.reading import fields, path, text


class Retrieval(NamedTuple):
    """Which points are asked for, and what of them."""

    ids: tuple[PointId, ...]
    with_payload: PayloadSelector
    with_vectors: VectorsSelector


class Counting(NamedTuple):
    """What is counted."""

    filter: Filter | None
    exact: bool


def decode_retrieval(value: Json) -> Retrieval:
    """Payload and vectors only if asked for. Raises InvalidRequest."""
    members = fields(value)
    shards_read(members)
    ids = members.every("ids", point_id)
    return Retrieval(ids, payload_selector(members), vectors_selector(members))


def decode_scroll(value: Json) -> Scroll:
    """Payload comes along unless switched off. Raises InvalidRequest."""
    members = fields(value)
    shards_read(members)
    return checked.scroll(
        filter=filter_of(members),
        offset=members.read("offset", point_id),
        limit=members.count("limit"),
        order_by=members.read("order_by", order_by),
        with_payload=payload_selector(members, ALL_PAYLOAD),
        with_vectors=vectors_selector(members),
    )


def decode_count(value: Json) -> Counting:
    """Exact unless told otherwise. Raises InvalidRequest."""
    members = fields(value)
    shards_read(members)
    return Counting(filter_of(members), exact(members, default=True))


def decode_facet(value: Json) -> Facet:
    """Raises InvalidRequest."""
    members = fields(value)
    shards_read(members)
    limit = checked.limit_of(members.count("limit"), LIMIT_DEFAULT)
    return checked.facet(members.needed("key", path), filter_of(members), limit, exact=exact(members, default=False))


def decode_matrix(value: Json) -> Matrix:
    """Raises InvalidRequest."""
    members = fields(value)
    shards_read(members)
    using = members.read("using", text) or DEFAULT_VECTOR
    return checked.matrix(using, filter_of(members), members.count("sample"), members.count("limit"))
