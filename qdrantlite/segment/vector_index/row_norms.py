"""Norms of stored bytes, found once: to find them takes longer than to compare a query with the rows.

Four bytes a row, of rows that were compared in order. Thread-safe: two who look for the same find the same.
"""

import numpy as np

from qdrantlite.segment.vector_index.row_encoding import Rows, norms_of
from qdrantlite.values.distance import Distance
from qdrantlite.values.vector import F32

BLOCK_ROWS = 4096


def have_norms(rows: Rows, distance: Distance) -> bool:
    """Whether products with these rows are to be divided by norms."""
    return rows.dtype == np.uint8 and distance is Distance.COSINE


class RowNorms:
    """Of the rows of one file, which only grows: a row that a view has seen never changes."""

    def __init__(self) -> None:
        self._blocks: dict[int, F32] = {}

    def of(self, rows: Rows, start: int, stop: int) -> F32:
        """Norms ``(stop - start,)`` of ``rows[start:stop]``, 1 for a row of zeros; ``rows`` begin at offset 0."""
        parts = [np.empty(0, dtype=np.float32)]
        for number in range(start // BLOCK_ROWS, -(-stop // BLOCK_ROWS)):
            first = number * BLOCK_ROWS
            known = self._blocks.get(number)
            if known is None or first + len(known) < min(stop, first + BLOCK_ROWS):
                known = self._blocks[number] = norms_of(rows[first : first + BLOCK_ROWS])
            parts.append(known[max(start - first, 0) : stop - first])
        return np.concatenate(parts)
