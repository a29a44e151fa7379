"""A field that is filtered again and again without an index gets a column: quicker, and never another answer."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qdrantlite.collection import threads
from qdrantlite.collection.shard import column_demand
from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.upkeep.auto_columns import tend_columns
from qdrantlite.database import Database
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.filter import (
    Condition,
    FieldCondition,
    Filter,
    HasId,
    HasVector,
    IsEmpty,
    IsNull,
    MatchInteger,
    Nested,
    Range,
    Slice,
)
from qdrantlite.segment import column
from qdrantlite.segment.column import Column
from qdrantlite.storage.store_reader import StoreReader
from qdrantlite.values.payload import Json
from qdrantlite.values.point_id import PointId
from tests.collection.compacted import untended
from tests.collection.small import (
    CONFIG,
    KEYWORD,
    NAME,
    collection_of,
    color,
    copied,
    dense,
    ids,
    nearest,
    opened,
    passing,
    point,
    size,
    upsert,
    where,
    write,
)
from tests.collection.small_segments import merge, small_segments
from tests.raised import until

CONDITIONS: tuple[Condition, ...] = (
    *(color("red"), size(1), IsEmpty("color"), FieldCondition("size", Range(gte=1))),
    *(FieldCondition("deep[].n", MatchInteger(1)), Nested("deep", Filter(must=(FieldCondition("n", Range(lt=2)),)))),
)
KEYS = {"color", "size", "deep"}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Forty points; every filter that reads two payloads asks for a column."""
    with (
        untended(),
        small_segments(),
        patch.multiple(column_demand, POINTS_MIN=1, PAYLOADS_MIN=2),
        opened(tmp_path / "db") as database,
    ):
        for start in range(0, 40, 10):
            write(database, upsert(*map(made, range(start, start + 10))))
        yield database


def made(number: int) -> o.PointWrite:
    deep: Json = [{"n": number % 3}, {"n": 5}] if number % 2 else []
    if number % 5 == 4:
        return point(number, size=number % 3)
    return point(number, color="red" if number % 2 else "green", size=number % 3, deep=deep)


def shard_of(database: Database) -> Shard:
    return collection_of(database).shard


def tend(database: Database) -> None:
    tend_columns(shard_of(database), lambda: False)


def columns(database: Database) -> set[str]:
    return set(shard_of(database).state.columns)


def answers(database: Database) -> list[list[PointId]]:
    return [passing(database, condition) for condition in CONDITIONS]


def forced(database: Database) -> list[list[PointId]]:
    """Every filter is asked anew: a commit forgets what passed."""
    database.write(NAME, (o.SetPayload({"other": 1}, ids(0)),), wait=False)
    return answers(database)


def test_column_is_made_at_the_second_request_and_reads_no_payload(database: Database) -> None:
    once = [passing(database, condition) for condition in CONDITIONS[::4]]
    tend(database)
    assert columns(database) == set()
    before = answers(database)
    assert before[::4] == once
    assert forced(database) == before
    tend(database)
    assert columns(database) == KEYS
    with patch.object(StoreReader, "payloads", side_effect=AssertionError("payloads were read")):
        assert [database.count(NAME, Filter(must=(condition,))) for condition in CONDITIONS] == list(map(len, before))
        assert len(database.search(NAME, nearest(1, "", 5, color("red")))) == 5
    assert database.collection_info(NAME).payload_schema == {}


def test_column_is_used_by_writes_and_goes_with_the_process(database: Database, tmp_path: Path) -> None:
    before = answers(database), forced(database)
    tend(database)
    write(database, o.SetPayload({"color": "blue"}, where(color("red"))))
    assert passing(database, color("red")) == []
    assert passing(database, color("blue")) == before[0][0]
    database = copied(database, tmp_path / "db", tmp_path / "copy")
    assert columns(database) == set()
    assert passing(database, color("blue")) == before[0][0]
    database.close()


STEP: st.SearchStrategy[tuple[str, list[int]]] = st.one_of(
    st.tuples(st.just("upsert"), st.lists(st.integers(0, 50), min_size=1, max_size=5, unique=True)),
    st.tuples(st.just("delete"), st.lists(st.integers(0, 50), min_size=1, max_size=3, unique=True)),
    st.tuples(st.just("set"), st.lists(st.integers(0, 50), min_size=1, max_size=3, unique=True)),
    st.just(("merge", list[int]())),
    st.just(("tend", list[int]())),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.lists(STEP, max_size=12))
def test_columns_follow_every_write(database: Database, steps: list[tuple[str, list[int]]]) -> None:
    for number, (name, chosen) in enumerate(steps):
        if name == "upsert":
            write(database, upsert(*(point(n, color="red", size=number, deep=[{"n": n}]) for n in chosen)))
        elif name == "delete":
            database.write(NAME, (o.DeletePoints(ids(*chosen)),), wait=True)
        elif name == "set":
            database.write(NAME, (o.SetPayload({"color": None, "size": [1, number]}, ids(*chosen)),), wait=False)
        elif name == "merge":
            merge(database)
        else:
            tend(database)
        found = forced(database)
        with patch.object(column_demand.ColumnDemand, "missed"), patch.dict(_hidden(database), clear=True):
            assert forced(database) == found


def _hidden(database: Database) -> dict[str, Column]:
    """The columns as a dictionary that can be emptied for a while."""
    shard = shard_of(database)
    held = dict(shard.indexes.columns)
    object.__setattr__(shard.indexes, "columns", held)
    return held


def test_what_is_written_while_a_column_is_made_is_in_it(database: Database) -> None:
    answers(database), forced(database)
    settled, late = Column.settled, iter(range(2))

    def slowly(column: Column) -> Column:
        if column.key == "color" and next(late, None) is not None:
            write(database, o.SetPayload({"color": "red"}, ids(0, 2)), o.DeletePoints(ids(*_first(database))))
            write(database, upsert(made(101), made(102)))
        return settled(column)

    with patch.object(Column, "settled", slowly):
        tend(database)
    assert columns(database) == KEYS
    found = answers(database)
    with patch.dict(_hidden(database), clear=True):
        assert forced(database) == found
    assert {2, 101} <= set(passing(database, color("red")))


def _first(database: Database) -> list[PointId]:
    return passing(database, color("red"))[:1]


@pytest.mark.parametrize("wanted", [True, False])
def test_columns_are_made_behind_the_searches_unless_switched_off(tmp_path: Path, wanted: bool) -> None:
    quickly = patch.multiple(threads, OPTIMIZE_S=0.01)
    eager = patch.multiple(column_demand, POINTS_MIN=1, PAYLOADS_MIN=2)
    with quickly, eager, Database(tmp_path, auto_columns=wanted) as database:
        database.create_collection(NAME, CONFIG)
        write(database, upsert(*map(made, range(10))))
        answers(database)
        if wanted:
            until(lambda: columns(database) == KEYS)
        else:
            collection_of(database).optimize(lambda: False)
            assert columns(database) == set()


def test_columns_are_bounded_and_go_when_nobody_asks(database: Database) -> None:
    answers(database), forced(database)
    with patch.object(column, "COLUMNS_BYTES_MAX", 300):
        tend(database)
    kept = columns(database)
    assert kept < KEYS
    answers(database), forced(database)
    tend(database)
    assert columns(database) == kept, "what took too much memory is not tried again"
    with patch.object(column_demand, "UNUSED_S", 0.0):
        tend(database)
    assert columns(database) == set()


def test_column_that_commits_make_too_large_goes(database: Database) -> None:
    answers(database), forced(database)
    tend(database)
    assert columns(database) == KEYS
    held = sum(each.memory_bytes for each in shard_of(database).state.columns.values())
    with patch.object(column, "COLUMNS_BYTES_MAX", held + 1000):
        write(database, *[upsert(point(number, size=number % 3, deep=[f"{number}" * 500])) for number in range(40, 44)])
        assert columns(database) == KEYS - {"deep"}
        before = answers(database), forced(database)
        tend(database)
        assert columns(database) == KEYS - {"deep"}, "nor is it made again"
        assert (answers(database), forced(database)) == before


def test_explain_tells_what_answers_a_filter(database: Database) -> None:
    database.alter(NAME, o.CreateFieldIndex("color", KEYWORD))
    inner = Filter(should=(IsEmpty("color"), IsNull("color"), HasId((1, 2))))
    wanted = Filter(must=(color("red"), HasVector(""), Slice(2, 0), inner), must_not=(size(1),))
    search = s.Search(s.Prefetch(query=s.Nearest(dense(1, 0)), filter=wanted))

    def told() -> str:
        return database.explain(NAME, search).splitlines()[-1]

    told(), forced(database)
    known = "Filter {} by vectors, id by ids, color by index, color by index, id by ids, size by {}"
    assert told() == known.format("color by index, ", "payloads")
    tend(database)
    assert told() == known.format("color by index, ", "column")


def test_failure_to_make_a_column_is_that_fields_alone(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    before = answers(database), forced(database)
    made_of = Column.with_points

    def failing(column: Column, *given: object) -> Column:
        if column.key == "size":
            raise MemoryError
        return made_of(column, *given)  # type: ignore[arg-type]  # Whatever it was given.

    with patch.object(Column, "with_points", failing):
        tend(database)
    assert columns(database) == KEYS - {"size"}
    assert "no column of 'size'" in caplog.text
    assert forced(database) == before[0]
