"""What recurs in requests: selectors of payload and vectors, lookups, search parameters, order, timeouts.

A selector that is absent takes the default its request gives it; the defaults differ from request to request.
"""

from typing import Literal, Protocol

from qdrantlite.errors import MalformedRequest
from qdrantlite.query.filter import Filter
from qdrantlite.query.search import (
    ALL_PAYLOAD,
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
from qdrantlite.values.payload import parse_path, spelled
from qdrantlite.wire.bounds import at_least, collection_name, inside
from qdrantlite.wire.checked import search as checked
from qdrantlite.wire.checked import shard_keys
from qdrantlite.wire.grpc.decode.filter import decode_filter, decode_timestamp
from qdrantlite.wire.grpc.remembered import remembered
from qdrantlite.wire.pb import points as pb

_ENABLED_PAYLOAD = {True: ALL_PAYLOAD, False: NO_PAYLOAD}
_ENABLED_VECTORS = {True: VectorsSelector(everything=True), False: NO_VECTORS}


class Timed(Protocol):
    """A request that may carry a timeout in seconds."""

    @property
    def timeout(self) -> int:
        """Seconds; 0 if absent."""

    def HasField(self, field_name: Literal["timeout"], /) -> bool:  # noqa: N802  # protobuf's own name
        """True when the field is set."""


class Sharded(Protocol):
    """A request that may name shard keys."""

    @property
    def shard_key_selector(self) -> pb.ShardKeySelector:
        """Empty if absent."""

    def HasField(self, field_name: Literal["shard_key_selector"], /) -> bool:  # noqa: N802  # protobuf's own name
        """True when the field is set."""


def shards_read(message: Sharded, lookup: str | None = None) -> None:
    """Shard keys of a read, or of a lookup in another collection. Raises OnceFound for any."""
    if message.HasField("shard_key_selector"):
        shard_keys.read(_shard_keys(message.shard_key_selector), lookup)


def shards_written(message: Sharded) -> None:
    """Shard keys of a write. Raises OnceFound for any."""
    if message.HasField("shard_key_selector"):
        shard_keys.written(_shard_keys(message.shard_key_selector))


def _shard_keys(message: pb.ShardKeySelector) -> list[str | int]:
    return [key.number if key.WhichOneof("key") == "number" else key.keyword for key in message.shard_keys]


def check_timeout(message: Timed) -> None:
    """Raises ValidationFailed for 0. Qdrant's gRPC asks this of searches and of changes of collections only."""
    if message.timeout == 0 and message.HasField("timeout"):
        at_least("timeout", 0, 1)


def decode_payload_selector(message: pb.WithPayloadSelector) -> PayloadSelector:
    """Raises MalformedRequest for an empty selector or a malformed path."""
    match message.WhichOneof("selector_options"):
        case "enable":
            return _ENABLED_PAYLOAD[message.enable]
        case "include":
            return PayloadSelector(include=_paths(tuple(message.include.fields)))
        case "exclude":
            return PayloadSelector(exclude=_paths(tuple(message.exclude.fields)))
        case None:
            raise MalformedRequest("No PayloadSelector")


def _paths(keys: tuple[str, ...]) -> tuple[str, ...]:
    for key in keys:
        parse_path(key)
    return keys


def decode_vectors_selector(message: pb.WithVectorsSelector) -> VectorsSelector:
    """An empty selector selects nothing."""
    match message.WhichOneof("selector_options"):
        case "enable":
            return _ENABLED_VECTORS[message.enable]
        case "include":
            return VectorsSelector(names=tuple(message.include.names))
        case None:
            return NO_VECTORS


def decode_lookup_from(message: pb.LookupLocation) -> LookupFrom:
    """Where ids are resolved. Raises InvalidRequest."""
    collection = collection_name(message.collection_name, field="lookup_from.collection_name")
    shards_read(message, collection)
    return LookupFrom(
        collection,
        message.vector_name if message.HasField("vector_name") else None,
    )


def decode_with_lookup(message: pb.WithLookup) -> WithLookup:
    """Payload comes along unless switched off, vectors do not. Raises InvalidRequest."""
    return WithLookup(
        collection_name(message.collection, field="with_lookup.collection"),
        decode_payload_selector(message.with_payload) if message.HasField("with_payload") else ALL_PAYLOAD,
        decode_vectors_selector(message.with_vectors) if message.HasField("with_vectors") else NO_VECTORS,
    )


def decode_order_by(message: pb.OrderBy) -> OrderBy:
    """An unknown direction is ascending, as Qdrant has it. Raises InvalidRequest."""
    return OrderBy(
        key=spelled(message.key),
        direction=Direction.DESC if message.direction == pb.Direction.Desc else Direction.ASC,
        start_from=inside("start_from", _decode_start_from, message.start_from)
        if message.HasField("start_from")
        else None,
    )


def _decode_start_from(message: pb.StartFrom) -> int | float | str | None:
    match message.WhichOneof("value"):
        case "float":
            return message.float
        case "integer":
            return message.integer
        case "timestamp":
            return inside("timestamp", decode_timestamp, message.timestamp).micros
        case "datetime":
            return message.datetime
        case None:
            return None


# A client sends the same parameters with every search.
@remembered(pb.SearchParams, bytes_max=64, entries=128)
def decode_search_params(message: pb.SearchParams) -> SearchParams:
    """Raises ValidationFailed for values out of bounds. A beam of 0, which only REST refuses, is the usual one."""
    return checked.search_params(
        hnsw_ef=message.hnsw_ef or None,
        exact=message.exact,
        quantization=inside("quantization", _decode_quantization, message.quantization)
        if message.HasField("quantization")
        else None,
        indexed_only=message.indexed_only,
        acorn_max_selectivity=inside("acorn", _decode_acorn, message.acorn) if message.HasField("acorn") else None,
        idf_corpus=inside("idf", _decode_corpus, message.idf) if message.HasField("idf") else None,
    )


def _decode_quantization(message: pb.QuantizationSearchParams) -> QuantizationParams:
    return checked.quantization_params(
        ignore=message.ignore,
        rescore=message.rescore if message.HasField("rescore") else None,
        oversampling=message.oversampling if message.HasField("oversampling") else None,
    )


def _decode_acorn(message: pb.AcornSearchParams) -> float | None:
    selectivity = message.max_selectivity if message.HasField("max_selectivity") else None
    return checked.acorn(enable=message.enable, max_selectivity=selectivity)


def _decode_corpus(message: pb.IdfParams) -> Filter | None:
    return inside("corpus", decode_filter, message.corpus) if message.HasField("corpus") else None
