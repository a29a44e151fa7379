"""Parts of a collection's settings: graph, optimizers, log, quantization, strict mode, placement.

Fields of the messages and of ``values.schema`` have the same names, so scalars are copied by name: ``given`` takes
those that are set.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from google.protobuf.message import Message

from qdrantlite.errors import BadInput, MalformedRequest
from qdrantlite.values.distance import Datatype
from qdrantlite.values.schema import (
    BinaryEncoding,
    BinaryQuantization,
    BinaryQueryEncoding,
    Compression,
    HnswConfig,
    Memory,
    OptimizationThreads,
    OptimizersConfig,
    ProductQuantization,
    Quantization,
    QuantizationDisabled,
    ScalarQuantization,
    StrictMode,
    TurboBits,
    TurboQuantization,
    WalConfig,
)
from qdrantlite.wire.bounds import inside
from qdrantlite.wire.checked import settings as checked
from qdrantlite.wire.pb import collections as pb

HNSW_SCALARS = (
    "m",
    "ef_construct",
    "full_scan_threshold",
    "max_indexing_threads",
    "on_disk",
    "payload_m",
    "inline_storage",
)
OPTIMIZER_SCALARS = (
    "deleted_threshold",
    "vacuum_min_vector_number",
    "default_segment_number",
    "max_segment_size",
    "memmap_threshold",
    "indexing_threshold",
    "flush_interval_sec",
    "prevent_unoptimized",
)
WAL_SCALARS = ("wal_capacity_mb", "wal_segments_ahead", "wal_retain_closed")
STRICT_SCALARS = (
    "enabled",
    "max_query_limit",
    "max_timeout",
    "unindexed_filtering_retrieve",
    "unindexed_filtering_update",
    "search_max_hnsw_ef",
    "search_allow_exact",
    "search_max_oversampling",
    "upsert_max_batchsize",
    "search_max_batchsize",
    "max_collection_vector_size_bytes",
    "read_rate_limit",
    "write_rate_limit",
    "max_collection_payload_size_bytes",
    "filter_max_conditions",
    "condition_max_size",
    "max_points_count",
    "max_payload_index_count",
    "max_resident_memory_percent",
)
MEMORY = {int(pb.Memory.Cold): Memory.COLD, int(pb.Memory.Cached): Memory.CACHED, int(pb.Memory.Pinned): Memory.PINNED}
DATATYPES = {
    int(pb.Datatype.Float32): Datatype.FLOAT32,
    int(pb.Datatype.Uint8): Datatype.UINT8,
    int(pb.Datatype.Float16): Datatype.FLOAT16,
    int(pb.Datatype.Turbo4): Datatype.TURBO4,
}
COMPRESSIONS = dict(enumerate(Compression))
BINARY_ENCODINGS = dict(enumerate(BinaryEncoding))
BINARY_QUERY_ENCODINGS = dict(enumerate(BinaryQueryEncoding))
TURBO_BITS = dict(enumerate(TurboBits))


def given(message: Message, names: Iterable[str]) -> dict[str, Any]:
    """The optional scalars that are set, by name."""
    return {name: getattr(message, name) for name in names if message.HasField(name)}


def known(kind: str, number: int, table: Mapping[int, Any]) -> Any:
    """The value of an enum number. Raises MalformedRequest for one that is not in the table."""
    if number not in table:
        raise MalformedRequest(f"Unsupported {kind}: {number}")
    return table[number]


def decode_memory(message: Message, *, pinnable: bool = True) -> Memory | None:
    """The ``memory`` field of any message that has one. Raises InvalidRequest."""
    if not message.HasField("memory"):
        return None
    number: int = message.memory  # type: ignore[attr-defined]  # callers pass messages that have the field
    if number == pb.Memory.MemoryUnknown:
        return None
    memory: Memory = known("memory", number, MEMORY)
    return memory if pinnable else checked.unpinned(memory)


def decode_datatype(number: int) -> Datatype | None:
    """None for the default. Raises BadInput for datatypes that this server cannot store."""
    if number == pb.Datatype.Default:
        return None
    if number not in DATATYPES:
        named = pb.Datatype.DESCRIPTOR.values_by_number.get(number)
        raise BadInput(f"Unsupported datatype: {number if named is None else named.name}")
    return DATATYPES[number]


def decode_hnsw(message: pb.HnswConfigDiff) -> HnswConfig:
    """Raises InvalidRequest."""
    return checked.hnsw(HnswConfig(**given(message, HNSW_SCALARS), memory=decode_memory(message)))


def decode_optimizers(message: pb.OptimizersConfigDiff) -> OptimizersConfig:
    """Raises InvalidRequest."""
    threads = _decode_threads(message)
    return checked.optimizers(OptimizersConfig(**given(message, OPTIMIZER_SCALARS), max_optimization_threads=threads))


def _decode_threads(message: pb.OptimizersConfigDiff) -> int | OptimizationThreads | None:
    match message.max_optimization_threads.WhichOneof("variant"):
        case "value":
            return message.max_optimization_threads.value
        case "setting":
            return OptimizationThreads.AUTO
        case None:
            if not message.HasField("deprecated_max_optimization_threads"):
                return None
            return message.deprecated_max_optimization_threads


def decode_wal(message: pb.WalConfigDiff) -> WalConfig:
    """Raises ValidationFailed."""
    return checked.wal(WalConfig(**given(message, WAL_SCALARS)))


def decode_strict_mode(message: pb.StrictModeConfig) -> StrictMode:
    """Raises ValidationFailed."""
    multi, sparse = message.multivector_config.multivector_config, message.sparse_config.sparse_config
    settings = StrictMode(
        **given(message, STRICT_SCALARS),
        multivector_config={
            name: rows.max_vectors if rows.HasField("max_vectors") else None for name, rows in multi.items()
        }
        if message.HasField("multivector_config")
        else None,
        sparse_config={
            name: length.max_length if length.HasField("max_length") else None for name, length in sparse.items()
        }
        if message.HasField("sparse_config")
        else None,
    )
    return checked.strict_mode(settings)


def decode_quantization(message: pb.QuantizationConfig) -> Quantization:
    """Raises InvalidRequest."""
    match message.WhichOneof("quantization"):
        case "scalar":
            return inside("quantization", _decode_scalar, message.scalar)
        case "product":
            return _decode_product(message.product)
        case "binary":
            return _decode_binary(message.binary)
        case "turboquant":
            return _decode_turbo(message.turboquant)
        case None:
            raise MalformedRequest("Unable to convert quantization config")


def decode_quantization_diff(message: pb.QuantizationConfigDiff) -> Quantization | QuantizationDisabled:
    """Raises InvalidRequest."""
    match message.WhichOneof("quantization"):
        case "scalar":
            return inside("quantization", _decode_scalar, message.scalar)
        case "product":
            return _decode_product(message.product)
        case "binary":
            return _decode_binary(message.binary)
        case "turboquant":
            return _decode_turbo(message.turboquant)
        case "disabled":
            return QuantizationDisabled()
        case None:
            raise MalformedRequest("Unable to convert quantization config")


def _decode_scalar(message: pb.ScalarQuantization) -> ScalarQuantization:
    if message.type != pb.QuantizationType.Int8:
        raise MalformedRequest("Unknown quantization type")
    settings = ScalarQuantization(**given(message, ("quantile", "always_ram")), memory=decode_memory(message))
    return checked.scalar_quantization(settings)


def _decode_product(message: pb.ProductQuantization) -> ProductQuantization:
    return ProductQuantization(
        known("compression ratio", message.compression, COMPRESSIONS),
        **given(message, ("always_ram",)),
        memory=decode_memory(message),
    )


def _decode_binary(message: pb.BinaryQuantization) -> BinaryQuantization:
    setting = message.query_encoding.WhichOneof("variant")
    return BinaryQuantization(
        encoding=_optional_enum(message, "encoding", BINARY_ENCODINGS.get),
        query_encoding=known("query encoding", message.query_encoding.setting, BINARY_QUERY_ENCODINGS)
        if setting is not None
        else None,
        **given(message, ("always_ram",)),
        memory=decode_memory(message),
    )


def _decode_turbo(message: pb.TurboQuantization) -> TurboQuantization:
    return TurboQuantization(
        bits=_optional_enum(message, "bits", TURBO_BITS.get),
        **given(message, ("always_ram",)),
        memory=decode_memory(message),
    )


def _optional_enum(message: Message, field: str, value_of: Callable[[int], Any]) -> Any:
    if not message.HasField(field):
        return None
    value = value_of(getattr(message, field))
    if value is None:
        raise MalformedRequest(f"Unsupported {field}: {getattr(message, field)}")
    return value
