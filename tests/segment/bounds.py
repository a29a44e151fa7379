"""Bounds of rows, for tests that need none of their segments."""

import numpy as np
import numpy.typing as npt

from qdrantlite.segment.row_bounds import NO_BOUNDS, BoundsIndex, RowBounds


def bounds_of(starts: npt.NDArray[np.integer], counts: npt.NDArray[np.integer]) -> BoundsIndex:
    """Of the offsets from 0 on, in two segments where there are enough."""
    offsets, bounds = np.arange(len(starts), dtype=np.uint32), RowBounds.of(starts, counts)
    index = NO_BOUNDS
    for part in np.array_split(offsets, 2):
        index = index.with_points(part, bounds.take(part))
    return index
