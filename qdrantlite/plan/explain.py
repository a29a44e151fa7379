"""A plan as text: one line a node, sources indented below it, with what was expected and what happened."""

from collections.abc import Iterator
from typing import assert_never

from qdrantlite.plan.bound import BoundVectorQuery, NearestDense, NearestMulti, NearestSparse, OffsetSet
from qdrantlite.plan.nodes import (
    ExactScan,
    Fuse,
    GraphScan,
    IdScan,
    MultiScan,
    Node,
    Nothing,
    Order,
    OrderScan,
    Rescore,
    SampleOf,
    SampleScan,
    SparseScan,
    SubsetScan,
    Top,
)
from qdrantlite.plan.trace import Step, Trace
from qdrantlite.query.search import Direction, FusionKind


def explain(node: Node, trace: Trace | None = None) -> str:
    """The tree, root first. With the trace of a complete run each line also tells what happened."""
    steps = iter(trace.steps) if trace is not None else iter(())
    return "\n".join(_lines(node, steps, ""))


def _lines(node: Node, steps: Iterator[Step], indent: str) -> list[str]:
    below = [line for source in _sources(node) for line in _lines(source, steps, indent + "  ")]
    rows, cost_us = node.estimate.rows, node.estimate.cost_us
    bounds = f"{rows.high}" if rows.low == rows.high else f"{rows.low}..{rows.high}"
    line = f"{indent}{type(node).__name__}{_details(node)}  [rows {bounds}, {cost_us:.0f} us]"
    step = next(steps, None)
    if step is not None:
        line += f"  [did {step.rows_in} -> {step.rows_out} rows, {step.elapsed_us:.0f} us]"
    return [line, *below]


def _sources(node: Node) -> tuple[Node, ...]:
    match node:
        case Rescore() | Fuse() | Order() | SampleOf():
            return node.sources
        case Top():
            return (node.source,)
        case _:
            return ()


def _details(node: Node) -> str:
    """What tells this node from others of its class, opening with a space."""
    match node:
        case Nothing():
            return ""
        case GraphScan():
            return f"{_vector(node.using, node.query)} ef={node.ef}" + _leaf(node.selection, node.limit, node.threshold)
        case ExactScan() | SubsetScan() | SparseScan() | MultiScan():
            return _vector(node.using, node.query) + _leaf(node.selection, node.limit, node.threshold)
        case IdScan() | SampleScan():
            return _leaf(node.selection, node.limit, None)
        case OrderScan():
            return _order(node) + _leaf(node.selection, node.limit, None)
        case Order():
            return f"{_order(node)} limit={node.limit}"
        case Rescore():
            return _vector(node.using, node.query) + _leaf(None, node.limit, node.threshold)
        case Fuse():
            return _fusion(node) + _leaf(None, node.limit, node.threshold)
        case SampleOf():
            return f" limit={node.limit}"
        case Top():
            return f" offset={node.offset} limit={node.limit}"
        case _:
            assert_never(node)


def _vector(using: str, query: BoundVectorQuery) -> str:
    name = f' "{using}"'
    match query:
        case NearestDense(vector):
            return f"{name} dim={len(vector)}"
        case NearestSparse(vector):
            return f"{name} indices={len(vector.indices)}"
        case NearestMulti(rows):
            return f"{name} rows={rows.shape[0]}x{rows.shape[1]}"
        case _:
            assert_never(query)


def _leaf(selection: OffsetSet | None, limit: int, threshold: float | None) -> str:
    passing = "" if selection is None else f" filter={len(selection)}"
    beyond = "" if threshold is None else f" threshold={threshold:g}"
    return f"{passing} limit={limit}{beyond}"


def _order(node: OrderScan | Order) -> str:
    start = "" if node.start_from is None else f" from={node.start_from:g}"
    direction = "asc" if node.direction is Direction.ASC else "desc"
    return f" {node.key} {direction}{start}{' repeats' if node.repeats else ''}"


def _fusion(node: Fuse) -> str:
    if node.kind is FusionKind.DBSF:
        return " dbsf"
    weights = "" if node.weights is None else " weights=" + ",".join(f"{weight:g}" for weight in node.weights)
    return f" rrf k={node.k}{weights}"
