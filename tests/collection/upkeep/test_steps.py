"""A long tail is linked in steps: what is done is in force and on the disk, whatever becomes of the rest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from qdrantlite.collection.collection import Collection
from qdrantlite.collection.upkeep import sealing
from qdrantlite.collection.upkeep.building import Built, Job, LinkJob, Progress, work
from qdrantlite.collection.upkeep.sealing import covered_next
from qdrantlite.errors import StorageFailed
from qdrantlite.plan import estimate
from qdrantlite.values.schema import CollectionUpdate, HnswConfig, ScalarQuantization
from tests.collection.tended import (
    CONFIG,
    FILES,
    GREEN,
    ROWS,
    YELLOW,
    assert_finds,
    delete,
    graph_names,
    open_in,
    put,
    status,
    tend,
    vectors,
)

STEPS = [60, 120, 180, 240, 300, ROWS]


@dataclass
class Steps:
    """Does what the child does, and notes what is in force when a job begins, and what it makes."""

    before: list[int] = field(default_factory=list)
    linked: list[int] = field(default_factory=list)
    shown: list[tuple[int, int]] = field(default_factory=list)
    target: Collection | None = None
    fail: Callable[[], None] = lambda: None

    def run(self, job: Job, progress: Progress) -> Built:
        assert self.target is not None
        if isinstance(job, LinkJob):
            self.fail()
            self.before.append(status(self.target)[1])
            built = work(job, progress)
            running = self.target._optimizer.journal.running[0]
            self.shown.append((running.done, running.total))
            self.linked.append(built.linked)
            return built
        return work(job, progress)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "STEP_POINTS", 60)
    monkeypatch.setattr(estimate, "graph_cost", lambda *_: 0.0)


@pytest.fixture
def steps(tmp_path: Path) -> Iterator[Steps]:
    steps = Steps()
    Collection.create(tmp_path / "c", CONFIG, files=FILES)
    steps.target = open_in(tmp_path / "c", builder=steps)
    put(steps.target, vectors(ROWS))
    yield steps
    steps.target.close(checkpoint=False)


def test_steps_grow_with_the_graph_and_none_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "STEP_POINTS", 500_000)
    covered, steps = 0, list[int]()
    while covered < 10_000_000:
        following = covered_next(covered, 10_000_000)
        steps.append(following - covered)
        covered = following
    assert covered == 10_000_000
    assert steps == sorted(steps)
    assert min(steps) == 500_000
    assert sum(sum(steps[:at]) for at in range(1, len(steps) + 1)) < 5 * covered, "saved too often"
    assert covered_next(0, 999_999) == 999_999
    assert covered_next(320_000, 321_000) == 321_000


def test_what_is_linked_is_put_to_use_step_by_step(steps: Steps) -> None:
    assert steps.target is not None
    tend(steps.target)
    assert steps.linked == STEPS
    assert steps.before == [0, *STEPS[:-1]]
    assert steps.shown == [(linked, ROWS) for linked in STEPS]
    assert status(steps.target) == (GREEN, ROWS, 2)
    assert_finds(steps.target, vectors(ROWS))


def test_a_step_counts_points_and_not_offsets(steps: Steps) -> None:
    assert steps.target is not None
    delete(steps.target, range(10, 110))
    tend(steps.target)
    assert steps.linked == [60, 120, 180, 240, 300]
    assert status(steps.target) == (GREEN, 300, 2)
    assert_finds(steps.target, vectors(ROWS), gone=range(10, 110))


def test_what_ends_a_step_leaves_those_before(steps: Steps, tmp_path: Path) -> None:
    assert steps.target is not None

    def fail() -> None:
        if len(steps.linked) == 2:
            raise StorageFailed("no space is left")

    steps.fail = fail
    tend(steps.target)
    assert status(steps.target)[1] == 120
    assert len(graph_names(tmp_path / "c")) == 1
    assert_finds(steps.target, vectors(ROWS))
    steps.target.close(checkpoint=False)
    steps.target, steps.fail = open_in(tmp_path / "c", builder=steps), lambda: None
    assert status(steps.target) == (YELLOW, 120, 2)
    tend(steps.target)
    assert steps.linked == STEPS
    assert_finds(steps.target, vectors(ROWS))


def test_a_graph_in_force_is_replaced_by_a_whole_one(steps: Steps) -> None:
    assert steps.target is not None
    tend(steps.target)
    steps.linked.clear()
    steps.target.update_config(CollectionUpdate(hnsw_config=HnswConfig(m=8)))
    tend(steps.target)
    assert steps.linked == [ROWS]


def test_each_step_has_its_codes(steps: Steps) -> None:
    assert steps.target is not None
    target, coded = steps.target, list[bool]()
    steps.fail = lambda: coded.append(all(segment.coded for segment in target.shard.state.dense[""].sealed))
    target.update_config(CollectionUpdate(quantization_config=ScalarQuantization()))
    tend(target)
    assert steps.linked == STEPS
    assert coded == [True] * len(STEPS)
    assert target.shard.state.dense[""].sealed[0].coded is not None
