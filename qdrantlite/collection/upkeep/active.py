"""The shard in force, with those who write to it and build its graphs; compaction replaces them together.

A request takes the shard and begins: it opens a view, or leads a write. Should the shard have been retired in
between, nothing was done yet, and the request begins again with its successor.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from qdrantlite.collection.read.filter_source import resolve_for_write
from qdrantlite.collection.shard.shard import Shard, ShardRetired
from qdrantlite.collection.upkeep.building import Builder
from qdrantlite.collection.upkeep.optimizer import Optimizer
from qdrantlite.collection.write.committer import Committer

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, eq=False)
class Crew:
    """A shard and what works on it."""

    shard: Shard
    committer: Committer
    optimizer: Optimizer


class ActiveShard:
    """Threads may share it; ``crew`` is replaced as a whole."""

    def __init__(self, shard: Shard, name: str, builder: Builder) -> None:
        self.crew = _crew(shard, Optimizer(shard, name, builder))

    def run(self, work: Callable[[Crew], Answer]) -> Answer:
        """What ``work`` answers; it is begun again when the shard was retired before it could begin."""
        while True:
            try:
                return work(self.crew)
            except ShardRetired:
                continue

    def replace(self, shard: Shard, optimizer: Optimizer) -> None:
        """Puts a shard that holds the same points in the place of this one. The caller holds the writer lock."""
        old = self.crew.shard
        with old.publish_lock:
            self.crew = _crew(shard, optimizer)
            old.retired = True


def _crew(shard: Shard, optimizer: Optimizer) -> Crew:
    return Crew(shard, Committer(shard, partial(resolve_for_write, shard)), optimizer)
