"""Multivectors: several rows per point, compared by MaxSim."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.row_encoding import Rows
from qdrantlite.values.distance import Distance
from qdrantlite.values.vector import F32


@dataclass(frozen=True, slots=True, eq=False)
class MultiVectorView:
    """One multivector of all points at one moment.

    ``rows`` ``(total_rows, dim)`` stored dtype; point ``o`` owns ``rows[starts[o] : starts[o] + counts[o]]``; a count of 0 means
    the point has no such vector. ``verify`` is called with row numbers before rows are served.
    """

    rows: Rows
    starts: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.uint32]
    distance: Distance
    verify: Callable[[npt.NDArray[np.int64] | slice], None]

    def score(self, query: F32, offsets: Offsets) -> F32:
        """MaxSim of a prepared query ``(q, dim)`` with each point, ``(n,) float32`` in the order given.

        Every offset must have the vector. Euclid and Manhattan report distances (smaller is better).
        """
        raise NotImplementedError

    def has(self, offsets: Offsets) -> npt.NDArray[np.bool_]:
        """Whether each point has this vector, ``(n,) bool``."""
        raise NotImplementedError

    def search(self, query: F32, *, selection: Selection, limit: int) -> tuple[Offsets, F32]:
        """Best points of the selection, best first, ties by offset; points without the vector are left out."""
        raise NotImplementedError
