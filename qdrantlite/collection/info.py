"""What is told of a collection: its settings, counts and state."""

from collections.abc import Iterator

from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.shard.slots import SparseSlot
from qdrantlite.collection.upkeep.compaction import Compactor
from qdrantlite.collection.upkeep.journal import segment_of
from qdrantlite.collection.upkeep.optimizer import Optimizer
from qdrantlite.collection.upkeep.sealing import hnsw_of, indexed_points
from qdrantlite.values.optimization import Optimizations
from qdrantlite.values.record import CollectionInfo, CollectionStatus, FieldInfo
from qdrantlite.values.schema import CollectionConfig


def optimizations(shard: Shard, optimizer: Optimizer, compactor: Compactor) -> Optimizations:
    """What goes on behind searches. The shard, and each vector that has a graph, is a segment; the shard rests while
    nothing is done to any.
    """
    running = (*compactor.journal.running, *optimizer.journal.running)
    queued = optimizer.queued
    busy = {each.segment.id for each in running} | {each.segment.id for each in queued}
    graphs = [segment_of(shard, slot) for _, slot in shard.dense_slots() if slot.sealed is not None]
    completed = (*compactor.journal.completed, *optimizer.journal.completed)
    return Optimizations(
        running=running,
        queued=queued,
        completed=tuple(sorted(completed, key=lambda each: each.ended_s or 0.0, reverse=True)),
        idle=tuple(each for each in ([] if busy else [segment_of(shard)]) + graphs if each.id not in busy),
    )


def collection_info(
    shard: Shard, *, error: str | None, busy: bool, optimizations: Optimizations, created_at: float
) -> CollectionInfo:
    """Red with an error, yellow while work goes on behind searches, else green."""
    state = shard.state
    live = state.live.bitmap
    fields = {key: FieldInfo(index, state.fields[key].points(live)) for key, index in state.schema.items()}
    dense = [slot for _, slot in shard.dense_slots()]
    indexed = sum(indexed_points(slot.present, slot.sealed) for slot in dense)
    indexed += sum(len(slot.present) for slot in shard.slots.values() if isinstance(slot, SparseSlot))
    status = CollectionStatus.YELLOW if busy else CollectionStatus.GREEN
    return CollectionInfo(
        status=status if error is None else CollectionStatus.RED,
        optimizer_error=error,
        segments_count=1 + max((slot.sealed is not None for slot in dense), default=0),
        points_count=len(live),
        indexed_vectors_count=indexed,
        config=shard.config,
        payload_schema=fields,
        warnings=tuple(_warnings(shard.config)),
        update_queue_length=0,
        created_at=created_at,
        optimizations=optimizations,
    )


def _warnings(config: CollectionConfig) -> Iterator[str]:
    """Of vectors in the graph's own file, which Qdrant keeps where they are quantized and single."""
    for name, vector in config.vectors.items():
        if not hnsw_of(config, vector).inline_storage:
            continue
        option = f"The `hnsw_config.inline_storage` option for vector '{name}'"
        if vector.multivector:
            yield f"{option} is not compatible with multivectors. This option will be ignored."
        elif vector.quantization_config is None and config.quantization_config is None:
            yield f"{option} requires quantization to be enabled. This option will be ignored."
