"""A change of the schema happens whole or not at all, also when the disk refuses, and leaves the way free."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from qdrantlite.collection.shard.recovery import filled_index
from qdrantlite.collection.write import alteration
from qdrantlite.database import Database
from qdrantlite.errors import BadInput, StorageFailed
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.segment.payload_index.index import PayloadIndex
from qdrantlite.storage.store_writer import StoreWriter
from qdrantlite.storage.vector_file import VectorFile
from qdrantlite.values.distance import Distance
from qdrantlite.values.schema import FieldIndex, FieldKind, SparseVectorParams, VectorParams
from tests.collection.small import (
    INTEGER,
    KEYWORD,
    NAME,
    checkpoint,
    contents,
    copied,
    dense,
    found,
    ids,
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

LATE = VectorParams(2, Distance.DOT)
CHANGES: list[o.SchemaOperation] = [
    o.CreateFieldIndex("color", KEYWORD),
    o.CreateFieldIndex("size", KEYWORD),
    o.CreateFieldIndex("size", INTEGER),
    o.DeleteFieldIndex("size"),
    o.CreateVectorName("late", LATE),
    o.CreateVectorName("late", SparseVectorParams()),
    o.DeleteVectorName("nobody"),
]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path / "first") as database:
        database.alter(NAME, o.CreateFieldIndex("size", INTEGER))
        write(database, upsert(*(point(number, size=number, color="red") for number in range(5))))
        yield database


def by_size(database: Database) -> list[object]:
    return [*found(database, s.Search(s.Prefetch(query=s.OrderBy("size", s.Direction.DESC))))]


def test_what_is_written_while_an_index_is_filled_is_in_it(database: Database) -> None:
    before = by_size(database)

    def filled_slowly(*given: Any) -> PayloadIndex:
        index = filled_index(*given)
        write(database, upsert(point(1, size=10), point(7, size=7)), o.DeletePoints(ids(3)))
        write(database, o.SetPayload({"size": 20}, ids(2)), o.ClearPayload(ids(4)))
        return index

    database.alter(NAME, o.DeleteFieldIndex("size"))
    with patch.object(alteration, "filled_index", filled_slowly):
        database.alter(NAME, o.CreateFieldIndex("size", INTEGER))
    assert before == [4, 3, 2, 1, 0]
    assert by_size(database) == [2, 1, 7, 0]
    assert [passing(database, size(value)) for value in (0, 1, 2, 3, 4, 7, 10, 20)] == [
        [0],
        [],
        [],
        [],
        [],
        [7],
        [1],
        [2],
    ]


@pytest.mark.parametrize("operation", CHANGES, ids=repr)
def test_change_that_the_disk_refuses_changes_nothing(database: Database, operation: o.SchemaOperation) -> None:
    before, info = contents(database), database.collection_info(NAME)
    with patch.object(StoreWriter, "put_operation", side_effect=StorageFailed("full")), pytest.raises(StorageFailed):
        database.alter(NAME, operation)
    assert contents(database) == before
    assert database.collection_info(NAME) == info
    assert by_size(database) == [4, 3, 2, 1, 0]
    assert write(database, o.SetPayload({"size": 9}, where(size(0)))) == (4,)
    assert by_size(database) == [0, 4, 3, 2, 1]
    assert database.alter(NAME, operation).operation_id == 6


def test_vector_whose_file_cannot_be_made_is_not_there(database: Database) -> None:
    failing = patch.object(VectorFile, "append_zeros", side_effect=StorageFailed("full"))
    with failing, pytest.raises(StorageFailed):
        database.alter(NAME, o.CreateVectorName("late", LATE))
    with pytest.raises(BadInput, match="Not existing vector name error: late"):
        write(database, upsert(point(9, {"late": dense(1, 1)})))
    write(database, upsert(point(9)))
    database.alter(NAME, o.CreateVectorName("late", LATE))
    write(database, o.UpdateVectors((o.VectorsWrite(2, {"late": dense(1, 1)}),)))
    assert found(database, nearest(dense(1, 1), "late")) == [2]


def test_vectors_made_and_dropped_in_turn_keep_apart(database: Database, tmp_path: Path) -> None:
    for round_number in range(3):
        database.alter(NAME, o.CreateVectorName("late", LATE))
        assert found(database, nearest(dense(1, 1), "late")) == []
        write(database, o.UpdateVectors((o.VectorsWrite(round_number, {"late": dense(1, 1)}),)))
        assert found(database, nearest(dense(1, 1), "late")) == [round_number]
        checkpoint(database)
        database.alter(NAME, o.DeleteVectorName("late"))
        database.alter(NAME, o.CreateVectorName("late", SparseVectorParams()))
        write(database, upsert(point(10 + round_number, {"late": sparse(i1=1)})))
        assert found(database, nearest(sparse(i1=1), "late")) == [10 + round_number]
        database.alter(NAME, o.DeleteVectorName("late"))
    database = copied(database, tmp_path / "first", tmp_path / "second")
    assert "late" not in database.collection_info(NAME).config.vectors
    assert by_size(database) == [4, 3, 2, 1, 0]
    database.close()


def test_index_of_another_kind_takes_the_place_of_the_first(database: Database) -> None:
    database.alter(NAME, o.CreateFieldIndex("size", FieldIndex(FieldKind.FLOAT)))
    assert by_size(database) == [4, 3, 2, 1, 0]
    database.alter(NAME, o.CreateFieldIndex("size", KEYWORD))
    with pytest.raises(BadInput, match="No range index"):
        by_size(database)
