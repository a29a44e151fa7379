"""A graph without its dead nodes, in the numbers it had or in others: what it costs follows what has died.

Links of nodes that stay are kept; what they lose is healed (``graph_heal``), and what no walk would find any more is
linked anew (``graph_core``). A graph that is not worth it, because too much of it would have to be, is told from one
that is; the caller builds another then.
"""

import faiss
import numpy as np

from qdrantlite.segment.vector_index import graph_core, graph_heal, hnsw, preconditions
from qdrantlite.segment.vector_index.cores import use_cores
from qdrantlite.segment.vector_index.graph_codes import shares_direction
from qdrantlite.segment.vector_index.graph_heal import Apart, Mask
from qdrantlite.segment.vector_index.graph_links import Ints, layers_of, unpack
from qdrantlite.segment.vector_index.hnsw import Graph, Progress
from qdrantlite.segment.vector_index.row_encoding import Rows, as_float32, unit_query
from qdrantlite.values.distance import Distance
from qdrantlite.values.vector import F32, U32

__all__ = ["prune"]

WALK_BEAM = 64


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
    storage = graph.view.index if graph.view is not None else _copied_codes(graph)
    index = _open(graph, storage)
    _heal_layers(graph, index, linked, lives, threads, progress)
    if not graph_core.join(layers_of(index.hnsw)[0], lives, index.hnsw.entry_point, _nearest(graph, index, threads)):
        return None
    nodes = np.full(graph.count, -1, dtype=np.int64)
    nodes[at] = offsets.astype(np.int64) - first
    return hnsw.packed(index, storage, nodes, count, rows=rows, first=first, distance=graph.distance)


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
    compared = _in_place(covered, graph.distance) or _gathered(covered, graph.distance)
    nodes = np.flatnonzero(lives).astype(np.uint32)
    if graph.distance is not Distance.DOT or not shares_direction(covered, nodes):
        return compared
    squares = hnsw.squared_norms(covered, nodes)
    missing = np.zeros(graph.count, dtype=np.float32)
    missing[nodes] = np.sqrt(squares.max() - squares)
    return lambda ones, others: compared(ones, others) - missing[ones] * missing[others]


def _in_place(rows: Rows, distance: Distance) -> Apart | None:
    """Compares rows where they lie; None where FAISS cannot."""
    if rows.dtype != np.float32 or distance is Distance.MANHATTAN:
        return None
    compare = faiss.pairwise_indexed_inner_product if distance.larger_is_better else faiss.pairwise_indexed_L2sqr

    def apart(ones: Ints, others: Ints) -> F32:
        found = np.empty(len(ones), dtype=np.float32)
        ones, others, each = np.ascontiguousarray(ones), np.ascontiguousarray(others), faiss.swig_ptr(rows)
        if len(ones):
            compare(
                rows.shape[1],
                len(ones),
                each,
                faiss.swig_ptr(ones),
                each,
                faiss.swig_ptr(others),
                faiss.swig_ptr(found),
            )
        return -found if distance.larger_is_better else found

    return apart


def _gathered(rows: Rows, distance: Distance) -> Apart:
    """Compares rows as floats, some at a time."""
    batch = preconditions.batch_rows(rows.shape[1])

    def apart(ones: Ints, others: Ints) -> F32:
        found = np.empty(len(ones), dtype=np.float32)
        for at in range(0, len(ones), batch):
            one = as_float32(rows[ones[at : at + batch]], distance)
            other = as_float32(rows[others[at : at + batch]], distance)
            found[at : at + batch] = _differ(one, other, distance)
        return found

    return apart


def _differ(one: F32, other: F32, distance: Distance) -> F32:
    if distance.larger_is_better:
        products: F32 = -np.einsum("ij,ij->i", one, other)
        return products
    differences = one - other
    if distance is Distance.MANHATTAN:
        sums: F32 = np.abs(differences, out=differences).sum(axis=1)
        return sums
    squares: F32 = np.einsum("ij,ij->i", differences, differences)
    return squares
