"""Dense views: what passes, what is verified, ties and shapes. Scores themselves are tested with ``vector_index``."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest

from qdrantlite.errors import Corrupted
from qdrantlite.segment import dense as module
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index import row_norms
from qdrantlite.segment.vector_index.exact import MISSING
from qdrantlite.storage.vacant import ranges_of
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import F32

COUNT, DIM = 100, 4


def nothing_wrong(rows: Offsets | slice) -> None:
    assert isinstance(rows, slice) or rows.dtype == np.uint32


def view(distance: Distance, present: Selection | None = None) -> DenseView:
    """Row i is i // 4 in every component: four rows tie at a time."""
    rows = np.repeat(np.arange(COUNT) // 4, DIM).reshape(COUNT, DIM).astype(np.float32)
    return DenseView(rows, distance, Datatype.FLOAT32, present, (), nothing_wrong)


def query(value: float) -> F32:
    return np.full(DIM, value, dtype=np.float32)


@pytest.mark.parametrize("distance", [Distance.DOT, Distance.EUCLID, Distance.MANHATTAN])
def test_scan_and_subset_agree_and_ties_come_by_offset(distance: Distance) -> None:
    present = Selection.from_offsets(np.flatnonzero(np.arange(COUNT) % 3).astype(np.uint32))
    one = view(distance, present)
    selection = Selection.of_range(20, 90)
    offsets, scores = one.scan(query(30), limit=COUNT, selection=selection)
    passing = selection.intersection(present).offsets()
    found, same = one.subset(query(30), passing, limit=COUNT)
    wanted = sorted(passing.tolist(), key=lambda offset: (-(offset // 4), offset))
    assert offsets.tolist() == found.tolist() == wanted
    np.testing.assert_array_equal(scores, same)
    np.testing.assert_allclose(one.score(query(30), offsets), scores)


def test_no_selection_means_all_that_have_the_vector() -> None:
    assert view(Distance.DOT).scan(query(1), limit=4)[0].tolist() == [96, 97, 98, 99]
    some = view(Distance.DOT, Selection.of_range(0, 10))
    assert some.scan(query(1), limit=2)[0].tolist() == [8, 9]
    assert some.has(np.array([9, 10], dtype=np.uint32)).tolist() == [True, False]
    assert view(Distance.DOT).has(np.array([9, 10], dtype=np.uint32)).tolist() == [True, True]


def test_single_query_is_trimmed_and_several_are_padded() -> None:
    few = Selection.of_range(4, 6)
    offsets, _ = view(Distance.DOT).scan(query(1), limit=5, selection=few)
    assert offsets.tolist() == [4, 5]
    many, scores = view(Distance.DOT, few).scan(np.stack([query(1), query(-1)]), limit=5)
    assert many.shape == scores.shape
    assert [row[row != MISSING].tolist() for row in many] == [[4, 5], [4, 5]]
    assert view(Distance.DOT).scan(query(1), limit=5, selection=Selection.of_range(0, 0))[0].tolist() == []
    assert view(Distance.DOT).subset(query(1), few.offsets()[:0], limit=5)[0].tolist() == []


@pytest.mark.parametrize("vacant", [((0, 40),), ((40, 64), (96, 100)), ((0, 20), (30, 31), (99, 100)), ((0, 100),)])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("queries", [1, 3])
def test_scans_pass_over_vacant_rows(dtype: str, vacant: tuple[tuple[int, int], ...], queries: int) -> None:
    ranges = ranges_of(vacant)
    gone = np.concatenate([np.arange(*span) for span in vacant])
    left = np.setdiff1d(np.arange(COUNT), gone).astype(np.uint32)
    present = Selection.from_offsets(left[left % 3 > 0])
    plain = replace(view(Distance.COSINE, present), rows=view(Distance.DOT).rows.astype(dtype))

    def require_held(rows: Offsets | slice) -> None:
        assert not np.isin(np.arange(COUNT)[rows], gone).any()

    holed = replace(plain, vacant=ranges, verify=require_held)
    asked = np.stack([query(value) for value in range(1, queries + 1)])
    asked = asked[0] if queries == 1 else asked
    with patch.object(module, "STRETCH_COMPONENTS", 7 * DIM):
        for selection in (None, Selection.of_range(10, 70)):
            expected, found = [each.scan(asked, limit=12, selection=selection) for each in (plain, holed)]
            np.testing.assert_array_equal(found[0], expected[0])
            np.testing.assert_array_equal(found[1], expected[1])
        if len(left):
            expected, found = [each.walk(asked, limit=12, ef=12) for each in (plain, holed)]
            np.testing.assert_array_equal(found[0], expected[0])
            np.testing.assert_array_equal(found[1], expected[1])
    assert holed.rows_held == len(left)
    assert plain.rows_held == COUNT
    assert len(holed.behind_graphs(None)) == 0


def test_rows_are_verified_before_they_are_served() -> None:
    def damaged(rows: Offsets | slice) -> None:
        raise Corrupted(f"rows {rows}")

    one = replace(view(Distance.DOT), verify=damaged)
    offsets = np.array([1, 2], dtype=np.uint32)
    with pytest.raises(Corrupted):
        one.scan(query(1), limit=1)
    with pytest.raises(Corrupted):
        one.subset(query(1), offsets, limit=1)
    with pytest.raises(Corrupted):
        one.score(query(1), offsets)


@pytest.mark.parametrize("distance", list(Distance))
@pytest.mark.parametrize("present", [None, Selection.of_range(7, 71)])
def test_stretches_of_rows_answer_as_all_at_once(distance: Distance, present: Selection | None) -> None:
    random = np.random.default_rng(5)
    several = random.standard_normal((4, DIM), dtype=np.float32)
    rows = random.standard_normal((COUNT, DIM), dtype=np.float32)
    some = Selection.of_range(20, 40).union(Selection.of_range(65, 90))
    offsets = np.arange(10, 70, 3, dtype=np.uint32)
    for queries in (several[0], several):
        one = replace(view(distance, present), rows=rows)
        whole = [one.scan(queries, limit=limit, selection=few) for limit in (1, 9, 500) for few in (None, some)]
        whole += [one.subset(queries, offsets, limit=limit) for limit in (1, 9, 500)]
        with patch.object(module, "STRETCH_COMPONENTS", 7 * one.rows.shape[1]):
            cut = [one.scan(queries, limit=limit, selection=few) for limit in (1, 9, 500) for few in (None, some)]
            cut += [one.subset(queries, offsets, limit=limit) for limit in (1, 9, 500)]
            np.testing.assert_array_equal(one.score(several[0], offsets[::-1])[::-1], one.score(several[0], offsets))
        for (found, scores), (expected, same) in zip(cut, whole, strict=True):
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_allclose(scores, same, rtol=1e-6)


@pytest.mark.parametrize("passing", [None, Selection.of_range(3, 96)])
def test_cosines_of_bytes_do_not_depend_on_stretches_nor_on_what_was_compared_before(passing: Selection | None) -> None:
    stored = np.random.default_rng(1).integers(0, 256, (COUNT, DIM)).astype(np.uint8)
    asked = np.array([1, 200, 3, 90], dtype=np.float32)
    one = DenseView(stored, Distance.COSINE, Datatype.UINT8, None, (), nothing_wrong)
    fewer = replace(one, rows=stored[:37])
    expected = stored @ asked / np.linalg.norm(stored.astype(np.float64), axis=1) / np.linalg.norm(asked)
    best = [at for at in np.argsort(-expected, kind="stable").tolist() if passing is None or at in passing.bitmap]
    with patch.object(module, "STRETCH_COMPONENTS", 9 * DIM), patch.object(row_norms, "BLOCK_ROWS", 16):
        fewer.scan(asked, limit=1)
        offsets, scores = one.scan(asked, limit=20, selection=passing)
    assert offsets.tolist() == best[:20]
    np.testing.assert_allclose(scores, expected[best[:20]], rtol=1e-6)
