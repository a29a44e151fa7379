"""How many cores FAISS uses for the calling thread.

OpenMP keeps the number by thread. Every call into FAISS gives the interpreter lock away and has to wait for it again,
so the number is told only when it changes.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import faiss

CORES = os.cpu_count() or 1
"""All there are; asking the system each time takes as long as a short walk."""


class _Told(threading.local):
    """What this thread has told OpenMP; 0 = nothing yet."""

    cores = 0
    alone = False
    """Whether all is done on one core, however much it is."""


_told = _Told()


def use_cores(count: int) -> None:
    """FAISS calls of this thread use up to ``count`` cores from now on."""
    count = 1 if _told.alone else count
    if _told.cores != count:
        faiss.omp_set_num_threads(count)
        _told.cores = count


@contextmanager
def one_core() -> Iterator[None]:
    """FAISS calls of this thread use one core meanwhile: several queries may be one request, and others wait."""
    before, _told.alone = _told.alone, True
    try:
        yield
    finally:
        _told.alone = before
