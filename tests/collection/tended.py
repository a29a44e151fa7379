"""A collection whose optimizer runs when a test says so, with rows few enough to know every answer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from qdrantlite.collection.collection import Collection
from qdrantlite.collection.upkeep.building import Builder, Built, CarryJob, Job, Progress, work
from qdrantlite.deadline import FOREVER
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.filter import FieldCondition, Filter, MatchInteger
from qdrantlite.segment import sealed
from qdrantlite.storage import file_names
from qdrantlite.storage.files import PosixFiles
from qdrantlite.values.distance import Distance
from qdrantlite.values.record import CollectionStatus
from qdrantlite.values.schema import (
    HNSW_DEFAULT,
    OPTIMIZERS_DEFAULT,
    CollectionConfig,
    VectorParams,
)
from qdrantlite.values.vector import F32, DenseVector

DIM = 16
ROWS = 400
THRESHOLD_KB = 6
"""96 rows of 64 bytes."""
CONFIG = CollectionConfig(
    vectors={"": VectorParams(DIM, Distance.DOT)},
    unnamed_only=True,
    hnsw_config=replace(HNSW_DEFAULT, full_scan_threshold=0),
    optimizer_config=replace(OPTIMIZERS_DEFAULT, indexing_threshold=THRESHOLD_KB, vacuum_min_vector_number=100),
)
FILES = PosixFiles()


class InProcess:
    """Does within the test what the child does, so that there is no start to wait for and builds can be watched."""

    def run(self, job: Job, progress: Progress) -> Built:
        return work(job, progress)


def vectors(count: int, seed: int = 1) -> F32:
    """Normal rows."""
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def open_in(folder: Path, config: CollectionConfig = CONFIG, builder: Builder | None = None) -> Collection:
    """The collection of a folder, tended by no thread."""
    return Collection.open(
        *("points", folder, config),
        created_at=0.0,
        files=FILES,
        save_config=lambda _: None,
        move_folder=lambda _source, _target: None,
        builder=builder or InProcess(),
    )


@contextmanager
def collection(folder: Path, config: CollectionConfig = CONFIG) -> Iterator[Collection]:
    """A new collection that no thread tends."""
    Collection.create(folder, config, files=FILES)
    opened = open_in(folder, config)
    yield opened
    opened.close(checkpoint=False)


def put(target: Collection, rows: F32, first: int = 0) -> None:
    """Writes rows as points with a group each."""
    points = [
        o.PointWrite(first + at, {"": DenseVector(row)}, {"group": (first + at) % 4}) for at, row in enumerate(rows)
    ]
    target.write((o.Upsert(tuple(points)),), wait=True, deadline=FOREVER)


def delete(target: Collection, ids: range) -> None:
    """Deletes points by id."""
    target.write((o.DeletePoints(o.Selector(ids=tuple(ids))),), wait=True, deadline=FOREVER)


def tend(target: Collection) -> None:
    """What the database's thread does once writes have rested."""
    target._optimizer.step(quiet_s=60.0, stop=lambda: False)


def give_space_back(target: Collection, between: Callable[[], None]) -> None:
    """One attempt of the database's thread; ``between`` is called between its steps, while others may write."""

    def stop() -> bool:
        if not target._maintenance_lock.locked():
            between()
        return False

    target._compactor.step(stop=stop)


def turning(target: Collection, rows: F32, numbers: Iterator[int]) -> Callable[[], None]:
    """Each call turns the vector of one more point around, in the rows that are to be found, too."""

    def turn() -> None:
        number = next(numbers, None)
        if number is not None:
            rows[number] = -rows[number]
            put(target, rows[number : number + 1], first=number)

    return turn


def failing_to_carry(error: Exception) -> Callable[[Job], None]:
    """For ``Jobs``: graphs cannot follow."""

    def fail(job: Job) -> None:
        if isinstance(job, CarryJob):
            raise error

    return fail


def no_collection(name: str) -> Collection:
    """There is no other."""
    raise AssertionError(name)


def ask(
    target: Collection, query: F32, *, group: int | None = None, limit: int = 10, params: s.SearchParams | None = None
) -> list[tuple[object, float]]:
    """Ids and scores of one search, by default with a beam over everything."""
    conditions = () if group is None else (FieldCondition("group", MatchInteger(group)),)
    search = s.Search(
        s.Prefetch(
            query=s.Nearest(DenseVector(query)),
            limit=limit,
            filter=Filter(must=conditions),
            params=params or s.SearchParams(hnsw_ef=ROWS),
        )
    )
    hits = target.search([search], open_other=lambda name: no_collection(name).open_view(), deadline=FOREVER)[0]
    return [(hit.record.id, hit.score) for hit in hits]


def best(rows: F32, query: F32, *, gone: range = range(0), group: int | None = None) -> list[int]:
    """Ids of the true best ten."""
    scores = rows @ query
    left = [i for i in range(len(rows)) if i not in gone and (group is None or i % 4 == group)]
    return sorted(left, key=lambda i: -scores[i])[:10]


def assert_finds(
    target: Collection, rows: F32, *, gone: range = range(0), params: s.SearchParams | None = None
) -> None:
    """A wide beam over few points finds everything, filtered or not."""
    for query in vectors(5, seed=9):
        assert [point for point, _ in ask(target, query, params=params)] == best(rows, query, gone=gone)
        found = ask(target, query, group=1, params=params)
        assert [point for point, _ in found] == best(rows, query, gone=gone, group=1)


def status(target: Collection) -> tuple[CollectionStatus, int, int]:
    """Colour, indexed vectors, segments."""
    info = target.info()
    return info.status, info.indexed_vectors_count, info.segments_count


def graph_names(folder: Path, prefix: str = "graph-") -> list[str]:
    """Derived files of a kind."""
    return sorted(path.name for path in file_names.derived(folder).iterdir() if path.name.startswith(prefix))


GREEN, YELLOW, RED = CollectionStatus.GREEN, CollectionStatus.YELLOW, CollectionStatus.RED


def no_build(*args: object, **given: object) -> sealed.SealedSegment:
    """In place of a build that must not happen."""
    raise AssertionError((args, given))


def flip(path: Path) -> None:
    """Spoils one bit."""
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


GONE = range(100)
REPLACED = range(150, 200)


class Jobs:
    """Does what the child does, and knows what; ``fail`` is asked before each."""

    def __init__(self, fail: Callable[[Job], None] = lambda _: None) -> None:
        self.done: list[str] = []
        self._fail = fail

    def run(self, job: Job, progress: Progress) -> Built:
        self.done.append(type(job).__name__)
        self._fail(job)
        return work(job, progress)


@contextmanager
def worn(folder: Path, jobs: Jobs, config: CollectionConfig = CONFIG) -> Iterator[tuple[Collection, F32]]:
    """A collection with a graph of which 150 points of 400 were deleted or replaced; the rows it should find."""
    Collection.create(folder, config, files=FILES)
    target, rows = open_in(folder, config, jobs), vectors(ROWS)
    put(target, rows)
    tend(target)
    rows[REPLACED] = vectors(len(REPLACED), seed=4)
    put(target, rows[REPLACED], first=REPLACED.start)
    delete(target, GONE)
    jobs.done.clear()
    yield target, rows
    target.close(checkpoint=False)


class Builds(InProcess):
    """Stands for the child that builds."""

    def close(self) -> None:
        """Nothing to end."""
