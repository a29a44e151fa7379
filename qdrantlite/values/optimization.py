"""What is told of the work behind a collection: what runs, what waits, what has ended, what rests."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Segment:
    """Some of a collection's points."""

    id: UUID
    points: int


@dataclass(frozen=True, slots=True)
class Optimization:
    """Work on one segment. Times are seconds since the epoch; ``ended_s`` None = it runs; ``total`` 0 = not known."""

    id: UUID
    kind: str
    segment: Segment
    started_s: float
    ended_s: float | None = None
    done: int = 0
    total: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """Work that ought to be done."""

    kind: str
    segment: Segment


@dataclass(frozen=True, slots=True)
class Optimizations:
    """``completed`` begins with the latest; ``idle`` are the segments that nothing is to be done to."""

    running: tuple[Optimization, ...] = ()
    queued: tuple[Queued, ...] = ()
    completed: tuple[Optimization, ...] = ()
    idle: tuple[Segment, ...] = ()
