"""A plan as text: one line a node, sources indented below it, with what was expected and what happened."""

from collections.abc import Iterator

from qdrantlite.plan.nodes import Node
from qdrantlite.plan.trace import Step, Trace


def explain(node: Node, trace: Trace | None = None) -> str:
    """The tree, root first. With the trace of a complete run each line also tells what happened."""
    steps = iter(trace.steps) if trace is not None else iter(())
    return "\n".join(_lines(node, steps, ""))


def _lines(node: Node, steps: Iterator[Step], indent: str) -> list[str]:
    below = [line for source in node.sources for line in _lines(source, steps, indent + "  ")]
    rows, cost_us = node.estimate.rows, node.estimate.cost_us
    bounds = f"{rows.high}" if rows.low == rows.high else f"{rows.low}..{rows.high}"
    line = f"{indent}{type(node).__name__}{node.details}  [rows {bounds}, {cost_us:.0f} us]"
    step = next(steps, None)
    if step is not None:
        line += f"  [did {step.rows_in} -> {step.rows_out} rows, {step.elapsed_us:.0f} us]"
    return [line, *below]
