"""How vectors given by a user become stored rows and queries, and stored rows become float32 again.

Float rows compared by cosine are stored normalised, so that cosine is an inner product; uint8 rows are stored raw and
their cosine is computed when they are scored. Pure functions over arrays; knows no files, no graphs.
"""

from math import isfinite, sqrt

import faiss
import numpy as np
import numpy.typing as npt

from qdrantlite.segment.vector_index.preconditions import batch_rows
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import F32, U32

Rows = npt.NDArray[np.float32] | npt.NDArray[np.float16] | npt.NDArray[np.uint8]

NORM_MIN = float(np.finfo(np.float32).eps)
"""A squared norm below this counts as 0, as in Qdrant."""

NORM_SLACK = 1e-6
"""A squared norm this close to 1 counts as normalised already, as in Qdrant: such a vector is kept bit for bit."""


def prepare_rows(matrix: npt.ArrayLike, distance: Distance, datatype: Datatype) -> Rows:
    """Turn vectors ``(n, dim)`` as given into rows ``(n, dim)`` of the stored dtype, C-contiguous.

    Cosine normalises float rows (a zero row stays zero), float16 rounds to nearest, uint8 truncates toward zero and
    clamps to 0…255 (NaN becomes 0). The result may share memory with ``matrix`` where nothing had to change.
    """
    floats = np.ascontiguousarray(matrix, dtype=np.float32)
    if datatype is Datatype.UINT8:
        return _to_bytes(floats)
    if distance is Distance.COSINE:
        floats = normalise(floats)
    if datatype is Datatype.FLOAT16:
        with np.errstate(over="ignore", invalid="ignore"):
            return floats.astype(np.float16)
    return floats


def prepare_query(vector: npt.ArrayLike, distance: Distance, datatype: Datatype) -> F32:
    """Turn a query ``(dim,)`` or queries ``(q, dim)`` into float32 as the stored rows expect them.

    The query meets the same normalisation and rounding as a row, and comes back as float32 of the same shape.
    """
    return np.ascontiguousarray(prepare_rows(vector, distance, datatype), dtype=np.float32)


def normalise(vectors: F32) -> F32:
    """Divide each vector along the last axis by its norm; vectors of norm near 0 or near 1 are left alone."""
    if vectors.ndim == 1:
        return _normalise_one(vectors)
    with np.errstate(over="ignore", invalid="ignore"):
        squared = np.einsum("...i,...i->...", vectors, vectors, dtype=np.float32)
        keep = (squared < NORM_MIN) | (np.abs(squared - np.float32(1)) < NORM_SLACK)
        if np.all(keep):
            return vectors
        norms = np.where(keep, np.float32(1), np.sqrt(squared)).astype(np.float32)
        return vectors / norms[..., np.newaxis]


def _normalise_one(vector: F32) -> F32:
    """``normalise`` of ``(dim,)`` without what only many vectors need: a fifth of the time, and queries come singly."""
    with np.errstate(over="ignore", invalid="ignore"):
        squared = float(np.dot(vector, vector))
    if squared < NORM_MIN or abs(squared - 1) < NORM_SLACK:
        return vector
    unit: F32 = vector / np.float32(sqrt(squared)) if isfinite(squared) else normalise(vector[np.newaxis])[0]
    return unit


def as_float32(rows: Rows, distance: Distance) -> F32:
    """Convert a block of stored rows ``(n, dim)`` to float32; uint8 rows under cosine come back with norm 1 (or 0).

    After this every cosine is an inner product. float32 rows are returned as they are, not copied.
    """
    if rows.dtype == np.float32:
        return np.asarray(rows, dtype=np.float32)
    if rows.dtype == np.float16:
        return _decode_half(rows)
    floats = rows.astype(np.float32)
    return _unit(floats) if distance is Distance.COSINE else floats


def as_compared(rows: Rows, distance: Distance, norms: F32 | None = None) -> tuple[F32, F32 | None]:
    """Stored rows ``(n, dim)`` as float32, and the norms ``(n,)`` that inner products with them are to be divided by.

    None but for uint8 rows under cosine: there one division a row is a fifth of the time of one a component. ``norms``
    of these are found unless given.
    """
    if distance is not Distance.COSINE or rows.dtype != np.uint8:
        return as_float32(rows, distance), None
    floats = rows.astype(np.float32)
    return floats, _norms(floats) if norms is None else norms


def norms_of(rows: Rows) -> F32:
    """The norms ``(n,)`` of uint8 rows, by which their inner products are divided; 1 for a row of zeros."""
    return _norms(rows.astype(np.float32))


def unit_query(queries: F32, rows: Rows, distance: Distance) -> F32:
    """Queries as ``as_float32`` rows expect them: of norm 1 for uint8 cosine, else unchanged."""
    return _unit(queries) if distance is Distance.COSINE and rows.dtype == np.uint8 else queries


def squared_norms(rows: Rows, offsets: U32) -> F32:
    """Squared norms of the rows at ``offsets``."""
    squares = np.empty(len(offsets), dtype=np.float32)
    batch = batch_rows(rows.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        for at in range(0, len(offsets), batch):
            block = rows[offsets[at : at + batch]].astype(np.float32, copy=False)
            squares[at : at + batch] = np.einsum("ij,ij->i", block, block)
    return squares


def _unit(floats: F32) -> F32:
    """Divide each row ``(n, dim)`` by its norm."""
    unit: F32 = floats / _norms(floats)[:, np.newaxis]
    return unit


def _norms(floats: F32) -> F32:
    """The exact norms ``(n,)``, which for bytes are either 0, given as 1, or at least 1."""
    norms = np.empty(len(floats), dtype=np.float32)
    floats = np.ascontiguousarray(floats)
    faiss.fvec_norms_L2(faiss.swig_ptr(norms), faiss.swig_ptr(floats), floats.shape[1], len(floats))
    return np.maximum(norms, np.float32(1), out=norms)


def _to_bytes(floats: F32) -> npt.NDArray[np.uint8]:
    """Truncate toward zero and clamp to 0…255; NaN becomes 0."""
    return np.fmin(np.fmax(floats, np.float32(0)), np.float32(255)).astype(np.uint8)


def _decode_half(rows: Rows) -> F32:
    """Decode float16 with FAISS, which uses the processor's instruction where NumPy's cast does not."""
    count, dim = rows.shape
    floats = np.empty((count, dim), dtype=np.float32)
    if count:
        codes = np.ascontiguousarray(rows).reshape(-1).view(np.uint8)
        quantizer = faiss.ScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16)
        quantizer.decode_c(faiss.swig_ptr(codes), faiss.swig_ptr(floats), count)
    return floats
