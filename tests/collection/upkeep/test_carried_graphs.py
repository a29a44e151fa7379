"""Compaction takes a shard's graphs over into its copy, and builds only those that are not worth it."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qdrantlite.collection.collection import Collection
from qdrantlite.collection.upkeep import graph_files, shard_copy
from qdrantlite.collection.upkeep.build_process import Lost
from qdrantlite.database import Database
from qdrantlite.errors import StorageFailed
from qdrantlite.plan import estimate
from qdrantlite.query import search as s
from qdrantlite.segment.sealed import SealedSegment
from qdrantlite.storage import file_names
from qdrantlite.values.distance import Distance
from qdrantlite.values.schema import CollectionUpdate, HnswConfig, ScalarQuantization, VectorParams
from tests.collection.compacted import compact as compact_database
from tests.collection.compacted import let_go, untended
from tests.collection.small import NAME, collection_of
from tests.collection.tended import (
    CONFIG,
    DIM,
    FILES,
    GONE,
    GREEN,
    REPLACED,
    ROWS,
    Builds,
    Jobs,
    assert_finds,
    delete,
    failing_to_carry,
    give_space_back,
    graph_names,
    open_in,
    put,
    status,
    tend,
    turning,
    vectors,
    worn,
)
from tests.faulty_files import FaultyFiles, PowerLost


@pytest.fixture(autouse=True)
def _graphs_are_walked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Although a scan of so few rows is cheaper, and so few dead rows are not worth a copy."""
    monkeypatch.setattr(estimate, "graph_cost", lambda *_: 0.0)
    with untended():
        yield


def compact(target: Collection, *, between: Callable[[], None] = lambda: None) -> SealedSegment:
    """The graph there is after a compaction."""
    before = target.shard
    give_space_back(target, between)
    assert target._compactor.error is None
    assert target.shard is not before
    return target.shard.state.dense[""].sealed[0]


def test_the_graph_is_taken_over_without_what_died(tmp_path: Path) -> None:
    jobs = Jobs()
    with worn(tmp_path / "c", jobs) as (target, rows):
        segment = compact(target)
        assert jobs.done == ["CarryJob", "LinkJob"]  # The replaced points had not been linked yet.
        live = ROWS - len(GONE)
        assert (segment.first, segment.stop, segment.linked) == (0, live, live)
        assert segment.pruned == len(GONE) + len(REPLACED)
        assert len(segment.graph.holes()) == 0
        assert status(target) == (GREEN, live, 2)
        assert len(graph_names(target.shard.folder)) == 1
        assert_finds(target, rows, gone=GONE)
        put(target, vectors(100, seed=5), first=ROWS)
        tend(target)
        assert_finds(target, np.concatenate((rows, vectors(100, seed=5))), gone=GONE)


def test_codes_are_made_again_for_a_graph_that_was_taken_over(tmp_path: Path) -> None:
    jobs = Jobs()
    with worn(tmp_path / "c", jobs, replace(CONFIG, quantization_config=ScalarQuantization())) as (target, rows):
        segment = compact(target)
        assert jobs.done[0] == "CarryJob"
        assert jobs.done[-1] == "EncodeJob"
        assert segment.coding is not None
        rescored = s.SearchParams(hnsw_ef=ROWS, quantization=s.QuantizationParams(rescore=True))
        assert_finds(target, rows, gone=GONE, params=rescored)


def test_a_graph_pruned_before_is_only_given_other_numbers(tmp_path: Path) -> None:
    jobs = Jobs()
    with worn(tmp_path / "c", jobs) as (target, rows):
        tend(target)
        tend(target)
        assert jobs.done == ["PruneJob", "LinkJob"]
        pruned = target.shard.state.dense[""].sealed[0]
        segment = compact(target)
        assert jobs.done[2:] == ["CarryJob"]
        assert (segment.linked, segment.pruned) == (pruned.linked, pruned.pruned)
        kept = pruned.graph.links.places[pruned.graph.links.places >= 0]
        assert np.count_nonzero(segment.graph.links.places >= 0) == len(kept)
        assert_finds(target, rows, gone=GONE)


def test_writes_that_come_meanwhile_are_found(tmp_path: Path) -> None:
    jobs = Jobs()
    with worn(tmp_path / "c", jobs) as (target, rows):
        late = iter(range(200, 230))
        segment = compact(target, between=turning(target, rows, late))
        assert "CarryJob" in jobs.done
        assert next(late, None) is None
        assert segment.pruned >= len(GONE) + len(REPLACED)
        assert_finds(target, rows, gone=GONE)


def test_every_vector_has_its_own_graph_taken_over(tmp_path: Path) -> None:
    vector = VectorParams(DIM, Distance.COSINE)
    jobs = Jobs()
    config = replace(CONFIG, vectors={"": CONFIG.vectors[""], "other": vector}, unnamed_only=False)
    with worn(tmp_path / "c", jobs, config) as (target, rows):
        segment = compact(target)
        assert jobs.done[0] == "CarryJob"
        assert target.shard.state.dense["other"].sealed == ()
        assert segment.linked == ROWS - len(GONE)
        assert_finds(target, rows, gone=GONE)


@pytest.mark.parametrize("error", [Lost("it ended"), StorageFailed("no space is left"), RuntimeError("of FAISS")])
def test_what_cannot_be_taken_over_is_built(tmp_path: Path, error: Exception) -> None:
    jobs = Jobs(failing_to_carry(error))
    with worn(tmp_path / "c", jobs) as (target, rows):
        segment = compact(target)
        assert jobs.done == ["CarryJob", "LinkJob"]
        assert (segment.linked, segment.pruned) == (ROWS - len(GONE), 0)
        assert status(target)[0] is GREEN
        assert target._optimizer.error is None
        assert_finds(target, rows, gone=GONE)


def test_a_graph_whose_file_is_gone_is_built(tmp_path: Path) -> None:
    jobs = Jobs()
    with worn(tmp_path / "c", jobs) as (target, rows):
        for name in graph_names(tmp_path / "c"):
            (file_names.derived(tmp_path / "c") / name).unlink()
        assert compact(target).pruned == 0
        assert_finds(target, rows, gone=GONE)


def test_a_graph_of_which_most_is_dead_is_built(tmp_path: Path) -> None:
    jobs = Jobs()
    with worn(tmp_path / "c", jobs) as (target, rows):
        delete(target, range(GONE.stop, 300))
        segment = compact(target)
        assert jobs.done == ["LinkJob"]
        assert segment.pruned == 0
        assert_finds(target, rows, gone=range(300))


def test_a_graph_of_other_settings_is_built(tmp_path: Path) -> None:
    jobs = Jobs()
    with worn(tmp_path / "c", jobs) as (target, rows):
        target.update_config(CollectionUpdate(hnsw_config=HnswConfig(m=8)))
        segment = compact(target)
        assert jobs.done == ["LinkJob"]
        assert (segment.params.m, segment.pruned) == (8, 0)
        assert_finds(target, rows, gone=GONE)


def test_a_restart_maps_the_graph_that_was_taken_over(tmp_path: Path) -> None:
    with worn(tmp_path / "c", Jobs()) as (target, rows):
        segment, folder = compact(target), target.shard.folder
        target.close(checkpoint=False)
        (saved,) = graph_files.read_manifest(folder=file_names.derived(folder), files=FILES)
        assert (saved.linked, saved.pruned) == (segment.linked, segment.pruned)
        again = open_in(folder)
        assert again.shard.state.dense[""].sealed[0].pruned == segment.pruned
        assert_finds(again, rows, gone=GONE)
        again.close(checkpoint=False)


@pytest.mark.parametrize("stride", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_power_cut_at_any_file_call_costs_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stride: int
) -> None:
    monkeypatch.setattr("qdrantlite.database.BuildProcess", Builds)
    monkeypatch.setattr(shard_copy, "CHUNK_POINTS_MAX", 200)
    rows = vectors(ROWS)
    with Database(tmp_path / "source") as database:
        database.create_collection(NAME, CONFIG)
        target = collection_of(database)
        put(target, rows)
        tend(target)
        delete(target, GONE)
    fail_at, ended, carried = 0, False, set[int]()
    while not ended:
        fail_at += stride
        root, crashed = tmp_path / str(fail_at), tmp_path / f"crashed{fail_at}"
        shutil.copytree(tmp_path / "source", root)
        files = FaultyFiles(root, fail_at=fail_at)
        ended = _compacted_until_the_cut(root, files)
        files.crash_state(crashed, seed=fail_at)
        with Database(crashed) as database:
            target = collection_of(database)
            assert_finds(target, rows, gone=GONE)
            carried |= {segment.pruned for segment in target.shard.state.dense[""].sealed}
            tend(target)
            assert_finds(target, rows, gone=GONE)
        shutil.rmtree(root)
    assert carried == {0, len(GONE)}


def _compacted_until_the_cut(root: Path, files: FaultyFiles) -> bool:
    """Lets go of the database without a word to the disk; whether there was no cut."""
    database = None
    try:
        database = Database(root, files=files)
        compact_database(database)
        collection_of(database).maintain(idle=True)
    except (PowerLost, StorageFailed):  # The latter from a store whose sync was cut before.
        pass
    finally:
        if database is not None:
            let_go(database)
    return not files.lost_power
