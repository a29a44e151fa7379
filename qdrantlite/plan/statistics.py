"""What the planner may ask about a shard: counts that are known without reading any point."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class VectorStatistics:
    """One named vector.

    ``points``: live points that have it. ``rows``: what a scan of everything passes over (dense: stored rows, the dead
    ones included but not the vacant; multi: likewise; sparse: postings). ``dimension``: components of a row (sparse:
    0). ``component_bytes``: size of a stored component. ``sealed``: how many of the rows each graph covers. ``beam``:
    how many candidates a walk keeps unless the search says otherwise. ``full_scan``: up to so many points that pass a
    filter, the settings want all of them compared. ``large``: rows beyond the graphs from which on a search of indexed
    rows only leaves them out, None = never.
    """

    points: int
    rows: int
    dimension: int
    component_bytes: int = 4
    sealed: tuple[int, ...] = ()
    beam: int = 100
    full_scan: int = 0
    large: int | None = None


class Statistics(Protocol):
    """Facts about the one frozen state that a bound search belongs to. Cheap: each answer takes about a microsecond."""

    @property
    def live_points(self) -> int:
        """Points that are not deleted."""
        ...

    def vector(self, name: str) -> VectorStatistics:
        """Facts about a vector of any kind; the name has been checked."""
        ...

    def ordered_entries(self, key: str) -> int:
        """Entries (value, point) of the ordered payload index at ``key``, dead ones included."""
        ...
