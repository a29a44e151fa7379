"""Sets of offsets for planners: only their sizes count."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passing:
    """So many points; implements ``plan.bound.OffsetSet``."""

    count: int
    is_settled: bool = True

    def __len__(self) -> int:
        return self.count
