"""How a collection's settings change. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from qdrantlite.errors import BadInput
from qdrantlite.values.payload import Json
from qdrantlite.values.schema import (
    CollectionConfig,
    CollectionUpdate,
    HnswConfig,
    QuantizationDisabled,
    SparseIndexConfig,
    SparseVectorParams,
    StrictMode,
    VectorParams,
    VectorParamsDiff,
    merged,
)
from qdrantlite.values.vector import DEFAULT_VECTOR


def updated(config: CollectionConfig, update: CollectionUpdate) -> CollectionConfig:
    """The settings with a change laid over them; omitted fields keep their value. Raises BadInput for unknown vector
    names.
    """
    plain = {
        name: value
        for name in (
            "replication_factor",
            "write_consistency_factor",
            "read_fan_out_factor",
            "read_fan_out_delay_ms",
            "on_disk_payload",
            "payload_memory",
            "id_tracker_memory",
        )
        if (value := getattr(update, name)) is not None
    }
    config = replace(config, **plain)
    if update.vectors is not None:
        config = replace(config, vectors=_vectors(config.vectors, update.vectors))
    if update.sparse_vectors is not None:
        config = replace(config, sparse_vectors=_sparse_vectors(config.sparse_vectors, update.sparse_vectors))
    if update.hnsw_config is not None:
        config = replace(config, hnsw_config=merged(config.hnsw_config, update.hnsw_config))
    if update.optimizer_config is not None:
        config = replace(config, optimizer_config=merged(config.optimizer_config, update.optimizer_config))
    if update.quantization_config is not None:
        given = update.quantization_config
        config = replace(config, quantization_config=None if isinstance(given, QuantizationDisabled) else given)
    if update.strict_mode_config is not None:
        strict = merged(config.strict_mode_config or StrictMode(), update.strict_mode_config)
        config = replace(config, strict_mode_config=strict)
    if update.metadata is not None:
        config = replace(config, metadata=_metadata(config.metadata, update.metadata))
    return config


def _metadata(before: Mapping[str, Json], change: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in {**before, **change}.items() if value is not None}


def _vectors(before: Mapping[str, VectorParams], change: Mapping[str, VectorParamsDiff]) -> dict[str, VectorParams]:
    after = dict(before)
    for name, diff in change.items():
        if name not in after:
            raise BadInput(f"Not existing vector name error: {name}")
        after[name] = _vector(after[name], diff)
    return after


def _vector(params: VectorParams, diff: VectorParamsDiff) -> VectorParams:
    if diff.hnsw_config is not None:
        params = replace(params, hnsw_config=merged(params.hnsw_config or HnswConfig(), diff.hnsw_config))
    if diff.quantization_config is not None:
        given = diff.quantization_config
        params = replace(params, quantization_config=None if isinstance(given, QuantizationDisabled) else given)
    if diff.on_disk is not None:
        params = replace(params, on_disk=diff.on_disk)
    return params if diff.memory is None else replace(params, memory=diff.memory)


def _sparse_vectors(
    before: Mapping[str, SparseVectorParams], change: Mapping[str, SparseVectorParams]
) -> dict[str, SparseVectorParams]:
    after = dict(before)
    for name, diff in change.items():
        if name not in after:
            raise BadInput(f"Not existing vector name error: {name}")
        params = after[name]
        if diff.index is not None:
            params = replace(params, index=_sparse_index(params.index or SparseIndexConfig(), diff.index))
        after[name] = params if diff.modifier is None else replace(params, modifier=diff.modifier)
    return after


def _sparse_index(before: SparseIndexConfig, change: SparseIndexConfig) -> SparseIndexConfig:
    return SparseIndexConfig(
        full_scan_threshold=before.full_scan_threshold
        if change.full_scan_threshold is None
        else change.full_scan_threshold,
        on_disk=before.on_disk if change.on_disk is None else change.on_disk,
        datatype=change.datatype or before.datatype,
        memory=change.memory or before.memory,
    )


def with_vector(
    config: CollectionConfig, name: str, params: VectorParams | SparseVectorParams
) -> CollectionConfig | None:
    """The settings with a vector added; None when exactly this vector is there. Raises BadInput for a different one."""
    existing = config.vectors.get(name) or config.sparse_vectors.get(name)
    if existing == params:
        return None
    if existing is not None:
        raise BadInput(f"Vector {name} already exists with a different configuration")
    if isinstance(params, SparseVectorParams):
        return replace(config, sparse_vectors={**config.sparse_vectors, name: params})
    return replace(config, vectors={**config.vectors, name: params}, unnamed_only=False)


def without_vector(config: CollectionConfig, name: str) -> CollectionConfig | None:
    """The settings without a vector; None when there is none of that name."""
    if name not in config.vectors and name not in config.sparse_vectors:
        return None
    return replace(
        config,
        unnamed_only=config.unnamed_only and name != DEFAULT_VECTOR,
        vectors={key: params for key, params in config.vectors.items() if key != name},
        sparse_vectors={key: params for key, params in config.sparse_vectors.items() if key != name},
    )
