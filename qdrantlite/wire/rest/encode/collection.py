"""What is told of collections: state and settings, aliases, shards, optimizations."""

from collections.abc import Container, Iterable
from datetime import UTC, datetime

from qdrantlite.values.optimization import Optimization, Optimizations, Segment
from qdrantlite.values.record import ClusterInfo, CollectionInfo
from qdrantlite.values.schema import CollectionConfig
from qdrantlite.values.vector import DEFAULT_VECTOR
from qdrantlite.wire.rest.encode.answer import Answer
from qdrantlite.wire.rest.encode.settings import (
    encode_field,
    encode_given,
    encode_optimizers,
    encode_quantization,
    encode_sparse_params,
    encode_strict_mode,
    encode_vector_params,
)


def encode_info(info: CollectionInfo) -> Answer:
    """State, configuration and payload indexes of a collection."""
    answer: dict[str, Answer] = {
        "status": info.status.name.lower(),
        "optimizer_status": "ok" if info.optimizer_error is None else {"error": info.optimizer_error},
    }
    if info.warnings:
        answer["warnings"] = [{"message": warning} for warning in info.warnings]
    return {
        **answer,
        "indexed_vectors_count": info.indexed_vectors_count,
        "points_count": info.points_count,
        "segments_count": info.segments_count,
        "config": encode_config(info.config),
        "payload_schema": {key: encode_field(field.index, field.points) for key, field in info.payload_schema.items()},
        "update_queue": {"length": info.update_queue_length},
        "created_at": _moment(info.created_at),
    }


def encode_config(config: CollectionConfig) -> Answer:
    """The configuration in force, defaults filled in."""
    quantization = config.quantization_config
    answer: dict[str, Answer] = {
        "params": _encode_params(config),
        "hnsw_config": encode_given(config.hnsw_config),
        "optimizer_config": encode_optimizers(config.optimizer_config),
        "wal_config": encode_given(config.wal_config),
        "quantization_config": None if quantization is None else encode_quantization(quantization),
    }
    if config.strict_mode_config is not None:
        answer["strict_mode_config"] = encode_strict_mode(config.strict_mode_config)
    if config.metadata:
        answer["metadata"] = config.metadata
    return answer


def _encode_params(config: CollectionConfig) -> Answer:
    vectors: Answer
    if config.unnamed_only:
        vectors = encode_vector_params(config.vectors[DEFAULT_VECTOR])
    else:
        vectors = {name: encode_vector_params(params) for name, params in config.vectors.items()}
    answer: dict[str, Answer] = {
        "vectors": vectors,
        "shard_number": config.shard_number,
        "replication_factor": config.replication_factor,
        "write_consistency_factor": config.write_consistency_factor,
        "on_disk_payload": config.on_disk_payload,
    }
    if config.sharding_method is not None:
        answer["sharding_method"] = config.sharding_method.value
    for name in ("read_fan_out_factor", "read_fan_out_delay_ms"):
        value = getattr(config, name)
        if value is not None:
            answer[name] = value
    if config.payload_memory is not None:
        answer["payload"] = {"memory": config.payload_memory.value}
    if config.id_tracker_memory is not None:
        answer["id_tracker"] = {"memory": config.id_tracker_memory.value}
    if config.sparse_vectors:
        answer["sparse_vectors"] = {name: encode_sparse_params(each) for name, each in config.sparse_vectors.items()}
    return answer


def encode_names(names: Iterable[str]) -> Answer:
    """Collections by name."""
    return {"collections": [{"name": name} for name in sorted(names)]}


def encode_aliases(aliases: Iterable[tuple[str, str]]) -> Answer:
    """Pairs of alias and collection."""
    return {"aliases": [{"alias_name": alias, "collection_name": name} for alias, name in aliases]}


def encode_cluster(info: ClusterInfo) -> Answer:
    """Every shard is here and active."""
    return {
        "peer_id": info.peer_id,
        "shard_count": len(info.shard_points),
        "local_shards": [
            {"shard_id": shard, "points_count": points, "state": "Active"}
            for shard, points in enumerate(info.shard_points)
        ],
        "remote_shards": [],
        "shard_transfers": [],
    }


def encode_optimizations(told: Optimizations, details: Container[str], completed_max: int) -> Answer:
    """What runs, and of the rest what is asked for."""
    answer: dict[str, Answer] = {
        "summary": {
            "queued_optimizations": len(told.queued),
            "queued_segments": len(told.queued),
            "queued_points": sum(each.segment.points for each in told.queued),
            "idle_segments": len(told.idle),
        },
        "running": [_optimization(each) for each in told.running],
    }
    if "queued" in details:
        answer["queued"] = [{"optimizer": each.kind, "segments": [_segment(each.segment)]} for each in told.queued]
    if "completed" in details:
        answer["completed"] = [_optimization(each) for each in told.completed[:completed_max]]
    if "idle_segments" in details:
        answer["idle_segments"] = [_segment(each) for each in told.idle]
    return answer


def _optimization(told: Optimization) -> Answer:
    status: Answer = "optimizing" if told.ended_s is None else "done"
    progress: dict[str, Answer] = {"name": told.kind, "started_at": _moment(told.started_s)}
    if told.error is not None:
        status = {"error": told.error}
    if told.ended_s is not None:
        progress |= {"finished_at": _moment(told.ended_s), "duration_sec": told.ended_s - told.started_s}
    if told.total:
        progress |= {"done": told.done, "total": told.total}
    segments = [_segment(told.segment)]
    return {
        "uuid": str(told.id),
        "optimizer": told.kind,
        "status": status,
        "segments": segments,
        "progress": progress,
    }


def _segment(told: Segment) -> Answer:
    return {"uuid": str(told.id), "points_count": told.points}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
