"""The process that builds: what it makes, what becomes of it, and that nothing it does reaches the server."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from qdrantlite.collection.upkeep import build_process
from qdrantlite.collection.upkeep.build_process import COMMAND, BuildProcess, Interrupted, Lost, NotStarted
from qdrantlite.collection.upkeep.building import Built, EncodeJob, GraphSource, LinkJob, RowSource, work
from qdrantlite.errors import Corrupted
from qdrantlite.segment import sealed
from qdrantlite.segment.sealed import Coding, GraphParams
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.quantized import BitCodes
from qdrantlite.storage.files import PosixFiles
from qdrantlite.storage.row_format import RowFormat, map_rows
from qdrantlite.storage.vector_file import VectorFile
from qdrantlite.values.distance import Distance
from qdrantlite.values.vector import F32

COUNT, DIM = 300, 8
PARAMS = GraphParams(8, 40)
FORMAT = RowFormat("float32", DIM)


def instead(seal: str) -> str:
    """A command whose child does this instead of building."""
    before, after = COMMAND.rsplit(" serve()", 1)
    imports = "import os, signal, time; from qdrantlite.segment import sealed"
    return f"{before} {imports}; sealed.seal = {seal}; serve(){after}"


CRASH = instead("lambda *_, **__: os.abort()")
KILL = instead("lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)")
TERMINATE = instead("lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)")
EXIT = instead("lambda *_, **__: os._exit(3)")
UNDER_WAY = (7, 9)
NEVER = instead(f"lambda *_, **given: (given['progress']{UNDER_WAY}, time.sleep(1000))")


@pytest.fixture
def builder() -> Iterator[BuildProcess]:
    """Closed at the end, with nothing left behind."""
    before, files = set(children()), open_pipes()
    built = BuildProcess()
    yield built
    built.close()
    assert set(children()) == before
    assert open_pipes() == files


def children() -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process().children(recursive=True)
    return found


def open_pipes() -> int:
    """To and from children, and others; counted where the system lists them."""
    found = 0
    if sys.platform != "linux":
        return found
    for each in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{each}").startswith("pipe:")
    return found


def child() -> psutil.Process:
    """The only one."""
    (found,) = [each for each in children() if "serve" in " ".join(each.cmdline())]
    return found


def stored(folder: Path) -> tuple[RowSource, F32]:
    """Rows in a file that goes on beyond them."""
    rows = np.random.default_rng(3).normal(size=(COUNT + 50, DIM)).astype(np.float32)
    file = VectorFile(
        folder / "1.rows",
        FORMAT,
        rows=0,
        crc=0,
        checksums=lambda: np.empty(0, dtype=np.uint32),
        files=PosixFiles(),
    )
    file.append(rows)
    file.close()
    present = Selection.of_range(0, COUNT).to_bytes()
    return RowSource(file.path, FORMAT, COUNT, Distance.DOT, present), rows[:COUNT]


def link(folder: Path, target: str = "graph") -> LinkJob:
    return LinkJob(stored(folder)[0], None, PARAMS, 1, folder / target)


def unwatched(_done: int, _total: int) -> None:
    """Lets a job go on."""


def test_the_child_builds_extends_and_encodes_as_the_process_itself_would(
    tmp_path: Path, builder: BuildProcess
) -> None:
    source, rows = stored(tmp_path)
    part = RowSource(source.path, FORMAT, COUNT, Distance.DOT, Selection.of_range(0, 200).to_bytes())
    told: list[tuple[int, int]] = []
    made = []
    for name, run in (("child", builder.run), ("self", work)):
        first = LinkJob(part, None, PARAMS, 1, tmp_path / f"{name}-200")
        assert run(first, unwatched) == Built(0, 200, 0)
        base = GraphSource(first.target, 0, 200, 0, PARAMS)
        whole = LinkJob(source, base, PARAMS, 1, tmp_path / f"{name}-300")
        assert run(whole, lambda done, total: told.append((done, total))) == Built(0, COUNT, 0)
        graph = GraphSource(whole.target, 0, COUNT, 0, PARAMS)
        encoded = EncodeJob(source, graph, Coding(BitCodes(1), in_memory=True), 1, tmp_path / f"{name}-codes")
        assert run(encoded, unwatched) == Built(0, COUNT, 0)
        made.append([job.target.read_bytes() for job in (first, whole, encoded)])
    assert made[0] == made[1]
    assert (COUNT - 200, COUNT - 200) in told
    segment = sealed.load(
        tmp_path / "child-300",
        rows,
        Selection.of_range(0, COUNT),
        first=0,
        distance=Distance.DOT,
        params=PARAMS,
        linked=COUNT,
        pruned=0,
    )
    found, _ = segment.walk(rows[:5], limit=1, ef=COUNT, passing=None)
    np.testing.assert_array_equal(found[:, 0], np.argmax(rows[:5] @ rows.T, axis=1))


def test_one_child_serves_job_after_job_and_gives_way(tmp_path: Path, builder: BuildProcess) -> None:
    seen = set()
    for number in range(3):
        builder.run(link(tmp_path, str(number)), unwatched)
        seen.add(child().pid)
    assert len(seen) == 1
    if sys.platform == "linux":
        assert child().nice() >= 10
        assert Path(f"/proc/{child().pid}/oom_score_adj").read_text().strip() == "1000"


@pytest.mark.parametrize(
    ("command", "error", "text"),
    [
        (CRASH, Lost, "SIGABRT"),
        (KILL, Lost, "lack of memory"),
        (EXIT, Lost, "code 3"),
        (TERMINATE, Interrupted, "told to end"),
    ],
)
def test_a_job_that_ends_the_child_is_an_error_and_the_next_has_another(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    builder: BuildProcess,
    command: str,
    error: type[Exception],
    text: str,
) -> None:
    monkeypatch.setattr(build_process, "COMMAND", command)
    with pytest.raises(error, match=text):
        builder.run(link(tmp_path), unwatched)
    monkeypatch.setattr(build_process, "COMMAND", COMMAND)
    assert builder.run(link(tmp_path), unwatched) == Built(0, COUNT, 0)


def test_what_a_job_raises_comes_back_and_the_child_stays(tmp_path: Path, builder: BuildProcess) -> None:
    builder.run(link(tmp_path), unwatched)
    before = child().pid
    source, _ = stored(tmp_path)
    (tmp_path / "other").write_bytes(bytes(100))
    broken = RowSource(tmp_path / "other", FORMAT, COUNT, Distance.DOT, source.present)
    with pytest.raises(Corrupted, match="does not hold the rows") as raised:
        builder.run(LinkJob(broken, None, PARAMS, 1, tmp_path / "graph"), unwatched)
    assert str(tmp_path) not in raised.value.message
    assert "Traceback" in raised.value.__notes__[0]
    assert child().pid == before


class Unwanted(Exception):
    """The job is not wanted any more."""


def test_an_unwanted_job_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: BuildProcess) -> None:
    monkeypatch.setattr(build_process, "COMMAND", NEVER)

    def progress(done: int, total: int) -> None:
        if (done, total) == UNDER_WAY:
            raise Unwanted

    with pytest.raises(Unwanted):
        builder.run(link(tmp_path), progress)
    assert [each for each in children() if "serve" in " ".join(each.cmdline())] == []


def test_a_child_that_idles_goes_and_leaves_no_zombie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: BuildProcess
) -> None:
    before, after = COMMAND.rsplit(" serve()", 1)
    short = f"{before} from qdrantlite.collection.upkeep import building; building.IDLE_S = 0.2; serve(){after}"
    monkeypatch.setattr(build_process, "COMMAND", short)
    builder.run(link(tmp_path), unwatched)
    gone = child()
    deadline = time.monotonic() + 60
    while psutil.pid_exists(gone.pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert builder.run(link(tmp_path), unwatched) == Built(0, COUNT, 0)


def test_without_a_child_nothing_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: BuildProcess
) -> None:
    for command, executable in (("import sys; sys.exit(7)", sys.executable), (COMMAND, str(tmp_path / "no python"))):
        monkeypatch.setattr(build_process, "COMMAND", command)
        monkeypatch.setattr(sys, "executable", executable)
        with pytest.raises(NotStarted, match="no process for building can be started") as raised:
            builder.run(link(tmp_path), unwatched)
        assert str(tmp_path) not in raised.value.message
    assert not (tmp_path / "graph").exists()


ORPHANING = """
import os, sys
from pathlib import Path
from qdrantlite.collection.upkeep import build_process
from tests.collection.upkeep.test_build_process import NEVER, UNDER_WAY, child, link
build_process.COMMAND = NEVER
def progress(done, total):
    if (done, total) == UNDER_WAY:
        print(child().pid, flush=True)
        os._exit(0)
build_process.BuildProcess().run(link(Path(sys.argv[1])), progress)
"""


def test_a_child_does_not_outlive_the_server(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", ORPHANING, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
    )
    pid = int(run.stdout)
    deadline = time.monotonic() + 60
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_rows_of_another_file_are_not_mapped(tmp_path: Path) -> None:
    source, rows = stored(tmp_path)
    np.testing.assert_array_equal(map_rows(source.path, FORMAT, COUNT), rows)
    for row_format, count in ((RowFormat("float32", DIM + 1), COUNT), (FORMAT, COUNT + 51)):
        with pytest.raises(Corrupted):
            map_rows(source.path, row_format, count)


def test_a_key_pressed_in_the_terminal_does_not_end_the_child(tmp_path: Path, builder: BuildProcess) -> None:
    builder.run(link(tmp_path), unwatched)
    before = child()
    before.send_signal(signal.SIGINT)
    builder.run(link(tmp_path), unwatched)
    assert child() == before
