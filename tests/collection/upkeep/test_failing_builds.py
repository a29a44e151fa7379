"""What becomes of a collection whose builds fail: answers stay exact, its info says why, nothing goes on for ever."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qdrantlite.collection.collection import Collection
from qdrantlite.collection.upkeep import graph_files
from qdrantlite.collection.upkeep.build_process import Lost, NotStarted
from qdrantlite.collection.upkeep.building import Built, Job, Progress
from qdrantlite.errors import StorageFailed
from qdrantlite.plan import estimate
from qdrantlite.segment import sealed
from qdrantlite.storage import file_names
from qdrantlite.storage.files import PosixFiles
from qdrantlite.values.schema import CollectionUpdate, HnswConfig, ScalarQuantization
from qdrantlite.values.vector import F32
from tests.collection.tended import (
    CONFIG,
    FILES,
    GREEN,
    RED,
    ROWS,
    YELLOW,
    assert_finds,
    collection,
    delete,
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


def failing(*_: object, **__: object) -> sealed.SealedSegment:
    """In place of a build."""
    raise MemoryError


def put_off_no_longer(target: Collection) -> None:
    """Lets the time pass after which failed work is tried again."""
    for trouble in target._optimizer._troubles.known.values():
        trouble.backoff._retry_at = 0.0


def test_failed_build_is_told_and_tried_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = vectors(ROWS)
    with collection(tmp_path / "c") as target:
        put(target, rows)
        with monkeypatch.context() as patched:
            patched.setattr(sealed, "seal", failing)
            for failures in (1, 2, 3):
                tend(target)
                tend(target)
                assert status(target)[0] is RED
                text = "out of memory (its graph of vector '' over 400 points; searches do without)"
                assert target.info().optimizer_error == text
                (trouble,) = target._optimizer._troubles.known.values()
                assert trouble.backoff.failures == failures
                assert_finds(target, rows)
                put_off_no_longer(target)
        tend(target)
        assert status(target) == (GREEN, ROWS, 2)


def test_a_graph_that_cannot_be_pruned_is_built_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = vectors(ROWS)
    with collection(tmp_path / "c") as target:
        put(target, rows)
        tend(target)
        delete(target, range(100))
        monkeypatch.setattr(sealed, "prune", failing)
        tend(target)
        assert status(target)[0] is RED
        assert target.info().optimizer_error is not None
        assert_finds(target, rows, gone=range(100))
        tend(target)
        assert status(target) == (GREEN, ROWS - 100, 2)
        assert target.info().optimizer_error is None
        assert target.shard.state.dense[""].sealed[0].pruned == 0
        assert_finds(target, rows, gone=range(100))


def test_changed_settings_try_a_failed_build_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collection(tmp_path / "c") as target:
        put(target, vectors(ROWS))
        with monkeypatch.context() as patched:
            patched.setattr(sealed, "seal", failing)
            tend(target)
        tend(target)
        assert status(target)[0] is RED
        target.update_config(CollectionUpdate(hnsw_config=HnswConfig(m=8)))
        tend(target)
        assert status(target) == (GREEN, ROWS, 2)


def test_codes_that_fail_leave_the_graph_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = vectors(ROWS)
    config = replace(CONFIG, quantization_config=ScalarQuantization())
    with collection(tmp_path / "c", config) as target:
        put(target, rows[:300])
        with monkeypatch.context() as patched:
            patched.setattr(sealed, "encode", failing)
            tend(target)
            assert status(target) == (RED, 300, 2)
            put(target, rows[300:], first=300)
            tend(target)
            assert status(target) == (RED, ROWS, 2)
            assert_finds(target, rows)
        put_off_no_longer(target)
        tend(target)
        assert status(target) == (GREEN, ROWS, 2)
        assert target.shard.state.dense[""].sealed[0].coding is not None


class Crashing:
    """Ends its process whenever it is asked; counts."""

    def __init__(self, error: type[StorageFailed] = Lost) -> None:
        self.jobs = 0
        self._error = error

    def run(self, job: Job, progress: Progress) -> Built:
        progress(0, job.rows.count)
        self.jobs += 1
        raise self._error("it ended the build process by SIGSEGV")


def test_a_build_that_ended_its_process_is_not_repeated(tmp_path: Path) -> None:
    rows = vectors(ROWS)
    Collection.create(tmp_path / "c", CONFIG, files=FILES)
    for starts in range(3):
        crashing = Crashing()
        target = open_in(tmp_path / "c", builder=crashing)
        if starts == 0:
            put(target, rows)
        for _ in range(3):
            tend(target)
            put_off_no_longer(target)
        assert crashing.jobs == (1 if starts == 0 else 0)
        assert status(target) == (RED, 0, 1)
        error = target.info().optimizer_error
        assert error is not None
        assert "SIGSEGV" in error
        assert str(tmp_path) not in error
        assert_finds(target, rows)
        target.close(checkpoint=False)
    reopened = open_in(tmp_path / "c")
    tend(reopened)
    assert status(reopened) == (RED, 0, 1)
    put(reopened, vectors(79, seed=2), first=ROWS)
    tend(reopened)
    assert status(reopened)[0] is RED
    put(reopened, vectors(1, seed=3), first=ROWS + 79)
    tend(reopened)
    assert status(reopened) == (GREEN, ROWS + 80, 2)
    reopened.close(checkpoint=False)


def test_other_settings_are_another_attempt(tmp_path: Path) -> None:
    rows = vectors(ROWS)
    Collection.create(tmp_path / "c", CONFIG, files=FILES)
    target = open_in(tmp_path / "c", builder=Crashing())
    put(target, rows)
    tend(target)
    target.close(checkpoint=False)
    reopened = open_in(tmp_path / "c")
    tend(reopened)
    assert status(reopened)[0] is RED
    reopened.update_config(CollectionUpdate(hnsw_config=HnswConfig(m=8)))
    tend(reopened)
    assert status(reopened) == (GREEN, ROWS, 2)
    assert_finds(reopened, rows)
    reopened.close(checkpoint=False)


def test_without_a_process_to_build_in_answers_stay_exact(tmp_path: Path) -> None:
    rows = vectors(ROWS)
    Collection.create(tmp_path / "c", CONFIG, files=FILES)
    target = open_in(tmp_path / "c", builder=Crashing(NotStarted))
    put(target, rows)
    tend(target)
    assert status(target) == (RED, 0, 1)
    assert_finds(target, rows)
    target.close(checkpoint=False)
    reopened = open_in(tmp_path / "c")  # It was not tried, so there is nothing to remember.
    tend(reopened)
    assert status(reopened) == (GREEN, ROWS, 2)
    reopened.close(checkpoint=False)


def full_disk(*_: object, **__: object) -> None:
    raise StorageFailed("no space left on the disk")


@pytest.mark.parametrize("call", ["open", "replace", "sync_directory"])
def test_a_graph_that_cannot_be_saved_is_not_built_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    builds, real, working = [], sealed.seal, getattr(PosixFiles, call)

    def counted(*args: object, **given: object) -> sealed.SealedSegment:
        builds.append(args)
        if len(builds) == 1:
            monkeypatch.setattr(PosixFiles, call, full_disk)
        return real(*args, **given)  # type: ignore[arg-type] # the arguments are handed on as they came

    monkeypatch.setattr(sealed, "seal", counted)
    rows = vectors(ROWS)
    with collection(tmp_path / "c") as target:
        put(target, rows)
        for _ in range(5):
            tend(target)
            assert status(target)[0] is RED
        assert len(builds) == 1
        assert target.info().optimizer_error is not None
        assert_finds(target, rows)
        monkeypatch.setattr(PosixFiles, call, working)
        put_off_no_longer(target)
        tend(target)
        assert status(target) == (GREEN, ROWS, 2)
        assert_finds(target, rows)


def leave_stale_graph(folder: Path, rows: F32) -> None:
    """Leaves in ``before`` a collection of half of the rows, with a graph over all of them."""
    with collection(folder / "c") as target:
        put(target, rows[:200])
        shutil.copytree(folder / "c", folder / "before")
        put(target, rows[200:], first=200)
        tend(target)
    shutil.copytree(file_names.derived(folder / "c"), file_names.derived(folder / "before"), dirs_exist_ok=True)


def test_a_stale_graph_does_not_outlive_a_start_with_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows were lost with the power; while the manifest names it, the next start could take it for others'."""
    rows, other = vectors(ROWS), vectors(ROWS, seed=2)
    leave_stale_graph(tmp_path, rows)
    with monkeypatch.context() as patched:
        patched.setattr(graph_files, "write_manifest", full_disk)
        reopened = open_in(tmp_path / "before")
    put(reopened, other[200:], first=200)
    reopened.close(checkpoint=False)
    again = open_in(tmp_path / "before")
    assert status(again) == (YELLOW, 0, 1)
    assert_finds(again, np.concatenate((rows[:200], other[200:])))
    again.close(checkpoint=False)


def test_while_a_stale_graph_cannot_be_forgotten_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = vectors(ROWS)
    leave_stale_graph(tmp_path, rows)
    with monkeypatch.context() as patched:
        patched.setattr(graph_files, "write_manifest", full_disk)
        patched.setattr(graph_files, "forget_manifest", full_disk)
        reopened = open_in(tmp_path / "before")
    assert_finds(reopened, rows[:200])
    with pytest.raises(StorageFailed):
        put(reopened, rows[200:], first=200)
    reopened.close(checkpoint=False)
