"""One owner per storage folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qdrantlite.errors import Locked
from qdrantlite.storage import file_names
from qdrantlite.storage.directory_lock import lock_directory

_HOLDER = """
import sys, pathlib
from qdrantlite.storage.directory_lock import lock_directory
lock = lock_directory(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def _hold(folder: Path) -> "subprocess.Popen[str]":
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_second_opener_in_one_process_is_refused_until_release(tmp_path: Path) -> None:
    lock = lock_directory(tmp_path)
    with pytest.raises(Locked, match=f"process {os.getpid()} "):
        lock_directory(tmp_path)
    lock.release()
    lock.release()
    with lock_directory(tmp_path):
        pass


def test_second_process_is_refused_by_the_pid_of_the_first(tmp_path: Path) -> None:
    with _hold(tmp_path) as holder:
        with pytest.raises(Locked, match=f"process {holder.pid} "):
            lock_directory(tmp_path)
        holder.kill()


def test_lock_of_killed_process_is_no_obstacle(tmp_path: Path) -> None:
    with _hold(tmp_path) as holder:
        holder.kill()
        holder.wait()
    assert str(holder.pid) in (tmp_path / file_names.LOCK).read_text()
    lock_directory(tmp_path).release()
