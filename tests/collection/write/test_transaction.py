"""What one write request does: its numbers, its order, and that it happens whole or not at all."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from qdrantlite.database import Database
from qdrantlite.deadline import Deadline
from qdrantlite.errors import BadInput, InvalidRequest, NotFound
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.filter import Filter, HasId, HasVector
from qdrantlite.values.record import UpdateStatus
from tests.collection.small import (
    INTEGER,
    KEYWORD,
    NAME,
    color,
    contents,
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

FAILING: list[o.Operation] = [
    o.UpdateVectors((o.VectorsWrite(1, {"": dense(9, 9)}), o.VectorsWrite(404, {"": dense(9, 9)}))),
    o.DeleteVectors(ids(1, 404), ("",)),
    o.DeleteVectors(ids(1), ("", "nobody")),
    o.SetPayload({"color": "black"}, ids(1, 404)),
    o.OverwritePayload({"color": "black"}, ids(1, 404)),
    o.DeletePayload((("color",),), ids(1, 404)),
    o.ClearPayload(ids(1, 404)),
    o.Upsert((point(1, {"": dense(9, 9)}), point(2, {"": dense(9, 9, 9)}))),
    o.Upsert((point(1, {"nobody": dense(9, 9)}),)),
    o.Upsert((point(1, {"": sparse(i1=1)}),)),
]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


def test_operation_ids_start_at_one_and_schema_changes_cost_two(database: Database) -> None:
    assert write(database, upsert(point(1))) == (1,)
    assert write(database, upsert(point(2)), o.ClearPayload(ids(1)), upsert()) == (2, 3, 4)
    assert database.alter(NAME, o.CreateFieldIndex("color", KEYWORD)).operation_id == 6
    assert database.alter(NAME, o.CreateFieldIndex("color", KEYWORD)).operation_id == 8
    assert database.alter(NAME, o.DeleteFieldIndex("nobody")).operation_id == 10
    assert database.alter(NAME, o.DeleteVectorName("nobody")).operation_id == 12
    assert write(database, o.DeletePoints(ids(404))) == (13,)


def test_result_is_acknowledged_without_waiting_and_readable_at_once(database: Database) -> None:
    (result,) = database.write(NAME, (upsert(point(1)),), wait=False)
    assert (result.operation_id, result.status) == (1, UpdateStatus.ACKNOWLEDGED)
    assert passing(database) == [1]
    (result,) = database.write(NAME, (upsert(point(2)),), wait=True, deadline=Deadline(60))
    assert result.status is UpdateStatus.COMPLETED


def test_version_is_the_operation_that_touched_the_point_last(database: Database) -> None:
    write(database, upsert(point(1), point(2), point(3)))
    write(database, o.SetPayload({"a": 1}, ids(2)), o.UpdateVectors((o.VectorsWrite(3, {"": dense(3, 3)}),)))
    hits = database.search(NAME, nearest(dense(1, 0)))
    assert {hit.record.id: hit.version for hit in hits} == {1: 1, 2: 2, 3: 3}


@pytest.mark.parametrize("operation", FAILING, ids=lambda operation: type(operation).__name__)
def test_failing_operation_takes_its_whole_request_back(database: Database, operation: o.Operation) -> None:
    database.alter(NAME, o.CreateFieldIndex("color", KEYWORD))
    write(database, upsert(point(1, color="red"), point(2, color="green")))
    before = contents(database)
    request = (upsert(point(3, color="red")), o.DeletePoints(ids(2)), operation, upsert(point(4)))
    with pytest.raises((NotFound, InvalidRequest)):
        database.write(NAME, request, wait=True)
    assert contents(database) == before
    assert passing(database, color("red")) == [1]
    assert found(database, nearest(dense(1, 0))) == [2, 1]
    assert write(database, upsert(point(5, color="red"))) == (4,)
    assert passing(database, color("red")) == [1, 5]
    assert found(database, nearest(dense(1, 0))) == [5, 2, 1]


def test_missing_id_is_named(database: Database) -> None:
    write(database, upsert(point(1)))
    missing = UUID(int=5)
    with pytest.raises(NotFound, match=f"No point with id {missing} found"):
        write(database, o.SetPayload({}, ids(1, missing)))


@pytest.mark.parametrize("indexed", [True, False])
def test_operation_sees_the_earlier_ones_of_its_request(database: Database, indexed: bool) -> None:
    if indexed:
        database.alter(NAME, o.CreateFieldIndex("color", KEYWORD))
        database.alter(NAME, o.CreateFieldIndex("size", INTEGER))
    write(database, upsert(*(point(number, color="red", size=number) for number in range(4))))
    write(
        database,
        upsert(point(4, color="red"), point(0, color="green")),
        o.SetPayload({"color": "blue"}, where(size(2))),
        o.SetPayload({"size": 7}, where(color("red"))),
        o.DeletePoints(where(size(1))),
        o.DeletePoints(ids(3)),
        o.SetPayload({"last": True}, where(size(7))),
        o.ClearPayload(where(color("green"))),
    )
    assert {row[0]: row[1] for row in contents(database)} == {
        0: {},
        1: {"color": "red", "size": 7, "last": True},
        2: {"color": "blue", "size": 2},
        4: {"color": "red", "size": 7, "last": True},
    }
    assert passing(database, size(7)) == [1, 4]
    assert passing(database, color("green")) == []


def test_filter_sees_ids_and_vectors_made_in_its_request(database: Database) -> None:
    write(database, upsert(point(1), point(2, {})))
    write(
        database,
        upsert(point(3, {"words": sparse(i1=1)}), point(1, {})),
        o.SetPayload({"seen": "id"}, where(HasId((3, 404)))),
        o.SetPayload({"words": True}, where(HasVector("words"))),
        o.UpdateVectors((o.VectorsWrite(2, {"": dense(1, 1)}),)),
        o.SetPayload({"default": True}, where(HasVector(""))),
        o.DeleteVectors(ids(3), ("words",)),
        o.SetPayload({"none": True}, o.Selector(filter=Filter(must_not=(HasVector("words"), HasVector(""))))),
    )
    assert {row[0]: row[1] for row in contents(database)} == {
        1: {"none": True},
        2: {"default": True},
        3: {"seen": "id", "words": True, "none": True},
    }


def test_upsert_modes_and_filters(database: Database) -> None:
    write(database, upsert(point(1, color="red"), point(2, color="green")))
    given = tuple(point(number, color="new") for number in (1, 2, 3))
    write(database, o.Upsert(given, o.UpdateMode.UPDATE_ONLY, Filter(must=(color("red"),))))
    assert passing(database, color("new")) == [1]
    write(database, o.Upsert(given, o.UpdateMode.INSERT_ONLY, Filter(must=(color("green"),))))
    assert passing(database, color("new")) == [1, 3]
    other = tuple(point(number, color="newer") for number in (2, 3, 4))
    write(database, o.Upsert(other, o.UpdateMode.UPSERT, Filter(must=(color("green"),))))
    assert passing(database, color("newer")) == [2, 4]


def test_last_of_repeated_ids_counts(database: Database) -> None:
    write(database, upsert(point(1, color="red"), point(2), point(1, {}, color="green")))
    assert [row[:2] for row in contents(database)] == [(1, {"color": "green"}), (2, {})]
    assert found(database, nearest(dense(1, 0))) == [2]


def test_updates_of_one_points_vectors_are_merged(database: Database) -> None:
    write(database, upsert(point(1, {})))
    writes = [o.VectorsWrite(1, {"": dense(1, 2)}), o.VectorsWrite(1, {"words": sparse(i1=1)})]
    write(database, o.UpdateVectors((*writes, o.VectorsWrite(1, {"": dense(3, 4)}))))
    assert contents(database) == [(1, {}, {"": [3.0, 4.0], "words": ([1], [1.0])})]


def test_deleting_vectors_by_ids_and_filter_takes_both(database: Database) -> None:
    write(database, upsert(point(1, color="red"), point(2, color="green"), point(3)))
    write(database, o.DeleteVectors(o.Selector(ids=(3,), filter=Filter(must=(color("red"),))), ("", "many")))
    assert found(database, nearest(dense(1, 1))) == [2]
    assert found(database, nearest(dense(1, 1), "many")) == [2]
    assert sorted(map(str, found(database, nearest(sparse(i1=1), "words")))) == ["1", "2", "3"]


def test_unknown_collection_and_vector_are_refused_by_reads(database: Database) -> None:
    with pytest.raises(NotFound, match="Collection `nobody` doesn't exist!"):
        database.count("nobody", None)
    with pytest.raises(BadInput, match="Not existing vector name error: nobody"):
        database.search(NAME, nearest(dense(1, 1), "nobody"))
    named = s.VectorsSelector(names=("nobody",))
    with pytest.raises(BadInput, match="Not existing vector name error: nobody"):
        database.search(NAME, s.Search(s.Prefetch(), with_vectors=named))


def test_without_waiting_what_fits_is_applied_and_the_rest_dropped(database: Database) -> None:
    write(database, upsert(point(1, n=1), point(2, n=2), point(3, n=3)))
    misfit = o.PointWrite(9, {"nowhere": dense(1, 2)}, {})
    operations = (
        o.SetPayload({"x": 1}, ids(1, 99, 3)),
        o.UpdateVectors((o.VectorsWrite(99, {"": dense(7, 7)}), o.VectorsWrite(2, {"": dense(8, 8)}))),
        upsert(point(4), misfit),
        o.UpdateVectors((o.VectorsWrite(1, {"": dense(7, 7)}), o.VectorsWrite(2, {"": sparse(i1=1)}))),
        o.DeleteVectors(ids(1, 99), ("",)),
        o.DeleteVectors(ids(2), ("nowhere",)),
        upsert(point(5)),
    )
    before = database.write(NAME, (upsert(point(6)),), wait=False)[0].operation_id
    results = database.write(NAME, operations, wait=False)
    assert [result.operation_id for result in results] == list(range(before + 1, before + 8))
    assert {result.status for result in results} == {UpdateStatus.ACKNOWLEDGED}
    assert passing(database) == [1, 2, 3, 5, 6]
    assert found(database, nearest(dense(1, 1))) == [2, 6, 5, 3]
    page = database.scroll(NAME, s.Scroll(limit=3))
    assert [record.payload for record in page.records] == [{"n": 1, "x": 1}, {"n": 2}, {"n": 3, "x": 1}]
    assert write(database, upsert(point(7))) == (before + 8,)


@pytest.mark.parametrize("operation", [upsert(point(4), point(5, {"": dense(1)})), "vectors"])
def test_wrong_dimension_is_refused_whether_waited_for_or_not(database: Database, operation: o.Operation | str) -> None:
    write(database, upsert(point(1)))
    if isinstance(operation, str):
        operation = o.UpdateVectors((o.VectorsWrite(1, {"many": multi((1, 2, 3))}),))
    for wait in (True, False):
        with pytest.raises(BadInput, match="Vector dimension error: expected dim: 2, got"):
            database.write(NAME, (upsert(point(2)), operation), wait=wait)
    assert passing(database) == [1]
