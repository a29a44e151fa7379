"""A graph without its dead nodes, in the numbers it had or in others: what it costs follows what has died.

Links of nodes that stay are kept; what they lose is healed (``graph_heal``), and what no walk would find any more is
linked anew (``graph_core``). A graph that is not worth it, because too much of it would have to be, is told from one
that is; the caller builds another then.
"""

from functools import partial

import faiss
import numpy as np

from qdrantlite.segment.vector_index import graph_core, graph_heal, hnsw, preconditions
from qdrantlite.segment.vector_index.cores import use_cores
from qdrantlite.segment.vector_index.graph_codes import shares_direction
from qdrantlite.segment.vector_index.graph_heal import Apart, Mask
from qdrantlite.segment.vector_index.graph_links import Ints, layers_of, unpack
from qdrantlite.segment.vector_index.hnsw import Graph, Progress
from qdrantlite.segment.vector_index.row_encoding import Rows, as_float32, squared_norms, unit_query
from qdrantlite.values.distance import Distance
from qdrantlite.values.vector import F32, U32

__all__ = ["prune"]

WALK_BEAM = 64
OLDEST_SHARE = 0.1
OLDEST_LIVING_MIN = 1 / 3
"""Of the oldest nodes, whose links lead far: without them walks do not come from one cluster to the next. Measured on
30,000 rows in clusters, the oldest 30 % deleted, beams of 64 and 128: recall .969, .988, along a new graph .987, .999.
"""
FAR_FROM = 4096
"""In a graph of fewer nodes nothing is far: a walk meets a good part of them."""
DECODED_BATCHES = 8
"""Pairs compared at a time, where rows have to be converted, in batches of rows: they share many."""


def prune(
    graph: Graph,
    living: U32,
    *,
    rows: Rows,
    offsets: U32,
    first: int,
    count: int,
    threads: int,
    progress: Progress | None = None,
) -> Graph | None:
    """The graph over ``count`` of ``rows`` from ``first`` on, with what it links of the rows at ``living``, and nothing
    else: ``living[i]``, ascending, within the graph, becomes ``offsets[i]``, where ``rows`` hold the same row.

    None: it is better built anew. ``progress`` is called with lists done and lists in all, and abandons it by raising.
    """
    at = living.astype(np.int64) - graph.first
    linked = np.ones(graph.count, dtype=np.bool_)
    linked[graph.holes().astype(np.int64) - graph.first] = False
    at, offsets = at[linked[at]], offsets[linked[at]]
    if not len(at):
        return None
    lives = np.zeros(graph.count + 1, dtype=np.bool_)
    lives[at] = True
    if _have_oldest_died(linked, lives):
        return None
    storage = graph.view.index if graph.view is not None else _copied_codes(graph)
    index = _open(graph, storage)
    _heal_layers(graph, index, linked, lives, threads, progress)
    if not graph_core.join(layers_of(index.hnsw)[0], lives, index.hnsw.entry_point, _nearest(graph, index, threads)):
        return None
    nodes = np.full(graph.count, -1, dtype=np.int64)
    nodes[at] = offsets.astype(np.int64) - first
    return hnsw.packed(index, storage, nodes, count, rows=rows, first=first, distance=graph.distance)


def _have_oldest_died(linked: Mask, lives: Mask) -> bool:
    """Whether most of the nodes are gone that were linked while there were few to link to."""
    nodes = np.flatnonzero(linked)
    oldest = nodes[: int(OLDEST_SHARE * len(nodes))]
    return len(nodes) >= FAR_FROM and int(np.count_nonzero(lives[oldest])) < OLDEST_LIVING_MIN * len(oldest)


def _copied_codes(graph: Graph) -> faiss.IndexFlatCodes:
    """The graph's own codes in memory, where they are moved when its nodes get other numbers; they may be mapped."""
    return faiss.deserialize_index(faiss.serialize_index(graph.index.storage))


def _open(graph: Graph, storage: faiss.IndexFlatCodes) -> faiss.IndexHNSW:
    """A FAISS index over what the graph compares with, its links a copy with all their places."""
    index = faiss.IndexHNSW(storage, graph.index.hnsw.nb_neighbors(1))
    index.hnsw.is_similarity = storage.metric_type == faiss.METRIC_INNER_PRODUCT
    unpack(graph.index.hnsw, graph.links, index.hnsw)
    index.ntotal = graph.count
    return index


def _heal_layers(
    graph: Graph, index: faiss.IndexHNSW, linked: Mask, lives: Mask, threads: int, progress: Progress | None
) -> None:
    """Heals all layers, and lets walks begin at a living node of the highest that has one."""
    levels = graph.links.levels
    done, total = 0, int(np.count_nonzero(lives))

    def tell(lists: int) -> None:
        nonlocal done
        done = min(done + lists, total)
        if progress is not None:
            progress(done, total)

    use_cores(threads)
    apart = _apart(graph, lives)
    for height, layer in enumerate(layers_of(index.hnsw)):
        graph_heal.heal(layer, np.flatnonzero(linked & (levels > height)), lives, apart, tell)
    if not lives[index.hnsw.entry_point]:
        highest = int(np.where(lives[:-1], levels, 0).argmax())
        index.hnsw.entry_point, index.hnsw.max_level = highest, int(levels[highest]) - 1


def _nearest(graph: Graph, index: faiss.IndexHNSW, threads: int) -> graph_core.Nearest:
    parameters = faiss.SearchParametersHNSW(efSearch=WALK_BEAM)

    def nearest(nodes: Ints, limit: int) -> Ints:
        use_cores(threads)
        queries = as_float32(graph.rows[nodes + graph.first], graph.distance)
        _, found = index.search(unit_query(queries, graph.rows, graph.distance), limit, params=parameters)
        return np.asarray(found, dtype=np.int64)

    return nearest


def _apart(graph: Graph, lives: Mask) -> Apart:
    """How far nodes are apart as they are linked: by distance, by minus the inner product, or lifted."""
    covered = graph.rows[graph.first : graph.first + graph.count]
    bare = partial(_apart_decoded, covered, graph.distance)
    if covered.dtype == np.float32:
        bare = partial(_apart_in_floats, np.asarray(covered, dtype=np.float32), graph.distance)
    nodes = np.flatnonzero(lives).astype(np.uint32)
    if graph.distance is not Distance.DOT or not shares_direction(covered, nodes):
        return bare
    squares = squared_norms(covered, nodes)
    missing = np.zeros(graph.count, dtype=np.float32)
    missing[nodes] = np.sqrt(squares.max() - squares)
    return lambda ones, others: bare(ones, others) - missing[ones] * missing[others]


def _apart_in_floats(rows: F32, distance: Distance, ones: Ints, others: Ints) -> F32:
    """Compares rows ``(n, dim)`` where they lie."""
    found, dim = np.empty(len(ones), dtype=np.float32), rows.shape[1]
    if distance is Distance.MANHATTAN:
        batch = preconditions.batch_rows(dim)
        for at in range(0, len(ones), batch):
            differences = rows[ones[at : at + batch]] - rows[others[at : at + batch]]
            found[at : at + batch] = np.abs(differences, out=differences).sum(axis=1)
    elif len(ones):
        ones, others, each = np.ascontiguousarray(ones), np.ascontiguousarray(others), faiss.swig_ptr(rows)
        compare = faiss.pairwise_indexed_inner_product if distance.larger_is_better else faiss.pairwise_indexed_L2sqr
        pairs = (each, faiss.swig_ptr(ones), each, faiss.swig_ptr(others))
        compare(dim, len(ones), *pairs, faiss.swig_ptr(found))
    return -found if distance.larger_is_better else found


def _apart_decoded(rows: Rows, distance: Distance, ones: Ints, others: Ints) -> F32:
    """Compares rows as floats, some at a time, each converted once among them."""
    found = np.empty(len(ones), dtype=np.float32)
    step = DECODED_BATCHES * preconditions.batch_rows(rows.shape[1])
    for at in range(0, len(ones), step):
        both = np.concatenate((ones[at : at + step], others[at : at + step]))
        nodes, which = np.unique(both, return_inverse=True)
        floats = as_float32(rows[nodes], distance)
        found[at : at + step] = _apart_in_floats(floats, distance, *np.split(which, 2))
    return found
