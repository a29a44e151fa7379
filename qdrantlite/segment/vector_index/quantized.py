"""Quantised codes over a range of stored rows: small enough to stay in memory, rescored from the rows themselves.

Code i belongs to offset ``first + i``. Codes serve twice: scanned on their own, or walked along a graph (``along``).
Candidates are ordered by codes and, unless told otherwise, rescored, so that returned scores are exact.

The settings of the API map to FAISS as follows. Scalar int8: one byte a component. Product: 256 centroids a piece.
Binary and turbo: RaBitQ (Gao and Long, SIGMOD 2024) of 1, 2, 4 or 8 bits a component after a random rotation, which
recalls more per byte than signs alone. The rotation is made of signs and Hadamard transforms: its cost grows hardly
faster than the number of components, which are filled up to a power of two. (Codes saved with a dense matrix are read
as they are.) Single bits meet a query that is rounded too, to ``query_bits`` a component; more bits meet the query as
it is. Manhattan has no codes. Knows no plans and chooses nothing.
"""

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TypeAlias, assert_never

import faiss
import numpy as np
import numpy.typing as npt

from qdrantlite.errors import Corrupted, StorageFailed
from qdrantlite.segment.vector_index.cores import use_cores
from qdrantlite.segment.vector_index.exact import Bitmap, as_best, rescore
from qdrantlite.segment.vector_index.hnsw import Graph, Progress, walk_over
from qdrantlite.segment.vector_index.preconditions import (
    as_many_as,
    batch_rows,
    oversampled,
    tame,
    trainable,
    training_rows,
)
from qdrantlite.segment.vector_index.row_encoding import Rows, as_float32, unit_query
from qdrantlite.segment.vector_index.row_view import metric_of
from qdrantlite.values.distance import Distance
from qdrantlite.values.vector import F32, U32

__all__ = ["QUERY_BITS", "BitCodes", "CodeKind", "Codes", "ProductCodes", "ScalarCodes", "encode", "load", "save"]

NO_OFFSETS: U32 = np.empty(0, dtype=np.uint32)
CENTROIDS = 256
TRAINING_ROWS = 40 * CENTROIDS
"""Rows from which ranges and centroids are learned: 40 for each centroid, as FAISS asks."""

PRODUCT_ROUNDS = 10
"""Rounds of k-means. 25 take twice as long and moved recall of 10 among 40 candidates from 0.957 to 0.961."""

ROTATION_SEED = 7

QUERY_BITS = 8
"""Of a component of a query that meets single bits. Recalls as floats do in a tenth of their time: FAISS counts bits of
whole words instead of adding up components (``docs/decisions/0005-quantization.md``).
"""


@dataclass(frozen=True, slots=True)
class ScalarCodes:
    """One byte a component, over the range of all values.

    The range that leaves out ``1 - quantile`` of them is taken instead where that brings rows nearer to their codes:
    where a few are wild. Each component has a range of its own, so that elsewhere it would only cut the ends off.
    """

    quantile: float | None = None


@dataclass(frozen=True, slots=True)
class ProductCodes:
    """A byte for each ``ratio / 4`` components, the last piece filled up with zeros; ``ratio``: 4, 8, 16, 32 or 64."""

    ratio: int


@dataclass(frozen=True, slots=True)
class BitCodes:
    """``bits`` (1 to 8) a component, of a power of two of them, and some 20 bytes of factors a row."""

    bits: int


CodeKind: TypeAlias = ScalarCodes | ProductCodes | BitCodes


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Codes of ``rows[first : first + index.ntotal]``, immutable."""

    index: faiss.Index
    rows: Rows
    first: int
    distance: Distance

    @property
    def count(self) -> int:
        """Rows covered: offsets ``first`` to ``first + count - 1``."""
        return int(self.index.ntotal)

    def search(
        self,
        queries: F32,
        *,
        limit: int,
        oversampling: float = 1.0,
        selector: Bitmap | None = None,
        rescored: bool = True,
    ) -> tuple[U32, F32]:
        """Scan all codes for each of ``queries`` ``(q, dim)`` and rescore ``limit * oversampling`` candidates.

        Without ``rescored`` the rows are not read, and the scores are estimates.

        ``selector`` is a packed bitmap, little bit order, bit i for offset ``first + i``.

        Returns offsets and scores ``(q, min(limit, count))``, best first; places without a row hold ``MISSING``.
        """
        width = min(limit, self.count)
        if width == 0 or len(queries) == 0:
            return np.empty((len(queries), width), np.uint32), np.empty((len(queries), width), np.float32)
        use_cores(1)
        asked = oversampled(width, oversampling, self.count)
        unit = unit_query(queries, self.rows, self.distance)
        raw, ids = self._nearest(unit, asked if rescored else width, selector)
        if not rescored:
            return as_best(raw, ids, self.distance, self.first)
        candidates = np.where(ids < 0, -1, ids + self.first)
        return rescore(self.rows, queries, candidates, distance=self.distance, limit=width)

    def along(self, graph: Graph) -> Graph:
        """The same graph walked over these codes instead of the rows; it must cover the same range."""
        assert (graph.first, graph.count) == (self.first, self.count)
        walked = walk_over(self.index, graph.index)
        return Graph(walked, graph.links, self.rows, self.first, self.distance, view=None)

    def _nearest(self, queries: F32, limit: int, selector: Bitmap | None) -> tuple[F32, npt.NDArray[np.int64]]:
        """FAISS's scores and code numbers ``(q, limit)`` of what passes."""
        index, parameters = self.index, None
        if isinstance(index, faiss.IndexPreTransform):
            # A transform drops a selector in silence, so what lies behind it is asked.
            queries = faiss.downcast_VectorTransform(index.chain.at(0)).apply(queries)
            index = faiss.downcast_index(index.index)
        if selector is not None:
            if isinstance(index, faiss.IndexPQ):
                return _nearest_product_codes(index, queries, limit, selector)
            chosen = faiss.IDSelectorBitmap(len(selector), faiss.swig_ptr(selector))
            parameters = faiss.SearchParameters(sel=chosen)
        raw, ids = index.search(queries, limit, params=parameters)
        return raw, ids


def encode(
    rows: Rows,
    kind: CodeKind,
    *,
    first: int,
    count: int,
    linked: U32 = NO_OFFSETS,
    distance: Distance,
    threads: int,
    query_bits: int = QUERY_BITS,
    progress: Progress | None = None,
) -> Codes:
    """Learn codes of ``kind`` from the rows at ``linked``, without any from ``rows[first : first + count]``, and encode
    all of these.

    What is not linked may be zeros in place of rows that nobody has any more, and so should teach nothing.
    ``query_bits`` (1 to 8, 0: not rounded) changes nothing in the codes. ``progress`` is called with rows done and rows
    in all after each batch, and abandons the work by raising.
    """
    assert count
    assert distance is not Distance.MANHATTAN
    covered = rows[first : first + count]
    use_cores(threads)
    taught = linked if len(linked) else np.arange(first, first + count)
    sample = taught[:: max(1, len(taught) // training_rows(TRAINING_ROWS, rows.shape[1]))]
    index = _trained(kind, trainable(as_float32(rows[sample], distance)), distance)
    batch = batch_rows(rows.shape[1])
    for at in range(0, count, batch):
        use_cores(threads)
        index.add(tame(as_float32(covered[at : at + batch], distance)))
        if progress is not None:
            progress(min(at + batch, count), count)
    return Codes(_asked_with(index, query_bits), rows, first, distance)


def save(codes: Codes, path: Path) -> None:
    """Write the codes, neither atomically nor synced. Raises ``StorageFailed``."""
    try:
        faiss.write_index(codes.index, str(path))
    except RuntimeError as error:
        raise StorageFailed("codes cannot be written", detail=f"{path}: {error}") from error


def load(
    path: Path, rows: Rows, *, first: int, distance: Distance, mapped: bool, query_bits: int = QUERY_BITS
) -> Codes:
    """Read saved codes: into memory, or where FAISS can, ``mapped`` from the file. Raises ``Corrupted``.

    ``query_bits`` need not be those that the codes were saved with.
    """
    try:
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC if mapped else 0)
    except RuntimeError as error:
        raise Corrupted("codes cannot be read", detail=f"{path}: {error}") from error
    if index.d != rows.shape[1] or first + index.ntotal > len(rows) or index.metric_type != metric_of(distance):
        raise Corrupted("codes do not fit their rows", detail=str(path))
    return Codes(_asked_with(index, query_bits), rows, first, distance)


def _trained(kind: CodeKind, sample: F32, distance: Distance) -> faiss.Index:
    """An empty FAISS index for codes of a kind, learned from ``sample`` ``(n, dim)``."""
    index = _untrained(kind, sample.shape[1], distance)
    index.train(as_many_as(sample, CENTROIDS) if isinstance(kind, ProductCodes) else sample)
    if not isinstance(kind, ScalarCodes) or kind.quantile is None or kind.quantile >= 1:
        return index
    narrowed = _untrained(kind, sample.shape[1], distance)
    narrowed.sq.rangestat = faiss.ScalarQuantizer.RS_quantiles
    narrowed.sq.rangestat_arg = (1 - kind.quantile) / 2
    narrowed.train(sample)
    return min(index, narrowed, key=lambda each: _loss(each, sample))


def _loss(index: faiss.Index, sample: F32) -> float:
    """Squared distances of rows from their codes in squared lengths of the rows, so that a wild row counts as one."""
    lost = (index.sa_decode(index.sa_encode(sample)) - sample).astype(np.float64)
    squares = np.square(sample, dtype=np.float64).sum(axis=1)
    return float(np.mean(np.square(lost).sum(axis=1) / np.maximum(squares, np.finfo(np.float32).tiny)))


def _untrained(kind: CodeKind, dim: int, distance: Distance) -> faiss.Index:
    metric = metric_of(distance)
    match kind:
        case ScalarCodes():
            return faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_8bit, metric)
        case ProductCodes():
            piece = kind.ratio // 4
            filled = ceil(dim / piece) * piece
            index = faiss.IndexPQ(filled, filled // piece, 8, metric)
            index.pq.cp.niter = PRODUCT_ROUNDS
            index.pq.cp.min_points_per_centroid = 1
            if filled == dim:
                return index
            return faiss.IndexPreTransform(faiss.RemapDimensionsTransform(dim, filled, False), index)
        case BitCodes():
            rotation = faiss.HadamardRotation(dim, ROTATION_SEED)
            return faiss.IndexPreTransform(rotation, faiss.IndexRaBitQ(rotation.d_out, metric, kind.bits))
    assert_never(kind)


def _asked_with(index: faiss.Index, query_bits: int) -> faiss.Index:
    """The index, its queries rounded to so many bits where its codes are bits. Not while anything else may ask it."""
    bits = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
    if isinstance(bits, faiss.IndexRaBitQ):
        # Rounded about 0: else one bit tells only whether a component is above the middle of the query's range.
        bits.qb, bits.centered = query_bits, True
    return index


def _nearest_product_codes(
    index: faiss.IndexPQ, queries: F32, limit: int, selector: Bitmap
) -> tuple[F32, npt.NDArray[np.int64]]:
    """Search the passing codes alone: FAISS scans product codes only as a whole."""
    passing = np.flatnonzero(np.unpackbits(selector, count=index.ntotal, bitorder="little"))
    raw = np.full((len(queries), limit), -np.inf if index.metric_type == faiss.METRIC_INNER_PRODUCT else np.inf, "f4")
    ids = np.full((len(queries), limit), -1, dtype=np.int64)
    width = min(limit, len(passing))
    if width:
        codes = faiss.rev_swig_ptr(index.codes.data(), index.codes.size()).reshape(-1, index.code_size)
        few = faiss.IndexPQ(index.d, index.pq.M, index.pq.nbits, index.metric_type)
        few.pq, few.is_trained = index.pq, True
        few.add_sa_codes(codes[passing])
        raw[:, :width], found = few.search(queries, width)
        ids[:, :width] = passing[found]
    return raw, ids
