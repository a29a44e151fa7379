"""Which attempts are made again, and which are not."""

from pathlib import Path

import pytest

from qdrantlite.collection.upkeep.attempts import BEGUN_MAX, FILE, FORGOTTEN_S, Attempts, Work
from qdrantlite.storage.files import PosixFiles

ASKED = (1, Work.GRAPH, "m=16", 1000)


class Clock:
    """Stands still unless it is told."""

    def __init__(self) -> None:
        self.now_s = 1e9

    def __call__(self) -> float:
        return self.now_s


def opened(folder: Path, clock: Clock | None = None) -> Attempts:
    return Attempts(folder / "derived", PosixFiles(), clock=clock or Clock())


def lost(folder: Path, clock: Clock | None = None) -> Attempts:
    attempts = opened(folder, clock)
    attempts.begin(*ASKED)
    attempts.lose(1, Work.GRAPH, "it crashed")
    return attempts


def test_what_was_lost_is_refused_now_and_after_a_restart(tmp_path: Path) -> None:
    assert lost(tmp_path).refusal(*ASKED) == "it crashed"
    assert opened(tmp_path).refusal(*ASKED) == "it crashed"


@pytest.mark.parametrize(
    "asked",
    [
        (2, Work.GRAPH, "m=16", 1000),
        (1, Work.CODES, "m=16", 1000),
        (1, Work.GRAPH, "m=8", 1000),
        (1, Work.GRAPH, "m=16", 1200),
        (1, Work.GRAPH, "m=16", 800),
    ],
)
def test_anything_else_may_be_tried(tmp_path: Path, asked: tuple[int, Work, str, int]) -> None:
    assert lost(tmp_path).refusal(*asked) is None


@pytest.mark.parametrize("points", [801, 1000, 1199])
def test_about_as_many_points_are_the_same(tmp_path: Path, points: int) -> None:
    assert lost(tmp_path).refusal(1, Work.GRAPH, "m=16", points) is not None


def test_a_day_later_it_is_tried_again(tmp_path: Path) -> None:
    clock = Clock()
    attempts = lost(tmp_path, clock)
    clock.now_s += FORGOTTEN_S - 1
    assert attempts.refusal(*ASKED) is not None
    clock.now_s += 1
    assert attempts.refusal(*ASKED) is None
    clock.now_s -= 2 * FORGOTTEN_S  # Nor is a clock that was set back a reason to wait for a day that never comes.
    assert attempts.refusal(*ASKED) is None


def test_an_attempt_under_which_the_server_ends_is_not_made_for_ever(tmp_path: Path) -> None:
    for _ in range(BEGUN_MAX):
        attempts = opened(tmp_path)
        assert attempts.refusal(*ASKED) is None
        attempts.begin(*ASKED)
    assert opened(tmp_path).refusal(*ASKED) == "the server ended while it was under way, more than once"


def test_an_attempt_that_ends_by_itself_is_forgotten(tmp_path: Path) -> None:
    for _ in range(2 * BEGUN_MAX):
        attempts = opened(tmp_path)
        assert attempts.refusal(*ASKED) is None
        attempts.begin(*ASKED)
        attempts.end(1, Work.GRAPH)


def test_a_copy_remembers_what_its_original_does(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    copy = opened(tmp_path / "copy")
    copy.follow(lost(tmp_path))
    assert copy.refusal(*ASKED) == "it crashed"
    assert opened(tmp_path / "copy").refusal(*ASKED) == "it crashed"


@pytest.mark.parametrize("content", [b"", b"no such file", None])
def test_without_a_readable_file_everything_is_tried(tmp_path: Path, content: bytes | None) -> None:
    lost(tmp_path)
    path = tmp_path / "derived" / FILE
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert opened(tmp_path).refusal(*ASKED) is None
