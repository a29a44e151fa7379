"""Binding: a search meets one frozen state of a shard.

Ids become vectors (those looked up in other collections included), texts become vectors, filters become sets of
offsets, index keys are checked. What the bound tree holds is immutable.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from qdrantlite.collection.read.bind_vectors import OpenCollection, VectorBinder
from qdrantlite.collection.read.filter_source import selections_of, sieve, sifted
from qdrantlite.collection.read.formulas import bind_formula
from qdrantlite.collection.read.texts import bind_text
from qdrantlite.collection.read.view import ReadView
from qdrantlite.collection.shard.shard import KeptFilter, ShardState
from qdrantlite.deadline import Deadline
from qdrantlite.errors import BadInput
from qdrantlite.execute.view import Doubtful
from qdrantlite.plan.bound import (
    BoundDiversity,
    BoundFormula,
    BoundFusion,
    BoundOrderBy,
    BoundQuery,
    BoundSample,
    BoundSearch,
    BoundStage,
    NearestDense,
    NearestMulti,
    NearestSparse,
    PointTest,
)
from qdrantlite.plan.custom import CustomScore
from qdrantlite.query.check import vector_kind
from qdrantlite.query.filter import Condition, Filter, HasId, merge_filters
from qdrantlite.query.search import (
    PREFETCH_DEPTH_MAX,
    Context,
    Discover,
    Formula,
    Fusion,
    Nearest,
    NearestMmr,
    OrderBy,
    Prefetch,
    Query,
    Recommend,
    RelevanceFeedback,
    Sample,
    Search,
    TextQuery,
    VectorInput,
    VectorsSelector,
)
from qdrantlite.segment.payload_index.index import supports_facet, supports_order_by
from qdrantlite.segment.selection import Selection
from qdrantlite.values.dates import parse_instant
from qdrantlite.values.point_id import PointId
from qdrantlite.values.schema import CollectionConfig
from qdrantlite.values.vector import DenseVector


def require_order(state: ShardState, key: str) -> None:
    """Raises BadInput for a key that nothing can be ordered by."""
    schema = state.schema.get(key)
    if schema is None or not supports_order_by(schema):
        raise BadInput(
            f"No range index for `order_by` key: `{key}`. Please create one to use `order_by`. Check "
            "https://qdrant.tech/documentation/concepts/indexing/#payload-index to see which payload schemas support "
            "Range conditions"
        )


def require_facet(state: ShardState, key: str) -> None:
    """Raises BadInput for a key whose values cannot be counted."""
    schema = state.schema.get(key)
    if schema is None or not supports_facet(schema):
        raise BadInput(
            f"No appropriate index for faceting: `{key}`. Please create one to facet on this field. Check "
            "https://qdrant.tech/documentation/concepts/indexing/#payload-index to see which payload schemas support "
            "Match conditions"
        )


def bind(
    view: ReadView,
    searches: Sequence[Search],
    *,
    collection: str,
    open_other: OpenCollection,
    deadline: Deadline,
    sifting: bool = True,
) -> tuple[BoundSearch, ...]:
    """Binds searches of one request to one and the same state. Unless ``sifting``, all filters are settled now.

    Raises InvalidRequest, NotFound, Unsupported, TimedOut, Cancelled.
    """
    needs = _Needs(collection)
    for search in searches:
        needs.add(search.stage)
    whole = [f for f, compares in zip(needs.leaves, needs.compares, strict=True) if not (sifting and compares)]
    settling = [*dict.fromkeys([*needs.corpora, *whole])]
    for key in needs.order_keys:
        require_order(view.state, key)
    selections: dict[Filter | None, Selection | Doubtful | None] = {}
    selections.update(zip(settling, selections_of(view, settling, deadline), strict=True))
    for filter in needs.leaves:
        if filter not in selections:
            selections[filter] = sifted(view, filter, deadline)

    def test_of(condition: Condition) -> PointTest:
        return sieve(view, Filter(must=(condition,)), deadline)

    formula = partial(bind_formula, schema=view.state.schema, test_of=test_of)
    binder = _Binder(view, VectorBinder(view, collection, open_other), needs, selections, formula)
    bound = tuple([BoundSearch(binder.stage(search.stage, root=True), search.offset) for search in searches])
    for search in searches:
        check_vectors(view.state.config, search.with_vectors)
    return bound


def filters_told(view: ReadView, stage: Prefetch, deadline: Deadline) -> list[str]:
    """For ``explain``: the filter of each stage, in the order of the plan, and what answers its conditions."""
    filter = stage.filter
    own = [] if filter is None or filter.is_empty else [f"Filter {sieve(view, filter, deadline).told_by}"]
    return own + [line for child in stage.prefetch for line in filters_told(view, child, deadline)]


def leaf_filters(stage: Prefetch, collection: str) -> list[Filter]:
    """The filters of a tree's leaves as ``bind`` asks for them, each once, but those that let everything through."""
    needs = _Needs(collection)
    needs.add(stage)
    return [filter for filter in dict.fromkeys(needs.leaves) if filter is not None and not filter.is_empty]


class _Needs:
    """What trees ask of the shard, gathered in one walk of each: leaf by leaf its merged filter, stage by stage its
    IDF corpus, and the keys by which they order. A filter may stand in the lists many times.
    """

    def __init__(self, collection: str) -> None:
        self._collection = collection
        self.leaves: list[Filter | None] = []
        self.compares: list[bool] = []
        """Of each leaf, whether it compares vectors or texts; the others read all that pass."""
        self.corpora: list[Filter | None] = []
        self.order_keys: set[str] = set()

    def add(self, root: Prefetch) -> None:
        """Takes in a whole tree. Raises BadInput when it is too deep."""
        first = len(self.leaves)
        ids: dict[PointId, None] = {}
        self._walk(root, None, 0, ids)
        if ids:  # Every id that the tree refers to in the searched collection is kept out of all results.
            others = Filter(must_not=(HasId(tuple(ids)),))
            self.leaves[first:] = [merge_filters(filter, others) for filter in self.leaves[first:]]

    def _walk(self, stage: Prefetch, outer: Filter | None, depth: int, ids: dict[PointId, None]) -> None:
        if depth > PREFETCH_DEPTH_MAX:
            raise BadInput(f"Validation failed: prefetches depth {depth} exceeds max depth {PREFETCH_DEPTH_MAX}")
        query = stage.query
        if isinstance(query, Nearest) and isinstance(query.input, DenseVector):
            pass  # The most frequent query refers to no id.
        elif isinstance(query, OrderBy):
            self.order_keys.add(query.key)
        elif stage.lookup_from is None or stage.lookup_from.collection == self._collection:
            ids.update((given, None) for given in _inputs(query) if isinstance(given, PointId))
        self.corpora.append(stage.params.idf_corpus)
        merged = merge_filters(outer, stage.filter)
        if not stage.prefetch:
            self.leaves.append(merged)
            self.compares.append(isinstance(query, _COMPARING))
        for child in stage.prefetch:
            self._walk(child, merged, depth + 1, ids)


class _Binder:
    """Walks trees in the order in which their needs were gathered."""

    def __init__(
        self,
        view: ReadView,
        vectors: VectorBinder,
        needs: _Needs,
        selections: Mapping[Filter | None, Selection | Doubtful | None],
        formula: Callable[[Formula], BoundFormula],
    ) -> None:
        self._view = view
        self._vectors = vectors
        self._formula = formula
        self._leaves = iter(needs.leaves)
        self._corpora = iter(needs.corpora)
        self._selections = selections

    def stage(self, stage: Prefetch, *, root: bool) -> BoundStage:
        """The bound form of a stage and all below it."""
        corpus = self._selections[next(self._corpora)]
        assert not isinstance(corpus, Doubtful)
        children = tuple([self.stage(child, root=False) for child in stage.prefetch])
        filter = None if children else next(self._leaves)
        selection = self._selections[filter] if not children else None
        query = None if stage.query is None else self._query(stage, stage.query, corpus)
        if filter is not None and selection is not None and isinstance(query, _VECTOR_QUERIES):
            selection = self._having(stage.using, filter, selection)
        bound = BoundStage(
            children=children,
            query=query,
            using=stage.using,
            selection=selection,
            params=stage.params,
            score_threshold=stage.score_threshold,
            limit=stage.limit,
        )
        return self._diversified(stage, stage.query, bound, root) if isinstance(stage.query, NearestMmr) else bound

    def _diversified(self, stage: Prefetch, query: NearestMmr, nearest: BoundStage, root: bool) -> BoundStage:
        """The root picks from the candidates that the same stage without diversity finds.

        As in Qdrant, a prefetch that reads the collection hands up the candidates themselves, and one that has
        prefetches picks from all that they hand up, whatever its threshold and number of candidates.
        """
        candidates = stage.limit if query.candidates_limit is None else query.candidates_limit
        nearest = replace(nearest, limit=candidates)
        if not nearest.children and not root:
            return nearest
        picks = BoundDiversity(self._vectors.unweighted(stage, query), query.diversity)
        children = (nearest,) if root else nearest.children
        return BoundStage(children=children, query=picks, using=stage.using, limit=stage.limit)

    def _having(self, using: str, filter: Filter, selection: Selection | Doubtful) -> Selection | Doubtful:
        """Those of a filter's points that have the vector; the same object for the same filter and vector."""
        state = self._view.state
        present = state.present[using]
        if len(present) == len(state.live):
            return selection
        if isinstance(selection, Doubtful):
            return Doubtful(selection.possible.intersection(present), selection.sieve)
        kept = state.answers.filters.find((filter, using))
        if kept is None or kept.number != state.lately.number:
            kept = KeptFilter(state.lately.number, selection.intersection(present))
            state.answers.filters.keep((filter, using), kept, len(kept.selection))
        return kept.selection

    def _query(self, stage: Prefetch, query: Query, corpus: Selection | None) -> BoundQuery:
        match query:
            case Nearest() | NearestMmr() | Recommend() | Discover() | Context() | RelevanceFeedback():
                return self._vectors.query(stage, query, corpus)
            case OrderBy(key, direction, start_from):
                return BoundOrderBy(key, direction, order_start(start_from))
            case Fusion(kind, k, weights):
                return BoundFusion(kind, k, weights)
            case Sample():
                return BoundSample()
            case Formula():
                return self._formula(query)
            case TextQuery():
                return bind_text(self._view, query, stage.using, corpus)


_COMPARING = (Nearest, NearestMmr, Recommend, Discover, Context, RelevanceFeedback, TextQuery)
_VECTOR_QUERIES = (NearestDense, NearestSparse, NearestMulti, CustomScore)


def order_start(start_from: int | float | str | None) -> int | float | None:
    """Where an order begins, as a number; a date is its microseconds. Raises BadInput for other texts."""
    if not isinstance(start_from, str):
        return start_from
    moment = parse_instant(start_from)
    if moment is None:
        raise BadInput(f"Malformed datetime: {start_from}")
    return moment.micros


def check_vectors(config: CollectionConfig, selector: VectorsSelector) -> None:
    """Raises BadInput for the name of a vector that the collection does not have."""
    for name in selector.names or ():
        vector_kind(config, name)


def _inputs(query: Query | None) -> Iterator[VectorInput]:
    match query:
        case Nearest(given) | NearestMmr(given):
            yield given
        case Recommend(positive, negative):
            yield from positive
            yield from negative
        case Discover(target, context):
            yield target
            for pair in context:
                yield from (pair.positive, pair.negative)
        case Context(pairs):
            for pair in pairs:
                yield from (pair.positive, pair.negative)
        case RelevanceFeedback(target, feedback):
            yield target
            yield from (item.example for item in feedback)
        case _:
            return
