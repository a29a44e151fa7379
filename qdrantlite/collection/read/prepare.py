"""From searches to plans over one frozen state of a shard.

A plan never depends on the components of a vector. Searches that differ in nothing else are bound and planned once for
each state; all others go the whole way, through ``bind`` and the planner.
"""

from collections.abc import Sequence

from qdrantlite.collection.read.bind import bind
from qdrantlite.collection.read.bind_vectors import OpenCollection, near
from qdrantlite.collection.read.view import ReadView
from qdrantlite.collection.shard.shard import ShardState
from qdrantlite.deadline import Deadline
from qdrantlite.execute.view import Doubtful
from qdrantlite.plan.bound import NearestDense
from qdrantlite.plan.nodes import Node
from qdrantlite.plan.planner import plan, plan_alike
from qdrantlite.query.search import Nearest, Search
from qdrantlite.values.vector import DenseVector


def prepare(
    view: ReadView, searches: Sequence[Search], *, collection: str, open_other: OpenCollection, deadline: Deadline
) -> list[Node]:
    """A plan for each search of one request. Raises as ``bind`` does."""
    known = _known(view.state, searches)
    if known is not None:
        return known
    bound = bind(view, searches, collection=collection, open_other=open_other, deadline=deadline)
    plans = [plan(tree, view) for tree in bound]
    for search, tree, node in zip(searches, bound, plans, strict=True):
        selection = tree.stage.selection
        if (
            search.pattern is not None
            and isinstance(tree.stage.query, NearestDense)
            and not isinstance(selection, Doubtful)  # It would hold this request's transaction.
        ):
            view.state.plan_cache.keep(search.pattern, node, 0 if selection is None else len(selection))
    return plans


def _known(state: ShardState, searches: Sequence[Search]) -> list[Node] | None:
    """Plans made before for searches like these; None unless there is one for each."""
    plans: list[Node] = []
    for search in searches:
        known = None if search.pattern is None else state.plan_cache.find(search.pattern)
        if known is None:
            return None
        query = search.stage.query
        assert isinstance(query, Nearest)
        assert isinstance(query.input, DenseVector)
        plans.append(plan_alike(known, near(state.config.vectors[search.stage.using], query.input)))
    return plans
