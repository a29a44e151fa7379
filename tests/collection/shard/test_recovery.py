"""A collection opens as its last commit left it, whatever state its derived file is in."""

import shutil
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from qdrantlite.collection.shard import checkpoint as checkpoint_module
from qdrantlite.collection.shard import recovery
from qdrantlite.database import Database
from qdrantlite.errors import StorageFailed
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.filter import Filter, HasVector
from qdrantlite.storage import checkpoint as derived_files
from qdrantlite.storage import file_names
from qdrantlite.storage.checkpoint import read_derived, write_derived
from qdrantlite.storage.files import PosixFiles
from qdrantlite.storage.store_reader import StoreReader
from qdrantlite.values.distance import Distance
from qdrantlite.values.schema import FieldIndex, FieldKind, SparseVectorParams, VectorParams
from tests.collection.compacted import untended
from tests.collection.small import (
    INTEGER,
    KEYWORD,
    NAME,
    answers,
    checkpoint,
    collection_of,
    color,
    contents,
    copied,
    dense,
    found,
    ids,
    multi,
    nearest,
    opened,
    passing,
    point,
    size,
    sparse,
    upsert,
    where,
    write,
)

CONDITIONS = (color("red"), color("green"), size(1), size(9), HasVector(""), HasVector("many"), HasVector("words"))


def indexed(folder: Path) -> Database:
    """Ten points and two indexes."""
    database = opened(folder)
    database.alter(NAME, o.CreateFieldIndex("color", KEYWORD))
    database.alter(NAME, o.CreateFieldIndex("size", INTEGER))
    write(database, upsert(*(point(n, color="red" if n % 2 else "green", size=n % 3) for n in range(10))))
    return database


def change(database: Database) -> None:
    """Touches points of every fate."""
    write(database, upsert(point(1, color="green", size=9), point(20, color="red"), point(21, size=1)))
    write(database, o.DeletePoints(ids(2, 20)), o.DeleteVectors(ids(3), ("", "words")))
    write(database, o.SetPayload({"color": "green"}, ids(5)), o.ClearPayload(ids(7)))
    write(database, o.UpdateVectors((o.VectorsWrite(4, {"words": sparse(i7=3), "many": multi((5, 5))}),)))
    write(database, o.DeleteVectors(ids(6), ("many",)))


def checkpoint_file(database: Database) -> Path:
    return file_names.derived(collection_of(database).shard.folder) / checkpoint_module.MANIFEST


def rebuilt(folder: Path, target: Path) -> tuple[list[object], list[object]]:
    """Contents and answers of a closed database's copy that has no derived files."""
    shutil.copytree(folder, target)
    for path in file_names.collections(target).iterdir():
        shutil.rmtree(file_names.derived(path))
    with Database(target) as database:
        return [*contents(database)], answers(database, CONDITIONS)


@pytest.mark.parametrize("fate", ["closed", "killed", "killed after a checkpoint", "killed before any checkpoint"])
def test_everything_is_as_before(tmp_path: Path, fate: str) -> None:
    database = indexed(tmp_path / "before")
    if fate != "killed before any checkpoint":
        checkpoint(database)
    change(database)
    if fate == "killed after a checkpoint":
        checkpoint(database)
    expected = [*contents(database)], answers(database, CONDITIONS)
    if fate == "closed":
        database.close()
        database = Database(tmp_path / "before")
        assert ([*contents(database)], answers(database, CONDITIONS)) == expected
        database.close()
        shutil.copytree(tmp_path / "before", tmp_path / "after")
    else:
        database = copied(database, tmp_path / "before", tmp_path / "after")
        assert ([*contents(database)], answers(database, CONDITIONS)) == expected
        change(database)
        expected = [*contents(database)], answers(database, CONDITIONS)
        database.close()
    assert rebuilt(tmp_path / "after", tmp_path / "rebuilt") == expected


def test_only_what_was_touched_after_the_checkpoint_is_read_again(tmp_path: Path) -> None:
    database = indexed(tmp_path / "before")
    checkpoint(database)
    change(database)
    database.close()
    with patch.object(recovery, "_payload_chunks", side_effect=recovery._payload_chunks) as chunks:
        database = Database(tmp_path / "before")
        assert database.count(NAME, None) == 10
        starts = {call.args[1] for call in chunks.call_args_list}
    rows = collection_of(database).shard.state.rows
    database.close()
    assert starts == {rows}


def test_changed_points_are_read_again_by_key(tmp_path: Path) -> None:
    database = indexed(tmp_path / "before")
    checkpoint(database)
    write(database, o.SetPayload({"color": "blue"}, ids(3, 4)))
    read: list[int] = []
    payloads = StoreReader.payloads

    def noted(reader: StoreReader, offsets: "np.ndarray[tuple[int], np.dtype[np.uint32]]") -> list[bytes | None]:
        read.extend(offsets.tolist())
        return payloads(reader, offsets)

    with patch.object(StoreReader, "payloads", noted):
        database = copied(database, tmp_path / "before", tmp_path / "after")
        assert passing(database, color("blue")) == [3, 4]
    database.close()
    assert sorted(set(read)) == [3, 4]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


DAMAGES: list[Callable[[Path], object]] = [
    lambda path: path.unlink(),
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(path.read_bytes()[:-10]),
    lambda path: path.write_bytes(b"garbage" * 1000),
    _flip,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=["missing", "empty", "cut", "garbage", "flipped bit"])
def test_damaged_derived_file_is_as_good_as_none(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    database = indexed(tmp_path)
    change(database)
    expected, path = (contents(database), answers(database, CONDITIONS)), checkpoint_file(database)
    database.close()
    damage(path)
    with Database(tmp_path) as again:
        assert (contents(again), answers(again, CONDITIONS)) == expected


@pytest.mark.parametrize(
    "dropped",
    [
        "live",
        "rows",
        "fields",
        "vector/0/present",
        "segments",
        "field/0/0/words",
        "field/1/0/forgotten",
        "postings/2/0/weights",
    ],
)
def test_derived_file_that_lacks_a_part_is_as_good_as_none(tmp_path: Path, dropped: str) -> None:
    database = indexed(tmp_path)
    change(database)
    expected, path = (contents(database), answers(database, CONDITIONS)), checkpoint_file(database)
    database.close()
    derived = read_derived(path, format_version=checkpoint_module.FORMAT_VERSION, files=PosixFiles())
    assert derived is not None
    assert dropped in derived.parts
    parts = [(name, part) for name, part in derived.parts.items() if name != dropped]
    version = checkpoint_module.FORMAT_VERSION
    write_derived(path, format_version=version, covers_seq=derived.covers_seq, parts=parts, files=PosixFiles())
    with Database(tmp_path) as again:
        assert (contents(again), answers(again, CONDITIONS)) == expected


def test_derived_file_older_than_the_log_is_not_used(tmp_path: Path) -> None:
    database = indexed(tmp_path)
    path = checkpoint_file(database)
    checkpoint(database)
    old = path.read_bytes()
    for _ in range(2):
        change(database)
        checkpoint(database)
    expected = contents(database), answers(database, CONDITIONS)
    database.close()
    path.write_bytes(old)
    with Database(tmp_path) as again:
        assert (contents(again), answers(again, CONDITIONS)) == expected


def test_derived_file_newer_than_the_store_is_not_used(tmp_path: Path) -> None:
    database = indexed(tmp_path / "now")
    expected = contents(database), answers(database, CONDITIONS)
    shutil.copytree(tmp_path / "now", tmp_path / "then", ignore=shutil.ignore_patterns("*-shm"))
    change(database)
    checkpoint(database)
    newer, folder = checkpoint_file(database), collection_of(database).shard.folder.name
    shutil.copy(newer, file_names.derived(file_names.collections(tmp_path / "then") / folder))
    database.close()
    with Database(tmp_path / "then") as then:
        assert (contents(then), answers(then, CONDITIONS)) == expected


def test_writes_are_durable_before_a_derived_file_tells_of_them(tmp_path: Path) -> None:
    database = indexed(tmp_path)
    database.write(NAME, (upsert(point(99)),), wait=False)
    shard = collection_of(database).shard
    with (
        patch.object(shard.store._wal, "_sync_file", side_effect=shard.store._wal._sync_file) as sync,
        patch.object(checkpoint_module, "write_derived", side_effect=AssertionError("stop here")),
        pytest.raises(AssertionError, match="stop here"),
    ):
        checkpoint_module.write_checkpoint(shard)
    assert sync.called
    database.close()


@pytest.mark.parametrize(
    "params",
    [
        VectorParams(2, Distance.DOT),
        VectorParams(2, Distance.DOT, multivector=True),
        SparseVectorParams(),
    ],
    ids=["dense", "multi", "sparse"],
)
def test_vector_made_after_the_checkpoint_is_read_once(
    tmp_path: Path, params: VectorParams | SparseVectorParams
) -> None:
    database = indexed(tmp_path / "before")
    checkpoint(database)
    database.alter(NAME, o.CreateVectorName("late", params))
    vector = sparse(i1=1) if isinstance(params, SparseVectorParams) else dense(3, 1)
    write(database, upsert(point(50, {"late": vector}), point(51, {"late": vector})))
    write(database, o.UpdateVectors((o.VectorsWrite(1, {"late": vector}),)), o.DeletePoints(ids(51)))
    expected = [(hit.record.id, hit.score) for hit in database.search(NAME, nearest(vector, "late"))]
    assert [point_id for point_id, _ in expected] == [1, 50]
    database = copied(database, tmp_path / "before", tmp_path / "after")
    assert [(hit.record.id, hit.score) for hit in database.search(NAME, nearest(vector, "late"))] == expected
    database.close()


def test_vector_dropped_and_made_again_starts_empty(tmp_path: Path) -> None:
    database = indexed(tmp_path / "before")
    checkpoint(database)
    made: dict[str, VectorParams | SparseVectorParams] = {
        "": VectorParams(2, Distance.EUCLID),
        "words": SparseVectorParams(),
    }
    for name, params in made.items():
        database.alter(NAME, o.DeleteVectorName(name))
        assert name not in (database.retrieve(NAME, (1,), s.ALL_PAYLOAD, s.ALL_VECTORS)[0].vectors or {})
        database.alter(NAME, o.CreateVectorName(name, params))
    write(database, o.UpdateVectors((o.VectorsWrite(2, {"": dense(1, 1), "words": sparse(i5=1)}),)))
    for life in ("first", "second"):
        assert found(database, nearest(dense(0, 0))) == [2]
        assert found(database, nearest(sparse(i1=1, i5=1), "words")) == [2]
        assert passing(database, HasVector("")) == [2]
        if life == "first":
            database = copied(database, tmp_path / "before", tmp_path / "after")
    rows = sorted(path.name for path in file_names.rows(collection_of(database).shard.folder).iterdir())
    database.close()
    assert len(rows) == 2


def test_indexes_made_changed_and_dropped_after_the_checkpoint(tmp_path: Path) -> None:
    database = indexed(tmp_path / "before")
    checkpoint(database)
    write(database, upsert(point(30, color="red", size=1, flag=True)))
    database.alter(NAME, o.CreateFieldIndex("flag", FieldIndex(FieldKind.BOOL)))
    database.alter(NAME, o.CreateFieldIndex("size", FieldIndex(FieldKind.FLOAT)))
    database.alter(NAME, o.DeleteFieldIndex("color"))
    write(database, upsert(point(31, color="red", size=1, flag=True)), o.DeletePoints(where(size(0))))
    expected = contents(database), answers(database, CONDITIONS)
    schema = database.collection_info(NAME).payload_schema
    assert {key: (field.index.kind.value, field.points) for key, field in schema.items()} == {
        "flag": ("bool", 2),
        "size": ("float", 8),
    }
    database = copied(database, tmp_path / "before", tmp_path / "after")
    assert (contents(database), answers(database, CONDITIONS)) == expected
    database.close()


def test_index_made_on_full_collection_counts_its_points(tmp_path: Path) -> None:
    with indexed(tmp_path) as database:
        write(database, o.ClearPayload(ids(0)))
        fields = database.collection_info(NAME).payload_schema
        assert {key: field.points for key, field in fields.items()} == {"color": 9, "size": 9}
        database.alter(NAME, o.CreateFieldIndex("color", FieldIndex(FieldKind.BOOL)))
        assert database.collection_info(NAME).payload_schema["color"].points == 0
        assert passing(database, color("red")) == [1, 3, 5, 7, 9]


def test_folder_unknown_to_the_catalogue_is_removed(tmp_path: Path) -> None:
    indexed(tmp_path).close()
    stray = file_names.collections(tmp_path) / ("0" * 32)
    stray.mkdir()
    (stray / "half").write_bytes(b"made")
    with Database(tmp_path) as database:
        assert database.count(NAME, Filter()) == 10
    assert not stray.exists()


def test_maintenance_checkpoints_an_idle_collection(tmp_path: Path) -> None:
    with indexed(tmp_path) as database:
        collection, path = collection_of(database), checkpoint_file(database)
        collection.maintain(idle=False)
        assert not path.exists()
        full = StorageFailed("full")
        with patch.object(checkpoint_module, "write_derived", side_effect=full):
            collection.maintain(idle=True)
        assert not path.exists()
        assert collection.info().optimizer_error == "Service internal error: full"
        collection.maintain(idle=True)
        assert not path.exists(), "a moment after a failure it is not tried again"
        collection._upkeep.succeeded()
        collection.maintain(idle=True)
        assert collection.info().optimizer_error is None
        assert path.exists()
        assert collection.shard.store.wal_bytes() == 0
        written = path.stat().st_mtime_ns
        collection.maintain(idle=True)
        assert path.stat().st_mtime_ns == written
    assert (
        derived_files.read_derived(path, format_version=checkpoint_module.FORMAT_VERSION, files=PosixFiles())
        is not None
    )


@pytest.mark.parametrize("lost", ["all", "a segment", "the tail"])
def test_what_opening_had_to_read_is_written_once_it_is_idle(tmp_path: Path, lost: str) -> None:
    with untended(), patch.object(checkpoint_module, "INLINE_ENTRIES_MAX", 2):
        database = indexed(tmp_path / "before")
        checkpoint(database)
        if lost == "the tail":
            write(database, upsert(point(20, color="red", size=1)))
        shutil.copytree(tmp_path / "before", tmp_path / "after", ignore=shutil.ignore_patterns("*-shm"))
        expected = contents(database), answers(database, CONDITIONS)
        derived = checkpoint_file(database).parent.relative_to(tmp_path / "before")
        database.close()
        if lost == "all":
            shutil.rmtree(tmp_path / "after" / derived)
        elif lost == "a segment":
            next((tmp_path / "after" / derived).glob("*.segment")).unlink()
        with Database(tmp_path / "after") as again:
            assert (contents(again), answers(again, CONDITIONS)) == expected
            collection_of(again).maintain(idle=True)
            assert collection_of(again).shard.changed_since_checkpoint == 0
            files = sorted(path.name for path in (tmp_path / "after" / derived).iterdir())
        with Database(tmp_path / "after") as third:
            assert (contents(third), answers(third, CONDITIONS)) == expected
            assert collection_of(third).shard.changed_since_checkpoint == 0
        assert sorted(path.name for path in (tmp_path / "after" / derived).iterdir()) == files
