"""Search, recommend and discover, the routes that query replaced: decoded into the same tree, without prefetches."""

from collections.abc import Callable
from dataclasses import replace

from qdrantlite.query.search import GroupSearch, Nearest, Prefetch, Query, Search
from qdrantlite.values.payload import Json
from qdrantlite.values.vector import Vector
from qdrantlite.wire.checked import query as checked_query
from qdrantlite.wire.checked import search as checked
from qdrantlite.wire.rest.decode.query import context_pair, strategy
from qdrantlite.wire.rest.decode.selector import (
    filter_of,
    lookup_from,
    payload_selector,
    search_params,
    shards_read,
    vectors_selector,
    with_lookup,
)
from qdrantlite.wire.rest.decode.vector import asked, listed, sparse
from qdrantlite.wire.rest.reading import Fields, Misread, count, fields, path, text


def decode_old_search(value: Json) -> Search:
    """Raises InvalidRequest."""
    return _paged(value, _nearest)


def decode_old_search_batch(value: Json) -> tuple[Search, ...]:
    """In the order given. Raises InvalidRequest."""
    return fields(value).every("searches", decode_old_search)


def decode_old_search_groups(value: Json) -> GroupSearch:
    """Raises InvalidRequest."""
    return _grouped(value, _nearest)


def decode_recommend(value: Json) -> Search:
    """Raises InvalidRequest."""
    return _paged(value, _recommended)


def decode_recommend_batch(value: Json) -> tuple[Search, ...]:
    """In the order given. Raises InvalidRequest."""
    return fields(value).every("searches", decode_recommend)


def decode_recommend_groups(value: Json) -> GroupSearch:
    """Raises InvalidRequest."""
    return _grouped(value, _recommended)


def decode_discover(value: Json) -> Search:
    """A request without a target is a context search. Raises InvalidRequest."""
    return _paged(value, _discovered)


def decode_discover_batch(value: Json) -> tuple[Search, ...]:
    """In the order given. Raises InvalidRequest."""
    return fields(value).every("searches", decode_discover)


def _paged(value: Json, decode: Callable[[Fields], Search]) -> Search:
    members = fields(value)
    return replace(decode(members), offset=members.count("offset") or 0)


def _grouped(value: Json, decode: Callable[[Fields], Search]) -> GroupSearch:
    """Groups have no pages: an offset is as unknown to them as any other member."""
    members = fields(value)
    return checked.group_search(
        decode(members), members.needed("group_by", path), members.needed("group_size", count), with_lookup(members)
    )


def _nearest(members: Fields) -> Search:
    query, using = members.needed("vector", _named_vector)
    return _search(members, query, using, threshold=_threshold(members))


def _recommended(members: Fields) -> Search:
    recommend = checked_query.old_recommend(
        members.each("positive", asked) or (), members.each("negative", asked) or (), strategy(members)
    )
    return _search(members, recommend, _using(members), threshold=_threshold(members))


def _discovered(members: Fields) -> Search:
    """A discovery knows no threshold."""
    pairs = members.each(members.given("context", "context_pairs"), context_pair) or ()
    target = members.read("target", asked)
    return _search(members, checked_query.old_discover(target, pairs), _using(members), threshold=None)


def _named_vector(value: Json) -> tuple[Nearest, str]:
    """A bare vector, or an object with a name and a vector."""
    if not isinstance(value, dict):
        return Nearest(_vector(value)), ""
    if "name" not in value:
        raise Misread("data did not match any variant of untagged enum NamedVectorStruct")
    members = Fields(value)
    return Nearest(members.needed("vector", _vector)), members.needed("name", text)


def _vector(value: Json) -> Vector:
    match value:
        case list():
            return listed(value)
        case dict():
            return sparse(value)
        case _:
            raise Misread("data did not match any variant of untagged enum Vector")


def _using(members: Fields) -> str:
    return members.text("using") or ""


def _threshold(members: Fields) -> float | None:
    return members.small_number("score_threshold")


def _search(members: Fields, query: Query, using: str, *, threshold: float | None) -> Search:
    shards_read(members)
    limit = members.needed("limit", count, "top")
    return Search(
        stage=Prefetch(
            query=query,
            using=using,
            filter=filter_of(members),
            params=search_params(members),
            score_threshold=threshold,
            limit=checked.limit_of(limit, limit),
            lookup_from=lookup_from(members),
        ),
        with_payload=payload_selector(members),
        with_vectors=vectors_selector(members),
    )
