"""The codes along which a graph is built: as coarse as the rows allow, because coarse codes build twice as fast.

One byte a component serves most embeddings, but not rows in tight clusters: inside a cluster all codes may be equal,
and a graph built over them would link at random. So codes are tried on a sample before they are trusted. What is built
over codes is searched over the rows themselves wherever FAISS can read them.
"""

import faiss
import numpy as np

from qdrantlite.segment.vector_index.exact import MISSING, score, subset
from qdrantlite.segment.vector_index.preconditions import trainable, training_rows
from qdrantlite.segment.vector_index.row_encoding import Rows, as_float32
from qdrantlite.segment.vector_index.row_view import metric_of
from qdrantlite.values.distance import Distance
from qdrantlite.values.vector import F32, U32

TRAINING_ROWS = 16_384
"""Rows from which the range of each component is learned."""

TRIAL_QUERIES = 32
TRIAL_NEIGHBOURS = 16
TRIAL_POOL = 64
"""A trial ranks the 64 true nearest rows of 32 sampled rows by their codes, and looks at the best 16."""

AGREEMENT_MIN = 0.85
"""Share of the true nearest rows that codes must keep.

Measured: text embeddings 1.0 and wide clusters 0.94 with bytes, where graphs recall as without codes; tight clusters
0.29 with bytes and 0.67 with halves, where recall at ef 64 fell from 0.99 to 0.65 and 0.98.
"""

DIRECTION_SHARE_MIN = 0.7
"""Squared mean over mean square from which rows are lifted: 0.14 for text embeddings, 0.9 for the same as bytes."""

SEED = 20_240_607


def choose_codes(rows: Rows, offsets: U32, distance: Distance) -> faiss.IndexFlatCodes:
    """An empty, trained FAISS storage for building a graph over the rows at ``offsets`` (ascending).

    Bytes are stored as they are, unless their cosine is wanted; Manhattan has no codes in FAISS and takes float32.
    """
    dim = rows.shape[1]
    metric = metric_of(distance)
    if distance is Distance.MANHATTAN or len(offsets) == 0:
        return faiss.IndexFlat(dim, metric)
    quantizer = faiss.ScalarQuantizer
    if rows.dtype == np.uint8 and distance is not Distance.COSINE:
        return faiss.IndexScalarQuantizer(dim, quantizer.QT_8bit_direct, metric)
    chance = np.random.default_rng(SEED)
    sample = trainable(as_float32(rows[_sample(offsets, training_rows(TRAINING_ROWS, dim), chance)], distance))
    pools = _nearest_pools(rows, offsets, distance, chance)
    for kind in (quantizer.QT_8bit, quantizer.QT_fp16):
        codes = faiss.IndexScalarQuantizer(dim, kind, metric)
        codes.train(sample)
        if _agreement(codes.sq, rows, pools, distance) >= AGREEMENT_MIN:
            return codes
    return faiss.IndexFlat(dim, metric)


def shares_direction(rows: Rows, offsets: U32) -> bool:
    """Whether the rows at ``offsets`` point mostly one way, as rows of positive components do.

    Their largest inner products all belong to the same few long rows; linked by inner product, the others become
    unreachable under a filter (measured: 5 % passing, recall 0.40 against 1.0 when linked by ``lift``).
    """
    if len(offsets) == 0:
        return False
    chosen = _sample(offsets, training_rows(TRAINING_ROWS, rows.shape[1]), np.random.default_rng(SEED))
    sample = rows[chosen].astype(np.float32)
    mean = sample.mean(axis=0, dtype=np.float64)
    return bool(mean @ mean >= DIRECTION_SHARE_MIN * np.mean(np.einsum("ij,ij->i", sample, sample, dtype=np.float64)))


def lift(floats: F32, largest: np.float32) -> F32:
    """Add a component that makes all norms equal, ``largest`` being the greatest squared norm.

    Among lifted rows the Euclidean neighbours are those by inner product (Bachrach et al., RecSys 2014).
    """
    missing = np.maximum(largest - np.einsum("ij,ij->i", floats, floats), np.float32(0))
    return np.column_stack((floats, np.sqrt(missing))).astype(np.float32, copy=False)


def _sample(offsets: U32, count: int, chance: "np.random.Generator") -> U32:
    """Up to ``count`` of ``offsets``, ascending."""
    if len(offsets) <= count:
        return offsets
    return offsets[np.sort(chance.choice(len(offsets), count, replace=False))]


def _nearest_pools(
    rows: Rows, offsets: U32, distance: Distance, chance: "np.random.Generator"
) -> list[tuple[int, U32]]:
    """For each trial row, its offset and those of its true nearest rows."""
    trial = _sample(offsets, TRIAL_QUERIES, chance)
    found, _ = subset(rows, rows[trial].astype(np.float32), offsets, distance=distance, limit=TRIAL_POOL)
    return [
        (int(offset), near[near != MISSING]) for offset, near in zip(trial, found, strict=True) if near[0] != MISSING
    ]


def _agreement(codes: faiss.ScalarQuantizer, rows: Rows, pools: list[tuple[int, U32]], distance: Distance) -> float:
    """Share of the true nearest rows that are still among the nearest when codes are compared with codes.

    A row as near as the last true neighbour counts as one, so that equal rows do not count against the codes.
    """
    shares = []
    for offset, pool in pools:
        query = rows[offset].astype(np.float32)
        exact = score(rows, query, pool, distance=distance)
        gathered = as_float32(rows[np.concatenate(([offset], pool)).astype(np.int64)], distance)
        decoded = codes.decode(codes.compute_codes(gathered))
        rough = _similarity(decoded[1:], decoded[0], distance)
        near = exact if distance.larger_is_better else -exact
        kept = min(TRIAL_NEIGHBOURS, len(pool))
        bound = np.sort(near)[-kept]
        slack = 1e-6 * abs(float(bound))
        best = np.argsort(-rough, kind="stable")[:kept]
        shares.append(float(np.mean(near[best] >= bound - slack)))
    return float(np.mean(shares)) if shares else 0.0


def _similarity(decoded: F32, query: F32, distance: Distance) -> F32:
    """Larger is nearer."""
    if distance.larger_is_better:
        products: F32 = decoded @ query
        return products
    squares: F32 = np.square(decoded - query).sum(axis=1)
    return -squares
