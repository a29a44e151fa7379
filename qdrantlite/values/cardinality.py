"""How many points a filter lets through: a lower bound, the expected number, an upper bound."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cardinality:
    """Counts of points; ``low <= expected <= high``. All equal when the number is known."""

    low: int
    expected: int
    high: int

    def __post_init__(self) -> None:
        assert 0 <= self.low <= self.expected <= self.high

    @staticmethod
    def exactly(count: int) -> "Cardinality":
        """A known number."""
        return Cardinality(count, count, count)
