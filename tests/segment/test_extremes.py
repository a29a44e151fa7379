"""Rows and settings at the ends of what is allowed: FAISS gets what it bears, and answers are those of a scan."""

from functools import cache

import numpy as np
import pytest

from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.sealed import Coding, GraphParams, Refinement, SealedSegment, encode, extend, seal
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.quantized import BitCodes, CodeKind, ProductCodes, ScalarCodes
from qdrantlite.segment.vector_index.row_encoding import Rows, prepare_query, prepare_rows
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import F32

COUNT = 300
ORDINARY = "ordinary"
CODES: tuple[CodeKind | None, ...] = (
    None,
    ScalarCodes(),
    ScalarCodes(0.99),
    ProductCodes(4),
    ProductCodes(64),
    BitCodes(1),
    BitCodes(2),
    BitCodes(8),
)
MAX = float(np.finfo(np.float32).max)


def given(kind: str, count: int, dim: int) -> F32:
    """Vectors as a user may send them."""
    chance = np.random.default_rng(5)
    rows = chance.standard_normal((count, dim)).astype(np.float32)
    middle = count // 2
    with np.errstate(over="ignore"):
        match kind:
            case "zero":
                rows[:] = 0
            case "equal":
                rows[:] = rows[0]
            case "twins":
                rows[:] = rows[chance.integers(0, min(3, count), count)]
            case "one huge component":
                rows[middle, 0] = 3e19
            case "a column of huge components":
                rows[:, 0] = 3e38
            case "all huge":
                rows *= np.float32(1e38)
            case "squares just finite":
                rows *= np.float32(1e18)
            case "greatest":
                rows[:] = np.where(rows > 0, MAX, -MAX)
            case "tiny":
                rows *= np.float32(1e-42)
            case "one without a number":
                rows[middle] = np.nan
            case "no numbers":
                rows[:] = np.nan
            case "infinite":
                rows[count // 3], rows[middle, 0] = np.inf, -np.inf
            case _:
                assert kind == ORDINARY
    return rows


KINDS = (
    *("zero", "equal", "twins", "one huge component", "a column of huge components", "all huge"),
    *("squares just finite", "greatest", "tiny", "one without a number", "no numbers", "infinite"),
)


def in_range(vectors: F32, datatype: Datatype) -> F32:
    """So that bytes differ."""
    with np.errstate(over="ignore"):
        return vectors * np.float32(40) + np.float32(100) if datatype is Datatype.UINT8 else vectors


@cache
def sealed_over(kind: str, distance: Distance, datatype: Datatype, count: int, dim: int) -> tuple[Rows, SealedSegment]:
    """Two thirds linked at first, and the rest later."""
    rows = prepare_rows(in_range(given(kind, count, dim), datatype), distance, datatype)
    at_first = max(1, count * 2 // 3)
    params = GraphParams(m=16, ef_construct=64)
    segment = seal(rows, Selection.of_range(0, at_first), distance=distance, params=params, threads=1)
    if at_first < count:
        segment = extend(segment, rows, Selection.of_range(0, count), threads=1)
    return rows, segment


def assert_found(rows: Rows, segment: SealedSegment, distance: Distance, datatype: Datatype, queries: F32) -> None:
    """With the widest beam and everything rescored, walks return what a scan does, but for the order of equals."""
    view = DenseView(rows, distance, datatype, None, (segment,), verify=lambda _: None)
    count = len(rows)
    wide = Refinement(rescored=True, oversampling=float(count))
    half = Selection.from_offsets(np.arange(0, count, 2, dtype=np.uint32))
    for query in prepare_query(queries, distance, datatype):
        expected = view.scan(query, limit=10)
        found = view.walk(query, limit=10, ef=count, refinement=wide)
        assert_alike(found[1], expected[1])
        sifted = view.sift(query, limit=10, ef=count, selection=half, refinement=wide)
        assert_alike(sifted[1], view.scan(query, limit=10, selection=half)[1])
        assert half.contains(sifted[0]).all()
        view.walk(query, limit=10, ef=5, refinement=Refinement(rescored=False))


def assert_alike(found: F32, expected: F32) -> None:
    """Scores that are infinite or no number may be left out."""
    for scores in (found, expected):
        assert not np.isnan(scores).any()
    finite = expected[np.isfinite(expected)]
    np.testing.assert_allclose(found[np.isfinite(found)][: len(finite)], finite, rtol=1e-4, atol=1e-30)


@pytest.mark.parametrize("code", CODES, ids=repr)
@pytest.mark.parametrize("distance", [Distance.EUCLID, Distance.DOT, Distance.COSINE])
@pytest.mark.parametrize("kind", KINDS)
def test_any_rows_can_be_linked_and_encoded(kind: str, distance: Distance, code: CodeKind | None) -> None:
    rows, segment = sealed_over(kind, distance, Datatype.FLOAT32, COUNT, 7)
    if code is not None:
        segment = encode(segment, Coding(code, in_memory=True), threads=1)
    assert_found(rows, segment, distance, Datatype.FLOAT32, np.concatenate((given(ORDINARY, 3, 7), rows[:1])))


@pytest.mark.parametrize("distance", [Distance.EUCLID, Distance.DOT])
@pytest.mark.parametrize("kind", ["one huge component", "a column of huge components", "infinite"])
def test_rows_that_are_too_long_teach_nothing(kind: str, distance: Distance) -> None:
    """With many more rows than centroids one that is nearest to none of them ended the process."""
    rows = given(kind, 1000, 2)
    params = GraphParams(m=16, ef_construct=64)
    segment = seal(rows, Selection.of_range(0, 1000), distance=distance, params=params, threads=1)
    segment = encode(segment, Coding(ProductCodes(4), in_memory=True), threads=1)
    view = DenseView(rows, distance, Datatype.FLOAT32, None, (segment,), verify=lambda _: None)
    for query in given(ORDINARY, 3, 2):
        expected = view.scan(query, limit=1)
        assert_alike(view.walk(query, limit=1, ef=1000, refinement=Refinement(rescored=True))[1], expected[1])


@pytest.mark.parametrize("datatype", [Datatype.FLOAT16, Datatype.UINT8])
@pytest.mark.parametrize("distance", list(Distance))
@pytest.mark.parametrize("kind", KINDS)
def test_any_compact_rows_can_be_linked_and_encoded(kind: str, distance: Distance, datatype: Datatype) -> None:
    rows, segment = sealed_over(kind, distance, datatype, COUNT, 7)
    if distance is not Distance.MANHATTAN:
        segment = encode(segment, Coding(BitCodes(2), in_memory=True), threads=1)
    assert_found(rows, segment, distance, datatype, in_range(given(ORDINARY, 3, 7), datatype))


@pytest.mark.parametrize("code", CODES, ids=repr)
@pytest.mark.parametrize(("count", "dim"), [(1, 1), (2, 1), (255, 1), (1, 33), (20, 33)])
@pytest.mark.parametrize("kind", [ORDINARY, "one huge component", "no numbers"])
def test_few_rows_and_few_components_suffice(kind: str, count: int, dim: int, code: CodeKind | None) -> None:
    rows, segment = sealed_over(kind, Distance.EUCLID, Datatype.FLOAT32, count, dim)
    if code is not None:
        segment = encode(segment, Coding(code, in_memory=True), threads=1)
    assert_found(rows, segment, Distance.EUCLID, Datatype.FLOAT32, given(ORDINARY, 2, dim))


@pytest.mark.parametrize("limit", [1, 2**31, 2**62])
@pytest.mark.parametrize("ef", [0, 1, 2**31, 2**40, 2**62])
@pytest.mark.parametrize("code", [None, ScalarCodes(), BitCodes(1)], ids=repr)
@pytest.mark.parametrize("oversampling", [None, 1.0, 1e18, 1e308, float("inf"), float("nan")])
def test_a_search_may_ask_for_more_than_there_is(
    limit: int, ef: int, code: CodeKind | None, oversampling: float | None
) -> None:
    _, segment = sealed_over(ORDINARY, Distance.DOT, Datatype.FLOAT32, COUNT, 8)
    if code is not None:
        segment = encode(segment, Coding(code, in_memory=True), threads=1)
    passing, queries = Selection.of_range(0, 100), given(ORDINARY, 2, 8)
    for refinement in (Refinement(rescored=True, oversampling=oversampling), Refinement(oversampling=oversampling)):
        for selection in (None, passing):
            found, _ = segment.walk(queries, limit=limit, ef=ef, passing=selection, refinement=refinement)
            assert found.shape == (2, min(limit, COUNT))
        found, _, sure = segment.sift(queries, limit=limit, ef=ef, passing=passing, refinement=refinement)
        assert found.shape == (2, min(limit, COUNT))
        assert sure.shape == (2,)


@pytest.mark.parametrize("m", [1, 2, 1000, 2**31, 2**62])
@pytest.mark.parametrize("ef_construct", [0, 1, 2**31, 2**62])
def test_links_and_candidates_may_be_any_number(m: int, ef_construct: int) -> None:
    rows = given(ORDINARY, COUNT, 8)
    segment = seal(
        rows, Selection.of_range(0, COUNT), distance=Distance.DOT, params=GraphParams(m, ef_construct), threads=1
    )
    found, _ = segment.walk(rows[:20], limit=1, ef=COUNT, passing=None)
    assert found.shape == (20, 1)
    if ef_construct > 1:
        assert segment.apart is None
        exact = np.argmax(rows[:20] @ rows.T, axis=1)
        assert np.mean(found[:, 0] == exact) > (0.9 if m > 2 else 0.4)


@pytest.mark.parametrize("code", [ScalarCodes(), ProductCodes(64), BitCodes(1), BitCodes(4)], ids=repr)
def test_the_longest_vectors_are_linked_and_encoded(code: CodeKind) -> None:
    rows = given(ORDINARY, 6, 65_536)
    segment = seal(rows, Selection.of_range(0, 6), distance=Distance.DOT, params=GraphParams(4, 16), threads=1)
    segment = encode(segment, Coding(code, in_memory=True), threads=1)
    found, _ = segment.walk(rows[:3], limit=1, ef=20, passing=None)
    assert found[:, 0].tolist() == [0, 1, 2]


def test_huge_rows_are_found_where_a_scan_finds_them() -> None:
    """Under an inner product one huge component may be the best hit of all; links cannot lead there."""
    rows = given("one huge component", COUNT, 8)
    segment = seal(rows, Selection.of_range(0, COUNT), distance=Distance.DOT, params=GraphParams(8, 64), threads=1)
    assert segment.apart is not None
    assert segment.apart.offsets().tolist() == [COUNT // 2]
    view = DenseView(rows, Distance.DOT, Datatype.FLOAT32, None, (segment,), verify=lambda _: None)
    query = np.eye(8, dtype=np.float32)[0]
    assert view.walk(query, limit=3, ef=20)[0][0] == COUNT // 2
    assert view.walk(-query, limit=3, ef=20)[0][0] != COUNT // 2
