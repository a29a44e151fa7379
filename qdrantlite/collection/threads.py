"""The two threads that tend collections: one keeps them durable, checkpointed and checked, one builds their graphs.

A round of a collection that fails is that round's alone: it is logged, shown by the collection's info and tried again
later, and the thread goes on to the next collection. What ends a thread all the same would leave every later write
without care, and nobody would know; so it is fatal: it is logged, ``fatal`` is called, which ends a server's process,
and where it does not, every collection shows it.
"""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Thread, get_native_id
from time import monotonic

from qdrantlite.collection.collection import Collection
from qdrantlite.collection.listed import ListedCollection

logger = logging.getLogger(__name__)

MAINTENANCE_S = 1.0
OPTIMIZE_S = 0.2
IDLE_S = 5.0
BUILD_NICENESS = 10


class Upkeep:
    """Runs from ``start`` to ``stop``."""

    def __init__(
        self,
        *,
        begin: Callable[[], None],
        opened: Callable[[], Sequence[ListedCollection]],
        auto_columns: bool,
        fatal: Callable[[], object],
    ) -> None:
        """``begin`` runs once, on the first thread, before its first round; ``opened`` gives all that is open.
        ``auto_columns``: whether fields get columns.
        """
        self._begin = begin
        self._opened = opened
        self._auto_columns = auto_columns
        self._fatal = fatal
        self.stopping = Event()
        self.has_begun = Event()
        """``begin`` has returned."""
        self.broken = False
        """A thread has ended although it should not have."""
        self.threads = [
            Thread(target=self._guarded, args=(work,), name=f"qdrantlite-{name}", daemon=True)
            for name, work in (("upkeep", self._maintain), ("optimizer", self._optimize))
        ]

    def start(self) -> None:
        """Once."""
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Returns when the round under way has ended, within a batch of rows. Idempotent."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.broken = True
            logger.critical("collections are tended no more; the server must be started anew", exc_info=error)
            self._fatal()
            raise

    def _maintain(self) -> None:
        self._begin()
        self.has_begun.set()
        self._rounds(MAINTENANCE_S, lambda each: each.maintain(idle=monotonic() - each.last_write_s > IDLE_S))

    def _optimize(self) -> None:
        """Builds graphs and columns, collection after collection, at low priority."""
        lower_priority()

        def tend(collection: Collection) -> None:
            if self._auto_columns:
                collection.tend_columns(self.stopping.is_set)
            collection.optimize(self.stopping.is_set)

        self._rounds(OPTIMIZE_S, tend)

    def _rounds(self, pause_s: float, tend: Callable[[Collection], None]) -> None:
        """Tends whatever is open, over and over, until told to stop."""
        while not self.stopping.wait(pause_s):
            for listed in self._opened():
                with listed.tended() as collection:
                    if collection is not None:
                        tend(collection)


def lower_priority() -> None:
    """Lets this thread, and those OpenMP starts for it, give way to requests where the system has priorities by
    thread.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, get_native_id(), BUILD_NICENESS)
