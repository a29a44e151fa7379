"""Prepares the process of the command line; must be imported before NumPy, FAISS and the rest are.

Threads: the server runs one request per thread. Were each matrix product of a request spread over all cores by
OpenBLAS as well, requests would fight for the cores and wait for one another; so OpenBLAS gets one thread. OpenMP,
which FAISS uses for batches and builds and is told the count each time, sleeps rather than spins between two calls.
A variable that the user has set is left as it is.

Garbage: importing makes some hundred thousand objects that all stay. Looking through them again and again for garbage
takes a fifth of the time of a start; so the collector pauses until the server is ready, and then never looks at them.

Memory: glibc gives large arrays mappings of their own, which go back to the system when they are freed, but learns from
each one freed to take the next from its heap, up to 32 MiB: there they leave holes that are never given back, as large
as the largest merge of segments so far. So the bound stays where it is put here. With it glibc also ceases to learn how
much to keep at the end of a heap, and would give back what one search frees, for the system to clear it again for the
next: comparing 63,666 rows of bytes took six times as long. So that is told, too.

``serve_command`` alone imports this, for its effect: a program that holds the server inside itself
(``qdrantlite.testing``) keeps its own settings.
"""

import ctypes
import gc
import os
import sys
from contextlib import suppress

from qdrantlite import garbage

VARIABLES = {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

MAPPED_BYTES_MIN = 4 << 20
"""Arrays of searches are smaller, and come from the heap without a page fault for every page."""
KEPT_BYTES_MAX = 16 << 20
"""Free at the end of a heap: several arrays of a search."""
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": (-3, MAPPED_BYTES_MIN),
    "MALLOC_TRIM_THRESHOLD_": (-1, KEPT_BYTES_MAX),
}
"""By the variable that sets it: the number of the parameter in glibc's malloc.h, and its value here."""

gc.disable()
for _name, _value in VARIABLES.items():
    os.environ.setdefault(_name, _value)

if sys.platform == "linux":
    with suppress(AttributeError, OSError):  # Other libraries of C have no such bounds.
        _libc = ctypes.CDLL(None)
        for _name, _bound in _ALLOCATOR.items():
            if _name not in os.environ:
                _libc.mallopt(*_bound)


def finish() -> None:
    """The server is ready: what exists now stays, and what comes from now on is looked at."""
    garbage.begin()
