"""Packed links against the same links with all their places."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import pytest

from qdrantlite.segment.vector_index import graph_links
from qdrantlite.segment.vector_index.graph_links import Ints, Links
from qdrantlite.segment.vector_index.hnsw import walk_over
from qdrantlite.values.vector import F32

COUNT = 5000
DIM = 8
M = 6


def rows_of(count: int) -> F32:
    return np.random.default_rng(3).normal(size=(count, DIM)).astype(np.float32)


def built(count: int, *, metric: int = faiss.METRIC_L2) -> faiss.IndexHNSW:
    index = faiss.IndexHNSW(faiss.IndexFlat(DIM, metric), M)
    index.hnsw.efConstruction = 20
    faiss.omp_set_num_threads(1)
    index.add(rows_of(count))
    return index


def lists_of(hnsw: faiss.HNSW, links: Links | None = None) -> list[list[list[int]]]:
    """Of each node the lists of its layers, as a walk reads them."""
    bounds = faiss.vector_to_array(hnsw.cum_nneighbor_per_level).tolist()
    starts = faiss.vector_to_array(hnsw.offsets).tolist()[:-1]
    levels = (faiss.vector_to_array(hnsw.levels) if links is None else links.levels).tolist()
    places = (faiss.vector_to_array(hnsw.neighbors) if links is None else links.places).tolist()
    found = []
    for start, level in zip(starts, levels, strict=True):
        ranges = [places[start + bounds[at] : start + bounds[at + 1]] for at in range(level)]
        found.append([some[: some.index(-1)] if -1 in some else some for some in ranges])
    return found


@dataclass(frozen=True)
class Walk:
    """One way of FAISS to search, with the parameters that choose it."""

    make: Callable[[int], faiss.SearchParametersHNSW]
    threads: int = 1


def selecting(ef: int) -> faiss.SearchParametersHNSW:
    return faiss.SearchParametersHNSW(efSearch=ef, sel=faiss.IDSelectorRange(1000, 2500))


WALKS = {
    "one by one": Walk(lambda ef: faiss.SearchParametersHNSW(efSearch=ef)),
    "together": Walk(lambda ef: faiss.SearchParametersHNSW(efSearch=ef), threads=2),
    "under a selector": Walk(selecting),
    "unbounded": Walk(lambda ef: faiss.SearchParametersHNSW(efSearch=ef, bounded_queue=False)),
    "however near": Walk(lambda ef: faiss.SearchParametersHNSW(efSearch=ef, check_relative_distance=False)),
}


@pytest.mark.parametrize("metric", [faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L1])
@pytest.mark.parametrize("name", WALKS)
def test_every_walk_answers_as_with_all_places(name: str, metric: int) -> None:
    whole, index = built(COUNT, metric=metric), built(COUNT, metric=metric)
    links = graph_links.pack(index.hnsw, np.arange(COUNT), COUNT)
    packed = walk_over(index.storage, index)
    assert len(links.places) < 0.9 * whole.hnsw.neighbors.size()
    walk, queries = WALKS[name], rows_of(COUNT + 40)[COUNT:]
    for ef in (1, 16, 300):
        faiss.omp_set_num_threads(walk.threads)
        batches = [queries] if walk.threads > 1 else np.split(queries, len(queries))
        for batch in batches:
            expected = whole.search(batch, 10, params=walk.make(ef))
            found = packed.search(batch, 10, params=walk.make(ef))
            np.testing.assert_array_equal(found[1], expected[1])
            np.testing.assert_array_equal(found[0], expected[0])


@pytest.mark.parametrize("count", [0, 1, 2, graph_links.CHUNK_NODES, graph_links.CHUNK_NODES + 1])
def test_unpacked_links_are_those_that_were_packed(count: int) -> None:
    whole, index, again = built(count), built(count), faiss.IndexHNSW(faiss.IndexFlat(DIM), M)
    links = graph_links.pack(index.hnsw, np.arange(count), count)
    assert lists_of(index.hnsw, links) == lists_of(whole.hnsw)
    graph_links.unpack(index.hnsw, links, again.hnsw)
    assert contents(again.hnsw) == contents(whole.hnsw)


def contents(hnsw: faiss.HNSW) -> tuple[Any, ...]:
    vectors = [faiss.vector_to_array(getattr(hnsw, name)).tolist() for name in ("levels", "offsets", "neighbors")]
    return (*vectors, hnsw.entry_point, hnsw.max_level)


def test_links_that_faiss_read_unpack_too() -> None:
    whole, index, again = built(500), built(500), faiss.IndexHNSW(faiss.IndexFlat(DIM), M)
    links = graph_links.adopt(index.hnsw)
    assert index.hnsw.levels.size() == 0
    graph_links.unpack(index.hnsw, links, again.hnsw)
    assert contents(again.hnsw) == contents(whole.hnsw)


def spread(count: int) -> tuple[Ints, int]:
    """Numbers for ``count`` nodes with holes before, between and after them, and how many numbers there are."""
    return np.arange(count) * 3 + 2, 3 * count + 4


def test_nodes_take_their_numbers_and_what_lies_between_is_a_hole() -> None:
    whole, index = built(700), built(700)
    nodes, count = spread(700)
    links = graph_links.pack(index.hnsw, nodes, count)
    lists = lists_of(index.hnsw, links)
    renumbered = [[[int(nodes[to]) for to in some] for some in of_node] for of_node in lists_of(whole.hnsw)]
    assert [lists[node] for node in nodes] == renumbered
    assert index.hnsw.entry_point == nodes[whole.hnsw.entry_point]
    expected = np.setdiff1d(np.arange(count), nodes)
    assert graph_links.holes(index.hnsw, links).tolist() == expected.tolist()
    assert (graph_links.widths(index.hnsw)[expected] == 1).all()
    assert all(lists[hole] == [[]] for hole in expected)


def test_a_single_node_is_no_hole_and_none_at_all_is_found_nowhere() -> None:
    for count, found in ((1, [0, 1, 3, 4]), (0, [0, 1, 2, 3, 4])):
        index = built(count)
        links = graph_links.pack(index.hnsw, np.arange(count) + 2, 5)
        assert graph_links.holes(index.hnsw, links).tolist() == found


def test_every_range_of_faiss_ends_within_the_places() -> None:
    index = built(COUNT)
    links = graph_links.pack(index.hnsw, np.arange(COUNT), COUNT)
    bounds = faiss.vector_to_array(index.hnsw.cum_nneighbor_per_level)
    starts = faiss.vector_to_array(index.hnsw.offsets)[:-1]
    assert int((starts + bounds[links.levels].astype(np.uint64)).max()) <= len(links.places)
    assert (links.places[-2 * M :] == -1).all()
