"""Query, its batch and its groups: bodies to ``Search`` and ``GroupSearch``."""

from qdrantlite.query.search import GROUPS_DEFAULT, LIMIT_DEFAULT, GroupSearch, Prefetch, Search
from qdrantlite.values.payload import Json
from qdrantlite.wire.checked import search as checked
from qdrantlite.wire.rest.decode.query import decode_query
from qdrantlite.wire.rest.decode.selector import (
    filter_of,
    lookup_from,
    payload_selector,
    search_params,
    shards_read,
    vectors_selector,
    with_lookup,
)
from qdrantlite.wire.rest.reading import Fields, count, fields, path


def decode_search(value: Json) -> Search:
    """Raises InvalidRequest."""
    members = fields(value)
    shards_read(members)
    return Search(
        stage=_stage(members, LIMIT_DEFAULT),
        offset=members.count("offset") or 0,
        with_payload=payload_selector(members),
        with_vectors=vectors_selector(members),
    )


def decode_search_batch(value: Json) -> tuple[Search, ...]:
    """In the order given. Raises InvalidRequest."""
    return fields(value).every("searches", decode_search)


def decode_group_search(value: Json) -> GroupSearch:
    """Raises InvalidRequest."""
    members = fields(value)
    shards_read(members)
    search = Search(
        stage=_stage(members, GROUPS_DEFAULT),
        with_payload=payload_selector(members),
        with_vectors=vectors_selector(members),
    )
    return checked.group_search(
        search, members.needed("group_by", path), members.read("group_size", count), with_lookup(members)
    )


def _stage(members: Fields, limit_default: int) -> Prefetch:
    return Prefetch(
        prefetch=members.some("prefetch", _prefetch),
        query=members.read("query", decode_query),
        using=members.text("using") or "",
        filter=filter_of(members),
        params=search_params(members),
        score_threshold=members.small_number("score_threshold"),
        limit=checked.limit_of(members.count("limit"), limit_default),
        lookup_from=lookup_from(members),
    )


def _prefetch(value: Json) -> Prefetch:
    return _stage(fields(value), LIMIT_DEFAULT)
