"""MaxSim against a loop over points."""

import math
from dataclasses import replace
from itertools import product
from unittest.mock import patch

import numpy as np
import pytest

from qdrantlite.segment import multivector
from qdrantlite.segment.multivector import MultiVectorView
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.row_encoding import prepare_query, prepare_rows
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import F32
from tests.segment.bounds import bounds_of

DIM, POINTS = 8, 60
CASES = list(product(Distance, (Datatype.FLOAT32, Datatype.FLOAT16, Datatype.UINT8)))


def made(distance: Distance, datatype: Datatype) -> tuple[MultiVectorView, list[np.ndarray], F32, list[int]]:
    """A view, the stored rows of each point as float64, a prepared query, and the row numbers verified so far."""
    rng = np.random.default_rng(4)
    scale, shift = (30, 100) if datatype is Datatype.UINT8 else (1, 0)
    counts = rng.integers(0, 5, POINTS).astype(np.uint32)
    total = int(counts.sum())
    rows = prepare_rows(rng.normal(shift, scale, (total + 3, DIM)), distance, datatype)
    starts = (np.cumsum(counts) - counts + 3).astype(np.uint64)
    query = prepare_query(rng.normal(shift, scale, (4, DIM)), distance, datatype)
    verified: list[int] = []
    view = MultiVectorView(
        rows=rows,
        bounds=bounds_of(starts, counts),
        distance=distance,
        datatype=datatype,
        present=Selection.from_offsets(np.flatnonzero(counts).astype(np.uint32)),
        verify=lambda numbers: verified.extend(numbers.tolist()),
    )
    own = [rows[int(s) : int(s) + int(c)].astype(np.float64) for s, c in zip(starts, counts, strict=True)]
    return view, own, query, verified


def maxsim(query: F32, rows: np.ndarray, distance: Distance, datatype: Datatype) -> float:
    total = 0.0
    for wanted in query.astype(np.float64):
        if distance is Distance.COSINE and datatype is Datatype.UINT8:
            scores = rows @ wanted / (np.linalg.norm(rows, axis=1) * np.linalg.norm(wanted))
        elif distance in (Distance.COSINE, Distance.DOT):
            scores = rows @ wanted
        elif distance is Distance.EUCLID:
            scores = -((rows - wanted) ** 2).sum(axis=1)
        else:
            scores = -np.abs(rows - wanted).sum(axis=1)
        total += float(scores.max())
    if distance is Distance.EUCLID:
        return math.sqrt(-total)
    return -total if distance is Distance.MANHATTAN else total


@pytest.mark.parametrize(("distance", "datatype"), CASES)
@pytest.mark.parametrize("block_bytes", [64, 1 << 20])
def test_score_is_maxsim_in_the_order_given(distance: Distance, datatype: Datatype, block_bytes: int) -> None:
    view, own, query, verified = made(distance, datatype)
    offsets = np.random.default_rng(1).permutation(view.present.offsets())
    with patch.object(multivector, "BLOCK_BYTES", block_bytes):
        scores = view.score(query, offsets)
    wanted = [maxsim(query, own[offset], distance, datatype) for offset in offsets.tolist()]
    np.testing.assert_allclose(scores, wanted, rtol=1e-5, atol=1e-5)
    assert len(verified) == sum(len(own[offset]) for offset in offsets.tolist())
    assert scores.dtype == np.float32


@pytest.mark.parametrize("distance", Distance)
def test_similarity_is_larger_for_the_nearer_and_keeps_whole_numbers_whole(distance: Distance) -> None:
    view, _, query, _ = made(distance, Datatype.FLOAT32)
    offsets = view.present.offsets()
    scores, near = view.score(query, offsets), view.similarity(query, offsets)
    sign = 1 if distance.larger_is_better else -1
    np.testing.assert_allclose(near, sign * (scores**2 if distance is Distance.EUCLID else scores), rtol=1e-5)
    whole, asked = replace(view, rows=np.rint(4 * view.rows)), np.rint(4 * query)
    exact = whole.similarity(asked, offsets)
    assert exact.tolist() == np.rint(exact).tolist()


@pytest.mark.parametrize("distance", Distance)
def test_search_leaves_out_points_without_the_vector(distance: Distance) -> None:
    view, own, query, _ = made(distance, Datatype.FLOAT32)
    selection = Selection.of_range(10, 50)
    offsets, scores = view.search(query, selection=selection, limit=7)
    having = [offset for offset in range(10, 50) if len(own[offset])]
    sign = -1 if distance.larger_is_better else 1
    ranked = sorted(having, key=lambda o: sign * maxsim(query, own[o], distance, Datatype.FLOAT32))
    assert offsets.tolist() == ranked[:7]
    assert np.all(np.diff(scores) * sign >= 0)
    assert view.has(np.arange(POINTS, dtype=np.uint32)).tolist() == [len(rows) > 0 for rows in own]


def test_nothing_selected_finds_nothing() -> None:
    view, _, query, _ = made(Distance.DOT, Datatype.FLOAT32)
    offsets, scores = view.search(query, selection=Selection.of_range(0, 0), limit=5)
    assert (len(offsets), len(scores)) == (0, 0)


@pytest.mark.parametrize("distance", Distance)
def test_row_that_is_no_number_is_passed_over(distance: Distance) -> None:
    view, own, query, _ = made(distance, Datatype.FLOAT32)
    spoiled = [at for at, rows in enumerate(own) if len(rows) > 1][:5]
    lost = next(at for at, rows in enumerate(own) if len(rows) == 1)
    rows = view.rows.copy()
    rows[view.bounds.at(np.array([*spoiled, lost], dtype=np.uint32)).starts] = np.nan
    offsets, scores = replace(view, rows=rows).search(query, selection=view.present, limit=POINTS)
    assert set(offsets.tolist()) == {*view.present.offsets().tolist()} - {lost}
    found = dict(zip(offsets.tolist(), scores.tolist(), strict=True))
    for at in spoiled:
        assert found[at] == pytest.approx(maxsim(query, own[at][1:], distance, Datatype.FLOAT32), rel=1e-5)
