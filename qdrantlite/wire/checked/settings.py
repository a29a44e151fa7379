"""Settings of collections and of payload indexes within their bounds."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from qdrantlite.errors import BadInput, ValidationFailed
from qdrantlite.text.parameters import index_text_params
from qdrantlite.values import schema
from qdrantlite.values.distance import Datatype
from qdrantlite.values.payload import EVERY, parse_path, spelled
from qdrantlite.values.schema import (
    DIMENSION_MAX,
    CollectionConfig,
    CollectionUpdate,
    FieldIndex,
    FieldKind,
    HnswConfig,
    Memory,
    OptimizersConfig,
    ScalarQuantization,
    SparseVectorParams,
    StrictMode,
    WalConfig,
    merged,
)
from qdrantlite.values.vector import DEFAULT_VECTOR
from qdrantlite.wire.bounds import at_least, new_vector_name, within

STRICT_LIMITS = ("max_query_limit", "max_timeout", "max_points_count", "read_rate_limit", "write_rate_limit")
INDEX_HINTS = ("on_disk", "memory", "enable_hnsw", "nested")
INDEX_PARAMS = MappingProxyType(
    {
        FieldKind.KEYWORD: ("is_tenant", "prefix", *INDEX_HINTS),
        FieldKind.INTEGER: ("lookup", "range", "is_principal", *INDEX_HINTS),
        FieldKind.FLOAT: ("is_principal", *INDEX_HINTS),
        FieldKind.GEO: INDEX_HINTS,
        FieldKind.TEXT: (
            "tokenizer",
            "lowercase",
            "min_token_len",
            "max_token_len",
            "stopwords",
            "phrase_matching",
            "stemmer",
            "ascii_folding",
            "scoring",
            *INDEX_HINTS,
        ),
        FieldKind.BOOL: INDEX_HINTS,
        FieldKind.DATETIME: ("is_principal", *INDEX_HINTS),
        FieldKind.UUID: ("is_tenant", *INDEX_HINTS),
    }
)
"""Which of ``FieldParams`` belong to an index of each kind."""


def hnsw(settings: HnswConfig) -> HnswConfig:
    """Raises ValidationFailed."""
    _at_least(settings, "ef_construct", 4)
    return settings


def optimizers(settings: OptimizersConfig) -> OptimizersConfig:
    """Raises ValidationFailed."""
    if settings.deleted_threshold is not None:
        within("deleted_threshold", settings.deleted_threshold, 0.0, 1.0)
    _at_least(settings, "vacuum_min_vector_number", 100)
    _at_least(settings, "max_segment_size", 1)
    return settings


def wal(settings: WalConfig) -> WalConfig:
    """Raises ValidationFailed."""
    _at_least(settings, "wal_capacity_mb", 1)
    _at_least(settings, "wal_retain_closed", 1)
    return settings


def strict_mode(settings: StrictMode) -> StrictMode:
    """Raises ValidationFailed."""
    for name in STRICT_LIMITS:
        _at_least(settings, name, 1)
    for name, field in (("multivector_config", "max_vectors"), ("sparse_config", "max_length")):
        for at, limit in enumerate((getattr(settings, name) or {}).values()):
            if limit is not None:
                at_least(f"{name}.{name}[{at}].{field}", limit, 1)
    return settings


def scalar_quantization(settings: ScalarQuantization) -> ScalarQuantization:
    """Raises ValidationFailed."""
    if settings.quantile is not None:
        within("quantile", settings.quantile, 0.5, 1.0)
    return settings


def _at_least(settings: object, name: str, minimum: int) -> None:
    value = getattr(settings, name)
    if value is not None:
        at_least(name, value, minimum)


def unpinned(memory: Memory | None) -> Memory | None:
    """Where vectors and payloads may be kept. Raises ValidationFailed for pinned."""
    if memory is Memory.PINNED:
        raise ValidationFailed("memory: value pinned invalid, must be cold or cached")
    return memory


def size(components: int) -> int:
    """A vector's dimension. Raises ValidationFailed."""
    within("size", components, 1, DIMENSION_MAX)
    return components


def sparse_name(name: str) -> str:
    """Raises BadInput for the default vector's name."""
    if name == DEFAULT_VECTOR:
        raise BadInput("Sparse vector must be named")
    return new_vector_name(name)


def sparse_datatype(datatype: Datatype | None) -> Datatype | None:
    """Raises BadInput for one that only dense vectors have."""
    if datatype is Datatype.TURBO4:
        raise BadInput("sparse vectors do not support turbo4 datatype")
    return datatype


def new_collection(
    config: CollectionConfig,
    *,
    hnsw_config: HnswConfig | None,
    optimizer_config: OptimizersConfig | None,
    wal_config: WalConfig | None,
) -> CollectionConfig:
    """The configuration of a new collection, with what is given of the three parts laid over their defaults.

    Raises ValidationFailed for a count of 0, BadInput for a name that two vectors share.
    """
    for name in ("shard_number", "replication_factor", "write_consistency_factor"):
        _at_least(config, name, 1)
    _refuse_shared_names(config.vectors, config.sparse_vectors)
    return replace(
        config,
        hnsw_config=schema.HNSW_DEFAULT if hnsw_config is None else merged(schema.HNSW_DEFAULT, hnsw_config),
        optimizer_config=schema.OPTIMIZERS_DEFAULT
        if optimizer_config is None
        else merged(schema.OPTIMIZERS_DEFAULT, optimizer_config),
        wal_config=schema.WAL_DEFAULT if wal_config is None else merged(schema.WAL_DEFAULT, wal_config),
    )


def _refuse_shared_names(dense: Mapping[str, object], sparse: Mapping[str, SparseVectorParams]) -> None:
    for name in sparse:
        if name in dense:
            raise BadInput(f"Vector name '{name}' is used for a dense and a sparse vector")


def collection_update(update: CollectionUpdate) -> CollectionUpdate:
    """Raises ValidationFailed for a count of 0."""
    try:
        for name in ("replication_factor", "write_consistency_factor"):
            _at_least(update, name, 1)
    except ValidationFailed as error:
        raise ValidationFailed(f"params.{error.text}") from None
    return update


def field_index(field: str, index: FieldIndex) -> FieldIndex:
    """An index of a field, the path that it is nested in written out.

    Raises BadInput for one that could answer nothing, for unknown languages and for a field outside of where it is
    nested; MalformedRequest for a bad path.
    """
    params = index.params
    if params is None:
        return index
    if index.kind is FieldKind.INTEGER and params.lookup is False and params.range is False:
        raise BadInput("the 'lookup' and 'range' capabilities can't be both disabled")
    if index.kind is FieldKind.TEXT:
        index_text_params(params)
    if params.nested is not None:
        params = replace(params, nested=_nested_path(field, params.nested))
    return FieldIndex(index.kind, params)


def _nested_path(field: str, nested: str) -> str:
    """The path of an array of objects, ending with ``[]``, among whose elements the field is."""
    nested = spelled(nested)
    outer = parse_path(nested)
    if outer[-1] is not EVERY:
        nested, outer = f"{nested}[]", (*outer, EVERY)
    if outer.count(EVERY) > 1:
        raise BadInput(
            f"Validation failed: nested `{nested}` must point to a single array level, like `offers` or `offers[]`"
        )
    path = parse_path(field)
    if path[: len(outer)] != outer or len(path) == len(outer):
        raise BadInput(
            f"Validation failed: field `{field}` must be inside the elements of nested `{nested}`, "
            f"like `{nested}.price`"
        )
    return nested
