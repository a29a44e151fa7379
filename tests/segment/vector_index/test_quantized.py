"""Quantised codes against the exact twin."""

import gc
from functools import cache
from pathlib import Path

import faiss
import numpy as np
import pytest

from qdrantlite.errors import Corrupted
from qdrantlite.segment.vector_index.exact import MISSING, prepare_query, prepare_rows, scan, score
from qdrantlite.segment.vector_index.hnsw import build
from qdrantlite.segment.vector_index.quantized import (
    BitCodes,
    CodeKind,
    Codes,
    ProductCodes,
    ScalarCodes,
    encode,
    load,
    save,
)
from qdrantlite.segment.vector_index.row_encoding import Rows
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import F32, U32

COUNT = 1200
DIM = 32
FIRST = 30
KINDS: tuple[CodeKind, ...] = (
    ScalarCodes(),
    ScalarCodes(0.99),
    ProductCodes(4),
    BitCodes(1),
    BitCodes(2),
    BitCodes(4),
    BitCodes(8),
)

FLOOR = {kind: 0.8 if kind == BitCodes(1) else 0.95 for kind in KINDS}
"""Recall of 10 among 120 rescored. The rows have no structure, so that one bit of 32 components says little."""

CORRELATION: dict[CodeKind, float] = {BitCodes(1): 0.75, BitCodes(2): 0.92}
"""The best scalar quantiser of a normal distribution reaches 0.80 with one bit and 0.94 with two."""

every_kind = pytest.mark.parametrize("kind", KINDS, ids=repr)
every_distance = pytest.mark.parametrize("distance", [Distance.COSINE, Distance.DOT, Distance.EUCLID])


def make(distance: Distance, datatype: Datatype = Datatype.FLOAT32) -> tuple[Rows, F32]:
    rng = np.random.default_rng(9)
    scale, shift = (40.0, 120.0) if datatype is Datatype.UINT8 else (1.0, 0.0)
    rows = prepare_rows(rng.normal(shift, scale, (COUNT, DIM)), distance, datatype)
    return rows, prepare_query(rng.normal(shift, scale, (20, DIM)), distance, datatype)


def encoded(rows: Rows, kind: CodeKind, distance: Distance) -> Codes:
    return encode(rows, kind, first=FIRST, count=COUNT - FIRST, distance=distance, threads=1)


@cache
def shared(kind: CodeKind, distance: Distance) -> Codes:
    return encoded(make(distance)[0], kind, distance)


def recall(found: U32, rows: Rows, queries: F32, distance: Distance, allowed: U32) -> float:
    mask = np.zeros(COUNT, dtype=np.bool_)
    mask[allowed] = True
    exact, _ = scan(rows, queries, distance=distance, limit=10, selector=np.packbits(mask, bitorder="little"))
    wanted = exact != MISSING
    hits = sum(np.isin(exact[at][wanted[at]], found[at]).sum() for at in range(len(exact)))
    return float(hits / wanted.sum())


@every_distance
@every_kind
def test_oversampled_candidates_are_rescored_exactly(kind: CodeKind, distance: Distance) -> None:
    rows, queries = make(distance)
    codes = shared(kind, distance)
    covered = np.arange(FIRST, COUNT, dtype=np.uint32)
    offsets, scores = codes.search(queries, limit=10, oversampling=12)
    assert recall(offsets, rows, queries, distance, covered) >= FLOOR[kind]
    for at in range(len(queries)):
        np.testing.assert_allclose(scores[at], score(rows, queries[at], offsets[at], distance=distance), rtol=1e-5)
        assert (np.diff(scores[at] if distance.larger_is_better else -scores[at]) <= 0).all()


@every_distance
@every_kind
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3])
def test_nothing_outside_the_selector_is_returned(kind: CodeKind, distance: Distance, share: float) -> None:
    rows, queries = make(distance)
    codes = shared(kind, distance)
    passing = np.random.default_rng(10).random(COUNT - FIRST) < share
    allowed = (np.flatnonzero(passing) + FIRST).astype(np.uint32)
    offsets, _ = codes.search(queries, limit=10, oversampling=12, selector=np.packbits(passing, bitorder="little"))
    found = offsets != MISSING
    assert np.isin(offsets[found], allowed).all()
    assert (found.sum(axis=1) == min(10, len(allowed))).all()
    if len(allowed):
        assert recall(offsets, rows, queries, distance, allowed) >= FLOOR[kind]


@every_kind
def test_estimates_follow_the_exact_scores(kind: CodeKind) -> None:
    """Over all rows, because among the best alone the overestimated ones are overrepresented."""
    for distance in (Distance.COSINE, Distance.DOT, Distance.EUCLID):
        rows, queries = make(distance)
        offsets, estimates = shared(kind, distance).search(queries[:4], limit=COUNT, rescored=False)
        for query, found, estimated in zip(queries, offsets, estimates, strict=False):
            exact = score(rows, query, found, distance=distance)
            assert np.corrcoef(estimated, exact)[0, 1] > CORRELATION.get(kind, 0.95)
            assert abs(float(np.mean(estimated - exact))) < 0.1 * float(np.std(exact))


@every_distance
@every_kind
def test_a_graph_is_walked_along_codes(kind: CodeKind, distance: Distance) -> None:
    rows, queries = make(distance)
    covered = np.arange(FIRST, COUNT, dtype=np.uint32)
    graph = build(rows, covered, m=16, ef_construct=64, distance=distance, threads=1)
    walked = shared(kind, distance).along(graph)
    del graph
    gc.collect()
    offsets, scores = walked.search(queries, limit=10, ef=300, oversampling=12)
    assert recall(offsets, rows, queries, distance, covered) >= FLOOR[kind] - 0.01
    np.testing.assert_allclose(scores[0], score(rows, queries[0], offsets[0], distance=distance), rtol=1e-5)
    passing = np.arange(COUNT - FIRST) % 3 == 0
    narrowed, _ = walked.search(queries, limit=10, ef=300, selector=np.packbits(passing, bitorder="little"))
    assert ((narrowed[narrowed != MISSING] - FIRST) % 3 == 0).all()


@every_kind
@pytest.mark.parametrize("mapped", [False, True])
def test_saved_codes_answer_alike(kind: CodeKind, mapped: bool, tmp_path: Path) -> None:
    rows, queries = make(Distance.EUCLID)
    codes = shared(kind, Distance.EUCLID)
    save(codes, tmp_path / "codes")
    loaded = load(tmp_path / "codes", rows, first=FIRST, distance=Distance.EUCLID, mapped=mapped)
    before, after = (each.search(queries, limit=10, oversampling=3) for each in (codes, loaded))
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])


@every_kind
@pytest.mark.parametrize("mapped", [False, True])
def test_codes_lie_in_memory_or_in_their_file_as_asked(kind: CodeKind, mapped: bool, tmp_path: Path) -> None:
    rows, _ = make(Distance.EUCLID)
    save(shared(kind, Distance.EUCLID), tmp_path / "codes")
    index = load(tmp_path / "codes", rows, first=FIRST, distance=Distance.EUCLID, mapped=mapped).index
    flat = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
    assert flat.codes.is_owned != mapped


@pytest.mark.parametrize("datatype", [Datatype.FLOAT16, Datatype.UINT8])
@every_distance
def test_compact_rows_have_codes_too(datatype: Datatype, distance: Distance) -> None:
    rows, queries = make(distance, datatype)
    offsets, _ = encoded(rows, ScalarCodes(), distance).search(queries, limit=10, oversampling=3)
    assert recall(offsets, rows, queries, distance, np.arange(FIRST, COUNT, dtype=np.uint32)) >= 0.97


def test_codes_are_smaller_than_rows(tmp_path: Path) -> None:
    rows, _ = make(Distance.COSINE)
    sizes = []
    for kind in (ScalarCodes(), ProductCodes(16), BitCodes(1)):
        save(encoded(rows, kind, Distance.COSINE), tmp_path / "codes")
        sizes.append((tmp_path / "codes").stat().st_size / rows.nbytes)
    assert sizes[0] < 0.27
    assert sizes[1] < 0.33
    assert sizes[2] < 0.25


@every_kind
@every_distance
def test_codes_learn_nothing_from_rows_that_nobody_has(kind: CodeKind, distance: Distance) -> None:
    """Zeros among which every fourth row is one give the codes that these give alone."""
    rows, _ = make(distance)
    spread = np.zeros((4 * COUNT, DIM), dtype=rows.dtype)
    linked = np.arange(2, 4 * COUNT, 4, dtype=np.uint32)
    spread[linked] = rows
    alone = encode(rows, kind, first=0, count=COUNT, distance=distance, threads=1).index
    among = encode(spread, kind, first=0, count=4 * COUNT, linked=linked, distance=distance, threads=1).index
    np.testing.assert_array_equal(among.sa_encode(np.float32(rows)), alone.sa_encode(np.float32(rows)))


@pytest.mark.parametrize("dim", [1, 31, 100])
@pytest.mark.parametrize("ratio", [4, 8, 16, 32, 64])
@every_distance
def test_products_compress_as_asked_whatever_the_components(
    ratio: int, dim: int, distance: Distance, tmp_path: Path
) -> None:
    chance = np.random.default_rng(3)
    rows = prepare_rows(chance.normal(size=(400, dim)), distance, Datatype.FLOAT32)
    queries = prepare_query(chance.normal(size=(5, dim)), distance, Datatype.FLOAT32)
    codes = encode(rows, ProductCodes(ratio), first=0, count=400, distance=distance, threads=1)
    assert codes.index.sa_code_size() == -(-dim // (ratio // 4))
    save(codes, tmp_path / "codes")
    loaded = load(tmp_path / "codes", rows, first=0, distance=distance, mapped=True)
    everything = np.packbits(np.ones(400, dtype=np.bool_), bitorder="little")
    for each in (codes, loaded):
        for selector in (None, everything):
            offsets, scores = each.search(queries, limit=10, oversampling=40, selector=selector)
            np.testing.assert_allclose(scores, scan(rows, queries, distance=distance, limit=10)[1], rtol=1e-4)
            assert (offsets != MISSING).all()


@every_distance
def test_single_bits_meet_a_query_as_finely_as_asked(distance: Distance, tmp_path: Path) -> None:
    """One bit of the query says less of the score than four do; eight say what all of it does."""
    rows, queries = make(distance)
    save(shared(BitCodes(1), distance), tmp_path / "codes")
    correlations = []
    for query_bits in (1, 4, 8):
        fresh = encode(
            rows, BitCodes(1), first=FIRST, count=COUNT - FIRST, distance=distance, threads=1, query_bits=query_bits
        )
        loaded = load(tmp_path / "codes", rows, first=FIRST, distance=distance, mapped=True, query_bits=query_bits)
        answers = [each.search(queries, limit=COUNT, rescored=False) for each in (fresh, loaded)]
        np.testing.assert_array_equal(answers[0][0], answers[1][0])
        np.testing.assert_array_equal(answers[0][1], answers[1][1])
        correlations.append(
            np.mean(
                [
                    np.corrcoef(estimated, score(rows, query, found, distance=distance))[0, 1]
                    for query, found, estimated in zip(queries, *answers[0], strict=True)
                ]
            )
        )
    assert correlations[0] < correlations[1] - 0.03
    assert abs(correlations[2] - correlations[1]) < 0.01


@every_distance
def test_single_bits_find_the_same_with_and_without_a_selector(distance: Distance) -> None:
    _, queries = make(distance)
    codes = shared(BitCodes(1), distance)
    everything = np.packbits(np.ones(codes.count, dtype=np.bool_), bitorder="little")
    plain, selected = (
        codes.search(queries, limit=10, selector=selector, rescored=False) for selector in (None, everything)
    )
    np.testing.assert_array_equal(plain[0], selected[0])
    np.testing.assert_array_equal(plain[1], selected[1])


@pytest.mark.parametrize("query", [np.zeros(DIM), np.full(DIM, 2.0), np.eye(DIM)[3]], ids=["zero", "even", "one"])
@every_distance
def test_a_query_without_a_range_has_finite_estimates(distance: Distance, query: F32) -> None:
    _, estimates = shared(BitCodes(1), distance).search(query[np.newaxis].astype(np.float32), limit=5, rescored=False)
    assert np.isfinite(estimates).all()


def test_a_quantile_leaves_out_wild_values_and_nothing_else() -> None:
    """It cuts where a few rows would stretch the range beyond use, not where the values at its ends are ordinary."""
    tame, queries = make(Distance.EUCLID)
    wild = np.array(tame, dtype=np.float32)
    wild[100:104] *= 1e5
    covered = np.arange(FIRST, COUNT, dtype=np.uint32)
    recalls = {
        (name, quantile): recall(
            encoded(rows, ScalarCodes(quantile), Distance.EUCLID).search(queries, limit=10, rescored=False)[0],
            *(rows, queries, Distance.EUCLID, covered),
        )
        for name, rows in (("tame", tame), ("wild", wild))
        for quantile in (None, 0.99, 0.9)
    }
    assert recalls["tame", 0.99] == recalls["tame", 0.9] == recalls["tame", None] > 0.95
    assert recalls["wild", None] < 0.2
    assert recalls["wild", 0.99] > 0.85


@every_kind
def test_a_row_that_is_not_finite_leaves_the_others_findable(kind: CodeKind) -> None:
    rows, queries = make(Distance.DOT)
    spoiled = np.array(rows, dtype=np.float32)
    spoiled[[50, 500]] = np.nan
    offsets, scores = encoded(spoiled, kind, Distance.DOT).search(queries, limit=10, oversampling=12)
    assert np.isfinite(scores).all()
    others = np.setdiff1d(np.arange(FIRST, COUNT), [50, 500]).astype(np.uint32)
    assert recall(offsets, rows, queries, Distance.DOT, others) >= FLOOR[kind]


def test_codes_saved_with_a_dense_rotation_are_read_as_they_are(tmp_path: Path) -> None:
    rows, queries = make(Distance.EUCLID)
    rotation = faiss.RandomRotationMatrix(DIM, DIM)
    rotation.init(7)
    index = faiss.IndexPreTransform(rotation, faiss.IndexRaBitQ(DIM, faiss.METRIC_L2, 1))
    covered = np.asarray(rows[FIRST:], dtype=np.float32)
    index.train(covered)
    index.add(covered)
    faiss.write_index(index, str(tmp_path / "codes"))
    loaded = load(tmp_path / "codes", rows, first=FIRST, distance=Distance.EUCLID, mapped=True)
    offsets, _ = loaded.search(queries, limit=10, oversampling=12)
    assert recall(offsets, rows, queries, Distance.EUCLID, np.arange(FIRST, COUNT, dtype=np.uint32)) >= 0.8


@pytest.mark.parametrize("bits", [1, 4])
def test_bits_of_long_vectors_cost_in_proportion_to_their_length(bits: int, tmp_path: Path) -> None:
    """A dense rotation would be 64 MiB in the file, and its making would take half a minute."""
    rows = prepare_rows(np.random.default_rng(3).normal(size=(20, 4096)), Distance.COSINE, Datatype.FLOAT32)
    codes = encode(rows, BitCodes(bits), first=0, count=20, distance=Distance.COSINE, threads=1)
    save(codes, tmp_path / "codes")
    assert (tmp_path / "codes").stat().st_size < 20 * (4096 * bits // 8 + 64) + 4 * 4096 * 8
    offsets, _ = codes.search(np.asarray(rows[:5], dtype=np.float32), limit=1, rescored=False)
    assert offsets[:, 0].tolist() == list(range(5))


def test_a_file_that_holds_no_fitting_codes_is_corrupted(tmp_path: Path) -> None:
    rows, _ = make(Distance.EUCLID)
    path = tmp_path / "codes"
    save(encoded(rows, ScalarCodes(), Distance.EUCLID), path)
    with pytest.raises(Corrupted, match="do not fit"):
        load(path, rows[:200], first=FIRST, distance=Distance.EUCLID, mapped=False)
    with pytest.raises(Corrupted, match="do not fit"):
        load(path, rows, first=FIRST, distance=Distance.DOT, mapped=False)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(Corrupted):
        load(path, rows, first=FIRST, distance=Distance.EUCLID, mapped=False)
