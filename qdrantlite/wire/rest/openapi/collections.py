"""Schemas of collections: settings in requests and answers, payload indexes, aliases, the cluster that is not there."""

from qdrantlite.wire.rest.openapi.schema import (
    COUNT,
    FLAG,
    FLOAT,
    NULL,
    NUMBER,
    OBJECT,
    TEXT,
    Schema,
    Schemas,
    array,
    at_least,
    gives,
    maybe,
    needs,
    one,
    ref,
    table,
    tagged,
    within,
    words,
)

_MEMORY = words("cold", "cached", "pinned")
_PLACED = {"on_disk": FLAG, "memory": _MEMORY}

SETTINGS: Schemas = {
    "Distance": words("Cosine", "Euclid", "Dot", "Manhattan"),
    "Datatype": words("float32", "uint8", "float16", "turbo4"),
    "Modifier": words("none", "idf"),
    "HnswConfigDiff": needs(
        {},
        {
            "m": COUNT,
            "ef_construct": at_least(4),
            "full_scan_threshold": at_least(10),
            "max_indexing_threads": COUNT,
            "payload_m": COUNT,
            "inline_storage": FLAG,
            **_PLACED,
        },
    ),
    "OptimizersConfigDiff": needs(
        {},
        {
            "deleted_threshold": within(0, 1, NUMBER),
            "vacuum_min_vector_number": at_least(100),
            "default_segment_number": COUNT,
            "max_segment_size": at_least(1),
            "memmap_threshold": COUNT,
            "indexing_threshold": COUNT,
            "flush_interval_sec": COUNT,
            "max_optimization_threads": one(COUNT, words("auto")),
            "prevent_unoptimized": FLAG,
        },
    ),
    "WalConfigDiff": needs(
        {}, {"wal_capacity_mb": at_least(1), "wal_segments_ahead": COUNT, "wal_retain_closed": at_least(1)}
    ),
    "QuantizationConfig": one(
        tagged(
            "scalar",
            needs({"type": words("int8")}, {"quantile": within(0.5, 1), "always_ram": FLAG, "memory": _MEMORY}),
        ),
        tagged(
            "product",
            needs({"compression": words("x4", "x8", "x16", "x32", "x64")}, {"always_ram": FLAG, "memory": _MEMORY}),
        ),
        tagged(
            "binary",
            needs(
                {},
                {
                    "always_ram": FLAG,
                    "memory": _MEMORY,
                    "encoding": words("one_bit", "two_bits", "one_and_half_bits"),
                    "query_encoding": words("default", "binary", "scalar4bits", "scalar8bits"),
                },
            ),
        ),
        tagged("turbo", needs({}, {"always_ram": FLAG, "memory": _MEMORY, "bits": TEXT})),
    ),
    "QuantizationConfigDiff": one(ref("QuantizationConfig"), words("Disabled")),
    "StrictModeConfig": needs(
        {},
        {
            "enabled": FLAG,
            "max_query_limit": at_least(1),
            "max_timeout": at_least(1),
            "unindexed_filtering_retrieve": FLAG,
            "unindexed_filtering_update": FLAG,
            "search_max_hnsw_ef": COUNT,
            "search_allow_exact": FLAG,
            "search_max_oversampling": NUMBER,
            "upsert_max_batchsize": COUNT,
            "search_max_batchsize": COUNT,
            "max_collection_vector_size_bytes": COUNT,
            "max_collection_payload_size_bytes": COUNT,
            "max_points_count": COUNT,
            "max_payload_index_count": COUNT,
            "max_resident_memory_percent": COUNT,
            "read_rate_limit": at_least(1),
            "write_rate_limit": at_least(1),
            "filter_max_conditions": COUNT,
            "condition_max_size": COUNT,
            "multivector_config": table(needs({}, {"max_vectors": COUNT})),
            "sparse_config": table(needs({}, {"max_length": COUNT})),
        },
    ),
    "VectorParams": needs(
        {"size": {"type": "integer", "minimum": 1, "maximum": 65_536}, "distance": ref("Distance")},
        {
            "hnsw_config": ref("HnswConfigDiff"),
            "quantization_config": ref("QuantizationConfig"),
            "on_disk": FLAG,
            "memory": words("cold", "cached"),
            "datatype": ref("Datatype"),
            "multivector_config": needs({"comparator": words("max_sim")}),
        },
    ),
    "VectorsConfig": one(ref("VectorParams"), table(ref("VectorParams"))),
    "VectorParamsDiff": needs(
        {},
        {
            "hnsw_config": ref("HnswConfigDiff"),
            "quantization_config": ref("QuantizationConfigDiff"),
            "on_disk": FLAG,
            "memory": words("cold", "cached"),
        },
    ),
    "SparseVectorParams": needs(
        {},
        {
            "index": needs(
                {}, {"full_scan_threshold": COUNT, "datatype": words("float32", "float16", "uint8"), **_PLACED}
            ),
            "modifier": ref("Modifier"),
        },
    ),
    "VectorNameConfig": one(
        tagged(
            "dense",
            needs(
                {"size": {"type": "integer", "minimum": 1, "maximum": 65_536}, "distance": ref("Distance")},
                {"datatype": ref("Datatype"), "multivector_config": needs({"comparator": words("max_sim")})},
            ),
        ),
        tagged("sparse", needs({}, {"modifier": ref("Modifier"), "datatype": words("float32", "float16", "uint8")})),
    ),
}

_PARAMS: Schemas = {
    "replication_factor": at_least(1),
    "write_consistency_factor": at_least(1),
    "read_fan_out_factor": COUNT,
    "read_fan_out_delay_ms": COUNT,
    "on_disk_payload": FLAG,
    "payload": needs({}, {"memory": words("cold", "cached")}),
    "id_tracker": needs({}, {"memory": _MEMORY}),
}


def _with_changes(vectors: Schema) -> Schemas:
    return {
        "vectors": vectors,
        "sparse_vectors": table(ref("SparseVectorParams")),
        "hnsw_config": ref("HnswConfigDiff"),
        "optimizers_config": ref("OptimizersConfigDiff"),
        "strict_mode_config": ref("StrictModeConfig"),
        "metadata": OBJECT,
    }


_FIELD_TYPE = words("keyword", "integer", "float", "geo", "text", "bool", "datetime", "uuid")
_HINTS = {"on_disk": FLAG, "memory": _MEMORY, "enable_hnsw": FLAG, "nested": TEXT}


def _index(kind: str, **own: Schema) -> Schema:
    return needs({"type": words(kind)}, {**_HINTS, **own})


COLLECTIONS: Schemas = {
    "CreateCollection": needs(
        {},
        {
            **_with_changes(ref("VectorsConfig")),
            "shard_number": at_least(1),
            "sharding_method": words("auto", "custom"),
            "replication_factor": at_least(1),
            "write_consistency_factor": at_least(1),
            "on_disk_payload": FLAG,
            "payload": needs({}, {"memory": words("cold", "cached")}),
            "id_tracker": needs({}, {"memory": _MEMORY}),
            "wal_config": ref("WalConfigDiff"),
            "quantization_config": ref("QuantizationConfig"),
        },
    ),
    "UpdateCollection": needs(
        {},
        {
            **_with_changes(table(ref("VectorParamsDiff"))),
            "params": needs({}, _PARAMS),
            "quantization_config": ref("QuantizationConfigDiff"),
        },
    ),
    "CollectionsResponse": gives({"collections": array(gives({"name": TEXT}))}),
    "CollectionExistence": gives({"exists": FLAG}),
    "CollectionParams": gives(
        {"vectors": ref("VectorsConfig")},
        {
            **_PARAMS,
            "shard_number": COUNT,
            "sharding_method": words("auto", "custom"),
            "sparse_vectors": table(ref("SparseVectorParams")),
        },
    ),
    "CollectionConfig": gives(
        {
            "params": ref("CollectionParams"),
            "hnsw_config": ref("HnswConfigDiff"),
            "optimizer_config": ref("OptimizersConfigDiff"),
            "wal_config": ref("WalConfigDiff"),
            "quantization_config": maybe(ref("QuantizationConfig")),
        },
        {"strict_mode_config": ref("StrictModeConfig"), "metadata": OBJECT},
    ),
    "PayloadIndexInfo": gives({"data_type": _FIELD_TYPE, "points": COUNT}, {"params": ref("PayloadSchemaParams")}),
    "CollectionInfo": gives(
        {
            "status": words("green", "yellow", "grey", "red"),
            "optimizer_status": one(words("ok"), gives({"error": TEXT})),
            "indexed_vectors_count": COUNT,
            "points_count": COUNT,
            "segments_count": COUNT,
            "config": ref("CollectionConfig"),
            "payload_schema": table(ref("PayloadIndexInfo")),
        },
        {
            "warnings": array(gives({"message": TEXT})),
            "update_queue": gives({"length": COUNT}),
            "created_at": {**TEXT, "format": "date-time"},
        },
    ),
    "PayloadSchemaParams": one(
        _index("keyword", is_tenant=FLAG, prefix=FLAG),
        _index("integer", lookup=FLAG, range=FLAG, is_principal=FLAG),
        _index("float", is_principal=FLAG),
        _index("geo"),
        _index("bool"),
        _index("datetime", is_principal=FLAG),
        _index("uuid", is_tenant=FLAG),
        _index(
            "text",
            tokenizer=words("prefix", "whitespace", "word", "multilingual"),
            lowercase=FLAG,
            ascii_folding=FLAG,
            min_token_len=COUNT,
            max_token_len=COUNT,
            phrase_matching=FLAG,
            stopwords=one(TEXT, needs({}, {"languages": array(TEXT), "custom": array(TEXT)})),
            stemmer=one(needs({"type": words("snowball"), "language": TEXT}), needs({"type": words("none")})),
            scoring=one(FLAG, needs({"type": words("bm25")})),
        ),
    ),
    "CreateFieldIndex": needs(
        {"field_name": ref("PayloadPath")}, {"field_schema": one(_FIELD_TYPE, ref("PayloadSchemaParams"))}
    ),
    "AliasDescription": gives({"alias_name": TEXT, "collection_name": TEXT}),
    "CollectionsAliasesResponse": gives({"aliases": array(ref("AliasDescription"))}),
    "AliasOperations": one(
        tagged("create_alias", needs({"collection_name": TEXT, "alias_name": TEXT})),
        tagged("rename_alias", needs({"old_alias_name": TEXT, "new_alias_name": TEXT})),
        tagged("delete_alias", needs({"alias_name": TEXT})),
    ),
    "ChangeAliasesOperation": needs({"actions": array(ref("AliasOperations"))}),
    "OptimizationsResponse": gives(
        {
            "summary": gives(
                dict.fromkeys(("queued_optimizations", "queued_segments", "queued_points", "idle_segments"), COUNT)
            ),
            "running": array(OBJECT),
        },
        {"queued": array(OBJECT), "completed": array(OBJECT), "idle_segments": array(OBJECT)},
    ),
}

CLUSTER: Schemas = {
    "CollectionClusterInfo": gives(
        {
            "peer_id": COUNT,
            "shard_count": COUNT,
            "local_shards": array(gives({"shard_id": COUNT, "points_count": COUNT, "state": TEXT})),
            "remote_shards": array(OBJECT),
            "shard_transfers": array(OBJECT),
        }
    ),
    "ShardKeysResponse": gives({}, {"shard_keys": one(array(OBJECT), NULL)}),
    "ClusterStatus": gives({"status": words("disabled")}),
    "ClusterOperations": OBJECT,
    "CreateShardingKey": needs({"shard_key": one(TEXT, COUNT)}, {"shards_number": at_least(1)}),
    "DropShardingKey": needs({"shard_key": one(TEXT, COUNT)}),
    "DistributedTelemetryData": OBJECT,
}

SERVICE: Schemas = {
    "VersionInfo": gives({"title": TEXT, "version": TEXT}, {"commit": TEXT}),
    "TelemetryData": gives(
        {
            "id": TEXT,
            "app": gives({"name": TEXT, "version": TEXT, "startup": TEXT}, {"features": OBJECT}),
            "collections": OBJECT,
            "cluster": gives({"enabled": FLAG}),
        }
    ),
    "IssuesReport": gives({"issues": array(OBJECT)}),
    "ErrorResponse": gives({"status": gives({"error": TEXT}), "time": FLOAT}, about="what every refusal looks like"),
}
