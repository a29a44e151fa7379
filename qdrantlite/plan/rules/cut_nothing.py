"""A leaf whose filter lets no point through is never run, nor is anything that could only work on such leaves."""

from qdrantlite.plan.estimate import NOTHING
from qdrantlite.plan.nodes import Node, Nothing


def cut_nothing(node: Node) -> Node:
    """``Nothing`` in place of a node that cannot hand up a row.

    A fusion or a formula keeps its empty sources while another one has rows: weights and scores belong to sources by
    position.
    """
    if node.sources:
        return Nothing(NOTHING) if all(isinstance(source, Nothing) for source in node.sources) else node
    return node if node.selection is None or len(node.selection) > 0 else Nothing(NOTHING)
