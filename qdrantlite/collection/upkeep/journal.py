"""What the upkeep of a collection is doing and has done, for those who ask. One thread writes, any may read."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import time
from typing import Final
from uuid import NAMESPACE_OID, uuid4, uuid5

from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.shard.slots import DenseSlot
from qdrantlite.errors import told
from qdrantlite.values.optimization import Optimization, Segment

COMPLETED_MAX: Final = 64


def segment_of(shard: Shard, slot: DenseSlot | None = None) -> Segment:
    """The points of a vector; without one, of the shard. It has the same id as long as the shard has its folder."""
    name = f"{shard.folder}#{'' if slot is None else slot.id}"
    return Segment(uuid5(NAMESPACE_OID, name), len(shard.state.live if slot is None else slot.present))


class Journal:
    """At most one piece of work at a time, and the latest that have ended."""

    def __init__(self) -> None:
        self._running: Optimization | None = None
        self._completed: deque[Optimization] = deque(maxlen=COMPLETED_MAX)

    @property
    def running(self) -> tuple[Optimization, ...]:
        """What is being done."""
        running = self._running
        return () if running is None else (running,)

    @property
    def completed(self) -> tuple[Optimization, ...]:
        """What has ended, the latest first."""
        return tuple(self._completed.copy())

    @contextmanager
    def entry(self, kind: str, segment: Segment, *, given_up: type[Exception]) -> Iterator[None]:
        """Work that ends with the block; what it raises is noted and goes on. Work ``given_up`` is as never begun."""
        self._running = Optimization(uuid4(), kind, segment, time())
        try:
            yield
            self._end(None)
        except given_up:
            raise
        except Exception as error:
            self._end(told(error))
            raise
        finally:
            self._running = None

    def _end(self, error: str | None) -> None:
        assert self._running is not None
        self._completed.appendleft(replace(self._running, ended_s=time(), error=error))

    def advance(self, done: int, total: int) -> None:
        """How far the work is."""
        if self._running is not None:
            self._running = replace(self._running, done=done, total=total)
