"""Settings of collections and indexes: what the official client sends is stored, and read back by it unchanged."""

from collections.abc import Callable
from typing import Any

import pytest
from qdrant_client import grpc as client
from qdrant_client import models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc

from qdrantlite.errors import InvalidRequest
from qdrantlite.query.operation import CreateVectorName
from qdrantlite.values import schema
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.record import (
    ClusterInfo,
    CollectionInfo,
    CollectionStatus,
    CreateAlias,
    DeleteAlias,
    FieldInfo,
    RenameAlias,
)
from qdrantlite.values.schema import CollectionConfig, FieldIndex, FieldKind, VectorParams
from qdrantlite.wire.grpc.decode import settings
from qdrantlite.wire.grpc.decode.collection import (
    MODIFIERS,
    SHARDING_METHODS,
    decode_alias_actions,
    decode_create,
    decode_create_vector_name,
    decode_update,
)
from qdrantlite.wire.grpc.decode.index import TOKENIZERS, decode_create_index
from qdrantlite.wire.grpc.encode.collection import encode_cluster, encode_info
from qdrantlite.wire.pb import collections as pb
from qdrantlite.wire.pb import points
from tests.wire.grpc.client_messages import received, returned

make: Any = models
"""The client's models, which take an enum by its JSON spelling although their types say otherwise."""

HNSW = make.HnswConfigDiff(
    m=8, ef_construct=64, full_scan_threshold=20, max_indexing_threads=2, on_disk=True, payload_m=4, inline_storage=True
)
QUANTIZATIONS: list[Any] = [
    make.ScalarQuantization(scalar=make.ScalarQuantizationConfig(type="int8", quantile=0.75, always_ram=True)),
    make.ProductQuantization(product=make.ProductQuantizationConfig(compression="x32", memory="pinned")),
    make.BinaryQuantization(
        binary=make.BinaryQuantizationConfig(encoding="one_and_half_bits", query_encoding="scalar8bits")
    ),
    make.TurboQuantization(turbo=make.TurboQuantQuantizationConfig(bits="bits1_5", always_ram=False)),
]
DENSE = make.VectorParams(
    size=4,
    distance="Manhattan",
    hnsw_config=HNSW,
    quantization_config=QUANTIZATIONS[0],
    on_disk=True,
    datatype="float16",
    multivector_config=make.MultiVectorConfig(comparator="max_sim"),
    memory="cached",
)
SPARSE = make.SparseVectorParams(
    index=make.SparseIndexParams(full_scan_threshold=7, on_disk=True, datatype="uint8", memory="cold"),
    modifier="idf",
)
STRICT = make.StrictModeConfig(
    enabled=True, max_query_limit=5, search_max_oversampling=1.5, upsert_max_batchsize=9, search_allow_exact=False
)


def info(config: CollectionConfig, **fields: Any) -> CollectionInfo:
    values: dict[str, Any] = {
        "status": CollectionStatus.GREEN,
        "optimizer_error": None,
        "segments_count": 2,
        "points_count": 3,
        "indexed_vectors_count": 4,
        "config": config,
        "payload_schema": {},
        "warnings": (),
        "update_queue_length": 0,
        "created_at": 1_700_000_000.25,
    }
    return CollectionInfo(**(values | fields))


def as_client_sees(described: CollectionInfo) -> models.CollectionInfo:
    return GrpcToRest.convert_collection_info(returned(encode_info(described), client.CollectionInfo))


def create(**fields: Any) -> CollectionConfig:
    return decode_create(received(client.CreateCollection(collection_name="c", **fields)))


def test_default_settings_are_filled_in() -> None:
    params = RestToGrpc.convert_vectors_config(make.VectorParams(size=3, distance="Cosine"))
    config = create(vectors_config=params)
    assert config == CollectionConfig(vectors={"": VectorParams(3, Distance.COSINE)}, unnamed_only=True)
    seen = as_client_sees(info(config)).config
    assert seen.params.vectors == make.VectorParams(size=3, distance=make.Distance.COSINE)
    assert (seen.params.shard_number, seen.params.replication_factor, seen.params.on_disk_payload) == (1, 1, True)
    assert (seen.hnsw_config.m, seen.hnsw_config.ef_construct) == (16, 100)
    assert (seen.optimizer_config.deleted_threshold, seen.optimizer_config.indexing_threshold) == (0.2, 10_000)
    assert seen.wal_config is not None
    assert seen.wal_config.wal_capacity_mb == 32
    assert (seen.quantization_config, seen.strict_mode_config) == (None, None)


def test_all_settings_are_echoed() -> None:
    config = create(
        vectors_config=RestToGrpc.convert_vectors_config({"d": DENSE}),
        sparse_vectors_config=RestToGrpc.convert_sparse_vector_config({"s": SPARSE}),
        hnsw_config=RestToGrpc.convert_hnsw_config_diff(HNSW),
        optimizers_config=RestToGrpc.convert_optimizers_config_diff(
            make.OptimizersConfigDiff(deleted_threshold=0.5, indexing_threshold=0, max_optimization_threads="auto")
        ),
        wal_config=RestToGrpc.convert_wal_config_diff(make.WalConfigDiff(wal_capacity_mb=1)),
        quantization_config=RestToGrpc.convert_quantization_config(QUANTIZATIONS[1]),
        strict_mode_config=RestToGrpc.convert_strict_mode_config(STRICT),
        shard_number=2,
        replication_factor=3,
        write_consistency_factor=2,
        on_disk_payload=False,
        sharding_method=RestToGrpc.convert_sharding_method(make.ShardingMethod.CUSTOM),
        metadata=RestToGrpc.convert_payload({"owner": {"id": 1}}),
        payload=client.PayloadStorageParams(memory=client.Memory.Cold),
        id_tracker=client.IdTrackerParams(memory=client.Memory.Pinned),
    )
    seen = as_client_sees(info(config)).config
    assert seen.params.vectors == {"d": DENSE}
    assert seen.params.sparse_vectors == {"s": SPARSE}
    assert seen.hnsw_config.model_dump(exclude_none=True) == HNSW.model_dump(exclude_none=True)
    assert seen.optimizer_config.deleted_threshold == 0.5
    assert seen.optimizer_config.indexing_threshold == 0
    assert seen.quantization_config == QUANTIZATIONS[1]
    assert seen.strict_mode_config is not None
    assert seen.strict_mode_config.model_dump(exclude_none=True) == STRICT.model_dump(exclude_none=True)
    assert seen.metadata == {"owner": {"id": 1}}
    params = seen.params
    assert (params.shard_number, params.replication_factor, params.write_consistency_factor) == (2, 3, 2)
    assert (params.on_disk_payload, params.sharding_method) == (False, make.ShardingMethod.CUSTOM)
    sent = encode_info(info(config)).config
    assert sent.optimizer_config.max_optimization_threads.WhichOneof("variant") == "setting"
    assert (sent.params.payload.memory, sent.params.id_tracker.memory) == (pb.Memory.Cold, pb.Memory.Pinned)
    assert sent.wal_config.wal_capacity_mb == 1


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_every_quantization_is_echoed(quantization: Any) -> None:
    config = create(quantization_config=RestToGrpc.convert_quantization_config(quantization))
    assert as_client_sees(info(config)).config.quantization_config == quantization


def test_limits_by_vector_name_are_echoed() -> None:
    strict = make.StrictModeConfig(
        multivector_config={"m": make.StrictModeMultivector(max_vectors=5)},
        sparse_config={"s": make.StrictModeSparse(max_length=6)},
    )
    config = create(strict_mode_config=RestToGrpc.convert_strict_mode_config(strict))
    assert config.strict_mode_config == schema.StrictMode(multivector_config={"m": 5}, sparse_config={"s": 6})
    sent = encode_info(info(config)).config.strict_mode_config
    assert sent.multivector_config.multivector_config["m"].max_vectors == 5
    assert sent.sparse_config.sparse_config["s"].max_length == 6


def test_collection_without_vectors_has_an_empty_map() -> None:
    assert as_client_sees(info(create())).config.params.vectors == {}


def test_facts_of_a_collection_arrive() -> None:
    described = info(CollectionConfig(), status=CollectionStatus.RED, optimizer_error="broken", warnings=("careful",))
    seen = as_client_sees(described)
    assert (seen.status, seen.segments_count, seen.points_count, seen.indexed_vectors_count) == ("red", 2, 3, 4)
    assert seen.optimizer_status == make.OptimizersStatusOneOf1(error="broken")
    assert seen.warnings == [make.CollectionWarning(message="careful")]
    sent = encode_info(described)
    assert (sent.created_at.seconds, sent.created_at.nanos) == (1_700_000_000, 250_000_000)


INDEXES: list[tuple[Any, FieldKind]] = [
    (make.KeywordIndexParams(type="keyword", is_tenant=True, on_disk=True), FieldKind.KEYWORD),
    (make.IntegerIndexParams(type="integer", lookup=False, range=True, is_principal=True), FieldKind.INTEGER),
    (make.FloatIndexParams(type="float", is_principal=False, enable_hnsw=False), FieldKind.FLOAT),
    (make.GeoIndexParams(type="geo", memory="cold"), FieldKind.GEO),
    (make.BoolIndexParams(type="bool", on_disk=False), FieldKind.BOOL),
    (make.DatetimeIndexParams(type="datetime", is_principal=True), FieldKind.DATETIME),
    (make.UuidIndexParams(type="uuid", is_tenant=True), FieldKind.UUID),
    (
        make.TextIndexParams(
            type="text",
            tokenizer="prefix",
            min_token_len=2,
            max_token_len=9,
            lowercase=False,
            ascii_folding=True,
            phrase_matching=True,
            stopwords=make.StopwordsSet(languages=["english"], custom=["foo"]),
            stemmer=make.SnowballParams(type="snowball", language="german"),
        ),
        FieldKind.TEXT,
    ),
]


def index_request(sent: Any, **fields: Any) -> points.CreateFieldIndexCollection:
    params = received(RestToGrpc.convert_payload_schema_params(sent))
    return points.CreateFieldIndexCollection(field_name="a.b", field_index_params=params, **fields)


@pytest.mark.parametrize(("sent", "kind"), INDEXES)
def test_parameters_of_every_index_are_echoed(sent: Any, kind: FieldKind) -> None:
    operation = decode_create_index(index_request(sent))
    assert (operation.field, operation.index.kind) == ("a.b", kind)
    seen = as_client_sees(info(CollectionConfig(), payload_schema={"a.b": FieldInfo(operation.index, 5)}))
    field = seen.payload_schema["a.b"]
    assert (field.data_type, field.points) == (kind.value, 5)
    assert field.params == sent


@pytest.mark.parametrize("kind", list(FieldKind))
def test_index_of_a_bare_kind_is_echoed_without_parameters(kind: FieldKind) -> None:
    number = points.FieldType.Value(f"FieldType{kind.value.capitalize()}")
    request = points.CreateFieldIndexCollection(field_name="k", field_type=number)
    index = decode_create_index(request).index
    assert index == FieldIndex(kind)
    seen = as_client_sees(info(CollectionConfig(), payload_schema={"k": FieldInfo(index, 0)}))
    assert (seen.payload_schema["k"].data_type, seen.payload_schema["k"].params) == (kind.value, None)


def test_index_belonging_to_an_array_keeps_its_path() -> None:
    request = points.CreateFieldIndexCollection(field_name="items[].k")
    request.field_index_params.keyword_index_params.nested = "items"
    request.field_index_params.keyword_index_params.prefix.SetInParent()
    params = decode_create_index(request).index.params
    assert params == schema.FieldParams(nested="items[]", prefix=True)


@pytest.mark.parametrize(
    ("table", "enum"),
    [
        (settings.COMPRESSIONS, pb.CompressionRatio),
        (settings.BINARY_ENCODINGS, pb.BinaryQuantizationEncoding),
        (settings.BINARY_QUERY_ENCODINGS, pb.BinaryQuantizationQueryEncoding.Setting),
        (settings.TURBO_BITS, pb.TurboQuantBitSize),
        (settings.MEMORY, pb.Memory),
        (settings.DATATYPES, pb.Datatype),
        (MODIFIERS, pb.Modifier),
        (SHARDING_METHODS, pb.ShardingMethod),
        (TOKENIZERS, pb.TokenizerType),
    ],
)
def test_enum_numbers_have_their_names(table: dict[int, Any], enum: Any) -> None:
    for number, value in table.items():
        assert value.value.replace("_", "") == enum.Name(number).lower().replace("_", "")


def test_update_carries_only_what_is_given() -> None:
    sent = client.UpdateCollection(
        collection_name="c",
        hnsw_config=client.HnswConfigDiff(m=4),
        params=client.CollectionParamsDiff(read_fan_out_factor=2, on_disk_payload=False),
        vectors_config=client.VectorsConfigDiff(
            params_map=client.VectorParamsDiffMap(
                map={
                    "v": client.VectorParamsDiff(
                        quantization_config=client.QuantizationConfigDiff(disabled=client.Disabled())
                    )
                }
            )
        ),
        metadata=RestToGrpc.convert_payload({"a": None}),
    )
    update = decode_update(received(sent))
    assert update.vectors is not None
    assert isinstance(update.vectors["v"].quantization_config, schema.QuantizationDisabled)
    assert (update.hnsw_config, update.metadata) == (schema.HnswConfig(m=4), {"a": None})
    assert (update.read_fan_out_factor, update.on_disk_payload) == (2, False)
    assert (update.optimizer_config, update.sparse_vectors, update.strict_mode_config) == (None, None, None)
    assert decode_update(pb.UpdateCollection(collection_name="c")) == schema.CollectionUpdate()


def test_named_vectors_for_collections_in_use_arrive() -> None:
    dense = points.CreateVectorNameRequest(collection_name="c", vector_name="v")
    dense.dense_config.size = 3
    dense.dense_config.distance = pb.Distance.Dot
    dense.dense_config.datatype = pb.Datatype.Uint8
    dense.dense_config.multivector_config.SetInParent()
    expected = VectorParams(3, Distance.DOT, datatype=Datatype.UINT8, multivector=True)
    assert decode_create_vector_name(dense) == CreateVectorName("v", expected)
    sparse = points.CreateVectorNameRequest(collection_name="c", vector_name="s")
    sparse.sparse_config.modifier = pb.Modifier.Idf
    expected_sparse = schema.SparseVectorParams(modifier=schema.Modifier.IDF)
    assert decode_create_vector_name(sparse) == CreateVectorName("s", expected_sparse)


def test_alias_actions_keep_their_order() -> None:
    actions = [
        make.CreateAliasOperation(create_alias=make.CreateAlias(alias_name="a", collection_name="c")),
        make.RenameAliasOperation(rename_alias=make.RenameAlias(old_alias_name="a", new_alias_name="b")),
        make.DeleteAliasOperation(delete_alias=make.DeleteAlias(alias_name="b")),
    ]
    sent = client.ChangeAliases(actions=[RestToGrpc.convert_alias_operations(action) for action in actions])
    assert decode_alias_actions(received(sent)) == (CreateAlias("a", "c"), RenameAlias("a", "b"), DeleteAlias("b"))


def test_cluster_is_one_node_with_active_shards() -> None:
    sent = returned(encode_cluster(ClusterInfo(7, (10, 20))), client.CollectionClusterInfoResponse)
    seen = GrpcToRest.convert_collection_cluster_info(sent)
    assert (seen.peer_id, seen.shard_count, seen.remote_shards) == (7, 2, [])
    assert [(shard.shard_id, shard.points_count, shard.state) for shard in seen.local_shards] == [
        (0, 10, make.ReplicaState.ACTIVE),
        (1, 20, make.ReplicaState.ACTIVE),
    ]


def creating(**fields: Any) -> Callable[[], object]:
    return lambda: decode_create(pb.CreateCollection(**{"collection_name": "c", **fields}))


def with_vector(**fields: Any) -> Callable[[], object]:
    return creating(vectors_config={"params": {"size": 1, "distance": 1, **fields}})


def with_index(**fields: Any) -> Callable[[], object]:
    return lambda: decode_create_index(points.CreateFieldIndexCollection(**{"field_name": "k", **fields}))


def aliasing(**action: Any) -> Callable[[], object]:
    return lambda: decode_alias_actions(pb.ChangeAliases(actions=[action]))  # type: ignore[list-item]  # nested fields


REFUSED = [
    (creating(collection_name=""), '[collection_name: value "" invalid, must be from 1 to 255 characters]'),
    (creating(collection_name="x" * 256), "must be from 1 to 255 characters"),
    *[(creating(collection_name=f"a{bad}b"), "collection name cannot contain") for bad in '<>:"/\\|?*\0\x1f'],
    (creating(shard_number=0), "[shard_number: value 0 invalid, must be 1 or larger]"),
    (creating(replication_factor=0), "replication_factor: value 0 invalid"),
    (with_vector(size=0), "vectors_config.config.size: value 0 invalid, must be from 1 to 65536"),
    (with_vector(size=65537), "size: value 65537 invalid, must be from 1 to 65536"),
    (with_vector(distance=0), "Unknown distance"),
    (with_vector(distance=9), "Unsupported distance: 9"),
    (with_vector(datatype=5), "Unsupported datatype: Turbo8"),
    (with_vector(datatype=99), "Unsupported datatype: 99"),
    (with_vector(memory=3), "memory: value pinned invalid"),
    (with_vector(memory=9), "Unsupported memory: 9"),
    (with_vector(hnsw_config={"ef_construct": 3}), "hnsw_config.ef_construct: value 3 invalid, must be 4 or larger"),
    (creating(strict_mode_config={"max_points_count": 0}), "strict_mode_config.max_points_count: value 0 invalid"),
    (creating(optimizers_config={"deleted_threshold": 1.5}), "must be from 0.0 to 1.0"),
    (creating(optimizers_config={"vacuum_min_vector_number": 99}), "value 99 invalid, must be 100 or larger"),
    (creating(optimizers_config={"max_segment_size": 0}), "max_segment_size: value 0 invalid"),
    (creating(wal_config={"wal_capacity_mb": 0}), "wal_config.wal_capacity_mb: value 0 invalid"),
    (creating(wal_config={"wal_retain_closed": 0}), "wal_config.wal_retain_closed: value 0 invalid"),
    (creating(payload={"memory": 3}), "payload.memory: value pinned invalid"),
    (creating(quantization_config={}), "Unable to convert quantization config"),
    (creating(quantization_config={"scalar": {}}), "Unknown quantization type"),
    (creating(quantization_config={"scalar": {"type": 1, "quantile": 0.25}}), "must be from 0.5 to 1.0"),
    (creating(quantization_config={"product": {"compression": 9}}), "Unsupported compression ratio: 9"),
    (creating(quantization_config={"turboquant": {"bits": 9}}), "Unsupported bits: 9"),
    (creating(sparse_vectors_config={"map": {"": {}}}), "Sparse vector must be named"),
    (creating(sparse_vectors_config={"map": {"s": {"index": {"datatype": 4}}}}), "sparse vectors do not support"),
    (
        creating(
            vectors_config={"params_map": {"map": {"v": {"size": 1, "distance": 1}}}},
            sparse_vectors_config={"map": {"v": {}}},
        ),
        "'v' is used for a dense and a sparse vector",
    ),
    (creating(vectors_config={"params_map": {"map": {"a/b": {"size": 1, "distance": 1}}}}), "vector name cannot"),
    (creating(vectors_config={"params_map": {"map": {"é" * 101: {"size": 1, "distance": 1}}}}), "at most 200 bytes"),
    (creating(metadata={"a": {"double_value": float("nan")}}), "cannot convert to json number"),
    (with_index(), "Bad request: Can't auto-detect field type, please specify `field_schema`"),
    (with_index(field_type=99), "cannot convert field_type"),
    (with_index(field_name="a b", field_type=0), "Invalid json path: 'a b'"),
    (
        with_index(field_type=1, field_index_params={"keyword_index_params": {}}),
        "field_type (FieldTypeInteger) and field_index_params do not match",
    ),
    (
        with_index(field_index_params={"integer_index_params": {"lookup": False, "range": False}}),
        "can't be both disabled",
    ),
    (with_index(field_index_params={"geo_index_params": {"nested": "o"}}), "inside the elements of nested `o[]`"),
    (aliasing(), "Malformed AliasOperations type"),
    (aliasing(create_alias={"alias_name": "a:b", "collection_name": "c"}), 'cannot contain ":" char'),
    (aliasing(delete_alias={}), "alias_name"),
]


@pytest.mark.parametrize(("decode", "text"), REFUSED)
def test_bad_settings_are_refused(decode: Callable[[], object], text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode()
    assert text in caught.value.message


def test_collection_that_exists_may_have_characters_that_new_ones_may_not() -> None:
    assert decode_update(pb.UpdateCollection(collection_name="a:b*")) == schema.CollectionUpdate()
