"""What recurs in requests: selectors of payload and vectors, lookups, search parameters, orders."""

from qdrantlite.query.filter import Filter
from qdrantlite.query.search import (
    ALL_PAYLOAD,
    ALL_VECTORS,
    DEFAULT_PARAMS,
    NO_PAYLOAD,
    NO_VECTORS,
    Direction,
    LookupFrom,
    OrderBy,
    PayloadSelector,
    QuantizationParams,
    SearchParams,
    VectorsSelector,
    WithLookup,
)
from qdrantlite.values.payload import Json
from qdrantlite.wire.bounds import at_least, collection_name
from qdrantlite.wire.checked import search as checked
from qdrantlite.wire.checked import shard_keys
from qdrantlite.wire.rest.decode.filter import decode_filter, moment
from qdrantlite.wire.rest.reading import Fields, Misread, fields, flag, items, path, text, unexpected

_DIRECTIONS = {"asc": Direction.ASC, "desc": Direction.DESC}


def payload_selector(members: Fields, default: PayloadSelector = NO_PAYLOAD) -> PayloadSelector:
    """``with_payload`` of a request. Raises Misread."""
    found = members.read("with_payload", _payload_selector)
    return default if found is None else found


def _payload_selector(value: Json) -> PayloadSelector:
    match value:
        case bool():
            return ALL_PAYLOAD if value else NO_PAYLOAD
        case list():
            return PayloadSelector(include=items(value, path))
        case dict() if "include" in value:
            Fields(value).only("include")
            return PayloadSelector(include=Fields(value).every("include", path))
        case dict() if "exclude" in value:
            Fields(value).only("exclude")
            return PayloadSelector(exclude=Fields(value).every("exclude", path))
        case _:
            raise Misread("data did not match any variant of untagged enum WithPayloadInterface")


def vectors_selector(members: Fields) -> VectorsSelector:
    """``with_vector`` (or ``with_vectors``) of a request. Raises Misread."""
    return members.read(members.given("with_vector", "with_vectors"), _vectors_selector) or NO_VECTORS


def _vectors_selector(value: Json) -> VectorsSelector:
    match value:
        case bool():
            return ALL_VECTORS if value else NO_VECTORS
        case list():
            return VectorsSelector(names=items(value, text))
        case _:
            raise Misread("data did not match any variant of untagged enum WithVector")


def lookup_from(members: Fields) -> LookupFrom | None:
    """``lookup_from`` of a request. Raises InvalidRequest."""
    return members.part("lookup_from", _lookup_from)


def _lookup_from(members: Fields) -> LookupFrom:
    collection = collection_name(members.needed("collection", text), field="collection")
    shards_read(members, collection)
    return LookupFrom(collection, members.text("vector"))


def with_lookup(members: Fields) -> WithLookup | None:
    """``with_lookup`` of a request for groups: a collection's name, or an object. Raises InvalidRequest."""
    return members.read("with_lookup", _with_lookup)


def _with_lookup(value: Json) -> WithLookup:
    if isinstance(value, str):
        return WithLookup(collection_name(value, field="collection"))
    members = fields(value)
    return WithLookup(
        collection_name(members.needed("collection", text), field="collection"),
        payload_selector(members, ALL_PAYLOAD),
        vectors_selector(members),
    )


def search_params(members: Fields) -> SearchParams:
    """``params`` of a request. Raises InvalidRequest."""
    return members.part("params", _search_params) or DEFAULT_PARAMS


def _search_params(members: Fields) -> SearchParams:
    hnsw_ef = members.count("hnsw_ef")
    if hnsw_ef is not None:
        at_least("hnsw_ef", hnsw_ef, 1)
    return checked.search_params(
        hnsw_ef=hnsw_ef,
        exact=members.flag("exact") or False,
        quantization=members.part("quantization", _quantization),
        indexed_only=members.flag("indexed_only") or False,
        acorn_max_selectivity=members.part("acorn", _acorn),
        idf_corpus=members.read("idf", _idf_corpus),
    )


def _quantization(members: Fields) -> QuantizationParams:
    return checked.quantization_params(
        ignore=members.flag("ignore") or False,
        rescore=members.flag("rescore"),
        oversampling=members.number("oversampling"),
    )


def _acorn(members: Fields) -> float | None:
    return checked.acorn(enable=members.flag("enable") or False, max_selectivity=members.number("max_selectivity"))


def _idf_corpus(value: Json) -> Filter | None:
    if value == "global":
        return None
    return fields(value).needed("corpus", decode_filter)


def order_by(value: Json) -> OrderBy:
    """A path, or an object with a path. Raises InvalidRequest."""
    if isinstance(value, str):
        return OrderBy(path(value))
    members = fields(value)
    return OrderBy(
        key=members.needed("key", path),
        direction=members.read("direction", _direction) or Direction.ASC,
        start_from=members.read("start_from", _start_from),
    )


def _direction(value: Json) -> Direction:
    if value not in _DIRECTIONS:
        raise Misread(f"unknown variant `{text(value)}`, expected `asc` or `desc`")
    return _DIRECTIONS[text(value)]


def _start_from(value: Json) -> int | float | str:
    if isinstance(value, str):
        moment(value)
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        unexpected(value, "a number or a datetime")
    return value


def shards_read(members: Fields, lookup: str | None = None) -> None:
    """``shard_key`` of a read, or of a lookup in another collection. Raises InvalidRequest for any."""
    keys = members.read("shard_key", _shard_keys)
    if keys is not None:
        shard_keys.read(keys, lookup)


def shards_written(members: Fields) -> None:
    """``shard_key`` of a write. Raises InvalidRequest for any."""
    keys = members.read("shard_key", _shard_keys)
    if keys is not None:
        shard_keys.written(keys)


def _shard_keys(value: Json) -> tuple[str | int, ...]:
    match value:
        case list():
            return items(value, _shard_key)
        case {"target": target, "fallback": _}:
            return (_shard_key(target),)
        case _:
            return (_shard_key(value),)


def _shard_key(value: Json) -> str | int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        unexpected(value, "a shard key")
    return value


def filter_of(members: Fields) -> Filter | None:
    """``filter`` of a request. Raises InvalidRequest."""
    return members.read("filter", decode_filter)


def exact(members: Fields, *, default: bool) -> bool:
    """``exact`` of a request."""
    found = members.read("exact", flag)
    return default if found is None else found
