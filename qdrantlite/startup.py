"""Prepares the process of the command line; must be imported before NumPy, FAISS and the rest are.

Threads: the server runs one request per thread. Were each matrix product of a request spread over all cores by
OpenBLAS as well, requests would fight for the cores and wait for one another; so OpenBLAS gets one thread. OpenMP,
which FAISS uses for batches and builds and is told the count each time, sleeps rather than spins between two calls.
A variable that the user has set is left as it is.

Garbage: importing makes some hundred thousand objects that all stay. Looking through them again and again for garbage
takes a fifth of the time of a start; so the collector pauses until the server is ready, and then never looks at them.

``__main__`` alone imports this, for its effect: a program that holds the server inside itself (``qdrantlite.testing``)
keeps its own settings.
"""

import gc
import os

from qdrantlite import garbage

VARIABLES = {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

gc.disable()
for _name, _value in VARIABLES.items():
    os.environ.setdefault(_name, _value)


def finish() -> None:
    """The server is ready: what exists now stays, and what comes from now on is looked at."""
    garbage.begin()
