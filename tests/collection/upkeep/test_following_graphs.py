"""Points that are moved in place keep their places in the graphs, and no graph links what is given back."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from qdrantlite.collection.collection import Collection
from qdrantlite.collection.upkeep import graph_files, reclaiming
from qdrantlite.collection.upkeep.build_process import Lost
from qdrantlite.collection.upkeep.building import CarryJob, Job, LinkJob
from qdrantlite.deadline import FOREVER
from qdrantlite.errors import StorageFailed
from qdrantlite.plan import estimate
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.segment.sealed import SealedSegment
from qdrantlite.storage import file_names
from qdrantlite.storage.vacant import size_of
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.schema import (
    CollectionConfig,
    CollectionUpdate,
    HnswConfig,
    ScalarQuantization,
    VectorParams,
)
from qdrantlite.values.vector import F32
from tests.collection.compacted import in_place
from tests.collection.tended import (
    CONFIG,
    DIM,
    FILES,
    GONE,
    GREEN,
    REPLACED,
    ROWS,
    Jobs,
    assert_finds,
    delete,
    failing_to_carry,
    give_space_back,
    open_in,
    put,
    status,
    tend,
    turning,
    vectors,
    worn,
)
from tests.collection.vacated import small_blocks

SPREAD = range(202, ROWS, 5)
"""Of the points behind those that died."""


@pytest.fixture(autouse=True)
def _graphs_are_walked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Although a scan of so few rows is cheaper."""
    monkeypatch.setattr(estimate, "graph_cost", lambda *_: 0.0)
    with in_place(), small_blocks(), patch.object(reclaiming, "ROUND_SHARE", 1.0):
        yield


def give_back(target: Collection, *, between: Callable[[], None] = lambda: None) -> SealedSegment | None:
    """The graph there is when dead points have given back what they held."""
    before = target.shard
    give_space_back(target, between)
    assert target.shard is before
    sealed = target.shard.state.dense[""].sealed
    assert not any(segment.links(target.shard.vacant.offsets) for segment in sealed)
    return sealed[0] if sealed else None


def scattered(target: Collection, rows: F32) -> None:
    """Replaces points everywhere, in the rows that are to be found, too."""
    rows[SPREAD] = vectors(len(SPREAD), seed=8)
    for at, number in enumerate(SPREAD):
        put(target, rows[SPREAD][at : at + 1], first=number)


@pytest.mark.parametrize("distance", list(Distance))
@pytest.mark.parametrize("datatype", [Datatype.FLOAT32, Datatype.FLOAT16])
def test_moved_points_are_found_along_the_graph(tmp_path: Path, distance: Distance, datatype: Datatype) -> None:
    jobs, params = Jobs(), VectorParams(DIM, distance, datatype=datatype)
    config = replace(CONFIG, vectors={"": params})
    Collection.create(tmp_path / "c", config, files=FILES)
    target = open_in(tmp_path / "c", config, jobs)
    put(target, vectors(ROWS))
    tend(target)
    jobs.done.clear()
    delete(target, range(1, ROWS, 4))
    assert give_back(target) is not None
    assert jobs.done == ["CarryJob"]
    segment, state = target.shard.state.dense[""].sealed[0], target.shard.state
    assert size_of(target.shard.vacant.offsets) > 200
    assert np.array_equal(segment.graph.linked(), state.live.offsets()[state.live.offsets() < segment.stop])
    queries = vectors(9, seed=3)
    exact = s.SearchParams(exact=True)
    for query in queries:
        found, wanted = (_found(target, query, params) for params in (s.SearchParams(hnsw_ef=ROWS), exact))
        assert found == wanted
    target.close(checkpoint=False)


def _found(target: Collection, query: F32, params: s.SearchParams) -> list[object]:
    view = target.open_view()
    with view:
        dense = view.dense("")
        prepared = query / np.linalg.norm(query) if dense.distance is Distance.COSINE else query
        answer = dense.scan(prepared, limit=10) if params.exact else dense.walk(prepared, limit=10, ef=ROWS)
        return [*view.ids(answer[0]).to_list()]


def test_graphs_follow_without_being_built(tmp_path: Path) -> None:
    jobs = Jobs()
    with worn(tmp_path / "c", jobs) as (target, rows):
        scattered(target, rows)
        segment = give_back(target)
        assert segment is not None
        assert jobs.done == ["CarryJob"]
        assert status(target)[0] is GREEN
        assert_finds(target, rows, gone=GONE)
        tend(target)
        assert_finds(target, rows, gone=GONE)
        put(target, vectors(100, seed=5), first=ROWS)
        tend(target)
        assert_finds(target, np.concatenate((rows, vectors(100, seed=5))), gone=GONE)


def test_a_graph_keeps_numbers_and_codes_where_nothing_is_moved(tmp_path: Path) -> None:
    jobs = Jobs()
    with worn(tmp_path / "c", jobs, replace(CONFIG, quantization_config=ScalarQuantization())) as (target, rows):
        jobs.done.clear()
        segment = give_back(target)
        assert segment is not None
        assert jobs.done == ["PruneJob"]
        assert segment.coding is not None
        assert segment.pruned == len(GONE) + len(REPLACED)
        assert_finds(target, rows, gone=GONE, params=RESCORED)


RESCORED = s.SearchParams(hnsw_ef=ROWS, quantization=s.QuantizationParams(rescore=True))


def test_codes_are_made_again_for_moved_points(tmp_path: Path) -> None:
    jobs = Jobs()
    with worn(tmp_path / "c", jobs, replace(CONFIG, quantization_config=ScalarQuantization())) as (target, rows):
        jobs.done.clear()
        scattered(target, rows)
        give_back(target)
        assert jobs.done == ["CarryJob", "EncodeJob"]
        assert_finds(target, rows, gone=GONE, params=RESCORED)


def test_what_is_written_meanwhile_is_linked_in_between(tmp_path: Path) -> None:
    jobs = Jobs()
    with worn(tmp_path / "c", jobs) as (target, rows):
        scattered(target, rows)
        late = iter(range(200, 260))
        segment = give_back(target, between=turning(target, rows, late))
        assert next(late, None) is None
        assert segment is not None
        assert segment.apart is None
        assert_finds(target, rows, gone=GONE)
        tend(target)
        assert_finds(target, rows, gone=GONE)


def test_every_vector_has_its_own_graph(tmp_path: Path) -> None:
    vector, jobs = VectorParams(DIM, Distance.COSINE), Jobs()
    config = replace(CONFIG, vectors={"": CONFIG.vectors[""], "other": vector}, unnamed_only=False)
    with worn(tmp_path / "c", jobs, config) as (target, rows):
        scattered(target, rows)
        give_back(target)
        assert jobs.done == ["CarryJob"]
        assert target.shard.state.dense["other"].sealed == ()
        assert_finds(target, rows, gone=GONE)


@pytest.mark.parametrize("error", [Lost("it ended"), StorageFailed("no space is left"), RuntimeError("of FAISS")])
def test_a_graph_that_cannot_follow_is_built_at_the_next_attempt(tmp_path: Path, error: Exception) -> None:
    jobs = Jobs(failing_to_carry(error))
    with worn(tmp_path / "c", jobs) as (target, rows):
        scattered(target, rows)
        give_back(target)
        assert size_of(target.shard.vacant.offsets) == 0
        assert_finds(target, rows, gone=GONE)
        moved = target.shard.state.rows
        target._compactor._attempts._retry_at = 0.0
        segment = give_back(target)
        assert segment is not None
        assert segment.pruned == 0
        assert jobs.done[-1] == "LinkJob"
        assert size_of(target.shard.vacant.offsets) > 200
        assert target.shard.state.rows < moved + 100
        assert_finds(target, rows, gone=GONE)


def test_nothing_is_given_back_while_a_graph_links_it(tmp_path: Path) -> None:
    def fail(job: Job) -> None:
        if isinstance(job, CarryJob | LinkJob) and target:
            raise StorageFailed("no space is left")

    target: list[Collection] = []
    with worn(tmp_path / "c", Jobs(fail)) as (collection, rows):
        scattered(collection, rows)
        target.append(collection)
        for _ in range(3):
            give_back(collection)
            collection._compactor._attempts._retry_at = 0.0
            assert size_of(collection.shard.vacant.offsets) == 0
            assert_finds(collection, rows, gone=GONE)
        assert collection._compactor.error is not None


def test_a_graph_whose_file_is_gone_is_built(tmp_path: Path) -> None:
    jobs = Jobs()
    with worn(tmp_path / "c", jobs) as (target, rows):
        scattered(target, rows)
        for path in file_names.derived(tmp_path / "c").glob("graph-*"):
            path.unlink()
        give_back(target)
        assert jobs.done == ["LinkJob"]
        assert_finds(target, rows, gone=GONE)


def test_a_graph_of_other_settings_is_built(tmp_path: Path) -> None:
    jobs = Jobs()
    with worn(tmp_path / "c", jobs) as (target, rows):
        scattered(target, rows)
        target.update_config(CollectionUpdate(hnsw_config=HnswConfig(m=8)))
        segment = give_back(target)
        assert segment is not None
        assert (jobs.done, segment.params.m) == (["LinkJob"], 8)
        assert_finds(target, rows, gone=GONE)


def test_a_graph_of_which_nothing_is_left_goes(tmp_path: Path) -> None:
    with worn(tmp_path / "c", Jobs()) as (target, rows):
        put(target, rows[390:], first=390)
        delete(target, range(390))
        assert give_back(target) is None
        assert size_of(target.shard.vacant.offsets) > 300
        assert_finds(target, rows, gone=range(390))


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, quantization_config=ScalarQuantization())])
def test_a_restart_maps_the_graph_that_followed(tmp_path: Path, config: CollectionConfig) -> None:
    with worn(tmp_path / "c", Jobs(), config) as (target, rows):
        scattered(target, rows)
        segment, folder = give_back(target), target.shard.folder
        assert segment is not None
        target.close(checkpoint=False)
        (saved,) = graph_files.read_manifest(folder=file_names.derived(folder), files=FILES)
        assert (saved.linked, saved.pruned) == (segment.linked, segment.pruned)
        again = open_in(folder, config)
        assert again.shard.state.dense[""].sealed[0].pruned == segment.pruned
        assert_finds(again, rows, gone=GONE, params=RESCORED)
        delete(again, range(100, 140))
        put(again, rows[100:140], first=100)
        give_back(again)
        assert_finds(again, rows, gone=GONE, params=RESCORED)
        again.close(checkpoint=False)


def test_points_that_lost_the_vector_are_not_linked(tmp_path: Path) -> None:
    with worn(tmp_path / "c", Jobs()) as (target, rows):
        scattered(target, rows)

        def between() -> None:
            numbers = next(losing, None)
            if numbers is not None:
                target.write((o.DeleteVectors(o.Selector(ids=numbers), ("",)),), wait=True, deadline=FOREVER)

        losing = iter([(300, 301), (302,), (303, 304), (305,)])
        segment = give_back(target, between=between)
        assert segment is not None
        assert len(target.shard.state.present[""]) == ROWS - len(GONE) - 6
        assert np.isin(segment.graph.linked(), target.shard.state.live.offsets()).all()
        hits = [number for query in vectors(3, seed=2) for number in _found(target, query, s.SearchParams())]
        assert not set(hits) & set(range(300, 306))
