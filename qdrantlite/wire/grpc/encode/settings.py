"""Parts of a collection's settings to messages: the inverse of ``decode.settings`` and ``decode.index``."""

from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

from google.protobuf.message import Message

from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.schema import (
    BinaryQuantization,
    FieldIndex,
    FieldKind,
    FieldParams,
    HnswConfig,
    Memory,
    OptimizationThreads,
    OptimizersConfig,
    ProductQuantization,
    Quantization,
    ScalarQuantization,
    SparseVectorParams,
    StrictMode,
    TurboQuantization,
    VectorParams,
    WalConfig,
)
from qdrantlite.wire.grpc.decode import collection as decode_collection
from qdrantlite.wire.grpc.decode import index as decode_index
from qdrantlite.wire.grpc.decode import settings as decode_settings
from qdrantlite.wire.pb import collections as pb

K = TypeVar("K", bound=Hashable)


def _inverse(table: Mapping[int, K]) -> Mapping[K, int]:
    return {value: number for number, value in table.items()}


MEMORY = _inverse(decode_settings.MEMORY)
DATATYPES = _inverse(decode_settings.DATATYPES)
DISTANCES: Mapping[Distance, int] = _inverse(decode_collection.DISTANCES)
MODIFIERS = _inverse(decode_collection.MODIFIERS)
COMPRESSIONS = _inverse(decode_settings.COMPRESSIONS)
BINARY_ENCODINGS = _inverse(decode_settings.BINARY_ENCODINGS)
BINARY_QUERY_ENCODINGS = _inverse(decode_settings.BINARY_QUERY_ENCODINGS)
TURBO_BITS = _inverse(decode_settings.TURBO_BITS)
TOKENIZERS = _inverse(decode_index.TOKENIZERS)
SCHEMA_TYPES = {kind: int(pb.PayloadSchemaType.Value(kind.value.capitalize())) for kind in FieldKind}


def copy_given(settings: object, message: Message, names: tuple[str, ...]) -> None:
    """Sets the scalars that are not None, by name."""
    for name in names:
        value = getattr(settings, name)
        if value is not None:
            setattr(message, name, value)


def copy_enum(message: Any, field: str, value: K | None, numbers: Mapping[K, int]) -> None:
    """Sets an enum field unless the value is None."""
    if value is not None:
        setattr(message, field, numbers[value])


def copy_memory(memory: Memory | None, message: Message) -> None:
    """Sets ``memory`` of any message that has it."""
    copy_enum(message, "memory", memory, MEMORY)


def encode_hnsw(settings: HnswConfig) -> pb.HnswConfigDiff:
    """Fields that are given."""
    message = pb.HnswConfigDiff()
    copy_given(settings, message, decode_settings.HNSW_SCALARS)
    copy_memory(settings.memory, message)
    return message


def encode_optimizers(settings: OptimizersConfig) -> pb.OptimizersConfigDiff:
    """Fields that are given; how many threads there may be is always told."""
    message = pb.OptimizersConfigDiff()
    copy_given(settings, message, decode_settings.OPTIMIZER_SCALARS)
    threads = settings.max_optimization_threads
    if threads is None or isinstance(threads, OptimizationThreads):
        message.max_optimization_threads.setting = pb.MaxOptimizationThreads.Setting.Auto
    else:
        message.max_optimization_threads.value = threads
    return message


def encode_wal(settings: WalConfig) -> pb.WalConfigDiff:
    """Fields that are given."""
    message = pb.WalConfigDiff()
    copy_given(settings, message, decode_settings.WAL_SCALARS)
    return message


def encode_strict_mode(settings: StrictMode) -> pb.StrictModeConfig:
    """Fields that are given."""
    message = pb.StrictModeConfig()
    copy_given(settings, message, decode_settings.STRICT_SCALARS)
    if settings.multivector_config is not None:
        message.multivector_config.SetInParent()
        for name, rows in settings.multivector_config.items():
            message.multivector_config.multivector_config[name].MergeFrom(pb.StrictModeMultivector(max_vectors=rows))
    if settings.sparse_config is not None:
        message.sparse_config.SetInParent()
        for name, length in settings.sparse_config.items():
            message.sparse_config.sparse_config[name].MergeFrom(pb.StrictModeSparse(max_length=length))
    return message


def encode_quantization(settings: Quantization) -> pb.QuantizationConfig:
    """One kind, with the fields that are given."""
    message = pb.QuantizationConfig()
    part: Message
    match settings:
        case ScalarQuantization():
            part = message.scalar
            message.scalar.type = pb.QuantizationType.Int8
            copy_given(settings, part, ("quantile",))
        case ProductQuantization(compression):
            part = message.product
            part.SetInParent()
            copy_enum(part, "compression", compression, COMPRESSIONS)
        case BinaryQuantization():
            part = message.binary
            part.SetInParent()
            copy_enum(part, "encoding", settings.encoding, BINARY_ENCODINGS)
            if settings.query_encoding is not None:
                copy_enum(message.binary.query_encoding, "setting", settings.query_encoding, BINARY_QUERY_ENCODINGS)
        case TurboQuantization():
            part = message.turboquant
            part.SetInParent()
            copy_enum(part, "bits", settings.bits, TURBO_BITS)
    copy_given(settings, part, ("always_ram",))
    copy_memory(settings.memory, part)
    return message


def encode_vector_params(settings: VectorParams, message: pb.VectorParams) -> None:
    """Fills a message with one dense vector's settings."""
    message.size = settings.size
    copy_enum(message, "distance", settings.distance, DISTANCES)
    if settings.hnsw_config is not None:
        message.hnsw_config.CopyFrom(encode_hnsw(settings.hnsw_config))
    if settings.quantization_config is not None:
        message.quantization_config.CopyFrom(encode_quantization(settings.quantization_config))
    copy_given(settings, message, ("on_disk",))
    copy_enum(message, "datatype", settings.datatype, DATATYPES)
    if settings.multivector:
        message.multivector_config.comparator = pb.MultiVectorComparator.MaxSim
        message.multivector_config.SetInParent()
    copy_memory(settings.memory, message)


def encode_sparse_params(settings: SparseVectorParams, message: pb.SparseVectorParams) -> None:
    """Fills a message with one sparse vector's settings."""
    message.SetInParent()
    copy_enum(message, "modifier", settings.modifier, MODIFIERS)
    index = settings.index
    if index is not None:
        message.index.SetInParent()
        copy_given(index, message.index, ("full_scan_threshold", "on_disk"))
        datatype: Datatype | None = index.datatype
        copy_enum(message.index, "datatype", datatype, DATATYPES)
        copy_memory(index.memory, message.index)


def encode_field(index: FieldIndex, points: int) -> pb.PayloadSchemaInfo:
    """A payload index; parameters only if it was made with some."""
    message = pb.PayloadSchemaInfo(points=points)
    copy_enum(message, "data_type", index.kind, SCHEMA_TYPES)
    if index.params is not None:
        _encode_params(index.kind, index.params, message.params)
    return message


def _encode_params(kind: FieldKind, params: FieldParams, message: pb.PayloadIndexParams) -> None:
    part = getattr(message, decode_index.PARAMS_FIELDS[kind])
    part.SetInParent()
    copy_given(params, part, decode_index.SCALARS[kind])
    copy_memory(params.memory, part)
    if kind is FieldKind.KEYWORD and params.prefix:
        part.prefix.SetInParent()
    if kind is FieldKind.TEXT:
        _encode_text(params, message.text_index_params)


def _encode_text(params: FieldParams, message: pb.TextIndexParams) -> None:
    copy_enum(message, "tokenizer", params.tokenizer, TOKENIZERS)
    if params.stopwords is not None:
        message.stopwords.SetInParent()
        message.stopwords.languages.extend(params.stopwords.languages)
        message.stopwords.custom.extend(params.stopwords.custom)
    if params.stemmer is not None:
        if params.stemmer.language is None:
            message.stemmer.disabled.SetInParent()
        else:
            message.stemmer.snowball.language = params.stemmer.language
    if params.scoring is not None:
        message.scoring.SetInParent()
