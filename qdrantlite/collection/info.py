"""What is told of a collection: its settings, counts and state."""

from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.shard.slots import SparseSlot
from qdrantlite.collection.upkeep.optimizer import indexed_points
from qdrantlite.values.record import CollectionInfo, CollectionStatus, FieldInfo


def collection_info(shard: Shard, *, error: str | None, busy: bool, created_at: float) -> CollectionInfo:
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
        warnings=(),
        update_queue_length=0,
        created_at=created_at,
    )
