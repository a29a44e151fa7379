"""Memory follows a commit, the store the catalogue: what fails between the two leaves one truth, and it is told."""

from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from qdrantlite.collection.collection import Collection
from qdrantlite.collection.shard.checkpoint import write_checkpoint
from qdrantlite.collection.shard.shard import Shard
from qdrantlite.database import Database
from qdrantlite.errors import NotFound, QdrantliteError, StorageFailed
from qdrantlite.query import operation as o
from qdrantlite.storage import file_names
from qdrantlite.storage.catalogue import Catalogue
from qdrantlite.values.distance import Distance
from qdrantlite.values.record import CollectionStatus, CreateAlias
from qdrantlite.values.schema import CollectionConfig, CollectionUpdate, OptimizersConfig, VectorParams
from tests.collection.compacted import compacted, folders, untended, worn
from tests.collection.small import (
    CONFIG,
    INTEGER,
    NAME,
    collection_of,
    contents,
    dense,
    ids,
    opened,
    passing,
    point,
    size,
    upsert,
    write,
)
from tests.raised import raised_by, raising, until

RED, GREEN = CollectionStatus.RED, CollectionStatus.GREEN


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with untended(), opened(tmp_path) as database:
        yield database


# -- between a commit and what follows it

FOLLOWING: dict[str, Callable[[Database], object]] = {
    "write": lambda database: write(database, upsert(point(2, size=1)), o.DeletePoints(ids(1))),
    "index": lambda database: database.alter(NAME, o.CreateFieldIndex("late", INTEGER)),
    "no index": lambda database: database.alter(NAME, o.DeleteFieldIndex("size")),
    "vector": lambda database: database.alter(NAME, o.CreateVectorName("late", VectorParams(2, Distance.DOT))),
    "no vector": lambda database: database.alter(NAME, o.DeleteVectorName("many")),
    "settings": lambda database: database.update_collection(
        NAME, CollectionUpdate(optimizer_config=OptimizersConfig(indexing_threshold=77))
    ),
}


def state(database: Database) -> object:
    info = database.collection_info(NAME)
    return contents(database), passing(database, size(1)), info.payload_schema, info.config, info.points_count


@pytest.mark.parametrize("change", FOLLOWING)
@pytest.mark.parametrize("broken", ["freeze", "absorb"])
def test_commit_that_memory_could_not_follow_is_a_commit(tmp_path: Path, change: str, broken: str) -> None:
    with untended(), opened(tmp_path / "a") as ours, opened(tmp_path / "b") as other:
        for database in (ours, other):
            database.alter(NAME, o.CreateFieldIndex("size", INTEGER))
            write(database, upsert(point(1, size=1)))
        if broken == "freeze" or change == "write":
            with patch.object(Shard, broken, side_effect=MemoryError):
                FOLLOWING[change](ours)
        else:
            FOLLOWING[change](ours)
        FOLLOWING[change](other)
        assert state(ours) == state(other)
        assert ours.collection_info(NAME).status is GREEN
        late = upsert(point(9, {"": dense(1, 2)}, size=1))
        assert write(ours, late) == write(other, late)
        assert state(ours) == state(other)
        assert not collection_of(ours).is_behind


def test_shard_that_is_behind_answers_nothing_and_writes_no_checkpoint(database: Database) -> None:
    write(database, upsert(point(1)))
    collection = collection_of(database)
    with patch.object(Shard, "absorb", side_effect=MemoryError):
        write(database, upsert(point(2)))
    collection.maintain(idle=True)
    write_checkpoint(collection.shard)
    assert not (file_names.derived(collection.shard.folder) / "state.ckpt").exists()
    assert passing(database) == [1, 2]
    assert collection_of(database) is not collection


def test_searches_of_a_shard_that_was_behind_are_known_to_the_next(database: Database) -> None:
    """They read the same files, so that nothing they may look at can be given back."""
    write(database, upsert(point(1)))
    first, second = collection_of(database).open_view(), collection_of(database).open_view()
    with patch.object(Shard, "absorb", side_effect=MemoryError):
        write(database, upsert(point(2)))
    with patch.object(Collection, "open", side_effect=MemoryError), pytest.raises(MemoryError):
        passing(database)
    database._find(NAME)._attempts.succeeded()
    assert collection_of(database).shard.is_read_by_former
    with patch.object(Shard, "absorb", side_effect=MemoryError):
        write(database, upsert(point(3)))
    first.close()
    assert collection_of(database).shard.is_read_by_former
    second.close()
    assert not collection_of(database).shard.is_read_by_former


def test_while_it_cannot_be_opened_again_every_request_says_so(database: Database) -> None:
    with patch.object(Shard, "absorb", side_effect=MemoryError):
        write(database, upsert(point(2)))
    with patch.object(Collection, "open", side_effect=MemoryError):
        for _ in range(2):
            assert isinstance(raised_by(lambda: write(database, upsert(point(3)))), MemoryError)
        info = database.collection_info(NAME)
        assert (info.status, info.optimizer_error) == (RED, "out of memory")
    database._find(NAME)._attempts.succeeded()
    assert passing(database) == [2]


def test_settings_that_could_not_be_saved_leave_no_vector_behind(database: Database) -> None:
    late = o.CreateVectorName("late", VectorParams(2, Distance.DOT))
    with patch.object(Catalogue, "update_config", side_effect=StorageFailed("full")), pytest.raises(StorageFailed):
        database.alter(NAME, late)
    assert database.collection_info(NAME).config == CONFIG
    with pytest.raises(QdrantliteError, match="late"):
        write(database, upsert(point(1, {"late": dense(1, 1)})))
    database.alter(NAME, late)
    write(database, upsert(point(1, {"late": dense(1, 1)})))


def test_vector_that_the_store_could_not_forget_is_gone_all_the_same(database: Database) -> None:
    write(database, upsert(point(1)))
    with patch("qdrantlite.storage.store_writer.StoreWriter.drop_vector", side_effect=StorageFailed("full")):
        raised_by(lambda: database.alter(NAME, o.DeleteVectorName("many")))
    assert "many" not in database.collection_info(NAME).config.vectors
    assert [set(record[2]) for record in contents(database)] == [{"", "words"}]  # type: ignore[call-overload]  # a dict


# -- the catalogue first


def test_failed_deletion_leaves_the_name_fully_usable(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        database.update_aliases((CreateAlias("alias", NAME),))
        write(database, upsert(point(1)))
        with patch.object(Catalogue, "delete_collection", side_effect=StorageFailed("no space left on the disk")):
            assert isinstance(raised_by(lambda: database.delete_collection(NAME)), StorageFailed)
        assert (database.list_collections(), database.aliases()) == ((NAME,), (("alias", NAME),))
        database.write("alias", (upsert(point(2)),), wait=True)
        assert passing(database) == [1, 2]
        assert database.delete_collection(NAME)
        assert (database.list_collections(), database.aliases(), folders(tmp_path)) == ((), (), [])
        database.create_collection(NAME, CONFIG)


def test_failed_creation_leaves_the_name_free_and_the_next_start_clean(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        for method in ("create_collection",):
            with patch.object(Catalogue, method, side_effect=StorageFailed("full")):
                assert isinstance(raised_by(lambda: database.create_collection(NAME, CONFIG)), StorageFailed)
        with patch.object(Collection, "create", side_effect=StorageFailed("full")):
            assert isinstance(raised_by(lambda: database.create_collection(NAME, CONFIG)), StorageFailed)
        database.create_collection(NAME, CONFIG)
        write(database, upsert(point(1)))
    with Database(tmp_path) as database:
        assert passing(database) == [1]
        until(lambda: len(folders(tmp_path)) == 1)


def test_settings_of_a_dropped_collection_are_not_saved_to_its_successor(database: Database) -> None:
    collection = collection_of(database)
    database.delete_collection(NAME)
    database.create_collection(NAME, CONFIG)
    with pytest.raises(NotFound):
        collection._save_config(CollectionConfig())
    assert database.collection_info(NAME).config == CONFIG


@pytest.mark.parametrize("broken", ["replace", "log"])
def test_whatever_fails_after_a_takeover_nobody_cleans_up_the_folder_in_force(tmp_path: Path, broken: str) -> None:
    with untended():
        with worn(tmp_path) as database:
            before = contents(database)
            place = "active.ActiveShard.replace" if broken == "replace" else "compaction.logger.info"
            error = raising(MemoryError(), when="took over") if broken == "log" else raising(MemoryError())
            with patch(f"qdrantlite.collection.upkeep.{place}", error):
                compacted(database)
            assert contents(database) == before
            write(database, upsert(point(70)))
            expected = contents(database)
        with Database(tmp_path) as database:
            assert contents(database) == expected
            assert len(folders(tmp_path)) == 1
