"""Asks every example through every client, against one server, and prints who saw what.

``python -m tests.clients.run [--record] [NAME …]``: all clients, or those whose name contains one of the words. Builds
two at a time; programs run one after the other, since all make the same collections. Ends with 1 where a cell is
neither right nor known to wait, or where the recorded results say something else; ``--record`` writes them anew, and
the README's table with them.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.clients import dataset
from tests.clients.examples import WAITING, Answer, answers
from tests.clients.frameworks import expected
from tests.clients.programs import PROGRAMS, ROOT, Program
from tests.clients.table import Row, matrix, record, recorded, replaced
from tests.clients.verdict import cells, is_fine
from tests.server_process import ServerProcess

BUILD_S_MAX, RUN_S_MAX = 1500.0, 300.0
BUILDS_AT_ONCE = 2


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write results.json and the README's table")
    parser.add_argument("names", nargs="*", help="words in the names of clients; none = all clients")
    asked = parser.parse_args()
    programs = [each for each in PROGRAMS if not asked.names or any(word in key_of(each) for word in asked.names)]
    builds = list({(each.folder, each.build): each for each in programs}.values())
    with ThreadPoolExecutor(BUILDS_AT_ONCE) as pool:
        failures = dict(zip((each.build for each in builds), pool.map(_built, builds), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "points")
        data.mkdir()
        dataset.write(data)
        with ServerProcess(Path(folder, "storage")) as server:
            rows = {key_of(each): _row(each, server, data, failures[each.build], *_expected(each)) for each in programs}
    print("\n".join(matrix(rows)))
    return _concluded(rows, asked.record)


def key_of(program: Program) -> str:
    """The name of its row."""
    return f"{program.name} ({program.over})"


def _concluded(rows: dict[str, Row], is_recorded: bool) -> int:
    wrong = [
        f"{key}: {example}: {cell}"
        for key, row in rows.items()
        for example, cell in row["cells"].items()
        if not is_fine(cell)
    ]
    print(*wrong, sep="\n")
    if is_recorded and not wrong:
        everything = recorded() | rows
        kept = {key_of(each): everything[key_of(each)] for each in PROGRAMS if key_of(each) in everything}
        record(kept)
        readme = ROOT / "README.md"
        readme.write_text(replaced(readme.read_text(encoding="utf-8"), kept), encoding="utf-8")
    known = recorded()
    changed = [key for key, row in rows.items() if known.get(key) != row]
    if changed:
        print("not as recorded (make test-clients CLIENTS=--record):", ", ".join(changed))
    passed = sum(len(row["cells"]) for row in rows.values()) - len(wrong)
    print(f"clients: {passed} passed, {len(wrong)} failed")
    return 1 if wrong or changed else 0


def _built(program: Program) -> str:
    """What went wrong, or nothing."""
    started = time.monotonic()
    (ROOT / ".clients" / program.folder).mkdir(parents=True, exist_ok=True)
    for command in program.build:
        failure = _done(_words(command, program, {}), program, BUILD_S_MAX)[1]
        if failure:
            return f"build failed: {failure}"
    if program.build:
        print(f"built {program.name} in {time.monotonic() - started:.0f} s", flush=True)
    return ""


def _expected(program: Program) -> tuple[str, Mapping[str, Answer], Mapping[str, str]]:
    """What is asked, what must be seen, and what waits."""
    of_frameworks = expected.answers()
    if program.dialect in of_frameworks:
        return "its usual calls", of_frameworks[program.dialect], {}
    return "the guides", answers(dataset.oracles(), program.dialect), WAITING


def _row(
    program: Program,
    server: ServerProcess,
    data: Path,
    failure: str,
    asked: str,
    right: Mapping[str, Answer],
    waiting: Mapping[str, str],
) -> Row:
    output = ""
    if not failure:
        port = server.grpc_port if program.over == "gRPC" else server.http_port
        output, failure = _done(
            _words(program.run, program, {"port": str(port), "data": str(data)}), program, RUN_S_MAX
        )
    said = cells(output, right, waiting)
    if failure:
        said = {example: failure if cell == "not asked" else cell for example, cell in said.items()}
    return {"version": program.version, "over": program.over, "asked": asked, "cells": said}


def _words(command: str, program: Program, given: Mapping[str, str]) -> list[str]:
    build = str(ROOT / ".clients" / program.folder)
    given = {"build": build, "python": sys.executable, "path": os.environ["PATH"], **given}
    return [word.format(**given) for word in shlex.split(command)]


def _done(command: Sequence[str], program: Program, seconds: float) -> tuple[str, str]:
    """Output, and the end of what a command that failed said."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT / program.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except OSError as error:
        return "", f"{command[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return "", f"{command[0]} took more than {seconds:.0f} s"
    return done.stdout, f"{command[0]}: {(done.stderr or done.stdout)[-2000:]}" if done.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
