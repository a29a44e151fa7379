"""Strict mode: each limit, at its edge and beyond it, with Qdrant's text."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from qdrantlite.errors import BadRequest
from qdrantlite.query import filter as f
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query import strict
from qdrantlite.query.formula import Constant, DatetimeKey, Decay, DecayKind, GeoDistance, Sum, Variable
from qdrantlite.query.strict_filter import check_filter
from qdrantlite.values.distance import Distance
from qdrantlite.values.geo import GeoPoint
from qdrantlite.values.schema import (
    CollectionConfig,
    FieldIndex,
    FieldKind,
    FieldParams,
    HnswConfig,
    StrictMode,
    VectorParams,
)
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector

CONFIG = CollectionConfig(vectors={"": VectorParams(2, Distance.DOT), "b": VectorParams(2, Distance.DOT)})
NEAREST = s.Nearest(DenseVector(np.zeros(2, dtype=np.float32)))
NOTHING = strict.Stored(points=0, vector_bytes=0, payload_bytes=0, resident_percent=0.0)


def limits(**given: Any) -> StrictMode:
    return StrictMode(enabled=True, **given)


def search(**given: Any) -> s.Search:
    return s.Search(replace(s.Prefetch(query=NEAREST), **given))


def field(key: str, predicate: f.Predicate) -> f.Filter:
    return f.Filter(must=(f.FieldCondition(key, predicate),))


@pytest.mark.parametrize(
    ("given", "fine", "beyond", "text"),
    [
        ({"max_query_limit": 15}, {"limit": 15}, {"limit": 30}, 'Limit exceeded 30 > 15 for "limit". Help: Reduce the '
         '"limit" parameter to or below 15.'),
        ({"search_max_hnsw_ef": 64}, {"params": s.SearchParams(hnsw_ef=64)}, {"params": s.SearchParams(hnsw_ef=65)},
         'Limit exceeded 65 > 64 for "hnsw_ef". Help: Reduce the "hnsw_ef" parameter to or below 64.'),
        ({"search_max_oversampling": 1.5},
         {"params": s.SearchParams(quantization=s.QuantizationParams(oversampling=1.5))},
         {"params": s.SearchParams(quantization=s.QuantizationParams(oversampling=2.0))},
         'Limit exceeded 2 > 1.5 for "oversampling". Help: Reduce the "oversampling" parameter to or below 1.5.'),
        ({"search_allow_exact": False}, {}, {"params": s.SearchParams(exact=True)},
         "Exact search disabled!. Help: Set exact=false."),
        ({"filter_max_conditions": 2},
         {"filter": f.Filter(must=(f.HasVector("a"), f.Filter(should=(f.HasVector("b"),))))},
         {"filter": f.Filter(must=(f.HasVector("a"), f.Filter(should=(f.HasVector("b"), f.HasVector("c")))))},
         "Filter condition limit reached (3 > 2). Help: Reduce the amount of conditions of your filter."),
        ({"condition_max_size": 2}, {"filter": field("k", f.MatchAnyInteger((1, 2)))},
         {"filter": f.Filter(must_not=(f.HasId((1, 2, 3)),))},
         "Condition size limit reached (3 > 2). Help: Reduce the size of your condition."),
    ],
)  # fmt: skip
def test_a_search_at_its_limit_passes_and_beyond_it_does_not(
    given: dict[str, Any], fine: dict[str, Any], beyond: dict[str, Any], text: str
) -> None:
    strict.check_searches(limits(**given), [search(**fine)], CONFIG, {})
    with pytest.raises(BadRequest) as refused:
        strict.check_searches(limits(**given), [search(**beyond)], CONFIG, {})
    assert refused.value.text == text
    below = search(prefetch=(s.Prefetch(prefetch=(search(**beyond).stage,), query=NEAREST),))
    with pytest.raises(BadRequest):
        strict.check_searches(limits(**given), [below], CONFIG, {})


def test_strict_mode_that_is_off_has_no_limits() -> None:
    off = replace(CONFIG, strict_mode_config=StrictMode(enabled=False, max_query_limit=1))
    unsaid = replace(CONFIG, strict_mode_config=StrictMode(max_query_limit=1))
    assert [strict.limits_of(config) for config in (CONFIG, off, unsaid)] == [None, None, None]
    on = limits(max_query_limit=1)
    assert strict.limits_of(replace(CONFIG, strict_mode_config=on)) is on


def test_batches_groups_and_timeouts_have_limits_of_their_own() -> None:
    batch = limits(search_max_batchsize=2)
    strict.check_searches(batch, [search()] * 2, CONFIG, {})
    with pytest.raises(BadRequest, match='Limit exceeded 3 > 2 for "search batch size"'):
        strict.check_searches(batch, [search()] * 3, CONFIG, {})
    few = limits(max_query_limit=12)
    strict.check_groups(few, s.GroupSearch(search(limit=4), "k", group_size=3), CONFIG, {})
    with pytest.raises(BadRequest, match="Limit exceeded 15 > 12"):
        strict.check_groups(few, s.GroupSearch(search(limit=5), "k", group_size=3), CONFIG, {})
    strict.check_timeout(limits(max_timeout=10), None)
    strict.check_timeout(limits(max_timeout=10), 10.0)
    with pytest.raises(BadRequest, match='Limit exceeded 11 > 10 for "timeout"'):
        strict.check_timeout(limits(max_timeout=10), 11.0)


KINDS = {kind: FieldIndex(kind) for kind in FieldKind}
PHRASES = FieldIndex(FieldKind.TEXT, FieldParams(phrase_matching=True))
UUID_TEXT = "43cf51e2-8777-4f52-bc74-c2cbde0c8b04"


@pytest.mark.parametrize(
    ("predicate", "fitting", "unfit", "types"),
    [
        (f.MatchKeyword("a"), KINDS[FieldKind.KEYWORD], KINDS[FieldKind.UUID], "keyword"),
        (f.MatchKeyword(UUID_TEXT), KINDS[FieldKind.UUID], KINDS[FieldKind.TEXT], "keyword, uuid"),
        (f.MatchKeyword(f"uuid:{UUID_TEXT}"), KINDS[FieldKind.KEYWORD], KINDS[FieldKind.UUID], "keyword"),
        (f.MatchAnyKeyword((UUID_TEXT, UUID_TEXT.upper())), KINDS[FieldKind.UUID], None, "keyword, uuid"),
        (f.MatchAnyKeyword((UUID_TEXT, UUID_TEXT.replace("-", "", 1))), KINDS[FieldKind.KEYWORD],
         KINDS[FieldKind.UUID], "keyword"),
        (f.MatchInteger(1), KINDS[FieldKind.INTEGER],
         FieldIndex(FieldKind.INTEGER, FieldParams(lookup=False)), "integer"),
        (f.MatchBool(True), KINDS[FieldKind.BOOL], KINDS[FieldKind.KEYWORD], "bool"),
        (f.MatchText("a"), KINDS[FieldKind.TEXT], KINDS[FieldKind.KEYWORD], "text"),
        (f.MatchPhrase("a"), PHRASES, KINDS[FieldKind.TEXT], "text"),
        (f.MatchPrefix("a"), FieldIndex(FieldKind.KEYWORD, FieldParams(prefix=True)), KINDS[FieldKind.KEYWORD],
         "keyword"),
        (f.MatchExceptInteger((1,)), KINDS[FieldKind.INTEGER], KINDS[FieldKind.FLOAT], "integer"),
        (f.Range(gt=1), KINDS[FieldKind.FLOAT], FieldIndex(FieldKind.INTEGER, FieldParams(range=False)),
         "integer, float"),
        (f.DatetimeRange(), KINDS[FieldKind.DATETIME], KINDS[FieldKind.FLOAT], "datetime"),
        (f.GeoRadius(GeoPoint(0, 0), 1), KINDS[FieldKind.GEO], KINDS[FieldKind.FLOAT], "geo"),
        (f.ValuesCount(gt=1), KINDS[FieldKind.BOOL], None, ", ".join(kind.value for kind in FieldKind)),
    ],
)  # fmt: skip
def test_a_condition_needs_an_index_that_can_answer_it(
    predicate: f.Predicate, fitting: FieldIndex, unfit: FieldIndex | None, types: str
) -> None:
    indexed = limits(unindexed_filtering_retrieve=False)
    asked = search(filter=f.Filter(must_not=(field("k", predicate),)))
    strict.check_searches(indexed, [asked], CONFIG, {"k": fitting})
    strict.check_searches(limits(unindexed_filtering_retrieve=True), [asked], CONFIG, {})
    with pytest.raises(BadRequest) as refused:
        strict.check_searches(indexed, [asked], CONFIG, {} if unfit is None else {"k": unfit})
    assert refused.value.text.startswith(
        f'Index required but not found for "k" of one of the following types: [{types}]. Help: '
    )


def test_conditions_inside_nested_ones_need_an_index_on_the_whole_path() -> None:
    indexed = limits(unindexed_filtering_retrieve=False)
    inner = field("b", f.MatchInteger(1))
    for key in ("a", "a[]"):
        asked = f.Filter(should=(f.Nested(key, inner),))
        check_filter(asked, indexed, {"a[].b": KINDS[FieldKind.INTEGER]}, indexed=False)
        with pytest.raises(BadRequest, match=r'"a\[\].b"'):
            check_filter(asked, indexed, {"b": KINDS[FieldKind.INTEGER]}, indexed=False)
    check_filter(field("k", f.MatchAnyKeyword(())), indexed, {}, indexed=False)


def test_formulas_and_group_keys_need_indexes_too() -> None:
    indexed = limits(unindexed_filtering_retrieve=False)
    schema = {
        "n": KINDS[FieldKind.FLOAT],
        "where": KINDS[FieldKind.GEO],
        "when": KINDS[FieldKind.DATETIME],
        "k": KINDS[FieldKind.KEYWORD],
    }
    expression = Sum(
        (
            Variable("$score"),
            Variable("n"),
            GeoDistance(GeoPoint(0, 0), "where"),
            Decay(DecayKind.EXP, DatetimeKey("when"), Constant(0.0)),
        )
    )
    asked = search(query=s.Formula(expression, {}), prefetch=(search().stage,))
    strict.check_searches(indexed, [asked], CONFIG, schema)
    for key in ("n", "where", "when"):
        with pytest.raises(BadRequest, match=f'"{key}"'):
            strict.check_searches(
                indexed, [asked], CONFIG, {name: index for name, index in schema.items() if name != key}
            )
    strict.check_groups(indexed, s.GroupSearch(search(), "k"), CONFIG, schema)
    with pytest.raises(BadRequest, match='"n"'):
        strict.check_groups(indexed, s.GroupSearch(search(), "n"), CONFIG, schema)


def test_a_vector_without_a_graph_is_searched_under_a_filter_only() -> None:
    strict_exact = limits(search_allow_exact=False)
    bare = replace(CONFIG, vectors={**CONFIG.vectors, "b": replace(CONFIG.vectors["b"], hnsw_config=HnswConfig(m=0))})
    strict.check_searches(strict_exact, [search()], bare, {})
    with pytest.raises(BadRequest, match=r"Request is forbidden on 'b' because global vector indexing is disabled"):
        strict.check_searches(strict_exact, [search(using="b")], bare, {})
    strict.check_searches(strict_exact, [search(using="b", filter=field("k", f.MatchInteger(1)))], bare, {})
    strict.check_searches(limits(), [search(using="b")], bare, {})


def upsert(*vectors: dict[str, Any]) -> o.Upsert:
    return o.Upsert(tuple(o.PointWrite(at, each, {}) for at, each in enumerate(vectors)))


@pytest.mark.parametrize(
    ("given", "stored", "text"),
    [
        ({"upsert_max_batchsize": 1}, {}, 'Limit exceeded 2 > 1 for "upsert limit"'),
        ({"max_points_count": 2}, {"points": 2}, "Max points count limit of 2 reached!"),
        ({"max_collection_vector_size_bytes": 2 << 20}, {"vector_bytes": 2 << 20},
         "Max vector storage size limit of 2MB reached!"),
        ({"max_collection_vector_size_bytes": 3 << 19}, {"vector_bytes": 3 << 19},
         "Max vector storage size limit of 1.5MB reached!"),
        ({"max_collection_vector_size_bytes": 10}, {"vector_bytes": 10},
         "Max vector storage size limit of 0.000009536743MB reached!"),
        ({"max_collection_payload_size_bytes": 3 << 20}, {"payload_bytes": 4 << 20},
         "Max payload storage size limit of 3MB reached!"),
        ({"max_resident_memory_percent": 50}, {"resident_percent": 50.0}, "Resident memory usage is at 50%"),
        ({"multivector_config": {"m": 1}}, {}, "Multivector 'm' has a limit of 1 vectors, but 2 were provided!"),
        ({"sparse_config": {"s": 1}}, {}, "Sparse vector 's' has a limit of 1 indices, but 2 were provided!"),
    ],
)  # fmt: skip
def test_an_upsert_beyond_a_limit_is_refused(given: dict[str, Any], stored: dict[str, Any], text: str) -> None:
    two = np.array([1, 2], dtype=np.uint32)
    vectors = {"m": MultiVector(np.zeros((2, 2), np.float32)), "s": SparseVector(two, two.astype(np.float32))}
    request = [upsert({}, vectors)]
    strict.check_writes(limits(), request, NOTHING, {})
    with pytest.raises(BadRequest) as refused:
        strict.check_writes(limits(**given), request, replace(NOTHING, **stored), {})
    assert refused.value.text.startswith(text)


def test_what_is_there_is_counted_before_a_request_not_what_it_brings() -> None:
    """So points near the limit may be written again, as Qdrant lets them be."""
    strict.check_writes(limits(max_points_count=2), [upsert({}, {}, {})], replace(NOTHING, points=1), {})


ALL_FULL = strict.Stored(points=9, vector_bytes=9, payload_bytes=9, resident_percent=0.0)
VECTORS = o.UpdateVectors((o.VectorsWrite(1, {}),))
SELECTED = o.Selector(ids=(1,))
PAYLOADS = (o.SetPayload({}, SELECTED), o.OverwritePayload({}, SELECTED))


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"max_points_count": 9}, (o.Upsert, o.UpdateVectors)),
        ({"max_collection_vector_size_bytes": 9}, (o.Upsert, o.UpdateVectors)),
        ({"max_collection_payload_size_bytes": 9}, (o.Upsert, o.UpdateVectors, o.SetPayload, o.OverwritePayload)),
    ],
)
def test_a_full_collection_refuses_what_may_add_to_it(given: dict[str, Any], refused: tuple[type, ...]) -> None:
    """Which limits are asked of which writes was read from Qdrant."""
    for operation in (upsert({}), VECTORS, *PAYLOADS, o.DeletePoints(SELECTED), o.ClearPayload(SELECTED)):
        if isinstance(operation, refused):
            with pytest.raises(BadRequest, match="reached"):
                strict.check_writes(limits(**given), [operation], ALL_FULL, {})
        else:
            strict.check_writes(limits(**given), [operation], ALL_FULL, {})


def test_filters_of_writes_need_indexes_but_not_those_of_updates() -> None:
    indexed = limits(unindexed_filtering_update=False, upsert_max_batchsize=1)
    chosen = o.Selector(filter=field("k", f.MatchKeyword("a")))
    schema = {"k": KINDS[FieldKind.KEYWORD]}
    for operation in (
        o.DeletePoints(chosen),
        o.SetPayload({}, chosen),
        o.OverwritePayload({}, chosen),
        o.DeletePayload((), chosen),
        o.ClearPayload(chosen),
        o.DeleteVectors(chosen, ("a",)),
    ):
        strict.check_writes(indexed, [operation], NOTHING, schema)
        with pytest.raises(BadRequest, match="Index required"):
            strict.check_writes(indexed, [operation], NOTHING, {})
    strict.check_writes(indexed, [replace(upsert({}), update_filter=chosen.filter)], NOTHING, {})
    writes = tuple(o.VectorsWrite(at, {}) for at in range(2))
    with pytest.raises(BadRequest, match="update limit"):
        strict.check_writes(indexed, [o.UpdateVectors(writes)], NOTHING, {})


def test_indexes_are_counted_where_one_is_added() -> None:
    one = limits(max_payload_index_count=1)
    schema = {"k": KINDS[FieldKind.KEYWORD]}
    strict.check_alteration(one, o.CreateFieldIndex("k", KINDS[FieldKind.TEXT]), schema)
    strict.check_alteration(one, o.CreateFieldIndex("n", KINDS[FieldKind.TEXT]), {})
    strict.check_alteration(one, o.DeleteFieldIndex("n"), schema)
    with pytest.raises(BadRequest, match=r"maximum number of payload indices \(1\)"):
        strict.check_alteration(one, o.CreateFieldIndex("n", KINDS[FieldKind.TEXT]), schema)


def test_reads_without_a_vector_are_limited_as_searches_are() -> None:
    few = limits(max_query_limit=5, filter_max_conditions=1, search_allow_exact=False)
    strict.check_read(few, field("k", f.MatchInteger(1)), {}, limit=5)
    with pytest.raises(BadRequest, match="Limit exceeded 6 > 5"):
        strict.check_read(few, None, {}, limit=6)
    with pytest.raises(BadRequest, match="Filter condition limit"):
        strict.check_read(few, f.Filter(must=(f.HasVector("a"), f.HasVector("b"))), {})
    strict.check_exact(few, exact=False)
    with pytest.raises(BadRequest, match="Exact search disabled!"):
        strict.check_exact(few, exact=True)


def test_costs_count_vectors_and_conditions_at_every_level() -> None:
    two = f.Filter(must=(f.HasVector("a"), f.HasVector("b")))
    assert strict.search_cost(search().stage) == 1
    recommend = s.Recommend((1, 2), (3,))
    tree = s.Prefetch(query=recommend, filter=two, prefetch=(search(filter=two).stage, search().stage))
    assert strict.search_cost(tree) == 3 + 2 + (1 + 2) + 1
    pair = s.ContextPair(1, 2)
    assert strict.search_cost(s.Prefetch(query=s.Discover(1, (pair, pair)))) == 5
    assert strict.search_cost(s.Prefetch(query=s.Context((pair,)))) == 2
    assert strict.read_cost(two) == 3
