"""Sparse postings against dot products of dicts."""

import math
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from qdrantlite.segment import merge_policy, sparse, sparse_columns, sparse_totals
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.sparse import SparseIndex, SparseSegment
from qdrantlite.segment.stack import Layer, Stack
from qdrantlite.storage.checkpoint import read_derived, write_derived
from qdrantlite.storage.files import PosixFiles
from qdrantlite.values.vector import SparseVector

Weights = dict[int, float]
WEIGHTS = st.dictionaries(st.integers(0, 6), st.sampled_from([-1.0, 0.5, 1.0, 2.0]), max_size=4)


def vector(weights: Weights) -> SparseVector:
    indices = np.array(list(weights), dtype=np.uint32)
    return SparseVector.from_unsorted(indices, np.array(list(weights.values()), dtype=np.float32))


def dot(a: Weights, b: Weights) -> float:
    return sum(weight * b[index] for index, weight in a.items() if index in b)


def reloaded(index: SparseIndex) -> SparseIndex:
    """Every segment dumped and loaded."""
    layers = [Layer(SparseSegment.load(dict(layer.segment.dump())), layer.forgotten) for layer in index.stack]
    return SparseIndex(Stack(tuple(layers)))


@st.composite
def indexes(draw: st.DrawFn) -> tuple[SparseIndex, dict[int, Weights]]:
    """An index and what it should hold: offsets in batches, some of them discarded and added again."""
    index, model = SparseIndex(), dict[int, Weights]()
    step = draw(st.sampled_from([1, 40_000]))
    with patch.multiple(merge_policy, TINY_MAX=draw(st.sampled_from([2, 6, 1000]))):
        for batch in draw(st.lists(st.lists(WEIGHTS, min_size=1, max_size=6), max_size=5)):
            first = len(model) * step
            offsets = list(range(first, first + len(batch)))
            index = index.with_points(np.array(offsets, dtype=np.uint32), [vector(weights) for weights in batch])
            model.update(zip(offsets, batch, strict=True))
            gone = draw(st.frozensets(st.sampled_from(sorted(model)), max_size=2))
            index = index.without(BitMap(gone))
            again = draw(WEIGHTS)
            for offset in gone:
                index = index.with_points(np.array([offset], dtype=np.uint32), [vector(again)])
                model[offset] = again
    return index, model


@given(indexes(), WEIGHTS, st.integers(0, 8), st.data())
def test_search_finds_the_best_of_the_selection(
    made: tuple[SparseIndex, dict[int, Weights]], query: Weights, limit: int, data: st.DataObject
) -> None:
    index, model = made
    chosen = data.draw(st.frozensets(st.sampled_from(sorted(model)))) if model else frozenset()
    selection = Selection.from_offsets(np.array(sorted(chosen), dtype=np.uint32))
    offsets, scores = index.view().search(vector(query), selection=selection, limit=limit)
    totals = {offset: dot(query, model[offset]) for offset in chosen}
    best = sorted((-total, offset) for offset, total in totals.items() if total)[:limit]
    assert list(zip((-scores).tolist(), offsets.tolist(), strict=True)) == best


@given(indexes(), WEIGHTS, st.data())
def test_score_tells_total_and_overlap_in_the_order_given(
    made: tuple[SparseIndex, dict[int, Weights]], query: Weights, data: st.DataObject
) -> None:
    index, model = made
    asked = data.draw(st.lists(st.sampled_from(sorted(model)), max_size=10)) if model else []
    scores, shared = index.view().score(vector(query), np.array(asked, dtype=np.uint32))
    assert scores.tolist() == [dot(query, model[offset]) for offset in asked]
    assert shared.tolist() == [bool(query.keys() & model[offset].keys()) for offset in asked]


@given(indexes(), st.data())
def test_idf_counts_the_corpus_only(made: tuple[SparseIndex, dict[int, Weights]], data: st.DataObject) -> None:
    index, model = made
    corpus = data.draw(st.frozensets(st.sampled_from(sorted(model)))) if model else frozenset()
    selection = Selection.from_offsets(np.array(sorted(corpus), dtype=np.uint32))
    present = Selection.from_offsets(np.array(sorted(model), dtype=np.uint32))
    terms, view = np.array([0, 3, 6, 99], dtype=np.uint32), index.view()
    filled = {offset for offset in model if model[offset]}  # Without a corpus, vectors without entries do not count.
    for found, counted in ((view.idf(terms, present, selection), corpus), (view.idf(terms, present), filled)):
        counts = [sum(term in model[offset] for offset in counted) for term in terms.tolist()]
        wanted = [math.log((len(counted) - df + 0.5) / (df + 0.5) + 1) for df in counts]
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize("count", [300, 6000])
def test_random_vectors_agree_with_a_dense_matrix(count: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    matrix = np.where(rng.random((count, 40)) < 0.2, rng.normal(size=(count, 40)), 0).astype(np.float32)
    index = SparseIndex()
    for at in range(0, count, 250):
        rows = [np.flatnonzero(row).astype(np.uint32) for row in matrix[at : at + 250]]
        vectors = [SparseVector(indices, matrix[at + i, indices]) for i, indices in enumerate(rows)]
        index = index.with_points(np.arange(at, at + len(rows), dtype=np.uint32), vectors)
    query = SparseVector(np.arange(0, 40, 4, dtype=np.uint32), rng.normal(size=10).astype(np.float32))
    totals = matrix[:, ::4] @ query.weights
    chosen = np.flatnonzero((rng.random(count) < 0.5) & (totals != 0)).astype(np.uint32)
    best = chosen[np.argsort(-totals[chosen], kind="stable")[:25]]
    path = tmp_path / "derived" / "sparse"
    before = index.view()
    index = SparseIndex(Stack((Layer(index.merged(index.stack.layers)),)))
    (layer,) = index.stack
    write_derived(path, format_version=1, covers_seq=0, parts=layer.segment.dump(), files=PosixFiles())
    derived = read_derived(path, format_version=1, files=PosixFiles())
    assert derived is not None
    loaded = SparseIndex(Stack((Layer(SparseSegment.load(derived.parts)),)))
    for view in (before, index.view(), loaded.view()):
        offsets, scores = view.search(query, selection=Selection.from_offsets(chosen), limit=25)
        np.testing.assert_array_equal(offsets, best)
        np.testing.assert_allclose(scores, totals[best], rtol=1e-5)


@pytest.mark.parametrize("step", [1, 1000])
def test_totals_of_zero_are_left_out_and_negative_ones_are_kept(step: int) -> None:
    index = SparseIndex()
    vectors = [vector({0: 1.0, 1: -1.0}), vector({0: -2.0}), vector({0: 1.0}), vector({5: 1.0})] * 200
    index = index.with_points(np.arange(800, dtype=np.uint32) * step, vectors)
    index = index.with_points(np.array([800 * step], dtype=np.uint32), [vector({9: 3.0})])
    everything = Selection.of_range(0, 801 * step)
    offsets, scores = index.view().search(vector({0: 1.0, 1: 1.0}), selection=everything, limit=801)
    kinds = offsets // step % 4
    assert (kinds[:200] == 2).all()
    assert (kinds[200:] == 1).all()
    assert scores.tolist() == [1.0] * 200 + [-2.0] * 200
    second = Selection.from_offsets(np.arange(1, 800, 4, dtype=np.uint32) * step)
    worst_only = index.view().search(vector({0: 1.0}), selection=second, limit=10)
    assert worst_only[1].tolist() == [-2.0] * 10
    rare = index.view().search(vector({9: 1.0}), selection=everything, limit=10)
    assert rare[0].tolist() == [800 * step]
    worst = index.view().search(vector({9: -1.0}), selection=everything, limit=10)
    assert (worst[0].tolist(), worst[1].tolist()) == ([800 * step], [-3.0])


def test_empty_index_and_empty_query_find_nothing() -> None:
    index = SparseIndex()
    everything = Selection.of_range(0, 10)
    assert len(index.view().search(vector({1: 1.0}), selection=everything, limit=5)[0]) == 0
    index = index.with_points(np.array([0], dtype=np.uint32), [vector({})])
    index = index.with_points(np.array([1], dtype=np.uint32), [vector({1: 1.0})])
    assert len(index.view().search(vector({}), selection=everything, limit=5)[0]) == 0
    assert not len(reloaded(index).view().search(vector({}), selection=everything, limit=5)[0])
    assert len(SparseIndex().view().search(vector({1: 1.0}), selection=everything, limit=5)[0]) == 0


def test_points_without_entries_are_remembered() -> None:
    index = SparseIndex()
    index = index.with_points(np.array([3, 4, 9], dtype=np.uint32), [vector({}), vector({1: 1.0}), vector({})])
    before = index.view()
    index = index.without(BitMap([3]))
    loaded = reloaded(index)
    bare = [view.bare.offsets().tolist() for view in (before, index.view(), loaded.view())]
    assert bare == [[3, 9], [9], [9]]


def frequent_index(count: int, *, seed: int) -> tuple[SparseIndex, np.ndarray]:
    """An index of terms from frequent to rare, some points forgotten, and the matrix of what it holds."""
    rng = np.random.default_rng(seed)
    terms = 24
    shares = 1 / (1 + np.arange(terms))
    matrix = np.where(rng.random((count, terms)) < shares, rng.random((count, terms)), 0).astype(np.float32)
    matrix[:, 3] = np.round(matrix[:, 3], 1)  # Ties, and bounds that are met exactly.
    matrix[:, 5] *= -1
    index = SparseIndex()
    rows = [np.flatnonzero(row).astype(np.uint32) for row in matrix]
    for at in range(0, count, 700):
        vectors = [SparseVector(indices, matrix[at + i, indices]) for i, indices in enumerate(rows[at : at + 700])]
        index = index.with_points(np.arange(at, at + len(vectors), dtype=np.uint32), vectors)
    gone = rng.choice(count, count // 10, replace=False).astype(np.uint32)
    index = index.without(BitMap(gone.tolist()))
    matrix[gone] = 0
    return index, matrix


@given(st.integers(0, 5), st.data())
def test_columns_of_frequent_postings_hide_no_point(seed: int, data: st.DataObject) -> None:
    count = 4000
    index, matrix = frequent_index(count, seed=seed)
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    asked = np.sort(rng.choice(24, data.draw(st.integers(1, 12)), replace=False)).astype(np.uint32)
    weights = rng.random(len(asked)).astype(np.float32)
    if data.draw(st.booleans()):
        weights[0] *= -1
    share = data.draw(st.sampled_from([1.0, 0.5, 0.02]))
    chosen = Selection.from_offsets(np.flatnonzero(rng.random(count) < share).astype(np.uint32))
    limit = data.draw(st.sampled_from([1, 10, 100, 5000]))
    with (
        patch.object(sparse_columns, "SPAN_MIN", 64),
        patch.object(sparse_totals, "CHOSEN_SHARE", data.draw(st.sampled_from([1, 1000]))),
        patch.object(sparse_totals, "PIECE_POSTINGS", data.draw(st.sampled_from([1, 500, 1 << 20]))),
        patch.object(sparse_totals, "LOOKUP_POSTINGS", data.draw(st.sampled_from([0, 4096]))),
        patch.object(sparse_totals, "LOOKUP_COST", data.draw(st.sampled_from([1, 40]))),
    ):
        offsets, scores = index.view().search(SparseVector(asked, weights), selection=chosen, limit=limit)
    # As the index adds them up: products in float32, sums in float64, in the order of the indices.
    totals = (matrix[:, asked] * weights).astype(np.float64).cumsum(axis=1)[:, -1].astype(np.float32)
    passing = np.flatnonzero(totals)
    passing = passing[chosen.contains(passing.astype(np.uint32))]
    best = passing[np.lexsort((passing, -totals[passing]))][:limit]
    assert offsets.tolist() == best.tolist()
    assert scores.tolist() == totals[best].tolist()


def test_frequent_postings_are_looked_at_only_where_they_matter() -> None:
    index, _ = frequent_index(8000, seed=1)
    query = SparseVector(np.array([0, 1, 2, 20], dtype=np.uint32), np.array([0.2, 0.3, 0.1, 5.0], dtype=np.float32))
    everything = Selection.of_range(0, 8000)
    view = index.view()
    whole = view.search(query, selection=everything, limit=10)
    verified: list[int] = []

    def add_at(column: sparse_columns.Column, ascending: np.ndarray, factor: np.float32, totals: np.ndarray) -> None:
        verified.append(len(ascending))
        whole_add_at(column, ascending, factor, totals)

    whole_add_at = sparse_columns.Column.add_at
    with patch.object(sparse_columns, "SPAN_MIN", 64), patch.object(sparse_columns.Column, "add_at", add_at):
        largest = max(view.runs, key=lambda visible: len(visible.run.offsets))
        alone = sparse.SparseView((largest,), view.bare, sparse_columns.ColumnCache())
        offsets, scores = alone.search(query, selection=everything, limit=10)
    assert 0 < max(verified) < 100
    held = np.isin(whole[0], largest.run.offsets)
    assert offsets.tolist()[: held.sum()] == whole[0][held].tolist()
    assert scores.tolist()[: held.sum()] == whole[1][held].tolist()


def test_columns_take_bounded_memory_and_go_with_their_run() -> None:
    index, _ = frequent_index(8000, seed=2)
    cache = sparse_columns.ColumnCache()
    with patch.object(sparse_columns, "SPAN_MIN", 64), patch.object(sparse_columns, "FREQUENT_RATIO", 8000):
        run = index.view().runs[0].run
        made = [cache.column(run, number) for number in range(len(run.keys))]
        sizes = sum(column.weights.nbytes for column in made if column is not None)
    assert 0 < sizes <= 8 * len(run.offsets) // sparse_columns.SHARE
    assert any(column is None for column in made)


@pytest.mark.parametrize("limit", [1, 2, 5, 300])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_total_that_is_no_number_is_no_hit_and_hides_no_other(limit: int, bad: float) -> None:
    index, count = SparseIndex(), 2000
    weights = {at: {1: 1.0 + at + (at % 64 == 7) * count, 2: 0.5} for at in range(count)}  # One stands out of 64.
    spoiled = {3: {1: bad}, 900: {1: bad, 2: 1.0}, 1999: {2: bad}}
    for start in range(0, count, 500):
        chunk = range(start, start + 500)
        index = index.with_points(
            np.array(chunk, dtype=np.uint32), [vector(spoiled.get(at, weights[at])) for at in chunk]
        )
    offsets, scores = index.view().search(vector({1: 1.0, 2: 1.0}), selection=Selection.of_range(0, count), limit=limit)
    best = sorted({*weights} - {*spoiled}, key=lambda at: -weights[at][1])
    wanted = [*spoiled, *best] if bad == math.inf else best
    assert offsets.tolist() == wanted[:limit]
    assert not np.isnan(scores).any()
