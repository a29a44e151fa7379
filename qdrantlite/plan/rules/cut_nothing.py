"""A leaf whose filter lets no point through is never run, nor is anything that could only work on such leaves."""

from typing import assert_never

from qdrantlite.plan.estimate import NOTHING
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


def cut_nothing(node: Node) -> Node:
    """``Nothing`` in place of a node that cannot hand up a row.

    A fusion keeps its empty sources while another one has rows: weights belong to sources by position.
    """
    match node:
        case Nothing():
            return node
        case (
            ExactScan()
            | SubsetScan()
            | GraphScan()
            | SparseScan()
            | MultiScan()
            | IdScan()
            | OrderScan()
            | SampleScan()
        ):
            return node if node.selection is None or len(node.selection) > 0 else Nothing(NOTHING)
        case Rescore() | Fuse() | Order() | SampleOf():
            return node if any(not isinstance(source, Nothing) for source in node.sources) else Nothing(NOTHING)
        case Top():
            return Nothing(NOTHING) if isinstance(node.source, Nothing) else node
        case _:
            assert_never(node)
