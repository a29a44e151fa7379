"""What happened when a plan ran, step by step, for ``explain``.

The executor adds one step when a node is done, sources before the node that takes them, in the order of the plan; so a
trace needs no names. Times come from the executor: nothing here reads a clock.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Step:
    """``rows_in``: candidates the node saw (leaf: points its filter lets through); time includes its sources."""

    rows_in: int
    rows_out: int
    elapsed_us: float


@dataclass(slots=True)
class Trace:
    """Filled by one run of one plan."""

    steps: list[Step] = field(default_factory=list)

    def add(self, step: Step) -> None:
        """Record that the next node in post-order is done."""
        self.steps.append(step)
