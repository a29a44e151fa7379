"""A view shows one state, in id order where asked, whatever is written while it is open."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdrantlite.collection.read import id_pages as module
from qdrantlite.database import Database
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.segment.selection import Selection
from qdrantlite.values.distance import Distance
from qdrantlite.values.point_id import PointId, id_order
from qdrantlite.values.schema import SparseVectorParams, VectorParams
from tests.collection.small import NAME, collection_of, ids, opened, point, upsert, write

IDS: list[PointId] = [
    *range(30, 0, -1),
    2**63 - 1,
    2**63,
    2**64 - 1,
    *(UUID(int=n << 64 | n) for n in (1, 7, 2**63)),
    UUID(int=2**128 - 1),
    UUID(int=0),
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = opened(tmp_path_factory.mktemp("ids"))
    write(database, upsert(*(point(each, {}) for each in IDS)))
    write(database, o.DeletePoints(ids(3)))
    yield database
    database.close()


@settings(max_examples=60, deadline=None)
@given(
    chosen=st.one_of(st.none(), st.sets(st.integers(0, len(IDS) - 1))),
    start=st.one_of(st.none(), st.sampled_from(IDS), st.integers(0, 40)),
    limit=st.integers(1, 45),
    sort_cost=st.sampled_from([0, 1, 4, 1000]),
)
def test_page_is_the_first_ids_from_the_start_on(
    database: Database, chosen: set[int] | None, start: PointId | None, limit: int, sort_cost: int
) -> None:
    small = patch.multiple(module, WALK_CHUNK_MIN=2, CHUNK_MAX=4, SORT_COST=sort_cost)
    with collection_of(database).open_view() as view, small:
        selection = view.live
        if chosen is not None:
            offsets = view.reader.offsets_of([IDS[at] for at in chosen if IDS[at] != 3])
            selection = Selection.from_offsets(offsets)
        page = view.id_page(None if chosen is None else selection, start, limit)
        among = [each for at, each in enumerate(IDS) if each != 3 and (chosen is None or at in chosen)]
        first = (0, -1) if start is None else id_order(start)
        expected = [each for each in sorted(among, key=id_order) if id_order(each) >= first][:limit]
        assert view.ids(page).to_list() == expected


@pytest.mark.parametrize("lying", [IDS[-6:], IDS[:6], IDS[::6]])
def test_work_of_a_page_is_bounded_wherever_the_points_lie(database: Database, lying: list[PointId]) -> None:
    with collection_of(database).open_view() as view, patch.object(module, "SORT_COST", 2):
        reader = view.reader
        selection = Selection.from_offsets(reader.offsets_of([each for each in lying if each != 3]))
        with (
            patch.object(type(reader), "walk_ids", autospec=True, side_effect=type(reader).walk_ids) as walk,
            patch.object(type(reader), "first_by_id", autospec=True, side_effect=type(reader).first_by_id) as sort,
        ):
            assert len(view.id_page(selection, None, 1)) == 1
        assert sum(call.args[2] for call in walk.call_args_list) <= 2 * len(selection)
        assert sum(len(call.args[1]) for call in sort.call_args_list) <= len(selection)


def test_view_is_untouched_by_later_writes(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        write(database, upsert(point(1, color="red"), point(2)))
        with collection_of(database).open_view() as view:
            write(database, upsert(point(1, color="green"), point(3)), o.DeletePoints(ids(2)))
            page = view.id_page(None, None, 10)
            assert view.ids(page).to_list() == [1, 2]
            assert view.payloads(page) == [{"color": "red"}, {}]
            assert view.live_points == 2
            vectors = view.vectors(page, s.ALL_VECTORS)
            assert [sorted(each) for each in vectors] == [["", "many", "words"]] * 2


def test_view_keeps_vectors_that_are_dropped_meanwhile(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        write(database, upsert(point(1)))
        with collection_of(database).open_view() as view:
            before = [sorted(each) for each in view.vectors(view.id_page(None, None, 9), s.ALL_VECTORS)]
            for name in ("", "many", "words"):
                database.alter(NAME, o.DeleteVectorName(name))
            database.alter(NAME, o.CreateVectorName("words", SparseVectorParams()))
            database.alter(NAME, o.CreateVectorName("", VectorParams(5, Distance.COSINE)))
            page = view.id_page(None, None, 9)
            assert [sorted(each) for each in view.vectors(page, s.ALL_VECTORS)] == before
        (record,) = database.retrieve(NAME, (1,), s.ALL_PAYLOAD, s.ALL_VECTORS)
        assert record.vectors == {}
