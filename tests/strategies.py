"""Hypothesis strategies for collections, points, filters and searches, small enough for the oracle.

Vectors are chosen so that every score is exact in float32 whatever the order of additions: small integers, and for
cosine vectors of norm 1 (or along one axis). So ties are frequent, are ties in every implementation, and answers
compare exactly; only DBSF and IDF need a tolerance.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from uuid import UUID

import numpy as np
from hypothesis import strategies as st

from qdrantlite.query import filter as f
from qdrantlite.query import formula as e
from qdrantlite.query import search as s
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.payload import Json, Payload
from qdrantlite.values.point_id import PointId
from qdrantlite.values.schema import (
    CollectionConfig,
    FieldIndex,
    FieldKind,
    FieldParams,
    Modifier,
    SparseVectorParams,
    Tokenizer,
    VectorParams,
)
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector, Vector
from tests.oracle_filter import Point

DIMENSION = 4
COLORS = ("red", "green", "blue")
NUMBER_KEY = "size"
"""The payload field of integers, fit for an integer index and for orders by value."""
TEXT_KEY = "note"
"""The payload field of texts, fit for a text index that scores."""
TEXT_INDEX = FieldIndex(FieldKind.TEXT, FieldParams(tokenizer=Tokenizer.WHITESPACE, scoring="bm25"))
WORDS = ("tea", "Milk", "sugar", "and")
FORMULA_DEFAULTS: Mapping[str, Json] = {"price": 0.25, "$score[1]": -0.5}
UUIDS = tuple(UUID(int=number << 64 | number) for number in (1, 2, 2**63))


@cache
def configs() -> st.SearchStrategy[CollectionConfig]:
    """Dense vectors ``""`` and ``dense`` and the multivector ``multi`` of any distance and datatype; ``sparse``."""
    datatypes = st.sampled_from([None, Datatype.FLOAT16, Datatype.UINT8])

    def dense(*, multi: bool) -> st.SearchStrategy[VectorParams]:
        return st.builds(
            VectorParams,
            size=st.just(DIMENSION),
            distance=st.sampled_from(Distance),
            datatype=datatypes,
            multivector=st.just(multi),
        )

    vectors = st.fixed_dictionaries({"": dense(multi=False), "dense": dense(multi=False), "multi": dense(multi=True)})
    modifiers = st.sampled_from([None, Modifier.IDF])
    sparse = st.fixed_dictionaries({"sparse": st.builds(SparseVectorParams, modifier=modifiers)})
    return st.builds(CollectionConfig, vectors=vectors, sparse_vectors=sparse)


@cache
def ids() -> st.SearchStrategy[PointId]:
    """Integers, one of them beyond 63 bits, and a few UUIDs."""
    return st.one_of(st.integers(0, 40), st.just(2**64 - 1), st.sampled_from(UUIDS))


@cache
def rows(params: VectorParams) -> st.SearchStrategy[list[float]]:
    """Components of one row."""
    if params.distance is not Distance.COSINE:
        low = 0 if params.datatype is Datatype.UINT8 else -3
        return st.lists(st.integers(low, 3).map(float), min_size=params.size, max_size=params.size)
    axes = np.eye(params.size)
    if params.datatype is Datatype.UINT8:
        return st.builds(lambda axis, length: list(axes[axis] * length), st.integers(0, 3), st.integers(0, 3))
    halves = st.lists(st.sampled_from([-0.5, 0.5]), min_size=params.size, max_size=params.size)
    return st.one_of(halves, st.sampled_from([list(axis) for axis in np.vstack([axes, -axes])]))


def vectors(config: CollectionConfig, name: str) -> st.SearchStrategy[Vector]:
    """A vector of any kind that fits the name."""
    params = config.vectors.get(name)
    if params is None:
        weights = st.dictionaries(st.integers(0, 5), st.sampled_from([-1.0, 0.5, 1.0, 2.0]), max_size=4)
        return weights.map(_sparse)
    if params.multivector:
        return st.lists(rows(params), min_size=1, max_size=3).map(lambda m: MultiVector(np.array(m, dtype=np.float32)))
    return rows(params).map(lambda row: DenseVector(np.array(row, dtype=np.float32)))


def _sparse(weights: dict[int, float]) -> SparseVector:
    indices = np.array(list(weights), dtype=np.uint32)
    return SparseVector.from_unsorted(indices, np.array(list(weights.values()), dtype=np.float32))


@cache
def texts() -> st.SearchStrategy[str]:
    """A few words, repeated ones too, or none."""
    return st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)


@cache
def payloads() -> st.SearchStrategy[Payload]:
    """Fields of one type each, missing, null, alone or in lists; ``parts`` holds objects."""
    colors, numbers = st.sampled_from(COLORS), st.integers(-3, 6)
    fields: dict[str, st.SearchStrategy[Json]] = {"color": colors, NUMBER_KEY: numbers}
    part: st.SearchStrategy[Json] = st.fixed_dictionaries({}, optional=fields).map(lambda found: {**found})
    parts: st.SearchStrategy[Json] = st.lists(part, max_size=3).map(list)
    return st.fixed_dictionaries(
        {},
        optional={
            "color": st.one_of(colors, st.none(), st.lists(colors, max_size=3)),
            NUMBER_KEY: st.one_of(numbers, st.lists(numbers, max_size=3, unique=True)),
            "price": st.one_of(st.sampled_from([0.5, 1.5, 2.0]), numbers),
            "flag": st.booleans(),
            TEXT_KEY: st.one_of(texts(), st.lists(st.one_of(texts(), st.just(1)), max_size=2)),
            "parts": parts,
        },
    )


def points(config: CollectionConfig, *, max_size: int = 12) -> st.SearchStrategy[list[Point]]:
    """Points of different ids; each may lack any of the vectors."""
    names = {name: vectors(config, name) for name in (*config.vectors, *config.sparse_vectors)}
    one = st.builds(Point, ids(), st.fixed_dictionaries({}, optional=names), payloads())
    return st.lists(one, max_size=max_size, unique_by=lambda point: point.id)


@cache
def predicates() -> st.SearchStrategy[f.FieldCondition]:
    """Every predicate on a field of the type it is for."""
    color, number = st.sampled_from(COLORS), st.integers(-3, 6)
    bounds = {name: st.one_of(st.none(), st.integers(-3, 6)) for name in ("lt", "gt", "gte", "lte")}
    counts = {name: st.one_of(st.none(), st.integers(0, 3)) for name in bounds}
    on_color = st.one_of(
        st.builds(f.MatchKeyword, color),
        st.builds(f.MatchAnyKeyword, st.lists(color, max_size=2).map(tuple)),
        st.builds(f.MatchExceptKeyword, st.lists(color, min_size=1, max_size=2).map(tuple)),
        st.builds(f.MatchPrefix, st.sampled_from(["", "r", "gr"])),
        st.builds(f.MatchSubstring, st.sampled_from(["e", "ue"])),
    )
    on_number = st.one_of(
        st.builds(f.MatchInteger, number),
        st.builds(f.MatchAnyInteger, st.lists(number, max_size=2).map(tuple)),
        st.builds(f.MatchExceptInteger, st.lists(number, min_size=1, max_size=2).map(tuple)),
    )
    on_any = st.one_of(
        st.builds(f.ValuesCount, **counts),
        st.builds(f.IsEmptyFlag, st.booleans()),
        st.builds(f.IsNullFlag, st.booleans()),
    )
    return st.one_of(
        st.builds(f.FieldCondition, st.just("color"), st.one_of(on_color, on_any)),
        st.builds(f.FieldCondition, st.just(NUMBER_KEY), st.one_of(on_number, st.builds(f.Range, **bounds), on_any)),
        st.builds(f.FieldCondition, st.just("price"), st.builds(f.Range, **bounds)),
        st.builds(f.FieldCondition, st.just("flag"), st.builds(f.MatchBool, st.booleans())),
    )


@cache
def filters() -> st.SearchStrategy[f.Filter]:
    """Groups of conditions, nested two deep at most."""
    plain: st.SearchStrategy[f.Condition] = st.one_of(
        predicates(),
        st.builds(f.IsEmpty, st.sampled_from(["color", NUMBER_KEY, "parts"])),
        st.builds(f.IsNull, st.just("color")),
        st.builds(f.HasId, st.lists(ids(), max_size=4).map(tuple)),
        st.builds(f.HasVector, st.sampled_from(["", "dense", "sparse", "multi", "none"])),
        st.builds(f.Nested, st.just("parts"), st.builds(_all_of, predicates())),
    )
    return _groups(st.one_of(plain, _groups(plain)))


def _all_of(condition: f.Condition) -> f.Filter:
    return f.Filter(must=(condition,))


def _groups(condition: st.SearchStrategy[f.Condition]) -> st.SearchStrategy[f.Filter]:
    few = st.lists(condition, max_size=2).map(tuple)
    minimum = st.builds(f.MinShould, few, st.integers(1, 2))
    return st.builds(f.Filter, should=few, must=few, must_not=few, min_should=st.one_of(st.none(), minimum))


def searches(config: CollectionConfig, stored: Sequence[Point], *, depth: int = 2) -> st.SearchStrategy[s.Search]:
    """Trees of prefetches over these points; no samples, whose answers are not determined."""
    return st.builds(s.Search, stages(config, stored, depth=depth), offset=st.integers(0, 4))


@cache
def expressions() -> st.SearchStrategy[e.Expression]:
    """Parts of formulas that are exact in float64 and never fail; on fields of the type they ask for."""
    names = st.sampled_from(["$score", "$score[0]", "$score[1]", "$score[5]", "price"])
    constants = st.sampled_from([-1.0, 0.0, 0.5, 2.0])
    leaves: st.SearchStrategy[e.Expression] = st.one_of(
        st.builds(e.Constant, constants), st.builds(e.Variable, names), st.builds(e.ConditionValue, predicates())
    )

    def larger(parts: st.SearchStrategy[e.Expression]) -> st.SearchStrategy[e.Expression]:
        some = st.lists(parts, max_size=3).map(tuple)
        least_one = st.lists(parts, min_size=1, max_size=3).map(tuple)
        return st.one_of(
            st.builds(e.Sum, some),
            st.builds(e.Mult, some),
            st.builds(e.Div, parts, parts, constants),
            st.builds(e.Extreme, least_one, st.booleans()),
        )

    return st.recursive(leaves, larger, max_leaves=6)


def stages(config: CollectionConfig, stored: Sequence[Point], *, depth: int) -> st.SearchStrategy[s.Prefetch]:
    """One stage: a leaf, or one that merges up to three stages below it."""
    names = (*config.vectors, *config.sparse_vectors)
    queries = st.one_of(*[_asked(config, name, stored) for name in names])
    orders = st.builds(
        s.OrderBy,
        st.just(NUMBER_KEY),
        st.sampled_from(s.Direction),
        st.one_of(st.none(), st.integers(-3, 6), st.just(1.5)),
    ).map(lambda order: ("", order, None))
    narrowed, limits = st.one_of(st.none(), filters()), st.integers(1, 6)
    asked = st.builds(s.TextQuery, texts(), st.sampled_from([1.2, 0.0]), st.sampled_from([0.75, 1.0, 0.0]))
    ranked = st.tuples(st.just(TEXT_KEY), asked, THRESHOLDS)
    leaf_queries = st.one_of(queries, orders, ranked, st.just(("", None, None)))
    found = st.builds(_stage, st.just(()), leaf_queries, narrowed, limits)
    thresholds = st.one_of(st.none(), st.sampled_from([0.2, 0.4]))
    fusions = st.tuples(st.just(""), st.builds(s.Fusion, st.just(s.FusionKind.RRF), st.integers(1, 4)), thresholds)
    formulas = st.tuples(st.just(""), st.builds(s.Formula, expressions(), st.just(FORMULA_DEFAULTS)), thresholds)
    merging = st.one_of(queries, orders, fusions, formulas)
    for _ in range(depth):
        children = st.lists(found, min_size=1, max_size=3).map(tuple)
        found = st.one_of(found, st.builds(_stage, children, merging, narrowed, limits))
    return found


_Asked = tuple[str, s.Query | None, float | None]


def _stage(children: tuple[s.Prefetch, ...], asked: _Asked, narrowed: f.Filter | None, limit: int) -> s.Prefetch:
    using, query, threshold = asked
    return s.Prefetch(
        prefetch=children, query=query, using=using, filter=narrowed, score_threshold=threshold, limit=limit
    )


THRESHOLDS = st.one_of(st.none(), st.sampled_from([-1.0, 0.5, 3.0]))


def _inputs(config: CollectionConfig, name: str, stored: Sequence[Point]) -> st.SearchStrategy[s.VectorInput]:
    """Vectors that fit the name, and ids of points that have it."""
    having = [point.id for point in stored if name in point.vectors]
    given: list[st.SearchStrategy[s.VectorInput]] = [vectors(config, name)]
    if having:
        given.append(st.sampled_from(having))
    return st.one_of(*given)


def _asked(config: CollectionConfig, name: str, stored: Sequence[Point]) -> st.SearchStrategy[_Asked]:
    """Every query that compares vectors. Means are of one or two, so that they stay exact but for cosine."""
    one = _inputs(config, name, stored)
    some, few = st.lists(one, min_size=1, max_size=2).map(tuple), st.lists(one, max_size=2).map(tuple)
    pairs = st.lists(st.builds(s.ContextPair, one, one), max_size=3).map(tuple)
    items = st.lists(st.builds(s.FeedbackItem, one, st.sampled_from([-1.0, 0.5, 1.0, 2.5])), max_size=3).map(tuple)
    strategies = [s.RecommendStrategy.BEST_SCORE, s.RecommendStrategy.SUM_SCORES]
    params = config.vectors.get(name)
    if params is None or params.distance is not Distance.COSINE:
        strategies.append(s.RecommendStrategy.AVERAGE_VECTOR)
    factors = st.sampled_from([-1.0, 0.5, 2.0])
    nearest = st.builds(s.Nearest, one)
    queries = st.one_of(
        nearest,
        nearest,
        st.builds(s.NearestMmr, one, st.sampled_from([0.0, 0.5, 1.0]), st.one_of(st.none(), st.integers(0, 8))),
        st.builds(s.Recommend, some, few, st.sampled_from(strategies)),
        st.builds(s.Recommend, st.just(()), some, st.sampled_from(strategies[:2])),
        st.builds(s.Discover, one, pairs),
        st.builds(s.Context, pairs),
        st.builds(s.RelevanceFeedback, one, items, factors, st.sampled_from([0.0, 1.0, 2.0]), factors),
    )
    return st.tuples(st.just(name), queries, THRESHOLDS)
