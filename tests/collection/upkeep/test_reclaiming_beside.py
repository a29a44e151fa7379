"""Threads that write, search, change the schema and give space back, all at once: no hit is another point's row."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from unittest.mock import patch

import numpy as np
import pytest

from qdrantlite.collection import threads
from qdrantlite.collection.upkeep import sealing
from qdrantlite.database import Database
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.storage.vacant import size_of
from qdrantlite.values.distance import Distance
from qdrantlite.values.schema import OPTIMIZERS_DEFAULT, CollectionConfig, SparseVectorParams, VectorParams
from qdrantlite.values.vector import DenseVector, MultiVector
from tests.collection.compacted import in_place
from tests.collection.small import KEYWORD, NAME, collection_of, ids
from tests.collection.tended import Builds
from tests.collection.vacated import small_blocks

DIM, WRITERS, EACH, ROUNDS = 16, 3, 80, 25
CONFIG = CollectionConfig(
    vectors={
        "": VectorParams(DIM, Distance.EUCLID),
        "many": VectorParams(2, Distance.DOT, multivector=True),
    },
    optimizer_config=replace(OPTIMIZERS_DEFAULT, indexing_threshold=6, vacuum_min_vector_number=100),
)


@pytest.fixture(autouse=True)
def _at_work(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("qdrantlite.database.BuildProcess", Builds)
    with (
        in_place(),
        small_blocks(),
        patch.multiple(threads, OPTIMIZE_S=0.01, MAINTENANCE_S=0.02),
        patch.multiple(sealing, QUIET_S=0.0),
    ):
        yield


def row(number: int, turn: int) -> DenseVector:
    """Tells which point it is of, and when."""
    values = np.random.default_rng(number).normal(size=DIM).astype(np.float32)
    values[0] = number
    values[1] = turn
    return DenseVector(values)


def written(number: int, turn: int) -> o.PointWrite:
    many = MultiVector(np.full((1 + number % 3, 2), number, dtype=np.float32))
    return o.PointWrite(number, {"": row(number, turn), "many": many}, {"number": number, "turn": turn})


def write_all(database: Database, first: int) -> None:
    """Every point of a writer again and again, some taken away between."""
    chance = np.random.default_rng(first)
    for turn in range(ROUNDS):
        some = [int(number) for number in chance.permutation(EACH)[: EACH // 2] + first]
        if turn % 3 == 1:
            database.write(NAME, (o.DeletePoints(ids(*some[:20])),), wait=True)
        numbers = range(first, first + EACH) if turn == ROUNDS - 1 else some
        database.write(NAME, (o.Upsert(tuple(written(number, turn) for number in numbers)),), wait=turn % 2 == 0)


def search_all(database: Database, done: Event, wrong: list[str]) -> None:
    """Hits are what they say."""
    chance = np.random.default_rng(7)
    while not done.is_set():
        number = int(chance.integers(WRITERS * EACH))
        near = s.Prefetch(query=s.Nearest(row(number, 3)), limit=10, params=s.SearchParams(hnsw_ef=32))
        exact = replace(near, params=s.SearchParams(exact=True))
        for stage in (near, exact):
            for hit in database.search(NAME, s.Search(stage, with_payload=s.ALL_PAYLOAD, with_vectors=s.ALL_VECTORS)):
                vectors, payload = hit.record.vectors or {}, hit.record.payload or {}
                dense, many = vectors[""], vectors["many"]
                assert isinstance(dense, DenseVector)
                assert isinstance(many, MultiVector)
                if (payload["number"], payload["turn"]) != (hit.record.id, int(dense.values[1])):
                    wrong.append(f"{hit}")
                if dense.values[0] != hit.record.id or (many.rows != hit.record.id).any():
                    wrong.append(f"{hit}")


def change_schema(database: Database, done: Event) -> None:
    """Indexes and vectors come and go."""
    while not done.wait(0.05):
        database.alter(NAME, o.CreateFieldIndex("number", KEYWORD))
        database.alter(NAME, o.CreateVectorName("late", SparseVectorParams()))
        database.alter(NAME, o.DeleteFieldIndex("number"))
        database.alter(NAME, o.DeleteVectorName("late"))


def test_hits_are_what_they_say_beside_everything_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    done, wrong, raised = Event(), list[str](), list[BaseException]()

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    with Database(tmp_path) as database:
        database.create_collection(NAME, CONFIG)
        database.write(NAME, (o.Upsert(tuple(written(n, 0) for n in range(WRITERS * EACH))),), wait=True)
        writers = [Thread(target=run, args=(lambda at=at: write_all(database, at * EACH),)) for at in range(WRITERS)]
        others = [Thread(target=run, args=(lambda: search_all(database, done, wrong),)) for _ in range(2)]
        others.append(Thread(target=run, args=(lambda: change_schema(database, done),)))
        for thread in (*writers, *others):
            thread.start()
        for thread in writers:
            thread.join()
        done.set()
        for thread in others:
            thread.join()
        shard = collection_of(database).shard
        assert size_of(shard.vacant.offsets) > 0
        assert not raised
        assert not wrong
        records = database.scroll(NAME, s.Scroll(limit=10_000, with_vectors=s.ALL_VECTORS)).records
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.id for record in records] == list(range(WRITERS * EACH))
    assert all((record.payload or {})["turn"] == ROUNDS - 1 for record in records)
    with Database(tmp_path) as database:
        again = database.scroll(NAME, s.Scroll(limit=10_000, with_vectors=s.ALL_VECTORS)).records
        assert repr(again) == repr(records)
