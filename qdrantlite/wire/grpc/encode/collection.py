"""What Get, the alias lists and the cluster info tell of collections, as messages."""

from collections.abc import Iterable

from qdrantlite.values.record import ClusterInfo, CollectionInfo, CollectionStatus
from qdrantlite.values.schema import CollectionConfig
from qdrantlite.values.vector import DEFAULT_VECTOR
from qdrantlite.wire.grpc.decode.collection import SHARDING_METHODS
from qdrantlite.wire.grpc.encode.settings import (
    copy_enum,
    copy_given,
    copy_memory,
    encode_field,
    encode_hnsw,
    encode_optimizers,
    encode_quantization,
    encode_sparse_params,
    encode_strict_mode,
    encode_vector_params,
    encode_wal,
)
from qdrantlite.wire.grpc.json_codec import encode_fields
from qdrantlite.wire.pb import collections as pb

_STATUSES = {
    CollectionStatus.GREEN: pb.CollectionStatus.Green,
    CollectionStatus.YELLOW: pb.CollectionStatus.Yellow,
    CollectionStatus.RED: pb.CollectionStatus.Red,
    CollectionStatus.GREY: pb.CollectionStatus.Grey,
}
SHARDING_NUMBERS = {method: number for number, method in SHARDING_METHODS.items()}


def encode_info(info: CollectionInfo) -> pb.CollectionInfo:
    """State, configuration and payload indexes of a collection."""
    message = pb.CollectionInfo(
        status=_STATUSES[info.status],
        optimizer_status=pb.OptimizerStatus(ok=info.optimizer_error is None, error=info.optimizer_error or ""),
        segments_count=info.segments_count,
        config=encode_config(info.config),
        points_count=info.points_count,
        indexed_vectors_count=info.indexed_vectors_count,
        warnings=[pb.CollectionWarning(message=warning) for warning in info.warnings],
        update_queue=pb.UpdateQueueInfo(length=info.update_queue_length),
    )
    seconds, microseconds = divmod(int(info.created_at * 1_000_000), 1_000_000)
    message.created_at.seconds = seconds
    message.created_at.nanos = microseconds * 1000
    for key, field in info.payload_schema.items():
        message.payload_schema[key].CopyFrom(encode_field(field.index, field.points))
    return message


def encode_config(config: CollectionConfig) -> pb.CollectionConfig:
    """The configuration in force, defaults filled in."""
    message = pb.CollectionConfig(
        params=_encode_params(config),
        hnsw_config=encode_hnsw(config.hnsw_config),
        optimizer_config=encode_optimizers(config.optimizer_config),
        wal_config=encode_wal(config.wal_config),
    )
    if config.quantization_config is not None:
        message.quantization_config.CopyFrom(encode_quantization(config.quantization_config))
    if config.strict_mode_config is not None:
        message.strict_mode_config.CopyFrom(encode_strict_mode(config.strict_mode_config))
    encode_fields(config.metadata, message.metadata)
    return message


def _encode_params(config: CollectionConfig) -> pb.CollectionParams:
    message = pb.CollectionParams()
    copy_given(
        config,
        message,
        (
            "shard_number",
            "on_disk_payload",
            "replication_factor",
            "write_consistency_factor",
            "read_fan_out_factor",
            "read_fan_out_delay_ms",
        ),
    )
    copy_enum(message, "sharding_method", config.sharding_method, SHARDING_NUMBERS)
    if config.unnamed_only:
        encode_vector_params(config.vectors[DEFAULT_VECTOR], message.vectors_config.params)
    else:
        message.vectors_config.params_map.SetInParent()
        for name, params in config.vectors.items():
            encode_vector_params(params, message.vectors_config.params_map.map[name])
    for name, sparse in config.sparse_vectors.items():
        encode_sparse_params(sparse, message.sparse_vectors_config.map[name])
    if config.payload_memory is not None:
        copy_memory(config.payload_memory, message.payload)
    if config.id_tracker_memory is not None:
        copy_memory(config.id_tracker_memory, message.id_tracker)
    return message


def encode_aliases(aliases: Iterable[tuple[str, str]]) -> pb.ListAliasesResponse:
    """Pairs of alias and collection."""
    return pb.ListAliasesResponse(
        aliases=[pb.AliasDescription(alias_name=alias, collection_name=name) for alias, name in aliases]
    )


def encode_cluster(info: ClusterInfo) -> pb.CollectionClusterInfoResponse:
    """Every shard is here and active."""
    return pb.CollectionClusterInfoResponse(
        peer_id=info.peer_id,
        shard_count=len(info.shard_points),
        local_shards=[
            pb.LocalShardInfo(shard_id=shard, points_count=count, state=pb.ReplicaState.Active)
            for shard, count in enumerate(info.shard_points)
        ],
    )
