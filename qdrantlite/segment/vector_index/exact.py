"""Exact scores over stored rows: a range of rows, a subset of them, or given offsets in order.

``rows`` is always ``(n, dim)``, C-contiguous, float32, float16 or uint8, perhaps a read-only memory map; a row's
number is its offset. Queries are float32 and come from ``prepare_query``. Scores are the API's: the inner product for
Cosine and Dot, the true distance for Euclid and Manhattan.

Invariants: rows are never converted as a whole, but in blocks of ``BLOCK_BYTES``; a row whose score is NaN (or the
worst infinity) is never among the best, and leaves the others alone; one query uses one thread, many use all cores;
where ``is_repeatable`` holds, a query gets the same scores, bit for bit, alone and among many.
Knows no ids, no files, and does not choose between scan and subset.
"""

from collections.abc import Iterator

import faiss
import numpy as np
import numpy.typing as npt

from qdrantlite.segment.best import are_hits, best_of
from qdrantlite.segment.vector_index.cores import CORES, use_cores
from qdrantlite.segment.vector_index.row_encoding import (
    Rows,
    as_compared,
    prepare_query,
    prepare_rows,
    unit_query,
)
from qdrantlite.segment.vector_index.row_view import is_viewable, metric_of, view_rows
from qdrantlite.values.distance import Distance
from qdrantlite.values.vector import F32, U32

__all__ = ["MISSING", "as_best", "prepare_query", "prepare_rows", "rescore", "scan", "score", "similarities", "subset"]

MISSING = 0xFFFFFFFF
"""The offset that fills the places for which no row was found; its score is the worst infinity."""

BLOCK_BYTES = 4 << 20
"""Converted rows held at a time: large enough for matrix products, small enough for the processor's cache."""

FEW_BLOCK_SHARE = 8
"""Blocks are so many times smaller for few queries: memory of that size is used again for the next block, while larger
pieces come fresh from the system each time, which took five times as long as 63,000 byte rows take to compare.
"""

FEW_QUERIES = 2
"""Up to this many queries are scanned one after the other; more become matrix products, 6 times faster for 100."""

FEW_EXAMPLES = 32
"""Up to this many queries are compared with a block of rows on one core; a matrix product has to go by all cores, which
costs more than it brings when it is small.
"""

SPARE = 8
"""Rows beyond the limit that matrix products hand to the exact comparison which settles a batch's order."""

DENSE_SELECTION = 0.5
"""Above this share of passing rows, a batch scores all rows and masks; below, it gathers the passing ones."""

QUIET = np.errstate(over="ignore", invalid="ignore")
"""What overflows, or is NaN, is no hit, and nothing to warn of."""

Bitmap = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.int64]
Best = tuple[U32, F32]
Block = tuple[Rows, Ids, npt.NDArray[np.bool_] | None]


def is_repeatable(rows: Rows, distance: Distance) -> bool:
    """Whether ``scan`` and ``subset`` score these rows the same for one query and for many."""
    return rows.dtype == np.float32 and distance is not Distance.MANHATTAN


def scan(
    rows: Rows,
    queries: F32,
    *,
    distance: Distance,
    limit: int,
    start: int = 0,
    selector: Bitmap | None = None,
    norms: F32 | None = None,
) -> Best:
    """Find the best rows of a contiguous range for each of ``queries`` ``(q, dim)``.

    ``rows[0]`` has offset ``start``. ``selector`` is a packed bitmap, little bit order: bit i lets row ``start + i``
    pass; rows beyond its end do not. ``norms`` ``(n,)`` are those of ``row_norms``, where they are known.

    Returns offsets and scores ``(q, min(limit, n))``, best first; places without a row hold ``MISSING``.
    """
    assert queries.shape == (len(queries), rows.shape[1])
    width = min(limit, len(rows))
    if width == 0 or len(queries) == 0:
        return _nothing(len(queries), width)
    use_cores(1)
    if len(queries) <= FEW_QUERIES and is_repeatable(rows, distance):
        return as_best(*_nearest_in_place(rows, queries, selector, distance=distance, limit=width), distance, start)
    if len(queries) <= FEW_QUERIES and is_viewable(rows, distance):
        parameters = None if selector is None else faiss.SearchParameters(sel=_id_selector(selector))
        raw, ids = view_rows(rows, distance).index.search(queries, width, params=parameters)
        return as_best(raw, ids, distance, start)
    passing = None if selector is None else np.unpackbits(selector, count=len(rows), bitorder="little").view(np.bool_)
    if passing is None or np.count_nonzero(passing) > DENSE_SELECTION * len(rows):
        if len(queries) <= FEW_QUERIES:
            return _best_in_order(rows, queries, passing, norms, distance=distance, limit=width, start=start)
        blocks = _range_blocks(rows, passing, len(queries))
        return as_best(*_best_of_blocks(blocks, rows, queries, distance=distance, limit=width), distance, start)
    among = np.flatnonzero(passing).astype(np.uint32)
    offsets, scores = subset(rows, queries, among, distance=distance, limit=limit)
    padding = ((0, 0), (0, width - offsets.shape[1]))
    shifted = np.where(offsets == MISSING, np.uint32(MISSING), offsets + np.uint32(start))
    return np.pad(shifted, padding, constant_values=MISSING), np.pad(scores, padding, constant_values=_worst(distance))


def subset(rows: Rows, queries: F32, offsets: U32, *, distance: Distance, limit: int) -> Best:
    """Find the best among ``offsets`` ``(m,)``, ascending and unique, for each of ``queries`` ``(q, dim)``.

    Returns offsets and scores ``(q, min(limit, m))``, best first; places without a row hold ``MISSING``.
    """
    assert queries.shape == (len(queries), rows.shape[1])
    width = min(limit, len(offsets))
    if width == 0 or len(queries) == 0:
        return _nothing(len(queries), width)
    assert offsets[-1] < len(rows)
    use_cores(1)
    ids = offsets.astype(np.int64)
    if len(queries) <= FEW_QUERIES and is_repeatable(rows, distance):
        found = _nearest_by_id(rows, queries, ids, distance=distance, limit=width)
    elif len(queries) <= FEW_QUERIES and is_viewable(rows, distance):
        found = _nearest_gathered(rows, queries, ids, distance=distance, limit=width)
    else:
        found = _best_of_blocks(_subset_blocks(rows, ids, len(queries)), rows, queries, distance=distance, limit=width)
    return as_best(*found, distance, 0)


@QUIET
def score(rows: Rows, query: F32, offsets: U32, *, distance: Distance) -> F32:
    """Score the rows at ``offsets`` ``(m,)``, in any order and perhaps repeated, against ``query`` ``(dim,)``.

    Returns ``(m,) float32`` in the order of ``offsets``; a score may be NaN where a row holds NaN.
    """
    use_cores(1)
    scores = np.empty(len(offsets), dtype=np.float32)
    if rows.dtype == np.float32 and distance.larger_is_better:  # Read where they lie.
        ids, vector = offsets.astype(np.int64), np.ascontiguousarray(query)
        compared = (faiss.swig_ptr(vector), faiss.swig_ptr(rows), faiss.swig_ptr(ids), rows.shape[1], 1, len(ids))
        faiss.fvec_inner_products_by_idx(faiss.swig_ptr(scores), *compared)
        return scores
    unit = unit_query(query[np.newaxis], rows, distance)
    block_rows = _block_rows(rows, 1)
    for at in range(0, len(offsets), block_rows):
        block = rows[offsets[at : at + block_rows]]
        scores[at : at + block_rows] = _compare(block, unit, distance)[0]
    return np.sqrt(scores) if distance is Distance.EUCLID else scores


def similarities(rows: Rows, queries: F32, offsets: U32, *, distance: Distance) -> F32:
    """How near the rows at ``offsets`` ``(m,)`` are to each of ``queries`` ``(q, dim)``: larger is nearer, always.

    Returns ``(q, m) float32``: the inner product, minus the squared distance, or minus the sum of differences. The
    caller bounds ``q * m``. Neighbouring rows in order are read where they lie.
    """
    unit = np.ascontiguousarray(unit_query(queries, rows, distance))
    found = np.empty((len(queries), len(offsets)), dtype=np.float32)
    block_rows = _block_rows(rows, len(queries))
    for at in range(0, len(offsets), block_rows):
        chosen = offsets[at : at + block_rows]
        first, last = int(chosen[0]), int(chosen[-1])
        in_order = last - first == len(chosen) - 1 and bool((chosen[1:] > chosen[:-1]).all())
        floats, norms = as_compared(rows[first : last + 1] if in_order else rows[chosen], distance)
        compared = found[:, at : at + block_rows]
        if distance.larger_is_better and len(queries) > FEW_EXAMPLES:
            np.matmul(unit, floats.T, out=compared)
        else:
            compared[:] = _compare_exactly(floats, unit, distance, cores=1)
        if norms is not None:
            compared /= norms
    return found if distance.larger_is_better else np.negative(found, out=found)


def rescore(rows: Rows, queries: F32, candidates: Ids, *, distance: Distance, limit: int) -> Best:
    """Order candidate row numbers ``(q, m)``, -1 at the end where there are fewer, by the scores of their rows.

    Returns offsets and scores ``(q, limit)``, best first; places without a row hold ``MISSING``.
    """
    if is_repeatable(rows, distance):
        use_cores(1)
        return as_best(*_nearest_by_id(rows, queries, candidates, distance=distance, limit=limit), distance, 0)
    offsets = np.full((len(queries), limit), MISSING, dtype=np.uint32)
    scores = np.full((len(queries), limit), _worst(distance), dtype=np.float32)
    for at, query in enumerate(queries):
        found = candidates[at][candidates[at] >= 0].astype(np.uint32)
        exact = score(rows, query, found, distance=distance)
        order = np.argsort(-exact if distance.larger_is_better else exact, kind="stable")
        order = order[are_hits(exact[order], larger_is_better=distance.larger_is_better)][:limit]
        offsets[at, : len(order)], scores[at, : len(order)] = found[order], exact[order]
    return offsets, scores


@QUIET
def _best_in_order(
    rows: Rows,
    queries: F32,
    passing: npt.NDArray[np.bool_] | None,
    norms: F32 | None,
    *,
    distance: Distance,
    limit: int,
    start: int,
) -> Best:
    """The best of rows that FAISS cannot compare as stored: all are compared, and the best sought among the scores.

    A heap that takes each score in turn costs more than all comparisons of a thousand best.
    """
    unit, size = unit_query(queries, rows, distance), _block_rows(rows, len(queries))
    scores = np.empty((len(queries), len(rows)), dtype=np.float32)
    for at in range(0, len(rows), size):
        known = None if norms is None else norms[at : at + size]
        scores[:, at : at + size] = _compare(rows[at : at + size], unit, distance, norms=known)
    if passing is not None:
        scores[:, ~passing] = _worst(distance)
    found = np.full((len(queries), limit), MISSING, dtype=np.uint32)
    best = np.full((len(queries), limit), _worst(distance), dtype=np.float32)
    offsets = np.arange(start, start + len(rows), dtype=np.uint32)
    for at, line in enumerate(scores):
        own, near = best_of(offsets, line, limit=limit, larger_is_better=distance.larger_is_better)
        found[at, : len(own)], best[at, : len(own)] = own, near
    return found, np.sqrt(best) if distance is Distance.EUCLID else best


@QUIET
def _best_of_blocks(
    blocks: Iterator[Block], rows: Rows, queries: F32, *, distance: Distance, limit: int
) -> tuple[F32, Ids]:
    """Keep the best ``limit`` of all blocks; FAISS's raw scores and ids ``(q, limit)``, -1 where there is none."""
    heap = faiss.float_minheap_array_t() if distance.larger_is_better else faiss.float_maxheap_array_t()
    settled_anew = len(queries) > FEW_QUERIES and is_repeatable(rows, distance)
    width = limit + SPARE if settled_anew else limit
    raw = np.empty((len(queries), width), dtype=np.float32)
    ids = np.empty((len(queries), width), dtype=np.int64)
    heap.nh, heap.k, heap.val, heap.ids = len(queries), width, faiss.swig_ptr(raw), faiss.swig_ptr(ids)
    heap.heapify()
    unit = unit_query(queries, rows, distance)
    for block, block_ids, passing in blocks:
        compared = _compare(block, unit, distance, exact=len(queries) <= FEW_QUERIES)
        if passing is not None:
            compared[:, ~passing] = _worst(distance)
        heap.addn_with_ids(len(block), faiss.swig_ptr(compared), faiss.swig_ptr(block_ids), 0)
    heap.reorder()
    if settled_anew:
        return _nearest_by_id(rows, queries, ids, distance=distance, limit=limit)
    if distance is Distance.EUCLID and len(queries) > FEW_QUERIES:
        _recompute(rows, queries, raw, ids)
    return raw, ids


def _recompute(rows: Rows, queries: F32, raw: F32, ids: Ids) -> None:
    """Replace squared distances found as matrix products, which cancel for near rows, by exact ones; sort again."""
    for at in range(len(queries)):
        found = np.flatnonzero(ids[at] >= 0)
        exact = score(rows, queries[at], ids[at, found].astype(np.uint32), distance=Distance.EUCLID)
        order = np.argsort(exact, kind="stable")
        raw[at, found] = np.square(exact[order])
        ids[at, found] = ids[at, found][order]


def _compare(block: Rows, queries: F32, distance: Distance, *, exact: bool = True, norms: F32 | None = None) -> F32:
    """Raw scores ``(q, n)`` of stored rows: inner products or cosines, squared distances, or sums of differences."""
    floats, norms = as_compared(block, distance, norms)
    if distance.larger_is_better:
        products: F32 = queries @ floats.T
        return products if norms is None else np.divide(products, norms, out=products)
    if exact or distance is Distance.MANHATTAN:
        return _compare_exactly(floats, queries, distance, cores=1 if len(queries) == 1 else CORES)
    # Moving the origin among the queries keeps the squares small, so that little is lost in their difference.
    origin = queries.mean(axis=0, dtype=np.float32)
    near, far = queries - origin, floats - origin
    squares = np.einsum("ij,ij->i", near, near)[:, np.newaxis] + np.einsum("ij,ij->i", far, far)
    raw: F32 = squares - np.float32(2) * (near @ far.T)
    return np.maximum(raw, np.float32(0), out=raw)


def _compare_exactly(block: F32, queries: F32, distance: Distance, *, cores: int) -> F32:
    """Raw scores ``(q, n)``, distances computed from the differences themselves."""
    raw = np.empty((len(queries), len(block)), dtype=np.float32)
    use_cores(cores)
    faiss.pairwise_extra_distances(
        block.shape[1],
        len(queries),
        faiss.swig_ptr(queries),
        len(block),
        faiss.swig_ptr(block),
        metric_of(distance),
        0.0,
        faiss.swig_ptr(raw),
    )
    use_cores(1)
    return raw


def _nearest_in_place(
    rows: Rows, queries: F32, selector: Bitmap | None, *, distance: Distance, limit: int
) -> tuple[F32, Ids]:
    """What a flat index over float32 rows would answer, without making one: 30 µs less, and a tenth of the calls.

    Each call into FAISS lets go of the interpreter's lock, which costs a turn when many threads search.
    """
    raw = np.empty((len(queries), limit), dtype=np.float32)
    found = np.empty((len(queries), limit), dtype=np.int64)
    queries = np.ascontiguousarray(queries)
    count, dim = rows.shape
    chosen = None if selector is None else _id_selector(selector)
    compared = (faiss.swig_ptr(queries), faiss.swig_ptr(rows), dim, len(queries), count, limit)
    if distance.larger_is_better:
        faiss.knn_inner_product(*compared, faiss.swig_ptr(raw), faiss.swig_ptr(found), chosen)
    else:
        faiss.knn_L2sqr(*compared, faiss.swig_ptr(raw), faiss.swig_ptr(found), None, chosen)
    return raw, found


def _nearest_by_id(rows: Rows, queries: F32, ids: Ids, *, distance: Distance, limit: int) -> tuple[F32, Ids]:
    """Let FAISS walk the float32 rows named by ``ids`` in place; raw scores and ids ``(q, limit)``.

    ``ids`` are ``(m,)`` for all queries, or ``(q, m)``, -1 at the end where a query has fewer.
    """
    raw = np.empty((len(queries), limit), dtype=np.float32)
    found = np.empty((len(queries), limit), dtype=np.int64)
    nearest = faiss.knn_inner_products_by_idx if distance.larger_is_better else faiss.knn_L2sqr_by_idx
    queries = np.ascontiguousarray(queries)
    count, dim = rows.shape
    nearest(
        *(faiss.swig_ptr(queries), faiss.swig_ptr(rows), faiss.swig_ptr(ids)),
        *(dim, len(queries), count, ids.shape[-1], limit),
        *(faiss.swig_ptr(raw), faiss.swig_ptr(found), 0 if ids.ndim == 1 else ids.shape[1]),
    )
    return raw, found


def _nearest_gathered(rows: Rows, queries: F32, ids: Ids, *, distance: Distance, limit: int) -> tuple[F32, Ids]:
    """Gather compact rows and let FAISS compare them as stored: 5 times faster than converting halves."""
    parts = []
    for block, block_ids, _ in _subset_blocks(rows, ids, len(queries)):
        raw, local = view_rows(block, distance).index.search(queries, min(limit, len(block)))
        parts.append((raw, np.where(local < 0, -1, block_ids[local])))
    if len(parts) == 1:
        return parts[0]
    raw, found = (np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
    order = np.argsort(-raw if distance.larger_is_better else raw, axis=1, kind="stable")[:, :limit]
    return np.take_along_axis(raw, order, axis=1), np.take_along_axis(found, order, axis=1)


def _range_blocks(rows: Rows, passing: npt.NDArray[np.bool_] | None, queries: int) -> Iterator[Block]:
    """Cut rows into blocks with their row numbers and, where there is a selection, the mask of each."""
    size = _block_rows(rows, queries)
    for at in range(0, len(rows), size):
        block, among = rows[at : at + size], None if passing is None else passing[at : at + size]
        yield block, np.arange(at, at + len(block), dtype=np.int64), among


def _subset_blocks(rows: Rows, ids: Ids, queries: int) -> Iterator[Block]:
    """Gather the rows named by ``ids``, a block at a time."""
    size = _block_rows(rows, queries)
    for at in range(0, len(ids), size):
        block_ids = np.ascontiguousarray(ids[at : at + size])
        yield rows[block_ids], block_ids, None


def _block_rows(rows: Rows, queries: int) -> int:
    """Rows whose float32 form fills a block, for so many queries."""
    block_bytes = BLOCK_BYTES if queries > FEW_EXAMPLES else BLOCK_BYTES // FEW_BLOCK_SHARE
    dim: int = rows.shape[1]
    return max(1, block_bytes // (4 * dim))


def _id_selector(bitmap: Bitmap) -> faiss.IDSelector:
    """FAISS counts the bitmap in bytes; the caller keeps ``bitmap`` alive."""
    return faiss.IDSelectorBitmap(len(bitmap), faiss.swig_ptr(bitmap))


def as_best(raw: F32, ids: Ids, distance: Distance, start: int) -> Best:
    """Turn FAISS's ids and raw scores ``(q, k)``, id 0 being offset ``start``, into offsets and the API's scores.

    Places without a row, of id -1, come last in each line.
    """
    scores = np.sqrt(np.maximum(raw, np.float32(0))) if distance is Distance.EUCLID else raw
    offsets = (ids + start if start else ids).astype(np.uint32)
    if ids.size and (ids[0, -1] if len(ids) == 1 else ids[:, -1].min()) < 0:
        missing = ids < 0
        offsets[missing], scores[missing] = MISSING, _worst(distance)
    return offsets, scores


def _worst(distance: Distance) -> np.float32:
    return np.float32(-np.inf if distance.larger_is_better else np.inf)


def _nothing(count: int, width: int) -> Best:
    assert width == 0 or count == 0
    return np.empty((count, width), dtype=np.uint32), np.empty((count, width), dtype=np.float32)
