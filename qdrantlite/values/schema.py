"""The settings of a collection and of its payload indexes, as the user gave them.

Every optional field that is ``None`` was not given. The *diff* classes (all fields optional) serve both as settings
and as changes: ``merged`` lays one over another. Field names and spellings of enum values are Qdrant's JSON names, so
that the same classes are written to the catalogue as JSON (``schema_format.py``) and echoed by both APIs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum, StrEnum
from typing import TypeAlias, TypeVar

from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.payload import Json

DIMENSION_MAX = 65536


class Memory(Enum):
    """Placement of a component; supersedes ``on_disk`` and ``always_ram``."""

    COLD = "cold"
    CACHED = "cached"
    PINNED = "pinned"


class ShardingMethod(Enum):
    """Who chooses the shard of a point."""

    AUTO = "auto"
    CUSTOM = "custom"


class Modifier(Enum):
    """What is done to the weights of a sparse query."""

    NONE = "none"
    IDF = "idf"


@dataclass(frozen=True, slots=True)
class HnswConfig:
    """Parameters of the graph; ``full_scan_threshold`` in kilobytes."""

    m: int | None = None
    ef_construct: int | None = None
    full_scan_threshold: int | None = None
    max_indexing_threads: int | None = None
    on_disk: bool | None = None
    payload_m: int | None = None
    inline_storage: bool | None = None
    memory: Memory | None = None


HNSW_DEFAULT = HnswConfig(m=16, ef_construct=100, full_scan_threshold=10_000, max_indexing_threads=0, on_disk=False)


class OptimizationThreads(Enum):
    """The named setting of ``max_optimization_threads``."""

    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class OptimizersConfig:
    """When segments are sealed, merged and vacuumed; sizes and thresholds in kilobytes."""

    deleted_threshold: float | None = None
    vacuum_min_vector_number: int | None = None
    default_segment_number: int | None = None
    max_segment_size: int | None = None
    memmap_threshold: int | None = None
    indexing_threshold: int | None = None
    flush_interval_sec: int | None = None
    max_optimization_threads: int | OptimizationThreads | None = None
    prevent_unoptimized: bool | None = None


OPTIMIZERS_DEFAULT = OptimizersConfig(
    deleted_threshold=0.2,
    vacuum_min_vector_number=1000,
    default_segment_number=0,
    indexing_threshold=10_000,
    flush_interval_sec=5,
)


@dataclass(frozen=True, slots=True)
class WalConfig:
    """Kept and echoed; the commit log of this server sizes itself."""

    wal_capacity_mb: int | None = None
    wal_segments_ahead: int | None = None
    wal_retain_closed: int | None = None


WAL_DEFAULT = WalConfig(wal_capacity_mb=32, wal_segments_ahead=0, wal_retain_closed=1)


class Compression(Enum):
    """Ratio of product quantization; the value is Qdrant's spelling."""

    X4 = "x4"
    X8 = "x8"
    X16 = "x16"
    X32 = "x32"
    X64 = "x64"


class BinaryEncoding(Enum):
    """Bits a component takes in a binary code."""

    ONE_BIT = "one_bit"
    TWO_BITS = "two_bits"
    ONE_AND_HALF_BITS = "one_and_half_bits"


class BinaryQueryEncoding(Enum):
    """How finely the query is kept when it meets binary codes."""

    DEFAULT = "default"
    BINARY = "binary"
    SCALAR4BITS = "scalar4bits"
    SCALAR8BITS = "scalar8bits"


class TurboBits(Enum):
    """Bits a component takes in a turbo code."""

    BITS1 = "bits1"
    BITS1_5 = "bits1_5"
    BITS2 = "bits2"
    BITS4 = "bits4"
    BITS8 = "bits8"


@dataclass(frozen=True, slots=True)
class ScalarQuantization:
    """Eight-bit codes; ``quantile`` in [0.5, 1] bounds the range kept."""

    quantile: float | None = None
    always_ram: bool | None = None
    memory: Memory | None = None


@dataclass(frozen=True, slots=True)
class ProductQuantization:
    """Codebooks over subvectors."""

    compression: Compression
    always_ram: bool | None = None
    memory: Memory | None = None


@dataclass(frozen=True, slots=True)
class BinaryQuantization:
    """Sign codes."""

    encoding: BinaryEncoding | None = None
    query_encoding: BinaryQueryEncoding | None = None
    always_ram: bool | None = None
    memory: Memory | None = None


@dataclass(frozen=True, slots=True)
class TurboQuantization:
    """Rotated scalar codes of few bits."""

    bits: TurboBits | None = None
    always_ram: bool | None = None
    memory: Memory | None = None


Quantization: TypeAlias = ScalarQuantization | ProductQuantization | BinaryQuantization | TurboQuantization


class QuantizationDisabled:
    """In an update: take quantization away."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class VectorParams:
    """One dense (or multi) vector of a collection. ``multivector`` slots hold several rows compared by MaxSim."""

    size: int
    distance: Distance
    hnsw_config: HnswConfig | None = None
    quantization_config: Quantization | None = None
    on_disk: bool | None = None
    datatype: Datatype | None = None
    multivector: bool = False
    memory: Memory | None = None


@dataclass(frozen=True, slots=True)
class VectorParamsDiff:
    """A change to one dense vector's settings."""

    hnsw_config: HnswConfig | None = None
    quantization_config: Quantization | QuantizationDisabled | None = None
    on_disk: bool | None = None
    memory: Memory | None = None


@dataclass(frozen=True, slots=True)
class SparseIndexConfig:
    """Settings of a sparse vector's posting lists; ``full_scan_threshold`` in vectors."""

    full_scan_threshold: int | None = None
    on_disk: bool | None = None
    datatype: Datatype | None = None
    memory: Memory | None = None


@dataclass(frozen=True, slots=True)
class SparseVectorParams:
    """One sparse vector of a collection."""

    index: SparseIndexConfig | None = None
    modifier: Modifier | None = None


@dataclass(frozen=True, slots=True)
class StrictMode:
    """Limits on requests, in force where ``enabled``; what they forbid is told in ``query.strict``."""

    enabled: bool | None = None
    max_query_limit: int | None = None
    max_timeout: int | None = None
    unindexed_filtering_retrieve: bool | None = None
    unindexed_filtering_update: bool | None = None
    search_max_hnsw_ef: int | None = None
    search_allow_exact: bool | None = None
    search_max_oversampling: float | None = None
    upsert_max_batchsize: int | None = None
    search_max_batchsize: int | None = None
    max_collection_vector_size_bytes: int | None = None
    read_rate_limit: int | None = None
    write_rate_limit: int | None = None
    max_collection_payload_size_bytes: int | None = None
    filter_max_conditions: int | None = None
    condition_max_size: int | None = None
    multivector_config: Mapping[str, int | None] | None = None
    sparse_config: Mapping[str, int | None] | None = None
    max_points_count: int | None = None
    max_payload_index_count: int | None = None
    max_resident_memory_percent: int | None = None


@dataclass(frozen=True, slots=True)
class CollectionConfig:
    """All settings of a collection with defaults filled in.

    ``vectors`` maps names to dense parameters; the name ``""`` is the unnamed vector. ``unnamed_only`` tells that the
    collection was made with one unnamed vector, which decides how the settings and the points are echoed.
    """

    vectors: Mapping[str, VectorParams] = field(default_factory=dict)
    unnamed_only: bool = False
    sparse_vectors: Mapping[str, SparseVectorParams] = field(default_factory=dict)
    shard_number: int = 1
    sharding_method: ShardingMethod | None = None
    replication_factor: int = 1
    write_consistency_factor: int = 1
    read_fan_out_factor: int | None = None
    read_fan_out_delay_ms: int | None = None
    on_disk_payload: bool = True
    payload_memory: Memory | None = None
    id_tracker_memory: Memory | None = None
    hnsw_config: HnswConfig = HNSW_DEFAULT
    optimizer_config: OptimizersConfig = OPTIMIZERS_DEFAULT
    wal_config: WalConfig = WAL_DEFAULT
    quantization_config: Quantization | None = None
    strict_mode_config: StrictMode | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CollectionUpdate:
    """A change to a collection's settings; ``None`` leaves as is. A null in ``metadata`` removes the key."""

    vectors: Mapping[str, VectorParamsDiff] | None = None
    sparse_vectors: Mapping[str, SparseVectorParams] | None = None
    replication_factor: int | None = None
    write_consistency_factor: int | None = None
    read_fan_out_factor: int | None = None
    read_fan_out_delay_ms: int | None = None
    on_disk_payload: bool | None = None
    payload_memory: Memory | None = None
    id_tracker_memory: Memory | None = None
    hnsw_config: HnswConfig | None = None
    optimizer_config: OptimizersConfig | None = None
    quantization_config: Quantization | QuantizationDisabled | None = None
    strict_mode_config: StrictMode | None = None
    metadata: Mapping[str, Json] | None = None


class FieldKind(Enum):
    """Kinds of payload index; the value is Qdrant's spelling."""

    KEYWORD = "keyword"
    INTEGER = "integer"
    FLOAT = "float"
    GEO = "geo"
    TEXT = "text"
    BOOL = "bool"
    DATETIME = "datetime"
    UUID = "uuid"


class Tokenizer(StrEnum):
    """How text is cut into tokens."""

    PREFIX = "prefix"
    WHITESPACE = "whitespace"
    WORD = "word"
    MULTILINGUAL = "multilingual"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Stopwords:
    """Words left out: of named languages, and the user's own. ``alone``: one language, given as a word."""

    languages: tuple[str, ...] = ()
    custom: tuple[str, ...] = ()
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Stemmer:
    """Snowball language, or ``None`` for stemming switched off."""

    language: str | None


@dataclass(frozen=True, slots=True)
class FieldParams:
    """Parameters of a payload index of any kind; those that are not the kind's own stay ``None``.

    ``lookup`` and ``range`` belong to integer; tokenizer to ``scoring`` to text; ``prefix`` to keyword; the rest are
    shared hints.
    """

    is_tenant: bool | None = None
    is_principal: bool | None = None
    on_disk: bool | None = None
    enable_hnsw: bool | None = None
    memory: Memory | None = None
    nested: str | None = None
    prefix: bool | None = None
    lookup: bool | None = None
    range: bool | None = None
    tokenizer: Tokenizer | None = None
    lowercase: bool | None = None
    min_token_len: int | None = None
    max_token_len: int | None = None
    stopwords: Stopwords | None = None
    phrase_matching: bool | None = None
    stemmer: Stemmer | None = None
    ascii_folding: bool | None = None
    scoring: str | None = None


@dataclass(frozen=True, slots=True)
class FieldIndex:
    """The schema of one payload index. ``params`` is ``None`` when only the kind was given, and is then not echoed."""

    kind: FieldKind
    params: FieldParams | None = None


D = TypeVar("D", HnswConfig, OptimizersConfig, WalConfig, StrictMode)


def merged(settings: D, change: D) -> D:
    """``settings`` with every given field of ``change`` laid over it."""
    given = {f.name: value for f in fields(change) if (value := getattr(change, f.name)) is not None}
    return replace(settings, **given)
