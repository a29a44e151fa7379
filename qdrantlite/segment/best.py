"""The best of many scores, in a total order; which scores are hits at all."""

import numpy as np
import numpy.typing as npt

from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.values.vector import F32


def are_hits(scores: F32, *, larger_is_better: bool) -> npt.NDArray[np.bool_]:
    """Which scores are hits, ``(n,) bool``: not NaN, and not the worst infinity, such as an infinite distance."""
    hits: npt.NDArray[np.bool_] = scores > -np.inf if larger_is_better else scores < np.inf
    return hits


def best_of(offsets: Offsets, scores: F32, *, limit: int, larger_is_better: bool) -> tuple[Offsets, F32]:
    """The best ``limit`` of ``(n,)`` candidates, best first, ties by offset, also at the cut; only hits."""
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
