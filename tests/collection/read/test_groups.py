"""Grouped searches of a collection: paths of the field, indexes, and commits that come in between."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from qdrantlite.collection.read.filter_source import sieve
from qdrantlite.database import Database
from qdrantlite.deadline import FOREVER
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.filter import Filter
from qdrantlite.values.payload import Json
from tests.collection.small import (
    KEYWORD,
    NAME,
    collection_of,
    color,
    dense,
    ids,
    nearest,
    opened,
    point,
    upsert,
    write,
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path / "storage") as database:
        yield database


def groups(database: Database, group_by: str, *, limit: int = 10, size: int = 3) -> dict[int | str, list[object]]:
    request = s.GroupSearch(nearest(dense(-1, 0), limit=limit), group_by, size)
    return {group.key: [hit.record.id for hit in group.hits] for group in database.search_groups(NAME, request)}


@pytest.mark.parametrize(
    ("group_by", "found"),
    [
        ("tags", {"a": [0, 1], "b": [0]}),
        ("tags[]", {"a": [0], "b": [0]}),
        ("tags[0]", {}),
        ("deep[].tag", {"x": [2], "y": [2]}),
        ("deep[0].tag", {}),
        ("deep.tag", {}),
        ("missing", {}),
    ],
)
def test_paths_reach_what_a_payload_selector_brings(
    database: Database, group_by: str, found: dict[int | str, list[object]]
) -> None:
    deep: list[Json] = [{"tag": "x"}, {"tag": "y"}]
    write(database, upsert(point(0, tags=["a", "b"]), point(1, tags="a"), point(2, deep=deep)))
    assert groups(database, group_by) == found


@pytest.mark.parametrize("indexed", [True, False])
def test_one_document_on_top_leaves_room_for_others(database: Database, indexed: bool) -> None:
    write(database, upsert(*(point(number, color="red") for number in range(300)), point(301, color="blue")))
    write(database, upsert(point(302), point(303, color="green")))
    if indexed:
        database.alter(NAME, o.CreateFieldIndex("color", KEYWORD))
    assert groups(database, "color", limit=3, size=1) == {"red": [0], "blue": [301], "green": [303]}


def test_later_requests_see_the_state_of_the_first(database: Database) -> None:
    database.alter(NAME, o.CreateFieldIndex("color", KEYWORD))
    write(database, upsert(point(1, color="red"), point(2, color="blue"), point(3)))
    collection = collection_of(database)
    red = Filter(must=(color("red"),))
    with collection.open_view() as view:
        now = sieve(view, red, FOREVER)
        write(database, o.SetPayload({"color": "red"}, ids(2, 3)), upsert(point(4, color="red")))
        later = sieve(view, red, FOREVER)
        assert now.is_settled
        assert later.is_settled
        everybody = view.live.offsets()
        assert later.passes(everybody).tolist() == now.passes(everybody).tolist()
        assert later.settle().bitmap == now.settle().bitmap
        assert len(now.settle()) == 1
