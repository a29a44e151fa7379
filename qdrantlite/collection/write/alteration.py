"""Changes of a shard's schema: payload indexes and named vectors.

Made one at a time (the caller holds the collection's maintenance lock); writers wait only for the last step. Each is
durable and complete when it returns, and costs two operation ids, as in Qdrant.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import assert_never

from qdrantlite.collection.read.view import open_view
from qdrantlite.collection.shard.indexing import reindexed
from qdrantlite.collection.shard.recovery import caught_up, filled_index
from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.shard.slots import DenseSlot, MultiSlot, SparseSlot
from qdrantlite.collection.write.settings import with_vector, without_vector
from qdrantlite.query.operation import (
    CreateFieldIndex,
    CreateVectorName,
    DeleteFieldIndex,
    DeleteVectorName,
    SchemaOperation,
)
from qdrantlite.segment.payload_index.index import PayloadIndex, make_index
from qdrantlite.segment.row_bounds import NO_BOUNDS
from qdrantlite.segment.sparse import SparseIndex
from qdrantlite.storage import file_names
from qdrantlite.values.payload import parse_path
from qdrantlite.values.schema import CollectionConfig, FieldIndex, SparseVectorParams, VectorParams
from qdrantlite.values.schema_format import fields_to_json

SaveConfig = Callable[[CollectionConfig], None]
"""Makes changed settings durable."""


def alter(shard: Shard, operation: SchemaOperation, save_config: SaveConfig) -> int:
    """Changes the schema; returns the operation's id. Raises BadInput, StorageFailed, NotFound, ShardBehind."""
    with shard.writer_lock:
        shard.require_open()
    match operation:
        case CreateFieldIndex(field, index):
            return _create_field_index(shard, field, index)
        case DeleteFieldIndex(field):
            return _set_fields(shard, {key: index for key, index in shard.schema.items() if key != field})
        case CreateVectorName(name, params):
            return _create_vector(shard, name, params, save_config)
        case DeleteVectorName(name):
            return _delete_vector(shard, name, save_config)
        case _:
            assert_never(operation)


def _create_field_index(shard: Shard, field: str, schema: FieldIndex) -> int:
    parse_path(field)
    if shard.schema.get(field) == schema:
        return _set_fields(shard, shard.schema)
    with open_view(shard) as view:
        rows, seq = view.state.rows, view.reader.state().touched_seq
        index = filled_index(make_index(schema), field, view.reader, rows)
    with shard.writer_lock:
        take = partial(reindexed, key=field)
        index = caught_up(index, take, shard.store.writer, seq=seq, rows_covered=rows)
        return _set_fields(shard, {**shard.schema, field: schema}, {field: index})


def _set_fields(
    shard: Shard, schema: Mapping[str, FieldIndex], made: Mapping[str, PayloadIndex] = MappingProxyType({})
) -> int:
    with shard.writer_lock, shard.store.writer.begun():
        operation_id = shard.state.operation_id + 2
        writer = shard.store.writer
        writer.put_payload_schema(fields_to_json(schema))
        writer.put_operation(operation_id)
        with shard.publish_lock:
            commit_seq = writer.commit()
            with shard.following():
                fields = {**shard.indexes.fields, **made}
                shard.schema = schema
                shard.indexes = replace(shard.indexes, fields={key: fields[key] for key in schema})
                shard.freeze(rows=shard.state.rows, operation_id=operation_id)
    shard.store.sync(commit_seq)
    shard.changed_since_checkpoint += 1
    return operation_id


def _create_vector(shard: Shard, name: str, params: VectorParams | SparseVectorParams, save_config: SaveConfig) -> int:
    """The store knows the vector before the settings do: a crash or a failure in between drops it again."""
    config = with_vector(shard.config, name, params)
    if config is None:
        return _count_operation(shard)
    writer = shard.store.writer
    with shard.writer_lock:
        operation_id = shard.state.operation_id + 2
        with writer.begun():
            slot = shard.open_slot(params, writer.create_vector(name))
            if isinstance(slot, DenseSlot):
                slot.file.append_zeros(shard.state.rows)
            writer.put_operation(operation_id)
            with shard.publish_lock:
                commit_seq = writer.commit()
                with shard.following():
                    shard.config = config
                    shard.slots = {**shard.slots, name: slot}
                    if isinstance(slot, SparseSlot):
                        sparse = {**shard.indexes.sparse, name: SparseIndex()}
                        shard.indexes = replace(shard.indexes, sparse=sparse)
                    elif isinstance(slot, MultiSlot):
                        bounds = {**shard.indexes.bounds, name: NO_BOUNDS}
                        shard.indexes = replace(shard.indexes, bounds=bounds)
                    shard.freeze(rows=shard.state.rows, operation_id=operation_id)
        with shard.half_done():
            shard.store.sync(commit_seq)
            save_config(config)
    shard.changed_since_checkpoint += 1
    return operation_id


def _delete_vector(shard: Shard, name: str, save_config: SaveConfig) -> int:
    """The settings forget the vector before the store does: what comes in between, the next opening finishes."""
    config = without_vector(shard.config, name)
    if config is None:
        return _count_operation(shard)
    writer = shard.store.writer
    with shard.writer_lock:
        operation_id = shard.state.operation_id + 2
        save_config(config)
        dropped = shard.slots[name]
        with shard.half_done(), writer.begun():
            vector_id = writer.drop_vector(name)
            writer.put_operation(operation_id)
            with shard.publish_lock:
                commit_seq = writer.commit()
                with shard.following():
                    shard.config = config
                    shard.slots = {other: slot for other, slot in shard.slots.items() if other != name}
                    sparse = {other: index for other, index in shard.indexes.sparse.items() if other != name}
                    bounds = {other: index for other, index in shard.indexes.bounds.items() if other != name}
                    shard.indexes = replace(shard.indexes, sparse=sparse, bounds=bounds)
                    shard.freeze(rows=shard.state.rows, operation_id=operation_id)
        shard.store.sync(commit_seq)
        if not isinstance(dropped, SparseSlot):
            dropped.file.close()
        shard.files.remove(file_names.vector_file(shard.folder, vector_id))
    shard.changed_since_checkpoint += 1
    return operation_id


def _count_operation(shard: Shard) -> int:
    """The ids of a change that changes nothing."""
    return _set_fields(shard, shard.schema)
