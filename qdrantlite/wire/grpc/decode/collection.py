"""Collections, their vectors and aliases: messages to the settings and changes of ``values.schema``."""

from collections.abc import Mapping

from qdrantlite.errors import MalformedRequest, ValidationFailed
from qdrantlite.query.operation import CreateVectorName
from qdrantlite.values import schema
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.record import AliasAction, CreateAlias, DeleteAlias, RenameAlias
from qdrantlite.values.schema import (
    CollectionConfig,
    CollectionUpdate,
    Modifier,
    SparseIndexConfig,
    SparseVectorParams,
    VectorParams,
    VectorParamsDiff,
)
from qdrantlite.values.vector import DEFAULT_VECTOR
from qdrantlite.wire.bounds import collection_name, each_inside, inside, new_vector_name
from qdrantlite.wire.checked import settings as checked
from qdrantlite.wire.grpc.decode.selector import check_timeout
from qdrantlite.wire.grpc.decode.settings import (
    decode_datatype,
    decode_hnsw,
    decode_memory,
    decode_optimizers,
    decode_quantization,
    decode_quantization_diff,
    decode_strict_mode,
    decode_wal,
    given,
    known,
)
from qdrantlite.wire.grpc.json_codec import decode_fields
from qdrantlite.wire.pb import collections as pb
from qdrantlite.wire.pb import points

DISTANCES = {
    int(pb.Distance.Cosine): Distance.COSINE,
    int(pb.Distance.Euclid): Distance.EUCLID,
    int(pb.Distance.Dot): Distance.DOT,
    int(pb.Distance.Manhattan): Distance.MANHATTAN,
}
MODIFIERS = dict(enumerate(Modifier))
SHARDING_METHODS = dict(enumerate(schema.ShardingMethod))


def decode_create(message: pb.CreateCollection) -> CollectionConfig:
    """All settings, defaults filled in. Raises InvalidRequest."""
    collection_name(message.collection_name, new=True)
    vectors = inside("vectors_config", _decode_vectors, message.vectors_config)
    sparse = inside("sparse_vectors_config", decode_sparse_vectors, message.sparse_vectors_config)
    config = CollectionConfig(
        vectors=vectors,
        unnamed_only=message.vectors_config.WhichOneof("config") == "params",
        sparse_vectors=sparse,
        **given(message, ("shard_number", "replication_factor", "write_consistency_factor", "on_disk_payload")),
        sharding_method=known("sharding method", message.sharding_method, SHARDING_METHODS)
        if message.HasField("sharding_method")
        else None,
        payload_memory=_payload_memory(message),
        id_tracker_memory=decode_memory(message.id_tracker),
        quantization_config=inside("quantization_config", decode_quantization, message.quantization_config)
        if message.HasField("quantization_config")
        else None,
        strict_mode_config=inside("strict_mode_config", decode_strict_mode, message.strict_mode_config)
        if message.HasField("strict_mode_config")
        else None,
        metadata=decode_fields(message.metadata),
    )
    return checked.new_collection(
        config,
        hnsw_config=inside("hnsw_config", decode_hnsw, message.hnsw_config)
        if message.HasField("hnsw_config")
        else None,
        optimizer_config=inside("optimizers_config", decode_optimizers, message.optimizers_config)
        if message.HasField("optimizers_config")
        else None,
        wal_config=inside("wal_config", decode_wal, message.wal_config) if message.HasField("wal_config") else None,
    )


def _payload_memory(message: pb.CreateCollection | pb.CollectionParamsDiff) -> schema.Memory | None:
    try:
        return decode_memory(message.payload, pinnable=False)
    except ValidationFailed as error:
        raise ValidationFailed(f"payload.{error.text}") from None


def _decode_vectors(message: pb.VectorsConfig) -> dict[str, VectorParams]:
    match message.WhichOneof("config"):
        case "params":
            return {DEFAULT_VECTOR: inside("config", decode_vector_params, message.params)}
        case "params_map":
            named = message.params_map.map
            names = [new_vector_name(name) for name in sorted(named)]
            params = each_inside("config.map", decode_vector_params, [named[name] for name in names])
            return dict(zip(names, params, strict=True))
        case None:
            return {}


def decode_vector_params(message: pb.VectorParams) -> VectorParams:
    """One dense vector. Raises InvalidRequest."""
    return VectorParams(
        size=checked.size(message.size),
        distance=_decode_distance(message.distance),
        hnsw_config=inside("hnsw_config", decode_hnsw, message.hnsw_config)
        if message.HasField("hnsw_config")
        else None,
        quantization_config=inside("quantization_config", decode_quantization, message.quantization_config)
        if message.HasField("quantization_config")
        else None,
        **given(message, ("on_disk",)),
        datatype=decode_datatype(message.datatype),
        multivector=_decode_multivector(message),
        memory=decode_memory(message, pinnable=False),
    )


def _decode_distance(number: int) -> Distance:
    if number not in DISTANCES:
        raise MalformedRequest("Unknown distance" if number == 0 else f"Unsupported distance: {number}")
    return DISTANCES[number]


def _decode_multivector(message: pb.VectorParams | points.DenseVectorCreationConfig) -> bool:
    if not message.HasField("multivector_config"):
        return False
    comparator = message.multivector_config.comparator
    if comparator != pb.MultiVectorComparator.MaxSim:
        raise MalformedRequest(f"Unsupported multivector comparator: {comparator}")
    return True


def decode_sparse_vectors(message: pb.SparseVectorConfig) -> dict[str, SparseVectorParams]:
    """Sparse vectors by name. Raises InvalidRequest."""
    named = message.map
    return {
        checked.sparse_name(name): inside(f"map.{name}", _decode_sparse_params, named[name]) for name in sorted(named)
    }


def _decode_sparse_params(message: pb.SparseVectorParams) -> SparseVectorParams:
    return SparseVectorParams(
        index=_decode_sparse_index(message.index) if message.HasField("index") else None,
        modifier=_decode_modifier(message),
    )


def _decode_modifier(message: pb.SparseVectorParams | points.SparseVectorCreationConfig) -> Modifier | None:
    if not message.HasField("modifier"):
        return None
    modifier: Modifier = known("modifier", message.modifier, MODIFIERS)
    return modifier


def _decode_sparse_index(message: pb.SparseIndexConfig) -> SparseIndexConfig:
    return SparseIndexConfig(
        **given(message, ("full_scan_threshold", "on_disk")),
        datatype=_sparse_datatype(message.datatype),
        memory=decode_memory(message),
    )


def _sparse_datatype(number: int) -> Datatype | None:
    return checked.sparse_datatype(decode_datatype(number))


def decode_update(message: pb.UpdateCollection) -> CollectionUpdate:
    """Only what is given. Raises InvalidRequest."""
    collection_name(message.collection_name)
    check_timeout(message)
    params = message.params
    update = CollectionUpdate(
        vectors=inside("vectors_config", _decode_vector_diffs, message.vectors_config)
        if message.HasField("vectors_config")
        else None,
        sparse_vectors=inside("sparse_vectors_config", decode_sparse_vectors, message.sparse_vectors_config)
        if message.HasField("sparse_vectors_config")
        else None,
        **given(
            params,
            (
                "replication_factor",
                "write_consistency_factor",
                "read_fan_out_factor",
                "read_fan_out_delay_ms",
                "on_disk_payload",
            ),
        ),
        payload_memory=inside("params", _payload_memory, params),
        id_tracker_memory=decode_memory(params.id_tracker),
        hnsw_config=inside("hnsw_config", decode_hnsw, message.hnsw_config)
        if message.HasField("hnsw_config")
        else None,
        optimizer_config=inside("optimizers_config", decode_optimizers, message.optimizers_config)
        if message.HasField("optimizers_config")
        else None,
        quantization_config=inside("quantization_config", decode_quantization_diff, message.quantization_config)
        if message.HasField("quantization_config")
        else None,
        strict_mode_config=inside("strict_mode_config", decode_strict_mode, message.strict_mode_config)
        if message.HasField("strict_mode_config")
        else None,
        metadata=decode_fields(message.metadata) or None,
    )
    return checked.collection_update(update)


def _decode_vector_diffs(message: pb.VectorsConfigDiff) -> Mapping[str, VectorParamsDiff]:
    match message.WhichOneof("config"):
        case "params":
            return {DEFAULT_VECTOR: inside("config", _decode_vector_diff, message.params)}
        case "params_map":
            named = message.params_map.map
            names = sorted(named)
            diffs = each_inside("config.map", _decode_vector_diff, [named[name] for name in names])
            return dict(zip(names, diffs, strict=True))
        case None:
            return {}


def _decode_vector_diff(message: pb.VectorParamsDiff) -> VectorParamsDiff:
    return VectorParamsDiff(
        hnsw_config=inside("hnsw_config", decode_hnsw, message.hnsw_config)
        if message.HasField("hnsw_config")
        else None,
        quantization_config=inside("quantization_config", decode_quantization_diff, message.quantization_config)
        if message.HasField("quantization_config")
        else None,
        **given(message, ("on_disk",)),
        memory=decode_memory(message, pinnable=False),
    )


def decode_create_vector_name(message: points.CreateVectorNameRequest) -> CreateVectorName:
    """A vector for a collection in use. Raises InvalidRequest."""
    name = new_vector_name(message.vector_name)
    params: VectorParams | SparseVectorParams
    match message.WhichOneof("vector_config"):
        case "dense_config":
            dense = message.dense_config
            params = VectorParams(
                size=inside("dense_config", checked.size, dense.size),
                distance=_decode_distance(dense.distance),
                datatype=decode_datatype(dense.datatype),
                multivector=_decode_multivector(dense),
            )
        case "sparse_config":
            datatype = _sparse_datatype(message.sparse_config.datatype)
            params = SparseVectorParams(
                index=SparseIndexConfig(datatype=datatype) if datatype is not None else None,
                modifier=_decode_modifier(message.sparse_config),
            )
            name = checked.sparse_name(name)
        case None:
            raise MalformedRequest("vector_config is expected")
    return CreateVectorName(name, params)


def decode_alias_actions(message: pb.ChangeAliases) -> tuple[AliasAction, ...]:
    """In the order given. Raises InvalidRequest."""
    check_timeout(message)
    return tuple(_decode_alias_action(action) for action in message.actions)


def _decode_alias_action(message: pb.AliasOperations) -> AliasAction:
    match message.WhichOneof("action"):
        case "create_alias":
            return CreateAlias(
                alias=collection_name(message.create_alias.alias_name, new=True, field="alias_name"),
                collection=collection_name(message.create_alias.collection_name),
            )
        case "rename_alias":
            return RenameAlias(
                old=collection_name(message.rename_alias.old_alias_name, field="old_alias_name"),
                new=collection_name(message.rename_alias.new_alias_name, new=True, field="new_alias_name"),
            )
        case "delete_alias":
            return DeleteAlias(collection_name(message.delete_alias.alias_name, field="alias_name"))
        case None:
            raise MalformedRequest("Malformed AliasOperations type")
