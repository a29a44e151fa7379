"""How many files this process may hold open, and how many it does.

Systems give a process a soft limit, often 256 or 1,024, which it may raise itself up to a hard one. Windows has
neither, nor a folder of descriptors: there both numbers are unknown.
"""

import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import resource

LIMIT_WANTED = 16_384
"""Enough for some two thousand open collections, and as much as their memory should be let grow to."""
SHARE = 0.75
"""Of the limit, filled on purpose; the rest is for what comes in bursts: connections, and readers of each store."""

_FOLDERS = (Path("/proc/self/fd"), Path("/dev/fd"))


def limit() -> int | None:
    """Files the process may hold open; None where the system has no such limit."""
    if sys.platform == "win32":
        return None
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def raise_limit() -> None:
    """Raises the soft limit to what is wanted, as far as the hard limit lets it; never lowers it."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = LIMIT_WANTED if hard == resource.RLIM_INFINITY else min(hard, LIMIT_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def is_crowded(*, spare: int = 0) -> bool:
    """Whether no more should be opened that can be done without, or is once ``spare`` more are open."""
    allowed, opened = limit(), count()
    return opened is not None and opened + spare > SHARE * min(allowed or LIMIT_WANTED, LIMIT_WANTED)


def count() -> int | None:
    """Descriptors open now, those of connections included; None where the system does not tell. About 1 µs each."""
    for folder in _FOLDERS:
        if folder.is_dir():
            return len(os.listdir(folder))
    return None
