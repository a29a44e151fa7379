"""Whatever grows with data asks its deadline, ends when it is over, and leaves nothing open."""

from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from qdrantlite.collection.read import id_pages, pages
from qdrantlite.database import Database
from qdrantlite.deadline import Deadline
from qdrantlite.errors import Cancelled, TimedOut
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.filter import FieldCondition, Filter, HasId, MatchKeyword
from qdrantlite.segment import dense as dense_rows
from qdrantlite.segment import filter_bitmap, multivector, sparse_totals
from qdrantlite.storage import store_reader
from tests.collection.small import INTEGER, NAME, collection_of, dense, multi, opened, point, sparse, upsert, write
from tests.deadlines import CountedDeadline

COUNT = 60
IDS = tuple(range(1, COUNT + 1))
RED = Filter(must=(FieldCondition("color", MatchKeyword("red")),))
MANY_IDS = Filter(must=(HasId(IDS[: COUNT // 2]),))
EXACT = s.SearchParams(exact=True)

Read = Callable[[Database, Deadline], object]


def searched(query: s.Query | None, *, using: str = "", limit: int = 5, **stage: object) -> Read:
    wanted = s.Search(
        s.Prefetch(query=query, using=using, limit=limit, **stage),  # type: ignore[arg-type]  # the stage's fields
        with_payload=s.ALL_PAYLOAD,
    )
    return lambda database, deadline: database.search(NAME, wanted, deadline=deadline)


def scrolled(scroll: s.Scroll) -> Read:
    return lambda database, deadline: database.scroll(NAME, scroll, deadline=deadline)


UP = s.Nearest(dense(1, 0))
BY_NUMBER = s.OrderBy("number")
READS: dict[str, Read] = {
    "retrieve": lambda database, deadline: database.retrieve(
        NAME, IDS, s.ALL_PAYLOAD, s.ALL_VECTORS, deadline=deadline
    ),
    "count": lambda database, deadline: database.count(NAME, RED, deadline=deadline),
    "count ids": lambda database, deadline: database.count(NAME, MANY_IDS, deadline=deadline),
    "scroll": scrolled(s.Scroll(limit=COUNT)),
    "scroll filtered": scrolled(s.Scroll(filter=RED, limit=5)),
    "scroll by value": scrolled(s.Scroll(order_by=BY_NUMBER, limit=COUNT)),
    "all by id": searched(None, limit=COUNT),
    "scan": searched(UP, params=EXACT),
    "scan filtered": searched(UP, params=EXACT, filter=RED),
    "sparse": searched(s.Nearest(sparse(i1=1, i2=1)), using="words"),
    "multi": searched(s.Nearest(multi((1, 0))), using="many"),
    "order": searched(BY_NUMBER, limit=COUNT),
    "fused": searched(
        s.Fusion(s.FusionKind.RRF), prefetch=(s.Prefetch(query=UP, limit=20), s.Prefetch(filter=RED, limit=20))
    ),
    "rescored": searched(UP, prefetch=(s.Prefetch(limit=COUNT),)),
    "groups": lambda database, deadline: database.search_groups(
        NAME, s.GroupSearch(s.Search(s.Prefetch(query=UP, limit=3)), group_by="color", group_size=2), deadline=deadline
    ),
    "explain": lambda database, deadline: database.explain(
        NAME,
        s.Search(s.Prefetch(query=UP, filter=RED, params=EXACT, prefetch=(s.Prefetch(limit=COUNT),))),
        deadline=deadline,
    ),
    "facet": lambda database, deadline: database.facet(NAME, s.Facet("number", RED), deadline=deadline),
    "matrix": lambda database, deadline: database.matrix(NAME, s.Matrix(filter=RED), deadline=deadline),
    "lookup": lambda database, deadline: database.search_groups(
        NAME,
        s.GroupSearch(
            s.Search(s.Prefetch(query=UP, limit=COUNT)), group_by="number", group_size=1, with_lookup=s.WithLookup(NAME)
        ),
        deadline=deadline,
    ),
    "batch": lambda database, deadline: database.search_batch(
        NAME, (s.Search(s.Prefetch(query=UP)), s.Search(s.Prefetch(query=BY_NUMBER))), deadline=deadline
    ),
}

LEAST = {"count ids": 4, "sparse": 4, "order": 5, "scroll by value": 5, "retrieve": 10, "explain": 14, "lookup": 20}
"""Checks in reads that look at fewer points, or at many of them in one go; or go over them several times."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with opened(tmp_path_factory.mktemp("deadlines") / "storage") as database:
        database.alter(NAME, o.CreateFieldIndex("number", INTEGER))
        write(database, upsert(*(point(each, number=each, color="red" if each % 3 else "blue") for each in IDS)))
        yield database


@pytest.fixture(autouse=True)
def small_blocks() -> Iterator[None]:
    with (
        patch.multiple(id_pages, WALK_CHUNK_MIN=8, CHUNK_MAX=8),
        patch.object(pages, "PIECE", 16),
        patch.object(dense_rows, "STRETCH_COMPONENTS", 16),
        patch.object(multivector, "BLOCK_BYTES", 128),
        patch.object(sparse_totals, "PIECE_POSTINGS", 1),
        patch.object(store_reader, "_CHUNK_IDS", 8),
        patch.object(filter_bitmap, "CHUNK_POINTS", 8),
    ):
        yield


def forget(database: Database) -> None:
    """What was found out about the state is found out anew."""
    state = collection_of(database).shard.state
    for known in (state.answers.filters, state.answers.plans):
        known._found.clear()


@pytest.mark.parametrize("name", READS)
def test_read_asks_often_and_ends_at_any_check(database: Database, name: str) -> None:
    counted = CountedDeadline()
    forget(database)
    whole = READS[name](database, counted)
    assert whole
    assert counted.asked >= LEAST.get(name, COUNT // 8)
    for checks in range(counted.asked):
        forget(database)
        with pytest.raises(Cancelled):
            READS[name](database, CountedDeadline(checks))
        assert not collection_of(database).shard.store.is_read
    forget(database)
    again = READS[name](database, CountedDeadline(counted.asked))
    assert repr(again) == repr(whole) or name in ("explain", "matrix")  # Times, and points drawn anew.


def test_write_by_filter_that_is_given_up_writes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        write(database, upsert(*(point(each, color="red") for each in IDS)))
        delete = o.DeletePoints(o.Selector(filter=RED))
        with pytest.raises(TimedOut):
            database.write(NAME, (upsert(point(500)), delete), wait=True, deadline=Deadline(0))
        assert database.count(NAME, None) == COUNT
        database.write(NAME, (delete,), wait=False, deadline=Deadline(0))
        assert database.count(NAME, None) == 0


def test_change_that_waited_too_long_is_not_begun(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        with pytest.raises(TimedOut):
            database.alter(NAME, o.CreateFieldIndex("number", INTEGER), deadline=Deadline(0))
        assert not database.collection_info(NAME).payload_schema
        database.alter(NAME, o.CreateFieldIndex("number", INTEGER), wait=False, deadline=Deadline(0))
        assert database.collection_info(NAME).payload_schema
