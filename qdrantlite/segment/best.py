"""The best of many scores, in a total order."""

import numpy as np

from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.values.vector import F32


def best_of(offsets: Offsets, scores: F32, *, limit: int, larger_is_better: bool) -> tuple[Offsets, F32]:
    """The best ``limit`` of ``(n,)`` candidates, best first, ties by offset, also at the cut. NaN is worst."""
    keys = -scores if larger_is_better else scores
    if limit < len(keys):
        last = np.partition(keys, limit - 1)[limit - 1] if limit else np.float32(-np.inf)
        kept = np.flatnonzero(keys <= last) if not np.isnan(last) else np.arange(len(keys))
        offsets, scores, keys = offsets[kept], scores[kept], keys[kept]
    order = np.lexsort((offsets, keys))[:limit]
    return offsets[order], scores[order]
