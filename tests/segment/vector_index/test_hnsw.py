"""The graph against its exact twin."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from qdrantlite.errors import Corrupted
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index import graph_codes
from qdrantlite.segment.vector_index.exact import MISSING, Bitmap, prepare_query, prepare_rows, scan
from qdrantlite.segment.vector_index.hnsw import Graph, build, extend, load, save
from qdrantlite.segment.vector_index.preconditions import BATCH_ROWS
from qdrantlite.segment.vector_index.row_encoding import Rows
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import F32, U32

COUNT = 1500
DIM = 16
FIRST = 20


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    rows: Rows
    queries: F32
    offsets: U32
    distance: Distance
    graph: Graph


def make(distance: Distance, datatype: Datatype, *, share: float = 0.9) -> Case:
    rng = np.random.default_rng(5)
    scale, shift = (40.0, 120.0) if datatype is Datatype.UINT8 else (1.0, 0.0)
    rows = prepare_rows(rng.normal(shift, scale, (COUNT, DIM)), distance, datatype)
    queries = prepare_query(rng.normal(shift, scale, (30, DIM)), distance, datatype)
    chosen = rng.random(COUNT) < share
    chosen[:FIRST] = False
    offsets = np.flatnonzero(chosen).astype(np.uint32)
    return Case(rows, queries, offsets, distance, build_over(rows, offsets, distance))


def build_over(rows: Rows, offsets: U32, distance: Distance) -> Graph:
    return build(rows, offsets, m=16, ef_construct=64, distance=distance, threads=1)


def bitmap(offsets: U32, graph: Graph) -> Bitmap:
    mask = np.zeros(graph.count, dtype=np.bool_)
    mask[offsets - graph.first] = True
    return np.packbits(mask, bitorder="little")


def recall(found: U32, case: Case, allowed: U32, limit: int) -> float:
    mask = np.zeros(len(case.rows), dtype=np.bool_)
    mask[allowed] = True
    selector = np.packbits(mask, bitorder="little")
    exact, _ = scan(case.rows, case.queries, distance=case.distance, limit=limit, selector=selector)
    wanted = exact != MISSING
    hits = sum(np.isin(exact[at][wanted[at]], found[at]).sum() for at in range(len(exact)))
    return float(hits / wanted.sum())


every_kind = pytest.mark.parametrize(
    "kind",
    [
        (distance, datatype)
        for distance in Distance
        for datatype in (Datatype.FLOAT32, Datatype.FLOAT16, Datatype.UINT8)
    ],
    ids=lambda kind: f"{kind[0].value}-{kind[1].value}",
)


@pytest.fixture(scope="module")
def cases() -> dict[tuple[Distance, Datatype], Case]:
    return {}


@pytest.fixture
def case(kind: tuple[Distance, Datatype], cases: dict[tuple[Distance, Datatype], Case]) -> Case:
    if kind not in cases:
        cases[kind] = make(*kind)
    return cases[kind]


@every_kind
def test_search_finds_the_nearest_with_exact_scores(case: Case) -> None:
    offsets, scores = case.graph.search(case.queries, limit=10, ef=128)
    assert np.isin(offsets, case.offsets).all()
    assert recall(offsets, case, case.offsets, 10) >= 0.97
    for at in range(len(case.queries)):
        exact, expected = scan(case.rows, case.queries[at : at + 1], distance=case.distance, limit=COUNT)
        by_offset = dict(zip(exact[0].tolist(), expected[0].tolist(), strict=True))
        np.testing.assert_allclose(scores[at], [by_offset[offset] for offset in offsets[at].tolist()], rtol=1e-4)
        order = scores[at] if case.distance.larger_is_better else -scores[at]
        assert (np.diff(order) <= 0).all()


@every_kind
@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.05, 0.5, 1.0])
def test_nothing_outside_the_selector_is_returned(case: Case, share: float) -> None:
    passing = case.offsets[np.random.default_rng(6).random(len(case.offsets)) < share]
    selector = bitmap(passing, case.graph)
    ef = COUNT if share < 0.5 else 200
    offsets, scores = case.graph.search(case.queries, limit=10, ef=ef, selector=selector)
    found = offsets != MISSING
    assert np.isin(offsets[found], passing).all()
    assert np.isinf(scores[~found]).all()
    if len(passing):
        assert recall(offsets, case, passing, 10) >= 0.97


@every_kind
def test_saved_graph_answers_alike_and_carries_no_rows_it_can_read_elsewhere(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "graph"
    save(case.graph, path)
    loaded = load(path, case.rows, first=case.graph.first, distance=case.distance)
    assert (loaded.count, loaded.first) == (case.graph.count, case.graph.first)
    np.testing.assert_array_equal(loaded.holes(), case.graph.holes())
    selector = bitmap(case.offsets[::3], loaded)
    for limit, chosen in ((10, None), (5, selector)):
        before = case.graph.search(case.queries, limit=limit, ef=64, selector=chosen)
        after = loaded.search(case.queries, limit=limit, ef=64, selector=chosen)
        np.testing.assert_array_equal(before[0], after[0])
        np.testing.assert_array_equal(before[1], after[1])
    if case.rows.dtype == np.float32:
        assert path.stat().st_size < COUNT * (8 * 16 + 64)


@every_kind
def test_offsets_left_out_are_holes(case: Case) -> None:
    first, last = int(case.offsets[0]), int(case.offsets[-1])
    expected = np.setdiff1d(np.arange(first, last + 1), case.offsets)
    assert case.graph.holes().tolist() == expected.tolist()
    everything, _ = case.graph.search(case.queries, limit=COUNT, ef=COUNT)
    assert np.isin(everything[everything != MISSING], case.offsets).all()


def test_graph_reads_rows_from_a_read_only_file(tmp_path: Path) -> None:
    case = make(Distance.COSINE, Datatype.FLOAT16)
    save(case.graph, tmp_path / "graph")
    path = tmp_path / "rows"
    path.write_bytes(b"\0" * 4096 + case.rows.tobytes())
    mapped: Rows = np.memmap(path, dtype=np.float16, mode="r", offset=4096, shape=case.rows.shape)
    graph = load(tmp_path / "graph", mapped, first=case.graph.first, distance=case.distance)
    found = graph.search(case.queries, limit=10, ef=64)
    np.testing.assert_array_equal(found[0], case.graph.search(case.queries, limit=10, ef=64)[0])


@pytest.mark.parametrize("longer", [1.0, 1.05, 3.0])
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_rows_under_dot_are_linked_to_those_before_unless_they_are_much_longer(shift: float, longer: float) -> None:
    """Those that point one way are linked by how much shorter they are than the longest."""
    rng = np.random.default_rng(12)
    rows = (rng.normal(shift, 1.0, (COUNT, DIM)) * rng.uniform(0.5, 1.0, (COUNT, 1))).astype(np.float32)
    rows[1000:] *= np.float32(longer)
    queries, everything = rng.normal(shift, 1.0, (50, DIM)).astype(np.float32), np.arange(COUNT, dtype=np.uint32)
    told: list[tuple[int, int]] = []
    base = build_over(rows[:1000], everything[:1000], Distance.DOT)
    grown = extend(*(base, rows, everything[1000:]), ef_construct=64, threads=1, progress=lambda *at: told.append(at))
    anew = shift > 0 and longer > 2
    assert told[-1] == ((COUNT, COUNT) if anew else (COUNT - 1000, COUNT - 1000))
    case = Case(rows, queries, everything, Distance.DOT, grown)
    assert recall(grown.search(queries, limit=10, ef=128)[0], case, everything, 10) >= 0.97
    passing = everything[rng.random(COUNT) < 0.05]
    grown_finds, built_finds = (
        recall(each.search(queries, limit=10, ef=128, selector=bitmap(passing, each))[0], case, passing, 10)
        for each in (grown, build_over(rows, everything, Distance.DOT))
    )
    assert grown_finds >= built_finds - 0.02


def test_progress_is_told_and_abandons_a_build() -> None:
    rows = prepare_rows(np.random.default_rng(7).normal(size=(BATCH_ROWS + 10, 4)), Distance.DOT, Datatype.FLOAT32)
    offsets = np.arange(len(rows), dtype=np.uint32)
    told: list[tuple[int, int]] = []
    build(rows, offsets, m=4, ef_construct=8, distance=Distance.DOT, threads=2, progress=lambda *at: told.append(at))
    assert told == [(BATCH_ROWS, len(rows)), (len(rows), len(rows))]

    def refuse(done: int, total: int) -> None:
        raise InterruptedError(f"{done} of {total}")

    with pytest.raises(InterruptedError):
        build(rows, offsets, m=4, ef_construct=8, distance=Distance.DOT, threads=1, progress=refuse)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 3e38])
def test_rows_that_are_not_finite_become_holes(bad: float) -> None:
    case = make(Distance.DOT, Datatype.FLOAT32, share=1.0)
    rows = np.array(case.rows, dtype=np.float32)
    rows[100::50] = bad
    graph = build_over(rows, case.offsets, Distance.DOT)
    assert graph.holes().tolist() == list(range(100, COUNT, 50))
    offsets, scores = graph.search(case.queries, limit=10, ef=128)
    assert np.isfinite(scores).all()
    assert not np.isin(offsets, graph.holes()).any()
    graph.search(np.full((1, DIM), np.nan, dtype=np.float32), limit=10, ef=64)


def test_a_graph_without_a_single_finite_row_finds_nothing() -> None:
    rows = np.full((5, 3), np.nan, dtype=np.float32)
    graph = build_over(rows, np.arange(5, dtype=np.uint32), Distance.EUCLID)
    offsets, scores = graph.search(np.zeros((2, 3), dtype=np.float32), limit=4, ef=8)
    assert (offsets == MISSING).all()
    assert (scores == np.inf).all()


def test_one_row_is_found() -> None:
    rows = np.ones((3, 2), dtype=np.float32)
    graph = build_over(rows, np.array([2], dtype=np.uint32), Distance.EUCLID)
    assert graph.holes().tolist() == []
    offsets, scores = graph.search(np.zeros((1, 2), dtype=np.float32), limit=10, ef=8)
    assert offsets.tolist() == [[2]]
    np.testing.assert_allclose(scores, [[np.sqrt(2)]])


def test_searches_in_many_threads_answer_alike() -> None:
    case = make(Distance.COSINE, Datatype.FLOAT32)
    selector = bitmap(case.offsets[::2], case.graph)

    def search(at: int) -> list[int]:
        found, _ = case.graph.search(case.queries[at : at + 1], limit=10, ef=64, selector=selector)
        return [int(offset) for offset in found[0]]

    alone = [search(at) for at in range(len(case.queries))]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(search, list(range(len(case.queries))) * 10)) == alone * 10


def test_sifting_knows_whether_enough_of_the_nearest_pass() -> None:
    case = make(Distance.EUCLID, Datatype.FLOAT32, share=1.0)
    query = case.queries[:1]
    by_distance, _ = scan(case.rows[FIRST:], query, distance=case.distance, limit=COUNT, start=FIRST)
    near, far = Selection.from_offsets(by_distance[0, 5:25]), Selection.from_offsets(by_distance[0, -100:])
    found, _, sure = case.graph.sift(query, limit=10, ef=64, passes=near.contains)
    assert sure.tolist() == [True]
    np.testing.assert_array_equal(np.sort(found[0]), np.sort(by_distance[0, 5:15]))
    found, scores, sure = case.graph.sift(query, limit=10, ef=64, passes=far.contains)
    assert sure.tolist() == [False]
    assert (found == MISSING).all()
    assert np.isinf(scores).all()
    found, _, sure = case.graph.sift(query, limit=10, ef=COUNT, passes=far.contains)
    assert sure.tolist() == [True]
    np.testing.assert_array_equal(np.sort(found[0]), np.sort(by_distance[0, -100:-90]))


def test_codes_too_coarse_for_tight_clusters_are_refused() -> None:
    rng = np.random.default_rng(8)
    spread = rng.normal(size=(2000, 32)).astype(np.float32)
    centres = rng.normal(size=(20, 32))
    tight = (centres[rng.integers(0, 20, 2000)] + 0.001 * rng.normal(size=(2000, 32))).astype(np.float32)
    offsets = np.arange(2000, dtype=np.uint32)
    assert graph_codes.choose_codes(spread, offsets, Distance.EUCLID).code_size == 32
    assert graph_codes.choose_codes(tight, offsets, Distance.EUCLID).code_size > 32


def test_a_file_that_is_no_graph_is_corrupted(tmp_path: Path) -> None:
    case = make(Distance.EUCLID, Datatype.FLOAT32)
    path = tmp_path / "graph"
    save(case.graph, path)
    whole = path.read_bytes()
    with pytest.raises(Corrupted, match="does not fit"):
        load(path, case.rows[:100], first=case.graph.first, distance=case.distance)
    for content in (b"", b"nonsense", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(Corrupted):
            load(path, case.rows, first=case.graph.first, distance=case.distance)
