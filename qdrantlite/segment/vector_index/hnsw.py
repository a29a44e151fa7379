"""An immutable HNSW graph over stored rows (Malkov and Yashunin, arXiv:1603.09320, built by FAISS).

Node i of a graph is the row at offset ``first + i``. The graph keeps only links; vectors are read from the stored rows
where they lie. Where FAISS cannot compare the rows as stored, the graph keeps codes of its own and rescores what it
finds, so that returned scores are exact either way. Rows that were not given to ``build``, and rows that cannot be
linked (``preconditions.are_tame``), are holes: nodes without links, never found.

Invariants: nothing outside the selector is returned; a search changes nothing and may run in many threads at once.
Fewer than ``limit`` rows may come back, above all under a narrow selector: choosing something else then, and widening
``ef`` for selectors, is the caller's. Knows no plans, ids or deleted points.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

from qdrantlite.errors import Corrupted
from qdrantlite.segment.vector_index import graph_format, preconditions
from qdrantlite.segment.vector_index.cores import CORES, use_cores
from qdrantlite.segment.vector_index.exact import as_best, rescore
from qdrantlite.segment.vector_index.graph_codes import choose_codes, lift, shares_direction
from qdrantlite.segment.vector_index.graph_links import Links, adopt, attach, holes, pack, unpack
from qdrantlite.segment.vector_index.row_encoding import Rows, as_float32, squared_norms, unit_query
from qdrantlite.segment.vector_index.row_view import RowView, is_viewable, view_rows
from qdrantlite.values.distance import Distance
from qdrantlite.values.vector import F32, U32

__all__ = ["Graph", "build", "extend", "load", "over", "packed", "rescored_unasked", "save"]

SAMPLED_ROWS = 100_000
"""Rows of a graph looked at when codes are chosen for extending it."""

LONGER_MAX = 1.2
"""Of squared norms: by how much rows may be longer than all before without changing who is linked to whom."""

RESCORED_MIN = 16
"""Candidates rescored beyond twice the limit where the graph walks lossy codes."""

TRUSTED_SHARE = 0.25
"""Of a beam, best first: among so many hardly a row is missing; towards its end more and more are. With a half, recall
under filters of whole clusters among a million rows fell to .94."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A graph over ``rows[first : first + index.ntotal]``; ``view`` is None where the graph keeps its own codes.

    ``index`` keeps alive what it compares with, but not the rows beneath, nor the links it walks along.
    """

    index: faiss.IndexHNSW
    links: Links
    rows: Rows
    first: int
    distance: Distance
    view: RowView | None
    count: int = field(init=False)
    """Nodes, holes included: the graph covers offsets ``first`` to ``first + count - 1``."""
    is_empty: bool = field(init=False)
    """Whether all nodes are holes."""

    def __post_init__(self) -> None:
        # Kept, because asking FAISS gives the interpreter lock away, several times in each search.
        object.__setattr__(self, "count", int(self.index.ntotal))
        object.__setattr__(self, "is_empty", self.index.hnsw.entry_point < 0)

    def holes(self) -> U32:
        """Offsets inside the range that the graph can never find, ascending."""
        return (holes(self.index.hnsw, self.links) + self.first).astype(np.uint32)

    def linked(self) -> U32:
        """Offsets inside the range that are no holes, ascending."""
        return np.setdiff1d(np.arange(self.first, self.first + self.count, dtype=np.uint32), self.holes())

    def search(
        self,
        queries: F32,
        *,
        limit: int,
        ef: int,
        selector: npt.NDArray[np.uint8] | None = None,
        oversampling: float | None = None,
        rescored: bool = True,
    ) -> tuple[U32, F32]:
        """Walk the graph for each of ``queries`` ``(q, dim)``, keeping a beam of ``max(ef, limit)`` rows.

        ``selector`` is a packed bitmap, little bit order, bit i for offset ``first + i``: only rows that pass are
        returned, though the walk steps on others. One query uses one thread, more use all cores. ``oversampling``
        says how many times ``limit`` are rescored where the walk is over codes (None: a little over twice);
        without ``rescored`` their scores are estimates. Over rows both change nothing.

        Returns offsets uint32 and scores float32, both ``(q, min(limit, count))``, best first; places without a
        row hold ``MISSING`` and the worst score.
        """
        width = min(limit, self.count)
        if width == 0 or len(queries) == 0:
            return _nothing(len(queries), width)
        reach = preconditions.beam(ef, width, self.count)
        if selector is None:
            parameters = _beam(reach)
        else:
            chosen = faiss.IDSelectorBitmap(len(selector), faiss.swig_ptr(selector))
            parameters = faiss.SearchParametersHNSW(efSearch=preconditions.even(reach), sel=chosen)
        candidates = self._candidates(width, oversampling) if rescored else width
        raw, ids = self._walk(queries, min(self.count, candidates), parameters)
        return self._scored(queries, raw, ids, limit=width, rescored=rescored)

    def sift(
        self,
        queries: F32,
        *,
        limit: int,
        ef: int,
        passes: Callable[[U32], npt.NDArray[np.bool_]],
        oversampling: float | None = None,
        rescored: bool = True,
    ) -> tuple[U32, F32, npt.NDArray[np.bool_]]:
        """Walk the graph as without a selector, and keep those offsets of the better part of the beam that ``passes``.
        Where they are scored again, those of the whole beam: codes order it poorly.

        Where rows that pass are among the ``ef`` nearest, all of them are met; where they lie elsewhere, that shows.
        Returns what ``search`` returns, and for each query whether ``limit`` rows were met, ``(q,) bool``: if not, a
        wider beam may find more.
        """
        width = min(limit, self.count)
        if width == 0 or len(queries) == 0:
            return *_nothing(len(queries), width), np.ones(len(queries), dtype=np.bool_)
        reach = preconditions.beam(ef, width, self.count)
        raw, ids = self._walk(queries, reach, _beam(reach))
        trusted = reach if reach == self.count else max(width, int(reach * TRUSTED_SHARE))
        candidates = self._candidates(width, oversampling) if rescored else width
        if candidates == width:
            raw, ids = raw[:, :trusted], ids[:, :trusted]
        kept = ids >= 0
        kept[kept] = passes((ids[kept] + self.first).astype(np.uint32))
        sure = np.count_nonzero(kept[:, :trusted], axis=1) >= width
        order = np.argsort(~kept, axis=1, kind="stable")[:, :candidates]
        ids = np.where(np.take_along_axis(kept, order, axis=1), np.take_along_axis(ids, order, axis=1), -1)
        raw = np.take_along_axis(raw, order, axis=1)
        return *self._scored(queries, raw, ids, limit=width, rescored=rescored), sure

    def _walk(
        self, queries: F32, width: int, parameters: faiss.SearchParametersHNSW
    ) -> tuple[F32, npt.NDArray[np.int64]]:
        """FAISS's scores and node numbers ``(q, width)``, best first, -1 where there are fewer."""
        if self.is_empty:
            shape = (len(queries), width)
            return np.zeros(shape, dtype=np.float32), np.full(shape, -1, dtype=np.int64)
        use_cores(1 if len(queries) == 1 else CORES)
        raw, ids = self.index.search(unit_query(queries, self.rows, self.distance), width, params=parameters)
        return raw, ids

    def _candidates(self, width: int, oversampling: float | None) -> int:
        """How many nodes to find so that the best ``width`` are among them, once scored by their rows."""
        if self.view is not None:
            return width
        if oversampling is None:
            return rescored_unasked(width)
        return preconditions.oversampled(width, oversampling, self.count)

    def _scored(
        self, queries: F32, raw: F32, ids: npt.NDArray[np.int64], *, limit: int, rescored: bool
    ) -> tuple[U32, F32]:
        """The best ``limit`` of what was found, with exact scores unless codes were walked and their estimates do."""
        if self.view is not None or not rescored:
            return as_best(raw, ids, self.distance, self.first)
        candidates = ids if self.first == 0 else np.where(ids < 0, -1, ids + self.first)
        return rescore(self.rows, queries, candidates, distance=self.distance, limit=limit)


def rescored_unasked(limit: int) -> int:
    """How many candidates of byte codes are scored again for the best ``limit``, unless a search asks for more."""
    return 2 * limit + RESCORED_MIN


def _nothing(queries: int, width: int) -> tuple[U32, F32]:
    return np.empty((queries, width), np.uint32), np.empty((queries, width), np.float32)


@lru_cache(maxsize=64)
def _beam(ef: int) -> faiss.SearchParametersHNSW:
    """Parameters of a walk without a selector; only ever read, so all threads share them."""
    return faiss.SearchParametersHNSW(efSearch=preconditions.even(ef))


def build(
    rows: Rows,
    offsets: U32,
    *,
    m: int,
    ef_construct: int,
    distance: Distance,
    threads: int,
    progress: Progress | None = None,
) -> Graph:
    """Build a graph over the rows at ``offsets``, ascending and unique, at least one.

    ``m`` links per node (twice that in the lowest layer), ``ef_construct`` candidates for each, both within what FAISS
    bears (``preconditions``). The graph covers the
    range from the first to the last offset; what lies between and is not listed becomes a hole (13 bytes).
    Uses up to ``threads`` cores; the operating system's priority is that of the calling thread. ``progress`` is called
    with rows done and rows in all after each batch, and abandons the build by raising.
    """
    assert len(offsets)
    first = int(offsets[0])
    count = int(offsets[-1]) - first + 1
    squares = squared_norms(rows, offsets)
    linked = offsets[preconditions.are_tame(squares)]
    largest = np.max(squares, where=preconditions.are_tame(squares), initial=0)
    use_cores(threads)
    lifted = distance is Distance.DOT and shares_direction(rows, linked)
    storage = _lifted(rows) if lifted else choose_codes(rows, linked, distance)
    _reserve(storage.codes, len(linked) * storage.code_size)
    index = faiss.IndexHNSW(storage, preconditions.links(m))
    index.hnsw.efConstruction = preconditions.construction_beam(ef_construct, len(linked))
    batch = preconditions.batch_rows(rows.shape[1])
    for at in range(0, len(linked), batch):
        use_cores(threads)
        floats = as_float32(rows[linked[at : at + batch]], distance)
        index.add(lift(floats, largest) if lifted else floats)
        if progress is not None:
            progress(min(at + batch, len(linked)), len(linked))
    nodes = linked.astype(np.int64) - first
    return packed(index, storage, nodes, count, rows=rows, first=first, distance=distance)


def extend(
    graph: Graph,
    rows: Rows,
    offsets: U32,
    *,
    ef_construct: int,
    threads: int,
    progress: Progress | None = None,
) -> Graph:
    """Link the rows at ``offsets``, ascending, into a copy of the graph; costs as their number does.

    They lie beyond it, or are holes that no node links to. ``rows`` begin with those of ``graph``. Rows under Dot that
    point one way are all linked anew when some are much longer than those before, because how they are linked depends
    on the longest, and when they begin or cease to. Else as ``build``.
    """
    count, distance, m = graph.count, graph.distance, graph.index.hnsw.nb_neighbors(1)
    linked = graph.linked()
    new = offsets[preconditions.are_tame(squared_norms(rows, offsets))]
    lifted = distance is Distance.DOT and shares_direction(rows, np.concatenate((linked, new)))
    before, after = (squared_norms(rows, some).max(initial=0) if lifted else np.float32(0) for some in (linked, new))
    if after > LONGER_MAX * before or lifted != (distance is Distance.DOT and shares_direction(rows, linked)):
        both = np.sort(np.concatenate((linked, offsets)))
        return build(
            *(rows, both), m=m, ef_construct=ef_construct, distance=distance, threads=threads, progress=progress
        )
    largest = np.maximum(before, after)
    use_cores(threads)
    sample = linked[:: max(1, len(linked) // SAMPLED_ROWS)]
    storage = _lifted(rows) if lifted else choose_codes(rows, np.concatenate((sample, new)), distance)
    _reserve(storage.codes, (count + len(new)) * storage.code_size)
    batch = preconditions.batch_rows(rows.shape[1])
    for at in range(graph.first, graph.first + count, batch):
        floats = preconditions.tame(as_float32(rows[at : min(at + batch, graph.first + count)], distance))
        storage.add(lift(floats, largest) if lifted else floats)
        if progress is not None:
            progress(0, len(new))
    index = faiss.IndexHNSW(storage, m)
    index.hnsw.efConstruction = preconditions.construction_beam(ef_construct, count + len(new))
    unpack(graph.index.hnsw, graph.links, index.hnsw)
    index.ntotal = count
    for at in range(0, len(new), batch):
        use_cores(threads)
        floats = as_float32(rows[new[at : at + batch]], distance)
        index.add(lift(floats, largest) if lifted else floats)
        if progress is not None:
            progress(min(at + batch, len(new)), len(new))
    covered = max(count, int(offsets[-1]) + 1 - graph.first) if len(offsets) else count
    added = new.astype(np.int64) - graph.first
    nodes = np.concatenate((np.arange(count), added))
    nodes[added[added < count]] = -1  # A hole that is filled goes, for the node that fills it.
    return packed(index, storage, nodes, covered, rows=rows, first=graph.first, distance=distance)


def _lifted(rows: Rows) -> faiss.IndexFlat:
    """An empty storage for ``lift``ed rows."""
    return faiss.IndexFlat(rows.shape[1] + 1, faiss.METRIC_L2)


def over(graph: Graph, rows: Rows) -> Graph:
    """The same graph reading another mapping of the same rows."""
    if graph.view is None:
        return replace(graph, rows=rows)
    return _over_rows(graph.index, graph.links, rows, first=graph.first, distance=graph.distance)


def walk_over(storage: faiss.Index, index: faiss.IndexHNSW) -> faiss.IndexHNSW:
    """Pair the links of ``index`` with another storage of as many vectors, compared by its own metric.

    Assigning ``index.storage`` would do it in place, but takes the storage from Python's memory and never frees it.
    """
    walked = faiss.IndexHNSW(storage, 2)
    walked.hnsw = index.hnsw
    walked.hnsw.is_similarity = storage.metric_type == faiss.METRIC_INNER_PRODUCT
    walked.ntotal = storage.ntotal
    return walked


def save(graph: Graph, path: Path) -> None:
    """Write the graph, and its codes if it has its own; the rows are not written.

    Not atomic and not synced: whoever names the file does that. Raises ``StorageFailed``.
    """
    codes = graph.index.storage if graph.view is None else None
    graph_format.write(path, graph.index.hnsw, graph.links, codes=codes)


def load(path: Path, rows: Rows, *, first: int, distance: Distance) -> Graph:
    """Map a saved graph into memory, in milliseconds whatever its size, over the rows that it was built on.

    Raises ``Corrupted`` if the file is no graph or does not fit ``rows``.
    """
    saved = graph_format.read(path)
    if saved is None:
        index = _read_by_faiss(path)
        if not isinstance(index, faiss.IndexHNSW):
            raise Corrupted("a graph does not fit its rows", detail=str(path))
        links, codes = adopt(index.hnsw), index.storage
    else:
        links, codes = saved.links, _read_by_faiss(path) if saved.has_codes else None
        index = faiss.IndexHNSW(faiss.IndexFlat(rows.shape[1]) if codes is None else codes, saved.m)
        attach(index.hnsw, links, saved.widths, entry_point=saved.entry_point, max_level=saved.max_level)
        index.ntotal = len(links.levels)
    if index.d != rows.shape[1] or first + index.ntotal > len(rows):
        raise Corrupted("a graph does not fit its rows", detail=str(path))
    if is_viewable(rows, distance):
        return _over_rows(index, links, rows, first=first, distance=distance)
    if codes is None or codes.ntotal != index.ntotal:
        raise Corrupted("a graph lacks its codes", detail=str(path))
    return Graph(index, links, rows, first, distance, view=None)


def _read_by_faiss(path: Path) -> faiss.Index:
    """What FAISS wrote, mapped. Raises ``Corrupted``."""
    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise Corrupted("a graph cannot be read", detail=f"{path}: {error}") from error


def packed(
    index: faiss.IndexHNSW,
    storage: faiss.IndexFlatCodes,
    nodes: npt.NDArray[np.int64],
    count: int,
    *,
    rows: Rows,
    first: int,
    distance: Distance,
) -> Graph:
    """The graph of a FAISS index over ``storage``: node i becomes ``nodes[i]`` of ``count``, as the rows are stored.

    Those for which that is -1 are left out; see ``graph_links.pack``.
    """
    links = pack(index.hnsw, nodes, count)
    index.ntotal = count
    if is_viewable(rows, distance):
        return _over_rows(index, links, rows, first=first, distance=distance)
    _spread_codes(storage, nodes, count)
    return Graph(index, links, rows, first, distance, view=None)


def _over_rows(index: faiss.IndexHNSW, links: Links, rows: Rows, *, first: int, distance: Distance) -> Graph:
    """The graph of ``index`` read over the stored rows; what it was built over is let go."""
    view = view_rows(rows[first : first + index.ntotal], distance)
    return Graph(walk_over(view.index, index), links, rows, first, distance, view=view)


def _reserve(codes: faiss.MaybeOwnedVectorUInt8, size: int) -> None:
    """Make room at once: a vector that doubles holds its bytes three times while it grows. Shrinking keeps the room."""
    codes.resize(size)
    codes.resize(0)


def _spread_codes(storage: faiss.IndexFlatCodes, nodes: npt.NDArray[np.int64], count: int) -> None:
    """Move code i to place ``nodes[i]`` of ``count``, zeros between; where that is -1, nowhere."""
    taken = np.flatnonzero(nodes >= 0)
    if len(nodes) == count and np.array_equal(nodes[taken], taken):
        return
    codes = np.zeros((count, storage.code_size), dtype=np.uint8)
    codes[nodes[taken]] = faiss.vector_to_array(storage.codes).reshape(-1, storage.code_size)[taken]
    faiss.copy_array_to_vector(codes.reshape(-1), storage.codes)
    storage.ntotal = count
