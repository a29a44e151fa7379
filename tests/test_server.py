"""Starting, answering, stopping; the command line around it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from qdrantlite.collection.collection import Collection
from qdrantlite.database import Database
from qdrantlite.errors import Locked
from qdrantlite.server import EXIT_BROKEN, CannotListen, Server
from qdrantlite.settings import Settings
from qdrantlite.values.schema import CollectionConfig
from qdrantlite.version import API_VERSION, COMMIT, __version__
from qdrantlite.wire.pb.collections import ListCollectionsRequest, ListCollectionsResponse
from qdrantlite.wire.pb.qdrant import HealthCheckReply, HealthCheckRequest

ROOT = Path(__file__).resolve().parents[1]
SERVE = [sys.executable, "-m", "qdrantlite", "serve", "--grpc-port", "0", "--http-port", "0", "--storage"]
READY = re.compile(r"ready grpc=(\S+) http=(\S+) storage=(.+)\n")
WAIT_S = 20


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Free ports, a folder of this test."""
    return Settings(http_port=0, grpc_port=0, storage_path=tmp_path / "storage")


@contextmanager
def _running(settings: Settings) -> Iterator[Server]:
    server = Server.start(settings, grace_s=5)
    try:
        yield server
    finally:
        server.stop()


def _get(url: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def _health(address: str) -> HealthCheckReply:
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            "/qdrant.Qdrant/HealthCheck", HealthCheckRequest.SerializeToString, HealthCheckReply.FromString
        )
        reply: HealthCheckReply = call(HealthCheckRequest(), timeout=WAIT_S, wait_for_ready=True)
        return reply


def _list(channel: grpc.Channel) -> ListCollectionsResponse:
    call = channel.unary_unary(
        "/qdrant.Collections/List", ListCollectionsRequest.SerializeToString, ListCollectionsResponse.FromString
    )
    response: ListCollectionsResponse = call(ListCollectionsRequest(), timeout=WAIT_S)
    return response


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QDRANT__")}
    return kept | {"PYTHONPATH": str(ROOT)}


@contextmanager
def _command(folder: Path, *options: str) -> Iterator[tuple["subprocess.Popen[str]", re.Match[str]]]:
    """The command in a process of its own, and its line of readiness; killed at the end if still there."""
    command = [*SERVE, str(folder), *options]
    with subprocess.Popen(
        command, cwd=folder.parent, env=_environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            ready = READY.fullmatch(line)
            assert ready, line or (process.stderr and process.stderr.read())
            yield process, ready
        finally:
            if process.poll() is None:
                process.kill()


def _refused(folder: Path, *options: str, **environment: str) -> str:
    """What a command that cannot start says: one line, exit code 1."""
    done = subprocess.run(
        [*SERVE, str(folder), *options],
        cwd=folder.parent,
        env=_environment() | environment,
        text=True,
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert done.stderr.startswith("qdrantlite: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_both_ports_answer(settings: Settings) -> None:
    with _running(settings) as server:
        addresses = server.addresses
        assert _health(f"127.0.0.1:{addresses.grpc_port}").version == API_VERSION
        url = f"http://127.0.0.1:{addresses.http_port}"
        status, body = _get(url + "/")
        assert status == 200
        root = {"title": "qdrant - vector search engine", "version": API_VERSION, "commit": COMMIT}
        assert json.loads(body) == root
        assert _get(url + "/healthz") == (200, "healthz check passed")
        assert _get(url + "/livez") == (200, "healthz check passed")
        while (answer := _get(url + "/readyz")) != (200, "all shards are ready"):
            assert answer == (503, "some shards are not ready")


def test_ready_means_that_collections_have_been_opened(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, open_collection = threading.Event(), threading.Event(), Collection.open

    def slowly(*arguments: Any, **options: Any) -> Collection:
        begun.set()
        assert go_on.wait(WAIT_S)
        return open_collection(*arguments, **options)

    with Database(settings.storage_path) as database:
        database.create_collection("c", CollectionConfig())
    monkeypatch.setattr(Collection, "open", slowly)
    with _running(settings) as server:
        url = f"http://127.0.0.1:{server.addresses.http_port}"
        assert begun.wait(WAIT_S)
        assert _get(url + "/readyz") == (503, "some shards are not ready")
        assert _get(url + "/healthz")[0] == 200
        go_on.set()
        while _get(url + "/readyz")[0] != 200:
            time.sleep(0.01)


@pytest.mark.parametrize("which", ["grpc_port", "http_port"])
def test_taken_port_is_refused_and_nothing_is_held(tmp_path: Path, which: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"grpc_port": 0, "http_port": 0} | {which: port}
        with pytest.raises(CannotListen, match=f"cannot listen on 127.0.0.1:{port}"):
            Server.start(Settings(storage_path=tmp_path, **ports))
    with _running(Settings(http_port=0, grpc_port=0, storage_path=tmp_path)):
        pass


def test_folder_of_a_running_server_is_refused(settings: Settings) -> None:
    with _running(settings), pytest.raises(Locked, match=f"process {os.getpid()}"):
        Server.start(settings)


def test_call_under_way_finishes_before_the_database_closes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    entered = threading.Event()
    close = Database.close

    def list_slowly(_database: Database) -> tuple[str, ...]:
        entered.set()
        time.sleep(0.3)
        events.append("answered")
        return ("late",)

    def close_noted(database: Database) -> None:
        events.append("closed")
        close(database)

    monkeypatch.setattr(Database, "list_collections", list_slowly)
    monkeypatch.setattr(Database, "close", close_noted)
    answers: list[str] = []
    with _running(settings) as server, grpc.insecure_channel(f"127.0.0.1:{server.addresses.grpc_port}") as channel:
        caller = threading.Thread(target=lambda: answers.extend(c.name for c in _list(channel).collections))
        caller.start()
        assert entered.wait(WAIT_S)
        server.stop()
        caller.join(WAIT_S)
    assert answers == ["late"]
    assert events.count("closed") == 1
    assert events[-1] == "closed"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_the_command_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with _command(tmp_path / "data") as (process, ready):
        assert _health(ready[1]).title
        assert _get(f"http://{ready[2]}/healthz")[0] == 200
        assert ready[3] == str(tmp_path / "data")
        assert "in use by process" in _refused(tmp_path / "data")
        process.send_signal(number)
        _, errors = process.communicate(timeout=WAIT_S)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
        assert errors.splitlines()[-1].endswith("closed")
    with _running(Settings(http_port=0, grpc_port=0, storage_path=tmp_path / "data")):
        pass


NEVER_STOPS = """
import sys, time
from qdrantlite import __main__, server
server.Server.stop = lambda self: time.sleep(60)
__main__.main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_second_signal_ends_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", NEVER_STOPS, *SERVE[3:], str(tmp_path)]
    with subprocess.Popen(
        command, env=_environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert READY.fullmatch(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert "finishing calls under way" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WAIT_S)
        assert process.returncode == 128 + signal.SIGTERM


UPKEEP_ENDS = """
from qdrantlite import __main__
from qdrantlite.collection import threads
threads.lower_priority = lambda: 1 / 0
__main__.main()
"""


def test_server_whose_upkeep_ends_by_a_mistake_ends_and_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-c", UPKEEP_ENDS, *SERVE[3:], str(tmp_path)]
    done = subprocess.run(command, env=_environment(), text=True, capture_output=True, timeout=WAIT_S, check=False)
    assert done.returncode == EXIT_BROKEN, done
    assert "must be started anew" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_command_refuses_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port}" in _refused(tmp_path / "a", "--http-port", str(port))
    assert "service.grpc_port (QDRANT__SERVICE__GRPC_PORT)" in _refused(tmp_path, QDRANT__SERVICE__GRPC_PORT="x")
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in _refused(tmp_path / "file")


def test_command_shows_version_and_teaches() -> None:
    def output(*arguments: str) -> str:
        command = [sys.executable, "-m", "qdrantlite", *arguments]
        environment = _environment() | {"NO_COLOR": "1", "COLUMNS": "120"}
        return subprocess.run(command, env=environment, text=True, capture_output=True, check=True).stdout

    assert output("--version") == f"qdrantlite {__version__} (Qdrant API {API_VERSION})\n"
    text = output("serve", "--help")
    assert "qdrantlite serve" in output("--help")
    for taught in ("--storage", "--grpc-port", "--http-port", "--host", "--config-path", "QDRANT__SERVICE__GRPC_PORT"):
        assert taught in text


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["serve", "--help"], ["serve", "--bogus"], []])
def test_what_needs_no_server_loads_none(arguments: list[str]) -> None:
    """Loading it takes a hundred times as long as all else that is done for the version."""
    program = (
        "import sys; from contextlib import suppress; from qdrantlite import __main__\n"
        "with suppress(SystemExit): __main__.main(sys.argv[1:])\n"
        "print(*sys.modules)"
    )
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=_environment(), text=True, capture_output=True, check=True)
    ours = {name for name in done.stdout.splitlines()[-1].split() if name.partition(".")[0] in ("qdrantlite", "numpy")}
    assert ours == {"qdrantlite", "qdrantlite.__main__", "qdrantlite.version"}


@pytest.mark.parametrize("arguments", [[], ["bogus"], ["serve", "--grpc-port", "x"], ["serve", "--stor", "x"]])
def test_a_command_that_cannot_be_read_teaches_and_leaves_with_2(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "qdrantlite", *arguments]
    done = subprocess.run(command, env=_environment(), text=True, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("usage: qdrantlite ")


VARIABLES = {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def test_start_loads_nothing_superfluous_and_sets_threads_before_numpy() -> None:
    """Each module named here would cost a tenth of the time that an empty server may take to its first answer."""
    program = (
        "import os, sys; from qdrantlite import __main__, serve_command; __main__.make_parser().parse_args(['serve']);"
        "print(*sys.modules); print(*(os.environ[v] for v in sys.argv[1:]))"
    )
    environment = {name: value for name, value in _environment().items() if name not in VARIABLES}
    command = [sys.executable, "-X", "importtime", "-c", program, *VARIABLES]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=True)
    modules, values = done.stdout.splitlines()
    superfluous = {"rich", "structlog", "qdrant_client", "pydantic", "httpx", "scipy", "faiss.contrib"}
    assert not superfluous.intersection(modules.split())
    assert values.split() == list(VARIABLES.values())
    loaded = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    first_of_numpy = next(position for position, name in enumerate(loaded) if name.partition(".")[0] == "numpy")
    assert loaded.index("qdrantlite.startup") < first_of_numpy


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has such a bound")
def test_large_arrays_go_back_to_the_system_after_larger_ones_did() -> None:
    """Left alone, glibc takes a quarter of what was freed once from its heap, and keeps it."""
    program = (
        "from qdrantlite import startup; import numpy as np;"
        "size = lambda: next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('RssAnon'));"
        "first = np.ones(30 << 20, np.uint8); del first;"
        "large = np.ones(20 << 20, np.uint8); pin = np.ones(1 << 20, np.uint8); before = size(); del large;"
        "print(before - size())"
    )
    assert _printed(program) > 15 << 10


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has such a bound")
def test_arrays_of_one_search_serve_the_next_without_the_system() -> None:
    program = (
        "from qdrantlite import startup; import numpy as np; from resource import RUSAGE_SELF, getrusage\n"
        "compare = lambda: len([np.ones(1 << 20, np.uint8) for _ in range(8)])\n"
        "compare(); before = getrusage(RUSAGE_SELF).ru_minflt; sum(compare() for _ in range(100))\n"
        "print(getrusage(RUSAGE_SELF).ru_minflt - before)"
    )
    assert _printed(program) < 10_000, "200,000 if each search gave its arrays back"


def _printed(program: str) -> int:
    """The number that a program prints."""
    command = [sys.executable, "-c", program]
    return int(subprocess.run(command, env=_environment(), text=True, capture_output=True, check=True).stdout)
