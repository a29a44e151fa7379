"""Random collections answer every random filter and tree of stages as brute force over their points does."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qdrantlite.database import Database
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.values.record import ScoredRecord
from qdrantlite.values.schema import CollectionConfig, Modifier
from tests.congruence.compare import assert_same
from tests.model.write_strategies import INDEXES
from tests.oracle import Hit, Oracle
from tests.oracle_filter import Point
from tests.strategies import NUMBER_KEY, TEXT_KEY, configs, filters, points, searches

NAME = "points"
QUICK = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
THOROUGH = settings(QUICK, max_examples=3000)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(tmp_path_factory.mktemp("oracle"))
    yield database
    database.close()


def fill(database: Database, data: st.DataObject) -> tuple[CollectionConfig, list[Point]]:
    """A collection that has lived: points came in two batches, some were replaced, some deleted."""
    config = data.draw(configs())
    first, last = data.draw(points(config)), data.draw(points(config))
    database.delete_collection(NAME)
    database.create_collection(NAME, config)
    for key in (NUMBER_KEY, TEXT_KEY):
        database.alter(NAME, o.CreateFieldIndex(key, INDEXES[key][0]))
    keys = data.draw(st.lists(st.sampled_from(list(INDEXES)), unique=True))
    early = data.draw(st.booleans())
    with ExitStack() as later:
        for key in keys:
            index = o.CreateFieldIndex(key, INDEXES[key][0])
            if early:
                database.alter(NAME, index)
            else:
                later.callback(database.alter, NAME, index)
        put(database, first)
        everyone = {point.id: point for point in (*first, *last)}
        ids = data.draw(st.lists(st.sampled_from([*everyone, 404]), max_size=4).map(tuple))
        put(database, last)
        database.write(NAME, (o.DeletePoints(o.Selector(ids=ids)),), wait=False)
    return config, [point for point in everyone.values() if point.id not in ids]


def put(database: Database, given: Sequence[Point]) -> None:
    writes = tuple(o.PointWrite(point.id, point.vectors, point.payload) for point in given)
    database.write(NAME, (o.Upsert(writes),), wait=False)


def hits_of(found: list[ScoredRecord]) -> list[Hit]:
    return [Hit(hit.record.id, hit.score, hit.record.order_value) for hit in found]


def require_agreement_on_searches(database: Database, data: st.DataObject) -> None:
    config, stored = fill(database, data)
    exact = config.sparse_vectors["sparse"].modifier is not Modifier.IDF
    oracle = Oracle(config, stored)
    # IDF weights differ in the last bit, which may move ties: such answers compare only where nothing is cut below.
    wanted = data.draw(st.lists(searches(config, stored, depth=2 if exact else 0), min_size=1, max_size=5).map(tuple))
    for search, found in zip(wanted, database.search_batch(NAME, wanted), strict=True):
        if exact:
            assert hits_of(found) == oracle.search(search)
            continue
        stage = search.stage
        whole = oracle.search(s.Search(replace(stage, limit=100)))[search.offset :]
        if search.offset and not isinstance(stage.query, s.OrderBy):
            whole = oracle.search(search)
        assert_same(hits_of(found), whole, limit=stage.limit)


def require_agreement_on_filters(database: Database, data: st.DataObject) -> None:
    config, stored = fill(database, data)
    for wanted in data.draw(st.lists(filters(), min_size=1, max_size=6)):
        expected = [point.id for point in Oracle(config, stored).passing([wanted])]
        assert database.count(NAME, wanted) == len(expected)
        page = database.scroll(NAME, s.Scroll(filter=wanted, limit=100))
        assert [record.id for record in page.records] == expected


@QUICK
@given(st.data())
def test_searches_agree(database: Database, data: st.DataObject) -> None:
    require_agreement_on_searches(database, data)


@QUICK
@given(st.data())
def test_filters_agree(database: Database, data: st.DataObject) -> None:
    require_agreement_on_filters(database, data)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@THOROUGH
@given(st.data())
def test_many_searches_agree(database: Database, data: st.DataObject) -> None:
    require_agreement_on_searches(database, data)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@THOROUGH
@given(st.data())
def test_many_filters_agree(database: Database, data: st.DataObject) -> None:
    require_agreement_on_filters(database, data)
