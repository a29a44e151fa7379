"""How many cores FAISS uses for the calling thread.

OpenMP keeps the number by thread. Every call into FAISS gives the interpreter lock away and has to wait for it again,
so the number is told only when it changes.
"""

import threading

import faiss


class _Told(threading.local):
    """What this thread has told OpenMP; 0 = nothing yet."""

    cores = 0


_told = _Told()


def use_cores(count: int) -> None:
    """FAISS calls of this thread use up to ``count`` cores from now on."""
    if _told.cores != count:
        faiss.omp_set_num_threads(count)
        _told.cores = count
