"""Sealed segments: walks judged by whether they can be trusted, codes used as asked."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.sealed import Coding, GraphParams, Refinement, SealedSegment, encode, extend, seal
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.quantized import BitCodes, CodeKind, ProductCodes, ScalarCodes
from qdrantlite.storage.vacant import ranges_of
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import F32, U32

COUNT, DIM, LIMIT, EF = 4000, 24, 10, 100
PARAMS = GraphParams(16, 100)


@cache
def rows() -> F32:
    values = np.random.default_rng(6).normal(size=(COUNT, DIM)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return values


@cache
def segment() -> SealedSegment:
    return seal(rows(), Selection.of_range(0, COUNT), distance=Distance.COSINE, params=PARAMS, threads=1)


def view(sealed: SealedSegment) -> DenseView:
    return DenseView(rows(), Distance.COSINE, Datatype.FLOAT32, None, (sealed,), verify=lambda _: None)


def passing(kind: str, share: float, query: F32) -> Selection:
    near = np.argsort(-(rows() @ query), kind="stable")
    wanted = round(share * COUNT)
    chosen: U32
    match kind:
        case "random":
            chosen = np.random.default_rng(7).permutation(COUNT)[:wanted].astype(np.uint32)
        case "correlated":
            chosen = near[:wanted].astype(np.uint32)
        case _:
            chosen = near[-wanted:].astype(np.uint32)
    return Selection.from_offsets(chosen)


@pytest.mark.parametrize("kind", ["random", "correlated", "anti"])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
def test_what_is_sure_after_a_walk_is_what_there_is(kind: str, share: float) -> None:
    """The beam is that of the search without a filter: too narrow for few passing points, and known to be."""
    dense, trusted = view(segment()), 0
    for query in rows()[:40] + np.float32(0.02):
        selection = passing(kind, share, query)
        found, scores, sure = dense.sift(query, limit=LIMIT, ef=EF, selection=selection)
        assert selection.contains(found).all()
        np.testing.assert_allclose(scores, dense.score(query, found), rtol=1e-5)
        exact, _ = dense.scan(query, limit=LIMIT, selection=selection)
        recall = len(np.intersect1d(found, exact)) / len(exact)
        if sure[0]:
            trusted += 1
            assert len(found) == len(exact)
            assert recall >= 0.8
    if kind == "anti":
        assert trusted == 0
    elif share == 0.9:
        assert trusted > 30


def test_queries_sifted_together_find_what_each_finds_alone() -> None:
    dense, selection = view(segment()), Selection.of_range(0, COUNT // 2)
    queries = rows()[:8] + np.float32(0.02)
    together = dense.sift(queries, limit=LIMIT, ef=EF, selection=selection)
    for at, query in enumerate(queries):
        found, _, sure = dense.sift(query, limit=LIMIT, ef=EF, selection=selection)
        assert together[2][at] == sure[0]
        np.testing.assert_array_equal(together[0][at][: len(found)], found)


def test_vacant_rows_count_neither_behind_a_graph_nor_beside_it() -> None:
    whole = seal(rows(), Selection.of_range(100, 300), distance=Distance.COSINE, params=GraphParams(8, 32), threads=1)
    dense = replace(
        view(whole), vacant=ranges_of([(50, 150), (290, 310), (380, 390)]), present=Selection.of_range(150, 290)
    )
    assert dense.unsealed == ((0, 50), (310, 380), (390, COUNT))
    assert dense.rows_sealed == (140,)
    assert dense.rows_held == sum(dense.rows_sealed) + sum(stop - start for start, stop in dense.unsealed)


@pytest.mark.parametrize("kind", [ScalarCodes(), BitCodes(1)])
def test_a_sift_along_codes_scores_from_the_rows(kind: CodeKind) -> None:
    coded = view(encode(segment(), Coding(kind, in_memory=True), threads=1))
    selection = Selection.of_range(0, COUNT // 2)
    for query in rows()[:10] + np.float32(0.02):
        found, scores, _ = coded.sift(
            query, limit=LIMIT, ef=EF, selection=selection, refinement=Refinement(rescored=True)
        )
        np.testing.assert_allclose(scores, coded.score(query, found), rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "exact"),
    [
        (ScalarCodes(), False),
        (ProductCodes(4), False),
        (BitCodes(1), True),
        (BitCodes(2), True),
        (BitCodes(4), False),
        (BitCodes(8), False),
    ],
    ids=repr,
)
def test_only_the_coarsest_codes_are_rescored_unasked(kind: CodeKind, exact: bool) -> None:
    """Whether asked with nothing or with oversampling alone: as the reference engine does."""
    coded = view(encode(segment(), Coding(kind, in_memory=True), threads=1))
    query = rows()[17] + np.float32(0.02)
    for refinement in (Refinement(), Refinement(oversampling=3.0)):
        found, scores = coded.walk(query, limit=LIMIT, ef=EF, refinement=refinement)
        assert np.allclose(scores, coded.score(query, found), rtol=1e-5) == exact
        found, scores, _ = coded.sift(
            query, limit=LIMIT, ef=4 * EF, selection=Selection.of_range(0, COUNT // 2), refinement=refinement
        )
        assert np.allclose(scores, coded.score(query, found), rtol=1e-5) == exact


def test_queries_are_met_by_single_bits_as_finely_as_asked() -> None:
    """The more of a query is kept, the nearer estimates are to the scores, and the more is found."""
    errors, recalls = [], []
    for query_bits in (1, 4, 8):
        coded = view(encode(segment(), Coding(BitCodes(1), in_memory=True, query_bits=query_bits), threads=1))
        error, hits = 0.0, 0
        for query in rows()[:50] + np.float32(0.02):
            exact, _ = coded.scan(query, limit=LIMIT)
            found, scores = coded.walk(query, limit=LIMIT, ef=EF, refinement=Refinement(rescored=False))
            error += float(np.mean(np.abs(scores - coded.score(query, found))))
            found, _ = coded.walk(query, limit=LIMIT, ef=EF // 2)
            hits += len(np.intersect1d(found, exact))
        errors.append(error)
        recalls.append(hits / (50 * LIMIT))
    assert errors[0] > 1.1 * errors[1]
    assert errors[1] > 0.99 * errors[2]
    assert recalls[0] < recalls[1] - 0.05
    assert recalls[2] >= recalls[1] - 0.01


def test_a_beam_along_single_bits_of_few_components_recalls_what_a_beam_along_rows_does() -> None:
    coded, plain = view(encode(segment(), Coding(BitCodes(1), in_memory=True), threads=1)), view(segment())
    hits = 0
    for query in rows()[:50] + np.float32(0.02):
        exact, _ = plain.walk(query, limit=LIMIT, ef=EF)
        hits += len(np.intersect1d(coded.walk(query, limit=LIMIT, ef=EF)[0], exact))
    assert hits >= 0.9 * 50 * LIMIT


@pytest.mark.parametrize("kind", [ScalarCodes(), ProductCodes(64), BitCodes(1), BitCodes(2)], ids=repr)
def test_oversampling_finds_more_and_never_less(kind: CodeKind) -> None:
    """One that is smaller than what is rescored unasked changes nothing; a larger one reaches beyond the beam."""
    coded = view(encode(segment(), Coding(kind, in_memory=True), threads=1))
    hits = []
    for oversampling in (None, 1.0, 100.0):
        refinement, found = Refinement(rescored=True, oversampling=oversampling), 0
        for query in rows()[:50] + np.float32(0.02):
            exact, _ = coded.scan(query, limit=LIMIT)
            found += len(np.intersect1d(coded.walk(query, limit=LIMIT, ef=EF // 4, refinement=refinement)[0], exact))
        hits.append(found / (50 * LIMIT))
    assert hits[1] == hits[0]
    assert hits[2] >= max(0.9, hits[0])


def test_codes_are_used_ignored_and_rescored_as_asked() -> None:
    coded = encode(segment(), Coding(BitCodes(1), in_memory=True), threads=1)
    query = rows()[17]
    exact, scores = view(coded).scan(query, limit=LIMIT)
    for refinement, true_scores in (
        (Refinement(), True),
        (Refinement(rescored=True), True),
        (Refinement(ignore=True, rescored=False), True),
        (Refinement(rescored=False), False),
    ):
        found, told = view(coded).walk(query, limit=LIMIT, ef=EF, refinement=refinement)
        assert np.allclose(told, rows()[found] @ query, atol=1e-5) == true_scores
        if refinement.ignore:
            np.testing.assert_array_equal(found, exact)
            np.testing.assert_allclose(told, scores, rtol=1e-5)


def test_bytes_recall_nearly_as_the_rows_do() -> None:
    coded = view(encode(segment(), Coding(ScalarCodes(0.99), in_memory=True), threads=1))
    hits = 0
    for query in rows()[:50] + np.float32(0.02):
        exact, _ = coded.scan(query, limit=LIMIT)
        found, _ = coded.walk(query, limit=LIMIT, ef=2 * EF, refinement=Refinement(rescored=True))
        hits += len(np.intersect1d(found, exact))
    assert hits >= 0.97 * 50 * LIMIT


def test_a_newer_mapping_of_the_rows_changes_no_answer() -> None:
    coded = encode(segment(), Coding(ScalarCodes(), in_memory=True), threads=1)
    moved = coded.over(rows().copy())
    assert moved.coding == coded.coding
    for refinement in (Refinement(), Refinement(ignore=True)):
        before, after = (
            each.walk(rows()[:3], limit=LIMIT, ef=EF, passing=None, refinement=refinement) for each in (coded, moved)
        )
        np.testing.assert_array_equal(before[0], after[0])
        np.testing.assert_allclose(before[1], after[1], rtol=1e-6)


def test_extending_leaves_codes_behind() -> None:
    short = seal(rows(), Selection.of_range(0, 1000), distance=Distance.COSINE, params=PARAMS, threads=1)
    coded = encode(short, Coding(ScalarCodes(), in_memory=True), threads=1)
    longer = extend(coded, rows(), Selection.of_range(0, 1500), threads=1)
    assert longer.coding is None
    assert (longer.first, longer.stop, longer.linked) == (0, 1500, 1500)
