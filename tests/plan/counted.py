"""A shard of which only counts exist, for planning."""

from dataclasses import dataclass, field

from qdrantlite.plan.statistics import VectorStatistics


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Implements ``Statistics``; unknown keys have no entries."""

    live_points: int = 60_000
    vectors: dict[str, VectorStatistics] = field(default_factory=dict)
    entries: dict[str, int] = field(default_factory=dict)

    def vector(self, name: str) -> VectorStatistics:
        """As given."""
        return self.vectors[name]

    def ordered_entries(self, key: str) -> int:
        """As given."""
        return self.entries.get(key, 0)


PACKAGES = Counted(
    vectors={
        "dense": VectorStatistics(points=60_000, rows=60_000, dimension=384),
        "half": VectorStatistics(points=60_000, rows=60_000, dimension=384, component_bytes=2),
        "graph": VectorStatistics(points=60_000, rows=60_000, dimension=384, sealed=(55_000,)),
        "byte": VectorStatistics(points=50_000, rows=60_000, dimension=64, component_bytes=1),
        "tokens": VectorStatistics(points=60_000, rows=600_000, dimension=64),
        "bm25": VectorStatistics(points=60_000, rows=1_200_000, dimension=0),
    },
    entries={"size": 60_000},
)
"""Sixty thousand points with every kind of vector; ``byte`` is missing from some."""
