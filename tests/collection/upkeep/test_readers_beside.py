"""Readers on states old and new, writers, and dead rows given back under them: everybody reads what was written."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from time import sleep
from unittest.mock import patch

import numpy as np
import pytest

from qdrantlite.collection.read.view import ReadView
from qdrantlite.collection.upkeep import reclaiming
from qdrantlite.database import Database
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.storage.vacant import size_of
from qdrantlite.values.distance import Distance
from qdrantlite.values.payload import Json
from qdrantlite.values.point_id import PointId
from qdrantlite.values.schema import (
    HNSW_DEFAULT,
    OPTIMIZERS_DEFAULT,
    CollectionConfig,
    SparseVectorParams,
    VectorParams,
)
from qdrantlite.values.vector import F32, DenseVector, MultiVector, SparseVector, Vector
from tests.collection.compacted import compact, in_place
from tests.collection.small import NAME, collection_of, ids, upsert
from tests.collection.tended import InProcess
from tests.collection.vacated import small_blocks

POINTS, DIM = 120, 4
CONFIG = CollectionConfig(
    vectors={"": VectorParams(DIM, Distance.EUCLID), "many": VectorParams(2, Distance.DOT, multivector=True)},
    sparse_vectors={"words": SparseVectorParams()},
    hnsw_config=replace(HNSW_DEFAULT, full_scan_threshold=0),
    optimizer_config=replace(OPTIMIZERS_DEFAULT, indexing_threshold=1, vacuum_min_vector_number=20),
)


def row(number: int, life: int) -> F32:
    """Never zero, and of no other point or life."""
    return np.array([number + 1, life + 1, number * life % 97, 1], np.float32)


def rows(number: int, change: int) -> F32:
    """One to three, never zero."""
    return np.array([[number + 1, change + 1]] * (1 + (number + change) % 3), np.float32)


def written(number: int, life: int) -> o.PointWrite:
    """A point whose payload tells what its vectors are."""
    vectors: dict[str, Vector] = {
        "": DenseVector(row(number, life)),
        "many": MultiVector(rows(number, life)),
        "words": SparseVector(np.array([number % 7], np.uint32), np.array([life + 1], np.float32)),
    }
    return o.PointWrite(number, vectors, {"life": life, "change": life})


def require_true(view: ReadView) -> None:
    """Every point of the view has the vectors that its payload tells of."""
    offsets = view.live.offsets()
    records = view.records(offsets, with_payload=True)
    payloads = view.payloads(offsets)
    vectors = view.vectors(offsets, s.ALL_VECTORS)
    for number, payload, own in zip(records.ids, payloads, vectors, strict=True):
        require_told(number, payload, own)


def require_told(number: PointId, payload: Mapping[str, Json], vectors: Mapping[str, Vector]) -> None:
    """These vectors are those that the payload tells of."""
    life, change, one, several, words = (
        payload["life"],
        payload["change"],
        *(vectors[n] for n in ("", "many", "words")),
    )
    assert isinstance(number, int)
    assert isinstance(life, int)
    assert isinstance(change, int)
    assert isinstance(one, DenseVector)
    assert isinstance(several, MultiVector)
    assert isinstance(words, SparseVector)
    assert one.values.tolist() == row(number, life).tolist()
    assert several.rows.tolist() == rows(number, change).tolist()
    assert words.weights.tolist() == [life + 1]


class Crowd:
    """Threads that write and read until something is wrong, or it is over."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.over = Event()
        self.errors: list[BaseException] = []
        self.turns = {"write": 0, "read": 0, "search": 0}

    def repeat(self, name: str, seed: int) -> None:
        chance = random.Random(seed)
        try:
            while not self.over.is_set():
                getattr(self, name)(chance)
                self.turns[name] += 1
        except BaseException as error:
            self.errors.append(error)
            self.over.set()

    def write(self, chance: random.Random) -> None:
        number, life = chance.randrange(POINTS), chance.randrange(1, 1000)
        match chance.randrange(4):
            case 0 | 1:
                some = [written((number + i) % POINTS, life) for i in range(chance.randrange(1, 12))]
                self.database.write(NAME, (upsert(*some),), wait=chance.random() < 0.1)
            case 2:
                gone = tuple((number + i) % POINTS for i in range(chance.randrange(1, 8)))
                self.database.write(NAME, (o.DeletePoints(ids(*gone)),), wait=False)
            case _:
                one = o.VectorsWrite(number, {"many": MultiVector(rows(number, life))})
                changed = (o.UpdateVectors((one,)), o.SetPayload({"change": life}, ids(number)))
                self.database.write(NAME, changed, wait=False)
        sleep(chance.random() * 0.004)

    def read(self, chance: random.Random) -> None:
        with collection_of(self.database).open_view() as view:
            sleep(chance.choice((0, 0.001, 0.02, 0.2)))
            require_true(view)

    def search(self, chance: random.Random) -> None:
        number, life = chance.randrange(POINTS), chance.randrange(1, 1000)
        query = s.Nearest(DenseVector(row(number, life)))
        for params in (s.SearchParams(exact=True), s.SearchParams(hnsw_ef=64)):
            stage = s.Prefetch(query=query, limit=20, params=params)
            for hit in self.database.search(
                NAME, s.Search(stage, with_payload=s.ALL_PAYLOAD, with_vectors=s.ALL_VECTORS)
            ):
                record = hit.record
                assert record.payload is not None
                assert record.vectors is not None
                require_told(record.id, record.payload, record.vectors)
                own = record.vectors[""]
                assert isinstance(own, DenseVector)
                assert hit.score == pytest.approx(float(np.linalg.norm(own.values - row(number, life))), rel=1e-5)


def crowded(database: Database, rounds: int) -> Crowd:
    crowd = Crowd(database)
    works = [("write", 1), ("read", 2), ("read", 3), ("search", 4)]
    threads = [Thread(target=crowd.repeat, args=work) for work in works]
    for thread in threads:
        thread.start()
    try:
        for at in range(rounds):
            if crowd.over.is_set():
                break
            collection = collection_of(database)
            collection._optimizer.step(quiet_s=60.0, stop=lambda: False)
            compact(database)
            if at % 3 == 2:
                collection.maintain(idle=at % 2 == 0)
            sleep(0.02)
    finally:
        crowd.over.set()
        for thread in threads:
            thread.join()
    return crowd


class Builds(InProcess):
    """Stands for the child that builds."""

    def close(self) -> None:
        """Nothing to end."""


@pytest.fixture(autouse=True)
def _in_place() -> Iterator[None]:
    with (
        in_place(),
        small_blocks(),
        patch.object(reclaiming, "MOVED_POINTS_MAX", 16),
        patch("qdrantlite.database.BuildProcess", Builds),
    ):
        yield


def test_everybody_reads_what_was_written(tmp_path: Path) -> None:
    live_together(tmp_path, rounds=1)


@pytest.mark.slow
def test_everybody_reads_what_was_written_for_long(tmp_path: Path) -> None:
    live_together(tmp_path, rounds=60)


def live_together(folder: Path, *, rounds: int) -> None:
    with Database(folder) as database:
        database.create_collection(NAME, CONFIG)
        for life in range(3):
            database.write(NAME, (upsert(*(written(n, life) for n in range(POINTS))),), wait=True)
        crowd = crowded(database, rounds)
        if crowd.errors:
            raise crowd.errors[0]
        assert all(turns > 1 for turns in crowd.turns.values())
        assert size_of(collection_of(database).shard.vacant.offsets) > 0
        with collection_of(database).open_view() as view:
            require_true(view)
    with Database(folder) as database, collection_of(database).open_view() as view:
        require_true(view)
