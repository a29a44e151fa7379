"""Graphs behind a collection: when they appear, what they survive, and that answers stay right."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from qdrantlite.collection.collection import Collection
from qdrantlite.deadline import FOREVER
from qdrantlite.plan import estimate
from qdrantlite.query import operation as o
from qdrantlite.segment import sealed
from qdrantlite.storage import file_names
from qdrantlite.values.distance import Distance
from qdrantlite.values.schema import (
    HNSW_DEFAULT,
    CollectionUpdate,
    HnswConfig,
    OptimizersConfig,
    VectorParams,
)
from tests.collection.tended import (
    CONFIG,
    DIM,
    FILES,
    GREEN,
    ROWS,
    THRESHOLD_KB,
    YELLOW,
    assert_finds,
    collection,
    delete,
    flip,
    graph_names,
    no_build,
    open_in,
    put,
    status,
    tend,
    vectors,
)


@pytest.fixture(autouse=True)
def graphs_are_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although a scan of so few rows is cheaper."""
    monkeypatch.setattr(estimate, "graph_cost", lambda *_: 0.0)


def test_collection_is_yellow_until_its_graph_is_built(tmp_path: Path) -> None:
    rows = vectors(ROWS)
    with collection(tmp_path / "c") as target:
        put(target, rows[:95])
        tend(target)
        assert status(target) == (GREEN, 0, 1)
        put(target, rows[95:], first=95)
        assert status(target) == (YELLOW, 0, 1)
        tend(target)
        assert status(target) == (GREEN, ROWS, 2)
        assert_finds(target, rows)


def test_rows_beyond_the_graph_are_found_and_later_linked(tmp_path: Path) -> None:
    rows = vectors(ROWS)
    with collection(tmp_path / "c") as target:
        put(target, rows[:200])
        tend(target)
        put(target, rows[200:250], first=200)
        assert status(target) == (GREEN, 200, 2)
        assert_finds(target, rows[:250])
        put(target, rows[250:], first=250)
        assert status(target) == (YELLOW, 200, 2)
        assert_finds(target, rows)
        tend(target)
        assert status(target) == (GREEN, ROWS, 2)
        assert_finds(target, rows)
        assert len(graph_names(tmp_path / "c")) == 1


def test_graph_with_many_dead_points_is_pruned_and_one_with_most_of_them_built_anew(tmp_path: Path) -> None:
    rows = vectors(ROWS)
    with collection(tmp_path / "c") as target:
        put(target, rows)
        tend(target)
        delete(target, range(60))
        assert status(target) == (GREEN, ROWS - 60, 2)
        assert_finds(target, rows, gone=range(60))
        delete(target, range(60, 120))
        assert status(target)[0] is YELLOW
        tend(target)
        assert status(target) == (GREEN, ROWS - 120, 2)
        pruned = target.shard.state.dense[""].sealed[0]
        assert (pruned.first, pruned.stop, pruned.linked, pruned.pruned) == (0, ROWS, ROWS - 120, 120)
        assert pruned.graph.holes().tolist() == list(range(120))
        assert_finds(target, rows, gone=range(120))
        delete(target, range(120, 300))
        tend(target)
        built = target.shard.state.dense[""].sealed[0]
        assert (built.first, built.stop, built.linked, built.pruned) == (300, ROWS, ROWS - 300, 0)
        assert_finds(target, rows, gone=range(300))
        delete(target, range(300, ROWS))
        tend(target)
        assert status(target) == (GREEN, 0, 1)


@pytest.mark.parametrize("change", [HnswConfig(m=8), HnswConfig(ef_construct=50)])
def test_changed_settings_build_the_graph_anew(tmp_path: Path, change: HnswConfig) -> None:
    with collection(tmp_path / "c") as target:
        put(target, vectors(ROWS))
        tend(target)
        target.update_config(CollectionUpdate(hnsw_config=change))
        assert status(target)[0] is YELLOW
        tend(target)
        assert status(target) == (GREEN, ROWS, 2)
        params = target.shard.state.dense[""].sealed[0].params
        assert (params.m, params.ef_construct) == (change.m or 16, change.ef_construct or 100)


def test_without_links_the_graph_goes_and_comes_back(tmp_path: Path) -> None:
    rows = vectors(ROWS)
    with collection(tmp_path / "c") as target:
        put(target, rows)
        tend(target)
        target.update_config(CollectionUpdate(hnsw_config=HnswConfig(m=0)))
        tend(target)
        assert status(target) == (GREEN, 0, 1)
        assert graph_names(tmp_path / "c") == []
        assert_finds(target, rows)
        target.update_config(CollectionUpdate(hnsw_config=HnswConfig(m=16)))
        tend(target)
        assert status(target) == (GREEN, ROWS, 2)


def test_threshold_of_zero_switches_indexing_off(tmp_path: Path) -> None:
    off = replace(CONFIG, optimizer_config=replace(CONFIG.optimizer_config, indexing_threshold=0))
    with collection(tmp_path / "c", off) as target:
        put(target, vectors(ROWS))
        tend(target)
        assert status(target) == (GREEN, 0, 1)
        target.update_config(CollectionUpdate(optimizer_config=OptimizersConfig(indexing_threshold=THRESHOLD_KB)))
        assert status(target)[0] is YELLOW
        tend(target)
        assert status(target) == (GREEN, ROWS, 2)


def test_threads_and_links_come_from_the_vectors_own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    real = sealed.seal

    def spy(*args: object, **given: object) -> sealed.SealedSegment:
        params, threads = given["params"], given["threads"]
        assert isinstance(params, sealed.GraphParams)
        assert isinstance(threads, int)
        seen.append((params.m, threads))
        return real(*args, **given)  # type: ignore[arg-type] # the arguments are handed on as they came

    monkeypatch.setattr(sealed, "seal", spy)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    own = VectorParams(DIM, Distance.DOT, hnsw_config=HnswConfig(m=5, max_indexing_threads=3))
    shared = replace(HNSW_DEFAULT, max_indexing_threads=1)
    for name, config, expected in (
        ("own", replace(CONFIG, vectors={"": own}), (5, 3)),
        ("shared", replace(CONFIG, hnsw_config=shared), (16, 1)),
        ("all", CONFIG, (16, 4)),
    ):
        with collection(tmp_path / name, config) as target:
            put(target, vectors(120))
            tend(target)
        assert seen.pop() == expected


def test_restart_maps_the_graph_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = vectors(ROWS)
    with collection(tmp_path / "c") as target:
        put(target, rows)
        tend(target)
    monkeypatch.setattr(sealed, "seal", no_build)
    reopened = open_in(tmp_path / "c")
    assert status(reopened) == (GREEN, ROWS, 2)
    assert_finds(reopened, rows)
    tend(reopened)
    assert reopened._optimizer.error is None
    reopened.close(checkpoint=False)


def remove(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("spoil", [remove, flip, cut])
@pytest.mark.parametrize("prefix", ["graph-", "graphs"])
def test_spoiled_graph_is_built_again(tmp_path: Path, prefix: str, spoil: Callable[[Path], None]) -> None:
    rows = vectors(ROWS)
    with collection(tmp_path / "c") as target:
        put(target, rows)
        tend(target)
    for name in graph_names(tmp_path / "c", prefix):
        spoil(file_names.derived(tmp_path / "c") / name)
    reopened = open_in(tmp_path / "c")
    assert status(reopened) == (YELLOW, 0, 1)
    assert_finds(reopened, rows)
    tend(reopened)
    assert status(reopened) == (GREEN, ROWS, 2)
    assert_finds(reopened, rows)
    reopened.close(checkpoint=False)


def test_derived_files_may_vanish_while_the_collection_is_open(tmp_path: Path) -> None:
    rows = vectors(ROWS)
    with collection(tmp_path / "c") as target:
        put(target, rows[:200])
        tend(target)
        shutil.rmtree(file_names.derived(tmp_path / "c"))
        assert_finds(target, rows[:200])
        put(target, rows[200:], first=200)
        tend(target)
        assert target._optimizer.error is None
        assert status(target) == (GREEN, ROWS, 2)


def test_graph_of_rows_that_were_lost_is_forgotten(tmp_path: Path) -> None:
    """The graph was saved, then the power went before the last rows were on disk: others will take their places."""
    rows = vectors(ROWS)
    with collection(tmp_path / "c") as target:
        put(target, rows[:200])
        shutil.copytree(tmp_path / "c", tmp_path / "before")
        put(target, rows[200:], first=200)
        tend(target)
    shutil.copytree(file_names.derived(tmp_path / "c"), file_names.derived(tmp_path / "before"), dirs_exist_ok=True)
    other = vectors(ROWS, seed=2)
    for round_ in range(2):
        reopened = open_in(tmp_path / "before")
        if round_ == 0:
            put(reopened, other[200:], first=200)
        assert status(reopened) == (YELLOW, 0, 1)
        assert_finds(reopened, np.concatenate((rows[:200], other[200:])))
        reopened.close(checkpoint=False)


def test_searches_and_writes_go_on_while_a_graph_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, building, go_on = vectors(ROWS), Event(), Event()
    real = sealed.seal

    def slow(*args: object, **given: object) -> sealed.SealedSegment:
        building.set()
        assert go_on.wait(10)
        return real(*args, **given)  # type: ignore[arg-type] # the arguments are handed on as they came

    monkeypatch.setattr(sealed, "seal", slow)
    with collection(tmp_path / "c") as target:
        put(target, rows[:300])
        builder = Thread(target=tend, args=(target,))
        builder.start()
        assert building.wait(10)
        assert status(target) == (YELLOW, 0, 1)
        put(target, rows[300:], first=300)
        delete(target, range(40))
        assert_finds(target, rows, gone=range(40))
        go_on.set()
        builder.join(10)
        assert status(target)[:2] == (YELLOW, 260)
        assert_finds(target, rows, gone=range(40))
        tend(target)
        assert status(target) == (GREEN, 360, 2)
        assert_finds(target, rows, gone=range(40))


@pytest.mark.parametrize("end", ["close", "drop vector"])
def test_build_ends_when_it_is_no_longer_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    building, ended = Event(), Event()

    def endless(*_: object, **given: object) -> sealed.SealedSegment:
        building.set()
        try:
            while True:
                given["progress"](1, 2)  # type: ignore[operator] # it is the build's progress
                time.sleep(0.005)
        finally:
            ended.set()

    config = replace(CONFIG, vectors={"": CONFIG.vectors[""], "b": VectorParams(DIM, Distance.DOT)}, unnamed_only=False)
    monkeypatch.setattr(sealed, "seal", endless)
    Collection.create(tmp_path / "c", config, files=FILES)
    target = open_in(tmp_path / "c", config)
    put(target, vectors(ROWS))
    builder = Thread(target=tend, args=(target,))
    builder.start()
    assert building.wait(10)
    if end == "drop vector":
        target.alter(o.DeleteVectorName(""), deadline=FOREVER)
        assert ended.wait(5)
        builder.join(5)
        assert status(target) == (GREEN, 0, 1)
    target.close(checkpoint=False)
    assert ended.is_set()
    builder.join(5)
    tend(target)
    assert graph_names(tmp_path / "c") == [] if file_names.derived(tmp_path / "c").exists() else True


KILLED_WHILE_SAVING = """
import os, signal, sys
from pathlib import Path
from qdrantlite.segment import sealed
from tests.collection.tended import open_in, put, tend, vectors
target = open_in(Path(sys.argv[1]))
put(target, vectors(400)[200:], first=200)
real = sealed.save_graph
def save(segment, path):
    real(segment, path)
    path.write_bytes(path.read_bytes()[:5000])
    os.kill(os.getpid(), signal.SIGKILL)
sealed.save_graph = save
tend(target)
"""


def test_graph_survives_a_kill_while_its_successor_is_saved(tmp_path: Path) -> None:
    rows = vectors(ROWS)
    with collection(tmp_path / "c") as target:
        put(target, rows[:200])
        tend(target)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_SAVING, str(tmp_path / "c")], capture_output=True, text=True, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(graph_names(tmp_path / "c")) == 2
    reopened = open_in(tmp_path / "c")
    assert status(reopened) == (YELLOW, 200, 2)
    assert_finds(reopened, rows)
    tend(reopened)
    assert status(reopened) == (GREEN, ROWS, 2)
    assert len(graph_names(tmp_path / "c")) == 1
    reopened.close(checkpoint=False)
