"""Exact search against brute force in float64."""

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdrantlite.segment.vector_index import exact
from qdrantlite.segment.vector_index.exact import MISSING, prepare_query, prepare_rows, scan, score, subset
from qdrantlite.segment.vector_index.row_encoding import Rows
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import F32

DATATYPES = (Datatype.FLOAT32, Datatype.FLOAT16, Datatype.UINT8)
QUERY_COUNTS = (1, 2, 5, 40)

every_kind = pytest.mark.parametrize(
    ("distance", "datatype"), [(distance, datatype) for distance in Distance for datatype in DATATYPES]
)

every_float_kind = pytest.mark.parametrize(
    ("distance", "datatype"), [(distance, datatype) for distance in Distance for datatype in DATATYPES[:2]]
)


def brute_force(rows: Rows, queries: F32, distance: Distance) -> npt.NDArray[np.float64]:
    """Scores ``(q, n)`` computed in float64, straight from the definitions."""
    x, q = rows.astype(np.float64), queries.astype(np.float64)
    match distance:
        case Distance.DOT:
            return np.asarray(q @ x.T)
        case Distance.COSINE:
            if rows.dtype != np.uint8:
                return np.asarray(q @ x.T)
            norms = np.linalg.norm(q, axis=1)[:, None] * np.linalg.norm(x, axis=1)
            return np.asarray(np.divide(q @ x.T, norms, out=np.zeros((len(q), len(x))), where=norms > 0))
        case Distance.EUCLID:
            return np.asarray(np.sqrt(((q[:, None] - x) ** 2).sum(axis=2)))
        case Distance.MANHATTAN:
            return np.asarray(np.abs(q[:, None] - x).sum(axis=2))


def make(
    count: int, query_count: int, distance: Distance, datatype: Datatype, *, dim: int = 24, seed: int = 0
) -> tuple[Rows, F32]:
    rng = np.random.default_rng(seed)
    scale, shift = (40.0, 120.0) if datatype is Datatype.UINT8 else (1.0, 0.2)
    rows = prepare_rows(rng.normal(shift, scale, (count, dim)), distance, datatype)
    queries = prepare_query(rng.normal(shift, scale, (query_count, dim)), distance, datatype)
    return rows, queries


def check_best(
    found: tuple[npt.NDArray[np.uint32], F32],
    expected: npt.NDArray[np.float64],
    allowed: npt.NDArray[np.int64],
    *,
    distance: Distance,
    limit: int,
) -> None:
    """The returned scores are the best allowed ones, in order, and each belongs to its offset."""
    offsets, scores = found
    for at in range(len(expected)):
        kept = offsets[at] != MISSING
        assert np.count_nonzero(kept) == min(limit, len(allowed))
        assert np.isin(offsets[at][kept], allowed).all()
        assert len(set(offsets[at][kept].tolist())) == np.count_nonzero(kept)
        best = np.sort(expected[at, allowed])
        best = best[::-1][:limit] if distance.larger_is_better else best[:limit]
        np.testing.assert_allclose(scores[at][kept], best, rtol=2e-5, atol=2e-5)
        np.testing.assert_allclose(scores[at][kept], expected[at, offsets[at][kept]], rtol=2e-5, atol=2e-5)


@every_kind
@pytest.mark.parametrize("query_count", QUERY_COUNTS)
def test_scan_agrees_with_brute_force(
    distance: Distance, datatype: Datatype, query_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact, "BLOCK_BYTES", 100 * 4 * 24)
    rows, queries = make(731, query_count, distance, datatype)
    found = scan(rows, queries, distance=distance, limit=10)
    check_best(found, brute_force(rows, queries, distance), np.arange(731), distance=distance, limit=10)


@every_kind
@pytest.mark.parametrize("query_count", QUERY_COUNTS)
@pytest.mark.parametrize("share", [0.0, 0.002, 0.05, 0.6, 1.0])
def test_scan_returns_only_what_the_selector_lets_pass(
    distance: Distance, datatype: Datatype, query_count: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact, "BLOCK_BYTES", 100 * 4 * 24)
    rows, queries = make(531, query_count, distance, datatype)
    passing = np.random.default_rng(1).random(531) < share
    found = scan(
        rows, queries, distance=distance, limit=10, start=1000, selector=np.packbits(passing, bitorder="little")
    )
    expected = np.zeros((query_count, 1531))
    expected[:, 1000:] = brute_force(rows, queries, distance)
    check_best(found, expected, np.flatnonzero(passing) + 1000, distance=distance, limit=10)


@every_kind
@pytest.mark.parametrize("query_count", QUERY_COUNTS)
@pytest.mark.parametrize("count", [0, 3, 300])
def test_subset_agrees_with_brute_force(
    distance: Distance, datatype: Datatype, query_count: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact, "BLOCK_BYTES", 100 * 4 * 24)
    rows, queries = make(700, query_count, distance, datatype)
    chosen = np.sort(np.random.default_rng(2).choice(700, count, replace=False)).astype(np.uint32)
    found = subset(rows, queries, chosen, distance=distance, limit=10)
    check_best(found, brute_force(rows, queries, distance), chosen.astype(np.int64), distance=distance, limit=10)


@every_kind
def test_score_keeps_the_order_of_the_offsets(distance: Distance, datatype: Datatype) -> None:
    rows, queries = make(50, 1, distance, datatype)
    offsets = np.array([7, 3, 49, 3, 0], dtype=np.uint32)
    scores = score(rows, queries[0], offsets, distance=distance)
    np.testing.assert_allclose(scores, brute_force(rows, queries, distance)[0, offsets], rtol=2e-5, atol=2e-5)


@settings(max_examples=60, deadline=None)
@given(
    distance=st.sampled_from(Distance),
    datatype=st.sampled_from(DATATYPES),
    count=st.integers(0, 60),
    dim=st.integers(1, 20),
    query_count=st.integers(0, 5),
    limit=st.integers(0, 70),
    seed=st.integers(0, 100),
)
def test_scan_and_subset_agree(
    distance: Distance, datatype: Datatype, count: int, dim: int, query_count: int, limit: int, seed: int
) -> None:
    rows, queries = make(count, query_count, distance, datatype, dim=dim, seed=seed)
    everything = np.arange(count, dtype=np.uint32)
    expected = brute_force(rows, queries, distance)
    for found in (
        scan(rows, queries, distance=distance, limit=limit),
        subset(rows, queries, everything, distance=distance, limit=limit),
    ):
        assert found[0].shape == found[1].shape == (query_count, min(limit, count))
        check_best(found, expected, np.arange(count), distance=distance, limit=limit)


@every_float_kind
@pytest.mark.parametrize("query_count", QUERY_COUNTS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_rows_that_are_not_finite_leave_the_others_in_order(
    distance: Distance, datatype: Datatype, query_count: int, bad: float
) -> None:
    rows, queries = make(200, query_count, distance, datatype)
    rows = rows.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        rows[::10] = rows.dtype.type(bad)
    finite = np.flatnonzero(np.arange(200) % 10)
    expected = brute_force(rows[finite], queries, distance)
    for offsets, _ in (
        scan(rows, queries, distance=distance, limit=200),
        subset(rows, queries, np.arange(200, dtype=np.uint32), distance=distance, limit=200),
    ):
        for at in range(query_count):
            kept = offsets[at][(offsets[at] != MISSING) & (offsets[at] % 10 != 0)]
            best = np.argsort(-expected[at] if distance.larger_is_better else expected[at], kind="stable")
            assert kept.tolist() == finite[best].tolist()


@pytest.mark.parametrize("query_count", QUERY_COUNTS)
def test_near_duplicates_far_from_the_origin_have_exact_distances(query_count: int) -> None:
    rng = np.random.default_rng(3)
    rows = (1000 + rng.normal(0, 0.1, (400, 32))).astype(np.float32)
    queries = rows[:query_count].copy()
    offsets, scores = scan(rows, queries, distance=Distance.EUCLID, limit=3)
    assert offsets[:, 0].tolist() == list(range(query_count))
    assert scores[:, 0].tolist() == [0.0] * query_count
    np.testing.assert_allclose(scores[:, 1:], np.sort(brute_force(rows, queries, Distance.EUCLID))[:, 1:3], rtol=1e-5)


@every_kind
def test_rows_of_a_read_only_file_are_searched_in_place(distance: Distance, datatype: Datatype, tmp_path: Path) -> None:
    rows, queries = make(90, 5, distance, datatype)
    path = tmp_path / "rows"
    path.write_bytes(b"\0" * 4096 + rows.tobytes())
    mapped: Rows = np.memmap(path, dtype=rows.dtype, mode="r", offset=4096, shape=rows.shape)
    for count in (1, 5):
        held = scan(rows, queries[:count], distance=distance, limit=9)
        found = scan(mapped, queries[:count], distance=distance, limit=9)
        np.testing.assert_array_equal(found[0], held[0])
        np.testing.assert_array_equal(found[1], held[1])
    few = subset(mapped, queries[:1], np.arange(0, 90, 7, dtype=np.uint32), distance=distance, limit=9)
    assert (few[0] % 7 == 0).all()
