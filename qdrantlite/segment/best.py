"""The best of many scores, in a total order; which scores are hits at all."""

import numpy as np
import numpy.typing as npt

from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.values.vector import F32

GROUPS_OF = 64
"""So many scores stand for each other where the best are sought."""
PREFILTERED_FROM = 4096
PREFILTERED_SHARE = 8
"""Of so many scores, and so many times as many as are sought, most are told to be too low before any are sorted."""


def reached(scores: F32, limit: int) -> float:
    """A score that at least ``limit`` > 0 of the scores reach, minus infinity where none is easily found.

    The ``limit``-th best of the best scores of groups is no better than the ``limit``-th best score. Any scores may be
    a group: those that are far apart are compared many at a time.
    """
    size = max(1, min(GROUPS_OF, len(scores) // (2 * limit)))
    best = scores[: len(scores) // size * size].reshape(size, -1).max(axis=0)
    if limit > len(best) or np.isnan(best).any():  # A score that is NaN is reached by none.
        return -np.inf
    return float(np.partition(best, len(best) - limit)[len(best) - limit])


def are_hits(scores: F32, *, larger_is_better: bool) -> npt.NDArray[np.bool_]:
    """Which scores are hits, ``(n,) bool``: not NaN, and not the worst infinity, such as an infinite distance."""
    hits: npt.NDArray[np.bool_] = scores > -np.inf if larger_is_better else scores < np.inf
    return hits


def best_of(offsets: Offsets, scores: F32, *, limit: int, larger_is_better: bool) -> tuple[Offsets, F32]:
    """The best ``limit`` of ``(n,)`` candidates, best first, ties by offset, also at the cut; only hits."""
    if limit and len(scores) >= max(PREFILTERED_FROM, PREFILTERED_SHARE * limit):
        near = scores if larger_is_better else -scores
        least = reached(near, limit)
        if least > -np.inf:
            kept = np.flatnonzero(near >= least)
            offsets, scores = offsets[kept], scores[kept]
    hits = are_hits(scores, larger_is_better=larger_is_better)
    if not hits.all():
        offsets, scores = offsets[hits], scores[hits]
    keys = -scores if larger_is_better else scores
    if limit < len(keys):
        last = np.partition(keys, limit - 1)[limit - 1] if limit else np.float32(-np.inf)
        kept = np.flatnonzero(keys <= last)
        offsets, scores, keys = offsets[kept], scores[kept], keys[kept]
    order = np.lexsort((offsets, keys))[:limit]
    return offsets[order], scores[order]
