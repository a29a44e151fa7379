"""How settings change: what is given counts, what is not stays."""

from dataclasses import replace
from pathlib import Path

import pytest

from qdrantlite.collection.write.settings import updated, with_vector, without_vector
from qdrantlite.database import Database
from qdrantlite.errors import BadInput
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.schema import (
    HNSW_DEFAULT,
    OPTIMIZERS_DEFAULT,
    CollectionConfig,
    CollectionUpdate,
    HnswConfig,
    Memory,
    Modifier,
    OptimizersConfig,
    QuantizationDisabled,
    ScalarQuantization,
    SparseIndexConfig,
    SparseVectorParams,
    StrictMode,
    VectorParams,
    VectorParamsDiff,
)
from tests.collection.small import CONFIG, NAME, found, nearest, opened, point, sparse, upsert, write

BASE = replace(CONFIG, metadata={"a": 1, "b": {"c": 2}}, strict_mode_config=StrictMode(enabled=True))


def test_empty_change_changes_nothing() -> None:
    assert updated(BASE, CollectionUpdate()) == BASE


def test_parts_are_merged_field_by_field() -> None:
    update = CollectionUpdate(
        hnsw_config=HnswConfig(m=4),
        optimizer_config=OptimizersConfig(deleted_threshold=0.5),
        strict_mode_config=StrictMode(max_query_limit=7),
        replication_factor=2,
        on_disk_payload=False,
        payload_memory=Memory.COLD,
        metadata={"a": None, "d": 4},
    )
    after = updated(BASE, update)
    assert after.hnsw_config == replace(HNSW_DEFAULT, m=4)
    assert after.optimizer_config == replace(OPTIMIZERS_DEFAULT, deleted_threshold=0.5)
    assert after.strict_mode_config == StrictMode(enabled=True, max_query_limit=7)
    assert (after.replication_factor, after.write_consistency_factor, after.on_disk_payload) == (2, 1, False)
    assert after.payload_memory is Memory.COLD
    assert after.metadata == {"b": {"c": 2}, "d": 4}
    assert after.vectors == BASE.vectors


def test_quantization_is_replaced_or_taken_away() -> None:
    scalar = ScalarQuantization(quantile=0.9)
    given = updated(BASE, CollectionUpdate(quantization_config=scalar))
    assert given.quantization_config == scalar
    assert updated(given, CollectionUpdate(replication_factor=2)).quantization_config == scalar
    assert updated(given, CollectionUpdate(quantization_config=QuantizationDisabled())).quantization_config is None


def test_vectors_are_merged_by_name() -> None:
    scalar = ScalarQuantization(always_ram=True)
    first = VectorParamsDiff(hnsw_config=HnswConfig(m=4), quantization_config=scalar, on_disk=True)
    once = updated(BASE, CollectionUpdate(vectors={"": first}))
    twice = updated(once, CollectionUpdate(vectors={"": VectorParamsDiff(hnsw_config=HnswConfig(ef_construct=9))}))
    expected = VectorParams(
        2, Distance.DOT, hnsw_config=HnswConfig(m=4, ef_construct=9), quantization_config=scalar, on_disk=True
    )
    assert twice.vectors == {**BASE.vectors, "": expected}
    gone = VectorParamsDiff(quantization_config=QuantizationDisabled(), memory=Memory.CACHED)
    last = updated(twice, CollectionUpdate(vectors={"": gone})).vectors[""]
    assert last == replace(expected, quantization_config=None, memory=Memory.CACHED)


def test_sparse_vectors_are_merged_by_name() -> None:
    first = SparseVectorParams(SparseIndexConfig(full_scan_threshold=5, on_disk=True), Modifier.IDF)
    once = updated(BASE, CollectionUpdate(sparse_vectors={"words": first}))
    second = SparseVectorParams(SparseIndexConfig(on_disk=False, datatype=Datatype.UINT8))
    twice = updated(once, CollectionUpdate(sparse_vectors={"words": second}))
    index = SparseIndexConfig(full_scan_threshold=5, on_disk=False, datatype=Datatype.UINT8)
    assert twice.sparse_vectors == {"words": SparseVectorParams(index, Modifier.IDF)}


@pytest.mark.parametrize(
    "update",
    [
        CollectionUpdate(vectors={"words": VectorParamsDiff()}),
        CollectionUpdate(vectors={"nobody": VectorParamsDiff()}),
        CollectionUpdate(sparse_vectors={"": SparseVectorParams()}),
    ],
)
def test_unknown_vector_is_refused(update: CollectionUpdate) -> None:
    with pytest.raises(BadInput, match="Not existing vector name error"):
        updated(BASE, update)


def test_vector_is_added_once_and_in_one_form() -> None:
    params = VectorParams(3, Distance.EUCLID)
    after = with_vector(CollectionConfig(vectors={"": VectorParams(2, Distance.DOT)}, unnamed_only=True), "x", params)
    assert after is not None
    assert (list(after.vectors), after.unnamed_only) == (["", "x"], False)
    assert with_vector(after, "x", params) is None
    for other in (VectorParams(4, Distance.EUCLID), SparseVectorParams()):
        with pytest.raises(BadInput, match="already exists with a different configuration"):
            with_vector(after, "x", other)


def test_vector_is_taken_away_from_where_it_is() -> None:
    assert without_vector(BASE, "nobody") is None
    dense_gone, sparse_gone = without_vector(BASE, ""), without_vector(BASE, "words")
    assert dense_gone is not None
    assert (list(dense_gone.vectors), list(dense_gone.sparse_vectors)) == (["many"], ["words"])
    assert sparse_gone is not None
    assert (list(sparse_gone.vectors), list(sparse_gone.sparse_vectors)) == (["", "many"], [])


def test_changed_settings_hold_at_once_and_after_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        write(database, upsert(*(point(number, {"words": sparse(i1=1, i2=number)}) for number in (1, 2, 3))))
        plain = database.search(NAME, nearest(sparse(i1=1), "words"))[0].score
        change = CollectionUpdate(
            sparse_vectors={"words": SparseVectorParams(modifier=Modifier.IDF)}, metadata={"a": 1}
        )
        assert database.update_collection(NAME, change)
        weighted = database.search(NAME, nearest(sparse(i1=1), "words"))[0].score
        assert (plain, weighted < 0.2) == (1.0, True)
        with pytest.raises(BadInput):
            database.update_collection(NAME, CollectionUpdate(vectors={"nobody": VectorParamsDiff()}))
        write(database, upsert(point(4)))
        config = database.collection_info(NAME).config
    with Database(tmp_path) as again:
        assert again.collection_info(NAME).config == config
        assert config.metadata == {"a": 1}
        assert again.search(NAME, nearest(sparse(i1=1), "words", 9))[-1].score < 0.2
        assert len(found(again, nearest(sparse(i1=1), "words"))) == 4
