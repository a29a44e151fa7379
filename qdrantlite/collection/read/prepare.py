"""From searches to plans over one frozen state of a shard.

A plan never depends on what is in a vector. Searches that differ in nothing else are bound and planned once for each
state (``query.shape``); all others go the whole way, through ``bind`` and the planner.
"""

from collections.abc import Iterator, Sequence

from qdrantlite.collection.read.bind import bind
from qdrantlite.collection.read.bind_vectors import OpenCollection, VectorBinder, VectorQuery
from qdrantlite.collection.read.view import ReadView
from qdrantlite.deadline import Deadline
from qdrantlite.plan.bound import BoundVectorQuery
from qdrantlite.plan.nodes import Node
from qdrantlite.plan.planner import can_be_alike, plan, plan_alike
from qdrantlite.query.search import Prefetch, Search
from qdrantlite.query.shape import Shape, shape_of


def prepare(
    view: ReadView, searches: Sequence[Search], *, collection: str, open_other: OpenCollection, deadline: Deadline
) -> list[Node]:
    """A plan for each search of one request. Raises as ``bind`` does."""
    shapes = [shape_of(search) for search in searches]
    known = _known(view, shapes)
    if known is not None:
        vectors = VectorBinder(view, collection, open_other)
        asked = zip(known, searches, strict=True)
        return [plan_alike(node, _queries(search.stage, vectors)) for node, search in asked]
    bound = bind(view, searches, collection=collection, open_other=open_other, deadline=deadline)
    plans = [plan(tree, view) for tree in bound]
    for shape, node in zip(shapes, plans, strict=True):
        if shape is not None and can_be_alike(node):
            view.state.plan_cache.keep(shape, node, _selected(node))
    return plans


def _known(view: ReadView, shapes: Sequence[Shape | None]) -> list[Node] | None:
    """Plans made before for searches like these; None unless there is one for each."""
    plans: list[Node] = []
    for shape in shapes:
        known = None if shape is None else view.state.plan_cache.find(shape)
        if known is None:
            return None
        plans.append(known)
    return plans


def _queries(stage: Prefetch, vectors: VectorBinder) -> Iterator[BoundVectorQuery]:
    """What each stage seeks, those of the prefetches before that of what merges them."""
    for child in stage.prefetch:
        yield from _queries(child, vectors)
    if isinstance(stage.query, VectorQuery):
        yield vectors.query(stage, stage.query, None)


def _selected(node: Node) -> int:
    """How many offsets the selections of a plan hold."""
    return (0 if node.selection is None else len(node.selection)) + sum(map(_selected, node.sources))
