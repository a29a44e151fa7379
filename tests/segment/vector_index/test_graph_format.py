"""Files of graphs: packed ones, damaged ones, and those of before links were packed."""

from pathlib import Path

import faiss
import numpy as np
import pytest

from qdrantlite.errors import Corrupted, StorageFailed
from qdrantlite.segment.vector_index import graph_format, graph_links
from qdrantlite.segment.vector_index.exact import prepare_query, prepare_rows
from qdrantlite.segment.vector_index.hnsw import Graph, build, extend, load, save
from qdrantlite.segment.vector_index.row_encoding import Rows
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import F32, U32

COUNT, MORE, DIM, FIRST = 1200, 300, 12, 30
KINDS = [
    (Distance.EUCLID, Datatype.FLOAT32),
    (Distance.COSINE, Datatype.FLOAT16),
    (Distance.COSINE, Datatype.UINT8),
    (Distance.MANHATTAN, Datatype.FLOAT16),
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0].value}-{kind[1].value}")


def rows_of(kind: tuple[Distance, Datatype]) -> Rows:
    scale, shift = (40.0, 120.0) if kind[1] is Datatype.UINT8 else (1.0, 0.0)
    return prepare_rows(np.random.default_rng(5).normal(shift, scale, (COUNT + MORE, DIM)), *kind)


def queries_of(kind: tuple[Distance, Datatype]) -> F32:
    scale, shift = (40.0, 120.0) if kind[1] is Datatype.UINT8 else (1.0, 0.0)
    return prepare_query(np.random.default_rng(6).normal(shift, scale, (20, DIM)), *kind)


def offsets() -> U32:
    """With holes in front, between and at the place where the graph will be extended."""
    chosen = np.flatnonzero(np.random.default_rng(7).random(COUNT - 5) < 0.8)
    return chosen[chosen >= FIRST].astype(np.uint32)


def graph_of(kind: tuple[Distance, Datatype], rows: Rows) -> Graph:
    return build(rows, offsets(), m=8, ef_construct=40, distance=kind[0], threads=1)


def save_by_faiss(graph: Graph, path: Path) -> None:
    """The file that was written before links were packed."""
    index = faiss.IndexHNSW(graph.index.storage, graph.index.hnsw.nb_neighbors(1))
    graph_links.unpack(graph.index.hnsw, graph.links, index.hnsw)
    index.ntotal = graph.count
    faiss.write_index(index, str(path), 0 if graph.view is None else faiss.IO_FLAG_SKIP_STORAGE)


def extended(graph: Graph, rows: Rows) -> Graph:
    new = np.arange(COUNT, COUNT + MORE, dtype=np.uint32)
    return extend(graph, rows, new, ef_construct=40, threads=1)


@every_kind
def test_old_and_new_files_answer_and_grow_alike(kind: tuple[Distance, Datatype], tmp_path: Path) -> None:
    rows, queries = rows_of(kind), queries_of(kind)
    graph = graph_of(kind, rows)
    save(graph, tmp_path / "new")
    save_by_faiss(graph, tmp_path / "old")
    assert (tmp_path / "new").stat().st_size < (tmp_path / "old").stat().st_size
    graphs = [graph, *(load(tmp_path / name, rows, first=graph.first, distance=kind[0]) for name in ("new", "old"))]
    larger = [extended(each, rows) for each in graphs]
    save(larger[1], tmp_path / "larger")
    larger.append(load(tmp_path / "larger", rows, first=graph.first, distance=kind[0]))
    for group in (graphs, larger):
        expected = group[0].search(queries, limit=10, ef=64)
        for each in group[1:]:
            assert (each.first, each.count) == (group[0].first, group[0].count)
            np.testing.assert_array_equal(each.holes(), group[0].holes())
            for found, wanted in zip(each.search(queries, limit=10, ef=64), expected, strict=True):
                np.testing.assert_array_equal(found, wanted)
    assert larger[0].holes().tolist() == [*graph.holes().tolist(), *range(int(offsets()[-1]) + 1, COUNT)]


@pytest.mark.parametrize("kind", KINDS[::2], ids=["without codes", "with codes"])
def test_no_damage_to_the_trailer_and_no_cut_goes_unseen(kind: tuple[Distance, Datatype], tmp_path: Path) -> None:
    rows, path = rows_of(kind), tmp_path / "graph"
    save(graph_of(kind, rows), path)
    whole = path.read_bytes()
    for place in range(-64, 0):
        damaged = bytearray(whole)
        damaged[place] ^= 0x41
        path.write_bytes(damaged)
        with pytest.raises(Corrupted):
            load(path, rows, first=FIRST, distance=kind[0])
    for cut in (whole[:-1], whole[64:], whole[:1000] + whole[1064:], whole + bytes(64), whole[-64:]):
        path.write_bytes(cut)
        with pytest.raises(Corrupted):
            load(path, rows, first=FIRST, distance=kind[0])


def test_a_graph_without_the_codes_it_needs_is_corrupted(tmp_path: Path) -> None:
    rows = rows_of(KINDS[0])
    save(graph_of(KINDS[0], rows), tmp_path / "graph")
    other = prepare_rows(np.full((COUNT, DIM), 3.0), Distance.COSINE, Datatype.UINT8)
    with pytest.raises(Corrupted, match="lacks its codes"):
        load(tmp_path / "graph", other, first=FIRST, distance=Distance.COSINE)


def test_what_cannot_be_written_or_read_says_so(tmp_path: Path) -> None:
    graph = graph_of(KINDS[0], rows_of(KINDS[0]))
    with pytest.raises(StorageFailed, match="graph"):
        save(graph, tmp_path / "missing" / "graph")
    with pytest.raises(Corrupted, match="graph"):
        graph_format.read(tmp_path / "graph")
