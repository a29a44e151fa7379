"""Collections, their vectors and aliases: bodies to the settings and changes of ``values.schema``."""

from collections.abc import Mapping

from qdrantlite.query.operation import CreateVectorName
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.payload import Json
from qdrantlite.values.record import AliasAction, CreateAlias, DeleteAlias, RenameAlias
from qdrantlite.values.schema import (
    CollectionConfig,
    CollectionUpdate,
    Memory,
    Modifier,
    SparseIndexConfig,
    SparseVectorParams,
    VectorParams,
    VectorParamsDiff,
)
from qdrantlite.values.vector import DEFAULT_VECTOR
from qdrantlite.wire.bounds import collection_name, new_vector_name
from qdrantlite.wire.checked import settings as checked
from qdrantlite.wire.rest.decode.settings import (
    comparator,
    given,
    hnsw,
    memory,
    optimizers,
    quantization,
    quantization_change,
    record,
    strict_mode,
    wal,
)
from qdrantlite.wire.rest.reading import Fields, Misread, choice, count, entries, fields, payload, positive, text

_datatype, _distance, _modifier = choice(Datatype), choice(Distance), choice(Modifier)
_PLAIN = ("shard_number", "replication_factor", "write_consistency_factor", "on_disk_payload", "sharding_method")


def decode_create(value: Json) -> CollectionConfig:
    """All settings, defaults filled in. Raises InvalidRequest."""
    members = fields(value)
    vectors = members.read("vectors", _vectors) or {}
    plain = given(CollectionConfig, members, _PLAIN)
    return checked.new_collection(
        CollectionConfig(
            vectors=vectors,
            unnamed_only=members.has("vectors") and _is_unnamed(members.raw()["vectors"]),
            sparse_vectors=members.read("sparse_vectors", _sparse_vectors) or {},
            **plain,
            payload_memory=members.part("payload", _unpinned),
            id_tracker_memory=members.part("id_tracker", _memory),
            quantization_config=members.read("quantization_config", quantization),
            strict_mode_config=members.part("strict_mode_config", strict_mode),
            metadata=members.read("metadata", payload) or {},
        ),
        hnsw_config=members.part("hnsw_config", hnsw),
        optimizer_config=members.part("optimizers_config", optimizers),
        wal_config=members.part("wal_config", wal),
    )


def _memory(members: Fields) -> Memory | None:
    return members.read("memory", memory)


def _unpinned(members: Fields) -> Memory | None:
    return checked.unpinned(_memory(members))


def _is_unnamed(value: Json) -> bool:
    """True for the settings of one vector, False for an object from names to settings."""
    return isinstance(value, dict) and ("size" in value or "distance" in value) and not _all_maps(value)


def _all_maps(value: dict[str, Json]) -> bool:
    return all(isinstance(item, dict) for item in value.values())


def _vectors(value: Json) -> dict[str, VectorParams]:
    if _is_unnamed(value):
        return {DEFAULT_VECTOR: vector_params(value)}
    return {new_vector_name(name): params for name, params in entries(value, vector_params).items()}


def vector_params(value: Json) -> VectorParams:
    """One dense vector. Raises InvalidRequest."""
    members = fields(value)
    return VectorParams(
        size=checked.size(members.needed("size", positive)),
        distance=members.needed("distance", _distance),
        hnsw_config=members.part("hnsw_config", hnsw),
        quantization_config=members.read("quantization_config", quantization),
        on_disk=members.flag("on_disk"),
        datatype=members.read("datatype", _datatype),
        multivector=_multivector(members),
        memory=_unpinned(members),
    )


def _multivector(members: Fields) -> bool:
    return members.part("multivector_config", lambda part: part.needed("comparator", comparator)) is not None


def _sparse_vectors(value: Json) -> dict[str, SparseVectorParams]:
    return {checked.sparse_name(name): params for name, params in entries(value, _sparse_params).items()}


def _sparse_params(value: Json) -> SparseVectorParams:
    members = fields(value)
    return SparseVectorParams(index=members.part("index", _sparse_index), modifier=members.read("modifier", _modifier))


def _sparse_index(members: Fields) -> SparseIndexConfig:
    index = record(SparseIndexConfig, members)
    checked.sparse_datatype(index.datatype)
    return index


def decode_update(value: Json) -> CollectionUpdate:
    """Only what is given. Raises InvalidRequest."""
    members = fields(value)
    params = members.read("params", fields) or Fields({})
    return checked.collection_update(
        CollectionUpdate(
            vectors=members.read("vectors", _vector_changes),
            sparse_vectors=members.read("sparse_vectors", _sparse_vectors),
            replication_factor=params.count("replication_factor"),
            write_consistency_factor=params.count("write_consistency_factor"),
            read_fan_out_factor=params.count("read_fan_out_factor"),
            read_fan_out_delay_ms=params.count("read_fan_out_delay_ms"),
            on_disk_payload=params.flag("on_disk_payload"),
            payload_memory=params.part("payload", _unpinned),
            id_tracker_memory=params.part("id_tracker", _memory),
            hnsw_config=members.part("hnsw_config", hnsw),
            optimizer_config=members.part("optimizers_config", optimizers),
            quantization_config=members.read("quantization_config", quantization_change),
            strict_mode_config=members.part("strict_mode_config", strict_mode),
            metadata=members.read("metadata", payload) or None,
        )
    )


def _vector_changes(value: Json) -> Mapping[str, VectorParamsDiff]:
    return entries(value, _vector_change)


def _vector_change(value: Json) -> VectorParamsDiff:
    members = fields(value)
    return VectorParamsDiff(
        hnsw_config=members.part("hnsw_config", hnsw),
        quantization_config=members.read("quantization_config", quantization_change),
        on_disk=members.flag("on_disk"),
        memory=_unpinned(members),
    )


def decode_create_vector_name(value: Json, name: str) -> CreateVectorName:
    """A vector for a collection in use; its name is in the path. Raises InvalidRequest."""
    members = fields(value)
    if members.has("dense"):
        return CreateVectorName(new_vector_name(name), members.needed("dense", _new_dense))
    if members.has("sparse"):
        return CreateVectorName(checked.sparse_name(name), members.needed("sparse", _new_sparse))
    raise Misread("data did not match any variant of untagged enum VectorNameConfig")


def _new_dense(value: Json) -> VectorParams:
    members = fields(value)
    return VectorParams(
        size=checked.size(members.needed("size", count)),
        distance=members.needed("distance", _distance),
        datatype=members.read("datatype", _datatype),
        multivector=_multivector(members),
    )


def _new_sparse(value: Json) -> SparseVectorParams:
    members = fields(value)
    datatype = checked.sparse_datatype(members.read("datatype", _datatype))
    return SparseVectorParams(
        index=None if datatype is None else SparseIndexConfig(datatype=datatype),
        modifier=members.read("modifier", _modifier),
    )


def decode_alias_actions(value: Json) -> tuple[AliasAction, ...]:
    """In the order given. Raises InvalidRequest."""
    return fields(value).every("actions", _alias_action)


def _alias_action(value: Json) -> AliasAction:
    members = fields(value)
    if members.has("create_alias"):
        return members.needed("create_alias", _create_alias)
    if members.has("rename_alias"):
        return members.needed("rename_alias", _rename_alias)
    if members.has("delete_alias"):
        return members.needed("delete_alias", _delete_alias)
    raise Misread("data did not match any variant of untagged enum AliasOperations")


def _create_alias(value: Json) -> AliasAction:
    members = fields(value)
    return CreateAlias(
        alias=collection_name(members.needed("alias_name", text), new=True, field="alias_name"),
        collection=collection_name(members.needed("collection_name", text)),
    )


def _rename_alias(value: Json) -> AliasAction:
    members = fields(value)
    return RenameAlias(
        old=collection_name(members.needed("old_alias_name", text), field="old_alias_name"),
        new=collection_name(members.needed("new_alias_name", text), new=True, field="new_alias_name"),
    )


def _delete_alias(value: Json) -> AliasAction:
    return DeleteAlias(collection_name(fields(value).needed("alias_name", text), field="alias_name"))
