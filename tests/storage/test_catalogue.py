"""Names of collections and aliases."""

import time
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from qdrantlite.errors import AlreadyExists, BadInput, Corrupted, NotFound
from qdrantlite.storage import file_names
from qdrantlite.storage.catalogue import Catalogue, CollectionRecord
from qdrantlite.storage.files import PosixFiles
from qdrantlite.storage.point_store import PointStore, create_store
from qdrantlite.values.record import CreateAlias, DeleteAlias, RenameAlias

FILES = PosixFiles()


def _record(name: str) -> CollectionRecord:
    return CollectionRecord(name, uuid4(), '{"a": 1}', 12.5)


def _open(folder: Path) -> Catalogue:
    return Catalogue(file_names.catalogue(folder), files=FILES)


def test_what_was_created_is_there_after_reopening(tmp_path: Path) -> None:
    catalogue = _open(tmp_path)
    b, a = _record("b"), _record("a ü/`")
    catalogue.create_collection(b)
    catalogue.create_collection(a)
    catalogue.update_config("b", "{}")
    catalogue.change_aliases([CreateAlias("x", "b")])
    catalogue.close()
    catalogue = _open(tmp_path)
    assert catalogue.collections() == (a, replace(b, config="{}"))
    assert catalogue.aliases() == {"x": "b"}
    catalogue.close()


def test_names_are_unique_among_collections_and_aliases(tmp_path: Path) -> None:
    catalogue = _open(tmp_path)
    catalogue.create_collection(_record("a"))
    with pytest.raises(AlreadyExists, match="Collection `a` already exists!"):
        catalogue.create_collection(_record("a"))
    catalogue.change_aliases([CreateAlias("x", "a")])
    with pytest.raises(BadInput):
        catalogue.create_collection(_record("x"))
    with pytest.raises(AlreadyExists):
        catalogue.change_aliases([CreateAlias("a", "a")])
    with pytest.raises(NotFound):
        catalogue.update_config("none", "{}")
    catalogue.close()


def test_alias_changes_apply_in_order_and_all_or_none(tmp_path: Path) -> None:
    catalogue = _open(tmp_path)
    catalogue.create_collection(_record("a"))
    catalogue.create_collection(_record("b"))
    catalogue.change_aliases([CreateAlias("x", "a"), RenameAlias("x", "y"), CreateAlias("x", "b"), DeleteAlias("no")])
    assert catalogue.aliases() == {"x": "b", "y": "a"}
    with pytest.raises(NotFound, match="Alias no does not exists!"):
        catalogue.change_aliases([DeleteAlias("x"), RenameAlias("no", "z")])
    with pytest.raises(NotFound, match="Collection `no` doesn't exist!"):
        catalogue.change_aliases([DeleteAlias("x"), CreateAlias("z", "no")])
    assert catalogue.aliases() == {"x": "b", "y": "a"}
    catalogue.close()


def test_deleting_a_collection_takes_its_aliases(tmp_path: Path) -> None:
    catalogue = _open(tmp_path)
    catalogue.create_collection(_record("a"))
    catalogue.create_collection(_record("b"))
    catalogue.change_aliases([CreateAlias("x", "a"), CreateAlias("y", "b")])
    assert catalogue.delete_collection("a")
    assert not catalogue.delete_collection("a")
    assert catalogue.aliases() == {"y": "b"}
    assert [record.name for record in catalogue.collections()] == ["b"]
    catalogue.close()


@pytest.mark.parametrize("damage", [b"not a database at all" * 400, b""])
def test_damaged_catalogue_is_refused_in_clear_words(tmp_path: Path, damage: bytes) -> None:
    path = file_names.catalogue(tmp_path)
    path.write_bytes(damage)
    with pytest.raises(Corrupted, match=r"is damaged.*catalogue\.sqlite3"):
        _open(tmp_path)


def test_create_and_delete_of_a_collection_on_disk_is_quick(tmp_path: Path) -> None:
    catalogue = _open(tmp_path)
    FILES.make_directory(file_names.collections(tmp_path))
    times = []
    for _ in range(5):
        started = time.perf_counter()
        record = _record("a")
        folder = file_names.collection(tmp_path, record.uuid)
        FILES.make_directory(folder)
        create_store(file_names.points(folder), files=FILES)
        FILES.sync_directory(folder.parent)
        catalogue.create_collection(record)
        store = PointStore(file_names.points(folder), files=FILES)
        catalogue.delete_collection("a")
        store.close()
        FILES.remove_tree(folder)
        times.append(time.perf_counter() - started)
    catalogue.close()
    assert min(times) < 0.1
