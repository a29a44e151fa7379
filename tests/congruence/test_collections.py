"""Settings, aliases and named vectors of collections as a server keeps and tells them."""

from collections.abc import Iterator

import grpc
import pytest
from qdrant_client import QdrantClient, models

M = models
NAME = "settings"

VECTORS = {
    "a": M.VectorParams(
        size=3,
        distance=M.Distance.COSINE,
        on_disk=True,
        datatype=M.Datatype.UINT8,
        hnsw_config=M.HnswConfigDiff(
            m=4, ef_construct=50, full_scan_threshold=20, max_indexing_threads=2, on_disk=True, payload_m=8
        ),
        quantization_config=M.ScalarQuantization(
            scalar=M.ScalarQuantizationConfig(type=M.ScalarType.INT8, quantile=0.5, always_ram=True)
        ),
        multivector_config=M.MultiVectorConfig(comparator=M.MultiVectorComparator.MAX_SIM),
    ),
    "b": M.VectorParams(
        size=65536,
        distance=M.Distance.MANHATTAN,
        datatype=M.Datatype.FLOAT16,
        quantization_config=M.BinaryQuantization(
            binary=M.BinaryQuantizationConfig(
                always_ram=True,
                encoding=M.BinaryQuantizationEncoding.TWO_BITS,
                query_encoding=M.BinaryQuantizationQueryEncoding.SCALAR4BITS,
            )
        ),
    ),
    "c": M.VectorParams(
        size=8,
        distance=M.Distance.EUCLID,
        quantization_config=M.ProductQuantization(
            product=M.ProductQuantizationConfig(compression=M.CompressionRatio.X16)
        ),
    ),
}
SPARSE = {
    "s": M.SparseVectorParams(
        index=M.SparseIndexParams(full_scan_threshold=7, on_disk=True, datatype=M.Datatype.FLOAT16),
        modifier=M.Modifier.IDF,
    ),
    "t": M.SparseVectorParams(),
}


@pytest.fixture(autouse=True)
def _nothing_left(client: QdrantClient) -> Iterator[None]:
    yield
    for collection in client.get_collections().collections:
        client.delete_collection(collection.name)


def test_every_setting_is_echoed(client: QdrantClient) -> None:
    strict = M.StrictModeConfig(
        enabled=False,
        max_query_limit=7,
        unindexed_filtering_retrieve=False,
        multivector_config={"a": M.StrictModeMultivector(max_vectors=3)},
        sparse_config={"s": M.StrictModeSparse(max_length=3)},
    )
    metadata = {"x": {"y": [1, 2.0, None]}, "z": "q"}
    client.create_collection(
        NAME,
        vectors_config=VECTORS,
        sparse_vectors_config=SPARSE,
        shard_number=3,
        sharding_method=M.ShardingMethod.AUTO,
        replication_factor=2,
        write_consistency_factor=2,
        on_disk_payload=False,
        hnsw_config=M.HnswConfigDiff(m=8),
        optimizers_config=M.OptimizersConfigDiff(deleted_threshold=0.5, memmap_threshold=9, max_optimization_threads=2),
        wal_config=M.WalConfigDiff(wal_capacity_mb=5),
        quantization_config=M.ScalarQuantization(scalar=M.ScalarQuantizationConfig(type=M.ScalarType.INT8)),
        strict_mode_config=strict,
        metadata=metadata,
    )
    config = client.get_collection(NAME).config
    params = config.params
    assert (params.vectors, params.sparse_vectors) == (VECTORS, SPARSE)
    assert (params.shard_number, params.replication_factor, params.write_consistency_factor) == (3, 2, 2)
    assert (params.sharding_method, params.on_disk_payload) == (M.ShardingMethod.AUTO, False)
    assert config.hnsw_config == M.HnswConfig(
        m=8, ef_construct=100, full_scan_threshold=10000, max_indexing_threads=0, on_disk=False
    )
    assert config.optimizer_config == M.OptimizersConfig(
        deleted_threshold=0.5,
        vacuum_min_vector_number=1000,
        default_segment_number=0,
        memmap_threshold=9,
        indexing_threshold=10000,
        flush_interval_sec=5,
        max_optimization_threads=2,
    )
    assert config.wal_config == M.WalConfig(wal_capacity_mb=5, wal_segments_ahead=0, wal_retain_closed=1)
    assert config.quantization_config == M.ScalarQuantization(scalar=M.ScalarQuantizationConfig(type=M.ScalarType.INT8))
    assert config.strict_mode_config is not None
    assert config.strict_mode_config.model_dump(exclude_none=True) == strict.model_dump(exclude_none=True)
    assert config.metadata == metadata


def test_updates_keep_what_they_do_not_name(client: QdrantClient) -> None:
    scalar = M.ScalarQuantization(scalar=M.ScalarQuantizationConfig(type=M.ScalarType.INT8))
    params = M.VectorParams(
        size=2, distance=M.Distance.DOT, hnsw_config=M.HnswConfigDiff(m=4, payload_m=8), quantization_config=scalar
    )
    sparse = M.SparseVectorParams(index=M.SparseIndexParams(on_disk=True), modifier=M.Modifier.IDF)
    client.create_collection(
        NAME,
        vectors_config=params,
        sparse_vectors_config={"s": sparse},
        quantization_config=scalar,
        strict_mode_config=M.StrictModeConfig(enabled=False, max_timeout=3),
        metadata={"a": 1, "b": {"c": 2}},
    )
    client.update_collection(
        NAME,
        vectors_config={"": M.VectorParamsDiff(hnsw_config=M.HnswConfigDiff(m=5), on_disk=True)},
        sparse_vectors_config={"s": M.SparseVectorParams(index=M.SparseIndexParams(full_scan_threshold=9))},
        hnsw_config=M.HnswConfigDiff(ef_construct=77),
        optimizers_config=M.OptimizersConfigDiff(indexing_threshold=0),
        collection_params=M.CollectionParamsDiff(replication_factor=4, read_fan_out_factor=2),
        quantization_config=M.Disabled.DISABLED,
        strict_mode_config=M.StrictModeConfig(max_query_limit=9),
        metadata={"a": None, "b": {"d": 3}},
    )
    config = client.get_collection(NAME).config
    hnsw = M.HnswConfigDiff(m=5, payload_m=8)
    assert config.params.vectors == params.model_copy(update={"hnsw_config": hnsw, "on_disk": True})
    index = M.SparseIndexParams(on_disk=True, full_scan_threshold=9)
    assert config.params.sparse_vectors == {"s": M.SparseVectorParams(index=index, modifier=M.Modifier.IDF)}
    assert (config.params.replication_factor, config.params.write_consistency_factor) == (4, 1)
    assert (config.hnsw_config.m, config.hnsw_config.ef_construct) == (16, 77)
    assert (config.optimizer_config.indexing_threshold, config.optimizer_config.deleted_threshold) == (0, 0.2)
    assert config.quantization_config is None
    assert config.strict_mode_config is not None
    assert (config.strict_mode_config.max_timeout, config.strict_mode_config.max_query_limit) == (3, 9)
    assert config.metadata == {"b": {"d": 3}}


def test_unnamed_vector_is_named_once_there_is_another(client: QdrantClient) -> None:
    params = M.VectorParams(size=2, distance=M.Distance.DOT)
    client.create_collection(NAME, vectors_config=params)
    client.upsert(NAME, [M.PointStruct(id=1, vector=[1.0, 2.0])])
    dense = M.DenseVectorConfig(size=3, distance=M.Distance.COSINE)
    client.create_vector_name(NAME, "n", M.DenseVectorNameConfig(dense=dense))
    client.create_vector_name(NAME, "n", M.DenseVectorNameConfig(dense=dense))
    client.create_vector_name(NAME, "s", M.SparseVectorNameConfig(sparse=M.SparseVectorConfig()))
    added = M.VectorParams(size=3, distance=M.Distance.COSINE)
    assert client.get_collection(NAME).config.params.vectors == {"": params, "n": added}
    client.upsert(NAME, [M.PointStruct(id=2, vector={"n": [1.0, 0.0, 0.0]})])
    assert [point.vector for point in client.retrieve(NAME, [1, 2], with_vectors=True)] == [
        [1.0, 2.0],
        {"n": [1.0, 0.0, 0.0]},
    ]
    client.delete_vector_name(NAME, "n")
    client.delete_vector_name(NAME, "unknown")
    client.create_vector_name(NAME, "n", M.DenseVectorNameConfig(dense=dense))
    has = M.Filter(must=[M.HasVectorCondition(has_vector="n")])
    assert client.count(NAME, has).count == 0


def test_collection_outlives_its_only_vector(client: QdrantClient) -> None:
    client.create_collection(NAME, vectors_config=M.VectorParams(size=2, distance=M.Distance.DOT))
    client.upsert(NAME, [M.PointStruct(id=1, vector=[1.0, 2.0], payload={"k": 1})])
    client.delete_vector_name(NAME, "")
    assert client.get_collection(NAME).config.params.vectors == {}
    (left,) = client.scroll(NAME, with_vectors=True)[0]
    assert (left.payload, left.vector) == ({"k": 1}, {})
    client.upsert(NAME, [M.PointStruct(id=2, vector={})])
    assert client.count(NAME).count == 2


def test_aliases_are_names(client: QdrantClient) -> None:
    for name in ("one", "two"):
        client.create_collection(name, vectors_config={})

    def create(collection: str, alias: str) -> M.CreateAliasOperation:
        return M.CreateAliasOperation(create_alias=M.CreateAlias(collection_name=collection, alias_name=alias))

    rename = M.RenameAliasOperation(rename_alias=M.RenameAlias(old_alias_name="b", new_alias_name="c"))
    client.update_collection_aliases([create("one", "a"), create("one", "b"), create("two", "a"), rename])
    assert [(each.alias_name, each.collection_name) for each in client.get_aliases().aliases] == [
        ("a", "two"),
        ("c", "one"),
    ]
    client.upsert("a", [M.PointStruct(id=1, vector={})])
    assert (client.count("two").count, client.count("c").count) == (1, 0)
    assert client.collection_exists("c")
    assert not client.delete_collection("c")
    with pytest.raises(grpc.RpcError):
        client.update_collection_aliases([create("one", "z"), create("nowhere", "y")])
    assert [each.alias_name for each in client.get_collection_aliases("one").aliases] == ["c"]
    client.delete_collection("one")
    assert [each.alias_name for each in client.get_aliases().aliases] == ["a"]
    assert not client.collection_exists("c")


def test_settings_without_effect_are_warned_of(client: QdrantClient) -> None:
    """Which ones, and the words, were read from Qdrant."""
    inline, quantized = M.HnswConfigDiff(inline_storage=True), M.BinaryQuantization(binary=M.BinaryQuantizationConfig())
    plain = M.VectorParams(size=2, distance=M.Distance.DOT)
    vectors = {
        "a": plain,
        "b": plain.model_copy(update={"quantization_config": quantized}),
        "c": plain.model_copy(update={"hnsw_config": M.HnswConfigDiff(inline_storage=False)}),
        "d": plain.model_copy(
            update={"multivector_config": M.MultiVectorConfig(comparator=M.MultiVectorComparator.MAX_SIM)}
        ),
    }
    client.create_collection("warned", vectors_config=vectors, hnsw_config=inline)
    option = "The `hnsw_config.inline_storage` option for vector "
    single = f"{option}'a' requires quantization to be enabled. This option will be ignored."
    several = f"{option}'d' is not compatible with multivectors. This option will be ignored."
    told = client.get_collection("warned").warnings
    assert {each.message for each in told or ()} == {single, several}
    client.update_collection("warned", quantization_config=quantized)
    told = client.get_collection("warned").warnings
    assert {each.message for each in told or ()} == {several}
    client.update_collection("warned", hnsw_config=M.HnswConfigDiff(inline_storage=False))
    assert not client.get_collection("warned").warnings
    client.delete_collection("warned")
