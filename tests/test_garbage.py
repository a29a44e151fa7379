"""A flood of young objects does not make Python look through all of them again and again."""

import subprocess
import sys

from qdrantlite.garbage import APART_S, APART_S_MAX, BLOCKS_MAX, is_due

FLOOD = """
import gc, sys
from qdrantlite import garbage
if sys.argv[1] == "begun":
    garbage.begin()
full = []
gc.callbacks.append(lambda phase, about: full.append(phase) if about["generation"] == 2 else None)
flood = [[] for _ in range(400_000)]
print(len(full), gc.isenabled())
"""


def flooded(how: str) -> list[str]:
    command = [sys.executable, "-c", FLOOD, how]
    return subprocess.run(command, text=True, capture_output=True, check=True).stdout.split()


def test_no_full_search_begins_while_objects_become_many() -> None:
    assert flooded("begun") == ["0", "True"]
    assert int(flooded("as usual")[0]) > 0


def test_full_searches_wait_until_few_objects_are_there_but_not_for_ever() -> None:
    assert is_due(BLOCKS_MAX, APART_S)
    assert not is_due(BLOCKS_MAX, APART_S - 1)
    assert not is_due(BLOCKS_MAX + 1, APART_S)
    assert is_due(10 * BLOCKS_MAX, APART_S_MAX)
