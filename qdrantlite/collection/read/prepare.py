"""From searches to plans over one frozen state of a shard.

A plan never depends on what is in a vector. Searches that differ in nothing else are bound and planned once
(``query.shape``); all others go the whole way, through ``bind`` and the planner. A plan serves the states that follow,
too, while its filters let the same points through and the shard has hardly changed.
"""

from collections.abc import Iterator, Sequence

from qdrantlite.collection.read.bind import bind, leaf_filters
from qdrantlite.collection.read.bind_vectors import OpenCollection, VectorBinder, VectorQuery
from qdrantlite.collection.read.filter_source import known_selection
from qdrantlite.collection.read.view import ReadView
from qdrantlite.collection.shard.shard import KeptPlan
from qdrantlite.deadline import Deadline
from qdrantlite.plan.bound import BoundVectorQuery
from qdrantlite.plan.nodes import Node
from qdrantlite.plan.planner import can_be_alike, plan, plan_alike
from qdrantlite.query.filter import Filter
from qdrantlite.query.search import Prefetch, Search
from qdrantlite.query.shape import Shape, shape_of
from qdrantlite.segment.selection import Selection

CARRIED_POINTS_MIN = 4096
"""Plans for fewer points are made anew after each commit: each point may matter to them."""
CHANGED_SHARE_MAX = 1 / 256
"""Of the points: when more were touched since a plan was made, it is made anew."""


def prepare(
    view: ReadView, searches: Sequence[Search], *, collection: str, open_other: OpenCollection, deadline: Deadline
) -> list[Node]:
    """A plan for each search of one request. Raises as ``bind`` does."""
    shapes = [shape_of(search) for search in searches]
    known = _known(view, shapes, deadline)
    if known is not None:
        vectors = VectorBinder(view, collection, open_other)
        asked = zip(known, searches, strict=True)
        return [plan_alike(node, _queries(search.stage, vectors)) for node, search in asked]
    bound = bind(view, searches, collection=collection, open_other=open_other, deadline=deadline)
    plans = [plan(tree, view) for tree in bound]
    lately, made = view.state.lately, view.state.answers.plans
    for search, shape, node in zip(searches, shapes, plans, strict=True):
        if shape is not None and can_be_alike(node):
            kept = KeptPlan(node, lately.number, lately.touched, _made_from(view, search, collection, deadline))
            made.keep(shape, kept, _selected(node))
    return plans


def _known(view: ReadView, shapes: Sequence[Shape | None], deadline: Deadline) -> list[Node] | None:
    """Plans made before for searches like these; None unless there is one for each."""
    plans: list[Node] = []
    for shape in shapes:
        kept = None if shape is None else view.state.answers.plans.find(shape)
        if kept is None or not _holds(view, kept, deadline):
            return None
        plans.append(kept.node)
    return plans


def _holds(view: ReadView, kept: KeptPlan, deadline: Deadline) -> bool:
    """Whether a plan holds for this state; if so it is noted. The numbers in a plan may be a little old, what it reads
    may not.
    """
    lately = view.state.lately
    if kept.number == lately.number:
        return True
    if kept.made_from is None or not 0 <= lately.touched - kept.touched <= view.live_points * CHANGED_SHARE_MAX:
        return False
    if any(known_selection(view, filter, deadline) is not before for filter, before in kept.made_from):
        return False
    kept.number = lately.number
    return True


def _made_from(
    view: ReadView, search: Search, collection: str, deadline: Deadline
) -> tuple[tuple[Filter, Selection], ...] | None:
    """What each filter of a search lets through; None where the plan may be another as soon as one point is: when a
    stage wants about as many points as there are, or a filter lets all through, and was left out.
    """
    live = view.live_points
    if live < CARRIED_POINTS_MIN or (_most_wanted(search.stage) + search.offset) * 2 > live:
        return None
    made_from: list[tuple[Filter, Selection]] = []
    for filter in leaf_filters(search.stage, collection):
        selection = known_selection(view, filter, deadline)
        if selection is None or len(selection) >= live:
            return None
        made_from.append((filter, selection))
    return tuple(made_from)


def _most_wanted(stage: Prefetch) -> int:
    """The largest limit in a tree."""
    return max(stage.limit, *map(_most_wanted, stage.prefetch), 0)


def _queries(stage: Prefetch, vectors: VectorBinder) -> Iterator[BoundVectorQuery]:
    """What each stage seeks, those of the prefetches before that of what merges them."""
    for child in stage.prefetch:
        yield from _queries(child, vectors)
    if isinstance(stage.query, VectorQuery):
        yield vectors.query(stage, stage.query, None)


def _selected(node: Node) -> int:
    """How many offsets the selections of a plan hold."""
    return (0 if node.selection is None else len(node.selection)) + sum(map(_selected, node.sources))
