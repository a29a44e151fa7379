"""Pruned graphs: nothing dead is found, everything living is, and as well as along a graph built anew."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdrantlite.segment.vector_index import graph_core, graph_heal, graph_prune, hnsw
from qdrantlite.segment.vector_index.exact import MISSING, prepare_query, prepare_rows, subset
from qdrantlite.segment.vector_index.graph_links import Layer
from qdrantlite.segment.vector_index.graph_prune import prune
from qdrantlite.segment.vector_index.hnsw import Graph, Progress
from qdrantlite.segment.vector_index.row_encoding import Rows
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import F32, U32

COUNT, DIM, FIRST = 1500, 16, 20
SAMPLE = Path(__file__).parents[3] / "examples" / "debian-packages" / "vectors.npz"

every_kind = pytest.mark.parametrize(
    "kind",
    [(distance, datatype) for distance in Distance for datatype in Datatype],
    ids=lambda kind: f"{kind[0].value}-{kind[1].value}",
)


def offsets_of(chosen: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> U32:
    return np.flatnonzero(chosen).astype(np.uint32)


def made(kind: tuple[Distance, Datatype]) -> tuple[Rows, F32, U32]:
    """Rows, queries, and the offsets to link, which leave some out."""
    chance = np.random.default_rng(5)
    scale, shift = (40.0, 120.0) if kind[1] is Datatype.UINT8 else (1.0, 0.0)
    rows = prepare_rows(chance.normal(shift, scale, (COUNT, DIM)), *kind)
    queries = prepare_query(chance.normal(shift, scale, (100, DIM)), *kind)
    chosen = chance.random(COUNT) < 0.9
    chosen[:FIRST] = False
    return rows, queries, offsets_of(chosen)


def built(rows: Rows, offsets: U32, distance: Distance, m: int = 16) -> Graph:
    return hnsw.build(rows, offsets, m=m, ef_construct=64, distance=distance, threads=1)


def pruned(graph: Graph, living: U32, progress: Progress | None = None) -> Graph | None:
    """In the numbers that it had."""
    first, count = graph.first, graph.count
    return prune(
        *(graph, living), rows=graph.rows, offsets=living, first=first, count=count, threads=1, progress=progress
    )


def renumbered(graph: Graph, living: U32) -> Graph | None:
    """Its living rows copied one after the other, behind seven others."""
    rows = graph.rows[np.concatenate((np.arange(7), living.astype(np.int64)))]
    offsets = np.arange(7, 7 + len(living), dtype=np.uint32)
    return prune(graph, living, rows=rows, offsets=offsets, first=7, count=len(living), threads=1)


def recall(graph: Graph, queries: F32, living: U32, ef: int) -> float:
    exact, _ = subset(graph.rows, queries, living, distance=graph.distance, limit=10)
    found, _ = graph.search(queries, limit=10, ef=ef)
    return float(np.mean([np.isin(right, near).mean() for right, near in zip(exact, found, strict=True)]))


def assert_finds_all_of(graph: Graph, living: U32) -> None:
    """Whatever the query, a beam over everything meets all that lives, and nothing else."""
    queries = np.asarray(graph.rows[living[:: max(1, len(living) // 5)]], dtype=np.float32)
    found, _ = graph.search(queries, limit=graph.count, ef=graph.count)
    for each in found:
        assert np.array_equal(np.sort(each[each != MISSING]), living)
    assert np.array_equal(graph.holes(), np.setdiff1d(np.arange(graph.first, graph.first + graph.count), living))


@every_kind
def test_everything_that_lives_is_found_as_along_a_new_graph(kind: tuple[Distance, Datatype]) -> None:
    rows, queries, offsets = made(kind)
    graph = built(rows, offsets, kind[0])
    living = offsets[np.random.default_rng(6).random(len(offsets)) >= 0.3]
    healed = pruned(graph, living)
    assert healed is not None
    assert (healed.first, healed.count) == (graph.first, graph.count)
    assert_finds_all_of(healed, living)
    anew = built(rows, living, kind[0])
    for ef in (32, 64):
        assert recall(healed, queries, living, ef) >= recall(anew, queries, living, ef) - 0.01


@every_kind
def test_other_numbers_change_no_answer(kind: tuple[Distance, Datatype], tmp_path: Path) -> None:
    rows, queries, offsets = made(kind)
    hnsw.save(built(rows, offsets, kind[0]), tmp_path / "base")
    graph = hnsw.load(tmp_path / "base", rows, first=FIRST, distance=kind[0])
    living = offsets[offsets % 3 != 0]
    same, other = pruned(graph, living), renumbered(graph, living)
    assert same is not None
    assert other is not None
    hnsw.save(other, tmp_path / "graph")
    loaded = hnsw.load(tmp_path / "graph", other.rows, first=7, distance=kind[0])
    before, scores = same.search(queries, limit=10, ef=64)
    for each in (other, loaded):
        after, near = each.search(queries, limit=10, ef=64)
        assert np.array_equal(living[after - 7], before)
        assert np.array_equal(near, scores)
        assert_finds_all_of(each, np.arange(7, 7 + len(living), dtype=np.uint32))


def clusters(tight: float) -> tuple[F32, "np.ndarray[tuple[int], np.dtype[np.int64]]"]:
    chance = np.random.default_rng(8)
    cluster = chance.integers(0, 30, COUNT)
    centres = chance.normal(size=(30, DIM))
    return (centres[cluster] + tight * chance.normal(size=(COUNT, DIM))).astype(np.float32), cluster


@pytest.mark.parametrize("tight", [0.3, 0.01])
@pytest.mark.parametrize("gone", [1, 10, 29])
def test_whole_clusters_may_die(tight: float, gone: int) -> None:
    rows, cluster = clusters(tight)
    graph = built(rows, np.arange(COUNT, dtype=np.uint32), Distance.EUCLID, m=8)
    living = offsets_of(cluster >= gone)
    healed = pruned(graph, living)
    assert healed is not None
    assert_finds_all_of(healed, living)
    assert recall(healed, rows[living[::20]] + np.float32(0.01), living, 64) >= 0.98


def test_the_highest_nodes_may_die_and_one_may_stay() -> None:
    rows, _, offsets = made((Distance.EUCLID, Datatype.FLOAT32))
    graph = built(rows, offsets, Distance.EUCLID)
    low = offsets[graph.links.levels[offsets - graph.first] == 1]
    for living in (low, low[:2], low[-1:]):
        healed = pruned(graph, living)
        assert healed is not None
        assert_finds_all_of(healed, living)


def test_what_cannot_be_linked_stays_apart_and_does_not_come_back() -> None:
    rows = np.array(made((Distance.DOT, Datatype.FLOAT32))[0], dtype=np.float32)
    rows[100::50] = np.nan
    everything = np.arange(COUNT, dtype=np.uint32)
    healed = pruned(built(rows, everything, Distance.DOT), everything[200:])
    assert healed is not None
    assert_finds_all_of(healed, np.setdiff1d(everything[200:], np.arange(100, COUNT, 50)).astype(np.uint32))
    assert pruned(healed, np.array([250, 300], dtype=np.uint32)) is None
    assert pruned(healed, np.array([], dtype=np.uint32)) is None


@pytest.mark.parametrize("equal", [False, True])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shares=st.lists(st.floats(0.0, 0.6), min_size=1, max_size=5))
def test_rounds_of_growing_and_pruning_lose_nothing(equal: bool, seed: int, shares: list[float]) -> None:
    """Few components and small whole numbers make many rows alike, which graphs link worst."""
    chance = np.random.default_rng(seed)
    rows = chance.normal(size=(80 * (len(shares) + 1), 3)).astype(np.float32)
    if equal:
        rows = np.round(rows).astype(np.float32)
    living = np.arange(80, dtype=np.uint32)
    graph = built(rows, living, Distance.EUCLID, m=4)
    for at, share in enumerate(shares, 1):
        new = np.arange(80 * at, 80 * (at + 1), dtype=np.uint32)
        grown = hnsw.extend(graph, rows, new, ef_construct=64, threads=1)
        living = np.concatenate((living, new))
        living = living[chance.random(len(living)) >= share]
        healed = pruned(grown, living)
        if healed is None:
            healed = built(rows, living, Distance.EUCLID, m=4)
        else:
            assert_finds_all_of(healed, living)
        graph = healed


def test_a_graph_that_falls_apart_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = clusters(0.001)
    graph = built(rows, np.arange(COUNT, dtype=np.uint32), Distance.EUCLID, m=2)
    monkeypatch.setattr(graph_core, "STRAYS_FEW", 0)
    monkeypatch.setattr(graph_core, "STRAYS_SHARE", 0.0)
    assert pruned(graph, np.arange(0, COUNT, 2, dtype=np.uint32)) is None


def test_a_graph_whose_oldest_died_is_built_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = clusters(0.3)
    graph = built(rows, np.arange(COUNT, dtype=np.uint32), Distance.EUCLID)
    youngest = np.arange(COUNT // 10, COUNT, dtype=np.uint32)
    assert pruned(graph, youngest) is not None, "it is small"
    monkeypatch.setattr(graph_prune, "FAR_FROM", COUNT)
    assert pruned(graph, youngest) is None
    old = COUNT // 10
    healed = pruned(graph, np.arange(6 * old // 10, COUNT, dtype=np.uint32))
    assert healed is not None
    healed = pruned(healed, np.arange(8 * old // 10, COUNT, dtype=np.uint32))
    assert healed is not None, "those that died before are not counted among its oldest"


def test_embeddings_are_found_as_along_a_new_graph() -> None:
    rows = np.load(SAMPLE)["dense"].astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    queries, chance = rows[-400:], np.random.default_rng(4)
    living = offsets_of(chance.random(len(rows) - 400) >= 0.3)
    healed = pruned(built(rows, np.arange(len(rows) - 400, dtype=np.uint32), Distance.COSINE), living)
    assert healed is not None
    anew = built(rows, living, Distance.COSINE)
    assert recall(healed, queries, living, 64) >= recall(anew, queries, living, 64) - 0.01


def test_rows_far_from_all_others_are_still_found() -> None:
    """None of the others would choose them in the place of a dead one."""
    chance = np.random.default_rng(9)
    rows = chance.normal(size=(4000, DIM)).astype(np.float32)
    rows[::10] *= 8
    living = offsets_of(chance.random(len(rows)) >= 0.4)
    healed = pruned(built(rows, np.arange(len(rows), dtype=np.uint32), Distance.EUCLID, m=8), living)
    assert healed is not None
    far, anew = living[living % 10 == 0], built(rows, living, Distance.EUCLID, m=8)
    found, best = (np.mean(each.search(rows[far], limit=1, ef=32)[0][:, 0] == far) for each in (healed, anew))
    assert found >= best - 0.02


def test_a_chain_of_dead_nodes_is_followed_to_the_living_beyond() -> None:
    """Six nodes in a row, of which the first and the last live."""
    width, count = 16, 6
    places = np.full(count * width, -1, dtype=np.int32)
    layer = Layer(places, np.arange(0, count * width, width), width)
    nodes = np.arange(count)
    layer.put(nodes[1:], np.column_stack((nodes[:-1], np.full((count - 1, width - 1), -1))).astype(np.int32))
    places[layer.starts[:-1] + 1] = nodes[1:]
    places[:2] = 1, -1
    living = np.zeros(count + 1, dtype=np.bool_)
    living[[0, 5]] = True
    graph_heal.heal(layer, nodes, living, lambda ones, _: np.ones(len(ones), dtype=np.float32), lambda _: None)
    assert layer.of(np.array([0, 5]))[:, :2].tolist() == [[5, -1], [0, -1]]


def test_progress_is_told_and_abandons() -> None:
    rows, _, offsets = made((Distance.COSINE, Datatype.FLOAT32))
    graph, told = built(rows, offsets, Distance.COSINE), list[tuple[int, int]]()
    pruned(graph, offsets[::2], lambda done, total: told.append((done, total)))
    assert told[-1] == (len(offsets[::2]), len(offsets[::2]))

    def refuse(done: int, total: int) -> None:
        raise InterruptedError(f"{done} of {total}")

    with pytest.raises(InterruptedError):
        pruned(graph, offsets[::2], refuse)


def test_small_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _, offsets = made((Distance.EUCLID, Datatype.FLOAT32))
    graph, living = built(rows, offsets, Distance.EUCLID), offsets[offsets % 5 > 1]
    whole = pruned(graph, living)
    monkeypatch.setattr(graph_heal, "CHUNK_CANDIDATES", 5000)
    monkeypatch.setattr(graph_core, "CHUNK_LINKS", 500)
    pieces = pruned(graph, living)
    assert whole is not None
    assert pieces is not None
    assert_finds_all_of(pieces, living)
    healed, again = (np.count_nonzero(each.links.places >= 0) for each in (whole, pieces))
    assert abs(int(healed) - int(again)) <= 0.01 * healed
