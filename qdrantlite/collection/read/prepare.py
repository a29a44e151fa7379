"""From searches to plans over one frozen state of a shard.

A plan never depends on the components of a vector. Searches that differ in nothing else are bound and planned once for
each state; all others go the whole way, through ``bind`` and the planner.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from qdrantlite.collection.read.bind import bind
from qdrantlite.collection.read.bind_vectors import OpenCollection, near
from qdrantlite.collection.read.view import Overtaken, ReadView
from qdrantlite.collection.shard.shard import Shard, ShardState
from qdrantlite.deadline import Deadline
from qdrantlite.execute.view import Doubtful
from qdrantlite.plan.bound import NearestDense
from qdrantlite.plan.nodes import Node
from qdrantlite.plan.planner import plan, plan_alike
from qdrantlite.query.search import Nearest, Search
from qdrantlite.storage.point_store import StoreView
from qdrantlite.values.vector import DenseVector


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A view, which the caller closes, and a plan for each search."""

    view: ReadView
    plans: Sequence[Node]


def prepare(
    shard: Shard,
    searches: Sequence[Search],
    *,
    collection: str,
    open_other: OpenCollection,
    pinned: bool,
    deadline: Deadline,
) -> Prepared:
    """Plans for searches of one request, all over one state. Raises as ``bind`` does; then nothing is left open.

    Unless ``pinned``, the view's read transaction may begin only when it is needed, and then raise Overtaken.
    """
    prepared = None if pinned else _known(shard, searches)
    if prepared is not None:
        return prepared
    bound = bind(shard, searches, collection=collection, open_other=open_other, deadline=deadline)
    view = bound.view
    with ExitStack() as failed:
        failed.callback(view.close)
        plans = [plan(tree, view) for tree in bound.searches]
        failed.pop_all()
    for search, tree, node in zip(searches, bound.searches, plans, strict=True):
        selection = tree.stage.selection
        if (
            search.pattern is not None
            and isinstance(tree.stage.query, NearestDense)
            and not isinstance(selection, Doubtful)  # It would hold this request's transaction.
        ):
            view.state.plans.keep(search.pattern, node, 0 if selection is None else len(selection))
    return Prepared(view, plans)


def _known(shard: Shard, searches: Sequence[Search]) -> Prepared | None:
    """Plans made before for searches like these in the state in force; None unless there is one for each."""
    state = shard.state
    plans: list[Node] = []
    for search in searches:
        known = None if search.pattern is None else state.plans.find(search.pattern)
        if known is None:
            return None
        query = search.stage.query
        assert isinstance(query, Nearest)
        assert isinstance(query.input, DenseVector)
        plans.append(plan_alike(known, near(state.config.vectors[search.stage.using], query.input)))
    # Held like a view, so that a shard that is retired meanwhile stays open until this search has ended.
    if not shard.store.hold():
        return None
    return Prepared(ReadView(state, lambda: _begin(shard, state), shard.store.release), plans)


def _begin(shard: Shard, state: ShardState) -> StoreView:
    """The read transaction of a state's commit. Raises Overtaken when another commit is in force by now, NotFound."""
    with shard.publish_lock:
        if shard.retired or shard.state is not state:
            raise Overtaken
        shard.require_open()
        return shard.store.open_view()
