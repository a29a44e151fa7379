"""Names, aliases and the folder."""

from pathlib import Path
from threading import Barrier, Event, Thread
from time import sleep
from typing import Any
from unittest.mock import patch

import pytest

from qdrantlite.collection.collection import Collection
from qdrantlite.database import Database
from qdrantlite.errors import AlreadyExists, BadInput, Locked, NotFound
from qdrantlite.query.operation import CreateFieldIndex
from qdrantlite.storage import file_names
from qdrantlite.values.record import CollectionStatus, CreateAlias, DeleteAlias, RenameAlias
from qdrantlite.values.schema import CollectionConfig
from tests.collection.small import CONFIG, INTEGER, NAME, dense, found, nearest, opened, passing, point, upsert, write


def test_collection_is_made_once_listed_and_dropped(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        assert database.list_collections() == ()
        assert database.create_collection("b", CONFIG)
        assert database.create_collection("a", CollectionConfig())
        with pytest.raises(AlreadyExists, match="Collection `a` already exists!"):
            database.create_collection("a", CONFIG)
        assert database.list_collections() == ("a", "b")
        assert (database.collection_exists("a"), database.collection_exists("c")) == (True, False)
        assert database.delete_collection("a")
        assert not database.delete_collection("a")
        assert database.list_collections() == ("b",)
        assert len(list(file_names.collections(tmp_path).iterdir())) == 1
        with pytest.raises(NotFound, match="Collection `a` doesn't exist!"):
            database.collection_info("a")


def test_name_that_is_given_up_and_taken_again_is_empty(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        write(database, upsert(point(1)))
        database.delete_collection(NAME)
        database.create_collection(NAME, CONFIG)
        assert database.count(NAME, None) == 0
        assert write(database, upsert(point(2))) == (1,)
    with Database(tmp_path) as database:
        assert passing(database) == [2]


def test_info_tells_settings_and_counts(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        database.alter(NAME, CreateFieldIndex("size", INTEGER))
        write(database, upsert(point(1, size=1), point(2)))
        info = database.collection_info(NAME)
        assert (info.status, info.points_count, info.config) == (CollectionStatus.GREEN, 2, CONFIG)
        assert {key: (field.index, field.points) for key, field in info.payload_schema.items()} == {
            "size": (INTEGER, 1)
        }
        assert database.cluster_info(NAME).shard_points == (2,)


def test_alias_stands_for_its_collection_everywhere_but_in_deletion(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        assert database.update_aliases((CreateAlias("alias", NAME),))
        database.write("alias", (upsert(point(1)),), wait=True)
        assert found(database, nearest(dense(1, 1)), "alias") == [1]
        assert database.count("alias", None) == database.collection_info("alias").points_count == 1
        assert database.collection_exists("alias")
        assert database.collection_aliases("alias") == (("alias", NAME),)
        assert not database.delete_collection("alias")
        with pytest.raises(BadInput, match="Alias with the same name already exists"):
            database.create_collection("alias", CONFIG)
    with Database(tmp_path) as database:
        assert database.aliases() == (("alias", NAME),)
        assert database.delete_collection(NAME)
        assert database.aliases() == ()
        with pytest.raises(NotFound):
            database.count("alias", None)


def test_alias_actions_of_one_request_are_applied_in_order_all_or_none(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        database.create_collection("next", CONFIG)
        database.update_aliases((CreateAlias("live", NAME), CreateAlias("old", NAME)))
        database.update_aliases((RenameAlias("live", "before"), CreateAlias("live", "next"), DeleteAlias("old")))
        assert database.aliases() == (("before", NAME), ("live", "next"))
        assert database.collection_aliases("next") == (("live", "next"),)
        for last in (RenameAlias("nobody", "x"), CreateAlias("x", "nowhere"), CreateAlias(NAME, "next")):
            with pytest.raises((NotFound, AlreadyExists)):
                database.update_aliases((DeleteAlias("live"), last))
            assert database.aliases() == (("before", NAME), ("live", "next"))


def test_collection_can_be_dropped_while_it_is_being_opened(tmp_path: Path) -> None:
    opened(tmp_path).close()
    begun, go_on, open_collection = Event(), Event(), Collection.open

    def slowly(*arguments: Any, **settings: Any) -> Collection:
        begun.set()
        assert go_on.wait(10)
        return open_collection(*arguments, **settings)

    with patch.object(Collection, "open", slowly), Database(tmp_path) as database:
        assert begun.wait(10)
        results = list[object]()
        dropping = Thread(target=lambda: results.append(database.delete_collection(NAME)))
        dropping.start()
        while database.list_collections():
            sleep(0.001)
        dropping.join(0.1)
        assert dropping.is_alive(), "its files are still in use"
        assert len(list(file_names.collections(tmp_path).iterdir())) == 1
        go_on.set()
        dropping.join()
        assert results == [True]
        assert list(file_names.collections(tmp_path).iterdir()) == []
        with pytest.raises(NotFound):
            database.count(NAME, None)


def test_folder_has_one_owner(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(Locked, match="in use by process"):
        Database(tmp_path)
    Database(tmp_path).close()


def test_closing_twice_is_no_error(tmp_path: Path) -> None:
    database = opened(tmp_path)
    database.close()
    database.close()


def test_one_of_many_creators_of_a_name_wins(tmp_path: Path) -> None:
    with Database(tmp_path) as database:
        barrier, results = Barrier(4), list[object]()

        def create() -> None:
            barrier.wait()
            try:
                results.append(database.create_collection(NAME, CONFIG))
            except AlreadyExists as error:
                results.append(error)

        threads = [Thread(target=create) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results.count(True) == 1
        assert database.list_collections() == (NAME,)
        assert len(list(file_names.collections(tmp_path).iterdir())) == 1
