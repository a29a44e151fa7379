"""A top that skips nothing and keeps all that its source may hand up changes nothing."""

from qdrantlite.plan.nodes import Node, Top


def drop_top(node: Node) -> Node:
    """The source of such a top: every other node keeps its own limit."""
    return node.source if isinstance(node, Top) and node.offset == 0 else node
