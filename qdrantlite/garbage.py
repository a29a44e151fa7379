"""When the server's process looks for cyclic garbage.

A full search looks at every object there is while nothing else runs. Python begins one each time the old objects have
grown by a quarter: while a request brings millions of small ones, over and over, for up to seconds each
(``docs/decisions/0013-stalls.md``). So full searches begin here, at moments when few objects are there; garbage among
young objects is looked for as usual, and most is none: it is freed as soon as nothing refers to it.

``startup`` alone begins this: a program that holds the server inside itself keeps its own settings.
"""

import gc
import sys
from threading import Thread
from time import monotonic, sleep
from typing import Final

NEVER: Final = 2**30
"""Searches of the middle generation before Python begins a full one."""

WATCHED_EVERY_S: Final = 1.0

BLOCKS_MAX: Final = 500_000
"""Blocks of memory beside those of the start. A search among more takes longer than others should wait."""

APART_S: Final = 30.0
"""Between two searches among few objects."""

APART_S_MAX: Final = 600.0
"""However many objects there are."""


def is_due(blocks: int, since_s: float) -> bool:
    """Whether to begin a full search among ``blocks`` of memory, so long after the last."""
    return since_s >= (APART_S if blocks <= BLOCKS_MAX else APART_S_MAX)


def begin() -> None:
    """From now on; what exists now stays, and is never looked at. Call it once the server is ready."""
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, NEVER)
    gc.enable()
    Thread(target=_watch, args=(sys.getallocatedblocks(),), name="garbage", daemon=True).start()


def _watch(blocks_at_start: int) -> None:
    searched_s = monotonic()
    while True:
        sleep(WATCHED_EVERY_S)
        if is_due(sys.getallocatedblocks() - blocks_at_start, monotonic() - searched_s):
            gc.collect()
            searched_s = monotonic()
