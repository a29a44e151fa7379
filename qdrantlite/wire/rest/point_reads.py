"""Routes that read points: decode, ask the engine, encode."""

from collections.abc import Callable

from qdrantlite.errors import NotFound
from qdrantlite.query.search import ALL_PAYLOAD, ALL_VECTORS, GroupSearch, Search
from qdrantlite.values.payload import Json
from qdrantlite.wire.call_pools import CallKind
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.rest.call import Call
from qdrantlite.wire.rest.decode import legacy
from qdrantlite.wire.rest.decode.read import (
    decode_count,
    decode_facet,
    decode_matrix,
    decode_retrieval,
    decode_scroll,
)
from qdrantlite.wire.rest.decode.search import decode_group_search, decode_search, decode_search_batch
from qdrantlite.wire.rest.encode.answer import Answer
from qdrantlite.wire.rest.encode.record import (
    encode_groups,
    encode_hits,
    encode_offsets,
    encode_page,
    encode_pairs,
    encode_record,
    encode_records,
)
from qdrantlite.wire.rest.routes import COLLECTION, POINTS, READ, Handler, Route


def get_point(engine: Engine, call: Call) -> Answer:
    """One point, with payload and all vectors. Raises NotFound."""
    collection, point_id = call.collection, call.point_id
    records = engine.retrieve(collection, (point_id,), ALL_PAYLOAD, ALL_VECTORS, deadline=call.read_deadline())
    if not records:
        raise NotFound(f"Point with id {point_id} does not exists!")
    return encode_record(records[0])


def retrieve(engine: Engine, call: Call) -> Answer:
    """Points by id; those that do not exist are left out."""
    collection, asked = call.collection, call.body(decode_retrieval)
    selectors = asked.with_payload, asked.with_vectors
    return encode_records(engine.retrieve(collection, asked.ids, *selectors, deadline=call.read_deadline()))


def scroll(engine: Engine, call: Call) -> Answer:
    """A page of points."""
    collection, asked = call.collection, call.body(decode_scroll)
    return encode_page(engine.scroll(collection, asked, deadline=call.read_deadline()))


def count(engine: Engine, call: Call) -> Answer:
    """How many points pass."""
    collection, asked = call.collection, call.body(decode_count)
    return {"count": engine.count(collection, asked.filter, exact=asked.exact, deadline=call.read_deadline())}


def facet(engine: Engine, call: Call) -> Answer:
    """The most frequent values of a field."""
    collection, asked = call.collection, call.body(decode_facet)
    hits = engine.facet(collection, asked, deadline=call.read_deadline())
    return {"hits": [{"value": hit.value, "count": hit.count} for hit in hits]}


def matrix_pairs(engine: Engine, call: Call) -> Answer:
    """Pairs of near points of a sample."""
    collection, asked = call.collection, call.body(decode_matrix)
    return encode_pairs(engine.matrix(collection, asked, deadline=call.read_deadline()))


def matrix_offsets(engine: Engine, call: Call) -> Answer:
    """The same by places in a list of ids."""
    collection, asked = call.collection, call.body(decode_matrix)
    return encode_offsets(engine.matrix(collection, asked, deadline=call.read_deadline()))


def query(engine: Engine, call: Call) -> Answer:
    """All kinds of search."""
    return {"points": _hits(engine, call, decode_search)}


def query_batch(engine: Engine, call: Call) -> Answer:
    """Several searches."""
    return [{"points": hits} for hits in _batches(engine, call, decode_search_batch)]


def _hits(engine: Engine, call: Call, decode: Callable[[Json], Search]) -> list[Answer]:
    collection, search = call.collection, call.body(decode)
    return encode_hits(engine.search(collection, search, deadline=call.read_deadline()))


def _batches(engine: Engine, call: Call, decode: Callable[[Json], tuple[Search, ...]]) -> list[list[Answer]]:
    collection, searches = call.collection, call.body(decode)
    return [encode_hits(hits) for hits in engine.search_batch(collection, searches, deadline=call.read_deadline())]


def _one(decode: Callable[[Json], Search]) -> Handler:
    """A route of one search, answered with a bare list."""
    return lambda engine, call: _hits(engine, call, decode)


def _several(decode: Callable[[Json], tuple[Search, ...]]) -> Handler:
    """A route of several searches, answered with a list for each."""
    return lambda engine, call: _batches(engine, call, decode)


def _grouped(decode: Callable[[Json], GroupSearch]) -> Handler:
    """A route of one search in groups."""

    def groups(engine: Engine, call: Call) -> Answer:
        collection, search = call.collection, call.body(decode)
        return encode_groups(engine.search_groups(collection, search, deadline=call.read_deadline()))

    return groups


def _search(path: str, handler: Handler, request: str, result: str) -> Route:
    return Route("POST", POINTS + path, handler, request=request, result=result, parameters=READ, kind=CallKind.READ)


ROUTES = (
    Route("GET", POINTS + "/{id}", get_point, result="Record", parameters=READ, kind=CallKind.READ),
    _search("", retrieve, "PointRequest", "Record[]"),
    _search("/scroll", scroll, "ScrollRequest", "ScrollResult"),
    _search("/count", count, "CountRequest", "CountResult"),
    Route("POST", COLLECTION + "/facet", facet, "FacetResponse", "FacetRequest", READ, kind=CallKind.READ),
    _search("/search/matrix/pairs", matrix_pairs, "SearchMatrixRequest", "SearchMatrixPairsResponse"),
    _search("/search/matrix/offsets", matrix_offsets, "SearchMatrixRequest", "SearchMatrixOffsetsResponse"),
    _search("/query", query, "QueryRequest", "QueryResponse"),
    _search("/query/batch", query_batch, "QueryRequestBatch", "QueryResponse[]"),
    _search("/query/groups", _grouped(decode_group_search), "QueryGroupsRequest", "GroupsResult"),
    _search("/search", _one(legacy.decode_old_search), "SearchRequest", "ScoredPoint[]"),
    _search("/search/batch", _several(legacy.decode_old_search_batch), "SearchRequestBatch", "ScoredPoint[][]"),
    _search("/search/groups", _grouped(legacy.decode_old_search_groups), "SearchGroupsRequest", "GroupsResult"),
    _search("/recommend", _one(legacy.decode_recommend), "RecommendRequest", "ScoredPoint[]"),
    _search("/recommend/batch", _several(legacy.decode_recommend_batch), "RecommendRequestBatch", "ScoredPoint[][]"),
    _search(
        "/recommend/groups",
        _grouped(legacy.decode_recommend_groups),
        "RecommendGroupsRequest",
        "GroupsResult",
    ),
    _search("/discover", _one(legacy.decode_discover), "DiscoverRequest", "ScoredPoint[]"),
    _search("/discover/batch", _several(legacy.decode_discover_batch), "DiscoverRequestBatch", "ScoredPoint[][]"),
)
