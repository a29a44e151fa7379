"""Runs a plan over a frozen view of a shard, node by node, sources first.

Between nodes the deadline is asked; inside one nothing is interrupted. The plan decides everything: here each node
class has exactly one way to run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter_ns
from typing import assert_never

import numpy as np

from qdrantlite.deadline import FOREVER, Deadline
from qdrantlite.execute.custom import as_similarities, passing_custom_threshold, scored, unseen_best
from qdrantlite.execute.dense_leaves import (
    Found,
    as_selection,
    ask_as_one,
    ask_rows,
    ask_together,
    compare_all,
    first_limit,
)
from qdrantlite.execute.diversify import diversified
from qdrantlite.execute.formula import scored_by_formula
from qdrantlite.execute.fuse import fuse_dbsf, fuse_rrf
from qdrantlite.execute.merge import SPARE_ROWS, Fetch, best_first, fetch_best, passing_threshold, settled
from qdrantlite.execute.ranking import OrderValues, Ranking
from qdrantlite.execute.sifting import possible, sifted
from qdrantlite.execute.view import Doubtful, ShardView, Sieve
from qdrantlite.plan.bound import NearestDense, NearestMulti, NearestSparse
from qdrantlite.plan.custom import CustomScore
from qdrantlite.plan.nodes import (
    CustomScan,
    DenseLeaf,
    Diversify,
    ExactScan,
    Formula,
    Fuse,
    GraphScan,
    GuidedScan,
    IdScan,
    MultiScan,
    Node,
    Nothing,
    Order,
    OrderScan,
    ReadingLeaf,
    Rescore,
    SampleOf,
    SampleScan,
    SparseScan,
    SubsetScan,
    TextScan,
    Top,
)
from qdrantlite.plan.trace import Step, Trace
from qdrantlite.query.search import Direction, FusionKind
from qdrantlite.segment.best import are_hits, best_of
from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.exact import MISSING
from qdrantlite.values.vector import U32

WIDER = 4
"""How many times a beam grows when it is not enough."""


def execute(
    node: Node,
    view: ShardView,
    trace: Trace | None = None,
    *,
    sieve: Sieve | None = None,
    deadline: Deadline = FOREVER,
) -> Ranking:
    """The rows of a plan, best first.

    ``trace`` receives one step a node. With a ``sieve`` leaves hand up the best of what passes it; they must read
    possible points only, none ``Doubtful``. Raises TimedOut, Cancelled, and Corrupted from stored rows.
    """
    with _no_warnings():
        return _Run(view, trace, deadline, {}, sieve).rows(node)


def execute_all(nodes: Sequence[Node], view: ShardView, *, deadline: Deadline = FOREVER) -> list[Ranking]:
    """The rows of each plan, as ``execute`` gives them; leaves that ask alike are asked together, on all cores."""
    with _no_warnings():
        run = _Run(view, None, deadline, ask_together(nodes, view, deadline) if len(nodes) > 1 else {})
        return [run.rows(node) for node in nodes]


def _no_warnings() -> np.errstate:
    """Vectors may hold NaN, infinities and what overflows: such scores are no hits, and nothing to warn of."""
    return np.errstate(over="ignore", invalid="ignore")


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """One execution."""

    view: ShardView
    trace: Trace | None
    deadline: Deadline
    known: Mapping[DenseLeaf, Found]
    """What leaves that were asked together found."""
    sieve: Sieve | None = None

    def rows(self, node: Node) -> Ranking:
        """What a node hands up."""
        if isinstance(node, GuidedScan) and self._sieve_of(node.otherwise) is not None:
            return self.rows(node.otherwise)  # A leaf of its own, which is sifted as all are.
        self.deadline.pause()
        started = perf_counter_ns()
        sources = self._sources(node)
        sieve = self._sieve_of(node)
        if sieve is not None and isinstance(node, ReadingLeaf):
            leaf = possible(node)
            ranking = sifted(leaf, sieve, _among(leaf, self.view), lambda each: self._run(each, ()), self.deadline)
        else:
            ranking = self._run(node, sources)
        if self.trace is not None:
            rows_in = sum(map(len, sources)) if sources else self._read(node)
            self.trace.add(Step(rows_in, len(ranking), (perf_counter_ns() - started) / 1000))
        return ranking

    def _sources(self, node: Node) -> list[Ranking]:
        run = self
        if isinstance(node, GuidedScan) and node.sources[0] not in self.known:
            run = replace(self, known={**self.known, **ask_as_one(node.sources, self.view, self.deadline)})
        return [run.rows(source) for source in node.sources]

    def _sieve_of(self, node: Node) -> Sieve | None:
        """What tells which rows of a leaf pass; None where all do."""
        if self.sieve is None and isinstance(node, ReadingLeaf) and isinstance(node.selection, Doubtful):
            return node.selection.sieve
        return self.sieve

    def _read(self, node: Node) -> int:
        """How many points a leaf looks among."""
        if isinstance(node, Nothing):
            return 0
        return len(self.view.live if node.selection is None else node.selection)

    def _run(self, node: Node, sources: Sequence[Ranking]) -> Ranking:
        """The rows of a node over those of its sources."""
        view = self.view
        match node:
            case Nothing():
                return Ranking.empty()
            case ExactScan() | SubsetScan() | GraphScan():
                return _dense(node, view, self.known.get(node), self.deadline)
            case SparseScan():
                return _sparse(node, view, self.deadline)
            case TextScan():
                return _text(node, view, self.deadline)
            case MultiScan():
                return _multi(node, view, self.deadline)
            case CustomScan():
                return _custom(node, view, self.deadline)
            case IdScan():
                return Ranking.unscored(view.id_page(node.selection, None, node.limit, self.deadline.pause))
            case OrderScan():
                return _ordered(node, view, _among(node, view), self.deadline)
            case SampleScan():
                return _sample(_among(node, view).offsets(), node.limit, view)
            case Fuse():
                return _fused(node, sources, view)
            case Formula():
                return scored_by_formula(node, _union(sources), sources, view)
            case Rescore():
                return _rescored(node, _union(sources), view, self.deadline)
            case GuidedScan():
                return _guided(node, sources, view, self.deadline)
            case Diversify():
                return _diversified(node, Ranking.joined(sources), view, self.deadline)
            case Order():
                return _ordered(node, view, Selection.from_offsets(_union(sources)), self.deadline)
            case SampleOf():
                return _sample(_union(sources), node.limit, view)
            case Top():
                return sources[0].take(slice(node.offset, node.offset + node.limit))
            case _:
                assert_never(node)


def _among(node: ReadingLeaf, view: ShardView) -> Selection:
    """The points a leaf reads."""
    selection = as_selection(node.selection)
    return view.live if selection is None else selection


def _union(sources: Sequence[Ranking]) -> U32:
    """Offsets of all sources, each once, ascending."""
    offsets = np.sort(np.concatenate([source.offsets for source in sources]))
    first = np.ones(len(offsets), dtype=np.bool_)
    np.not_equal(offsets[1:], offsets[:-1], out=first[1:])
    return offsets[first]  # What np.unique finds, in a third of the time.


def _dense(node: DenseLeaf, view: ShardView, known: Found | None, deadline: Deadline) -> Ranking:
    """``known`` is what was found for the leaf's first question already."""
    fetch = _dense_fetch(node, view.dense(node.using), as_selection(node.selection), known, deadline)
    ranking = fetch_best(fetch, node.limit, view.ids)
    return passing_threshold(ranking, node.threshold, larger_is_better=node.query.larger_is_better)


def _sparse(node: SparseScan, view: ShardView, deadline: Deadline) -> Ranking:
    postings, among = view.sparse(node.using), _among(node, view)

    def search(limit: int) -> Found:
        return postings.search(node.query.vector, selection=among, limit=limit, ask=deadline.pause)

    return _sought(search, node, view, larger_is_better=True)


def _text(node: TextScan, view: ShardView, deadline: Deadline) -> Ranking:
    query, texts, among = node.query, view.texts(node.using), _among(node, view)
    asked = query.words, query.rarities, query.saturation

    def search(limit: int) -> Found:
        return texts.search(*asked, selection=among, limit=limit, ask=deadline.pause)

    return _sought(search, node, view, larger_is_better=True)


def _multi(node: MultiScan, view: ShardView, deadline: Deadline) -> Ranking:
    rows, among = view.multi(node.using), _among(node, view)

    def search(limit: int) -> Found:
        return rows.search(node.query.rows, selection=among, limit=limit, ask=deadline.pause)

    return _sought(search, node, view, larger_is_better=node.query.larger_is_better)


def _sought(
    search: Fetch, node: SparseScan | TextScan | MultiScan, view: ShardView, *, larger_is_better: bool
) -> Ranking:
    """The best rows of a leaf that finds a few more at no cost."""
    ranking = fetch_best(search, node.limit, view.ids, spare=SPARE_ROWS)
    return passing_threshold(ranking, node.threshold, larger_is_better=larger_is_better)


def _dense_fetch(
    node: DenseLeaf, rows: DenseView, selection: Selection | None, known: Found | None, deadline: Deadline
) -> Fetch:
    """How a dense leaf gets its best rows; ``known`` is what was found for its first question already."""

    def ask(limit: int) -> Found:
        if known is not None and limit == first_limit(node):
            return known
        return ask_rows(node, rows, selection, node.query.vector, limit=limit, deadline=deadline)

    if not isinstance(node, GraphScan):
        return ask
    return lambda limit: _walked(node, rows, selection, ask, limit=limit, deadline=deadline)


def _walked(
    node: GraphScan, rows: DenseView, selection: Selection | None, ask: Fetch, *, limit: int, deadline: Deadline
) -> Found:
    """The best rows along the graphs, with a wider beam where one fell short, exactly where none is wide enough."""
    found = ask(limit)
    if len(found[0]) >= limit:
        return found
    if not node.tail:
        selection = rows.behind_graphs(selection)
        wanted = min(limit, len(selection))
    elif selection is None:
        wanted = min(limit, rows.points)
    else:
        wanted = min(limit, len(selection if rows.present is None else selection.intersection(rows.present)))
    ef = node.ef * WIDER
    while len(found[0]) < wanted and ef <= node.ef_max:
        found = ask_rows(replace(node, ef=ef), rows, selection, node.query.vector, limit=limit, deadline=deadline)
        ef *= WIDER
    if len(found[0]) >= wanted:
        return found
    return compare_all(
        *(rows, selection, node.query.vector), limit=limit, one_by_one=node.one_by_one, deadline=deadline
    )


def _custom(node: CustomScan, view: ShardView, deadline: Deadline) -> Ranking:
    """The best of all points that have the vector."""
    having = view.present(node.using)
    selection = as_selection(node.selection)
    offsets = (having if selection is None else selection.intersection(having)).offsets()
    found = scored(node.query, view, node.using, offsets, deadline=deadline, limit=node.limit)
    return _best_custom(node.query, node, found, view)


def _best_custom(query: CustomScore, node: CustomScan | Rescore, found: Found, view: ShardView) -> Ranking:
    """The best of the points scored."""
    ranking = fetch_best(lambda limit: best_of(*found, limit=limit, larger_is_better=True), node.limit, view.ids)
    return passing_custom_threshold(ranking, node.threshold, larger_is_better=query.larger_is_better)


def _guided(node: GuidedScan, sources: Sequence[Ranking], view: ShardView, deadline: Deadline) -> Ranking:
    """The best of what is about the guides, where nothing else can be better; else of all points."""
    leaf, walks = node.otherwise, node.sources
    distance = view.dense(leaf.using).distance
    for wider in range(node.wider + 1):
        if wider:
            walks = tuple([replace(walk, ef=walk.ef * WIDER, limit=walk.limit * WIDER) for walk in walks])
            known = ask_as_one(walks, view, deadline)
            sources = [_dense(walk, view, known.get(walk), deadline) for walk in walks]
        found = scored(leaf.query, view, leaf.using, _union(sources), deadline=deadline)
        ranking = _best_custom(leaf.query, replace(leaf, threshold=None), found, view)
        ends = [
            -np.inf if len(source) < walk.limit else as_similarities(source.scores[-1:], distance)[0]
            for source, walk in zip(sources, walks, strict=True)
        ]
        bound = unseen_best(leaf.query.scorer, np.array(ends, dtype=np.float32))
        if np.isneginf(bound) or (len(ranking) == leaf.limit and ranking.scores[-1] >= bound):
            return passing_custom_threshold(ranking, leaf.threshold, larger_is_better=leaf.query.larger_is_better)
    return _custom(leaf, view, deadline)


def _diversified(node: Diversify, source: Ranking, view: ShardView, deadline: Deadline) -> Ranking:
    """Picks of the rows, which may list a point several times."""
    first = np.sort(np.unique(source.offsets, return_index=True)[1])
    source = source.take(first[view.present(node.using).contains(source.offsets[first])])
    if len(source) < 2:
        return source.head(node.limit)
    picks = diversified(
        *(node.query, node.diversity, view, node.using, source.offsets), limit=node.limit, deadline=deadline
    )
    return source.take(picks)


def _rescored(node: Rescore, offsets: U32, view: ShardView, deadline: Deadline) -> Ranking:
    """Scores of the candidates that have the vector (nearest to a sparse one: that share an index with it)."""
    larger_is_better = True
    match node.query:
        case NearestSparse(sparse):
            scores, overlap = view.sparse(node.using).score(sparse, offsets, ask=deadline.pause)
            offsets, scores = offsets[overlap], scores[overlap]
        case NearestDense(vector, larger_is_better):
            dense = view.dense(node.using)
            if dense.present is not None:
                offsets = offsets[dense.has(offsets)]
            scores = dense.score(vector, offsets, ask=deadline.pause)
        case NearestMulti(rows, larger_is_better):
            multi = view.multi(node.using)
            offsets = offsets[multi.has(offsets)]
            scores = multi.score(rows, offsets, ask=deadline.pause)
        case CustomScore() as query:
            having = offsets[view.present(node.using).contains(offsets)]
            return _best_custom(query, node, scored(query, view, node.using, having, deadline=deadline), view)
        case _:
            assert_never(node.query)
    hits = are_hits(scores, larger_is_better=larger_is_better)
    if not hits.all():
        offsets, scores = offsets[hits], scores[hits]
    order = best_first(scores, larger_is_better=larger_is_better)
    ranking = Ranking.scored(offsets[order], scores[order])
    ranking = settled(ranking, ranking.scores, node.limit, view.ids)
    return passing_threshold(ranking, node.threshold, larger_is_better=larger_is_better)


def _fused(node: Fuse, sources: Sequence[Ranking], view: ShardView) -> Ranking:
    """The best fused rows. Qdrant reads them in order and stops at the first score below the threshold."""
    match node.kind:
        case FusionKind.RRF:
            fused = fuse_rrf(sources, k=node.k, weights=node.weights)
        case FusionKind.DBSF:
            fused = fuse_dbsf(sources)
        case _:
            assert_never(node.kind)
    ranking = settled(fused.ranking, fused.keys, node.limit, view.ids)
    if node.threshold is None:
        return ranking
    below = np.flatnonzero(~(ranking.scores >= np.float32(node.threshold)))
    return ranking.head(int(below[0])) if len(below) else ranking


def _ordered(node: OrderScan | Order, view: ShardView, among: Selection, deadline: Deadline) -> Ranking:
    """A page by value, then id in the same direction, filled up to the limit where repeats are dropped."""
    values = view.ordered(node.key)
    ascending = node.direction is Direction.ASC
    entries = node.limit
    while True:
        offsets, numbers = values.page(
            among, ascending=ascending, start_from=node.start_from, limit=entries, ask=deadline.pause
        )
        ranking = Ranking.unscored(offsets, OrderValues.of(numbers))
        ranking = settled(ranking, numbers, entries, view.ids, ascending=ascending)
        if node.repeats:
            return ranking
        distinct = np.flatnonzero(np.diff(ranking.offsets, prepend=np.uint32(MISSING)))
        if len(distinct) >= node.limit or len(offsets) < entries:
            return ranking.take(distinct[: node.limit])
        entries *= 2


def _sample(offsets: U32, limit: int, view: ShardView) -> Ranking:
    """Random rows in random order."""
    return Ranking.unscored(view.random.choice(offsets, min(limit, len(offsets)), replace=False))
