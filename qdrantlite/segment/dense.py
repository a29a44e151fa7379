"""Dense vectors of one name: exact scans over stored rows, sealed graphs beside them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.row_encoding import Rows
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import F32


@dataclass(frozen=True, slots=True, eq=False)
class DenseView:
    """One dense vector of all points at one moment; row number = offset.

    ``present`` are the live points that have the vector, ``None`` when that is every row. ``sealed`` is empty until graphs exist.
    ``verify`` is called with offsets or a slice of them before their rows are served and raises Corrupted.
    Queries ``(dim,)`` or ``(q, dim)`` float32 are prepared already (``row_encoding.prepare_query``). Results for one query are
    ``(offsets (k,) uint32, scores (k,) float32)``; for several ``(q, k)``, missing hits padded with 0xFFFFFFFF. Best first, ties
    by offset, scores as Qdrant reports them.
    """

    rows: Rows
    distance: Distance
    datatype: Datatype
    present: Selection | None
    sealed: tuple[object, ...]
    verify: Callable[[Offsets | slice], None]

    def scan(self, queries: F32, *, limit: int, selection: Selection | None = None) -> tuple[Offsets, F32]:
        """Best of the selection (``None`` = all present) by reading all rows in order."""
        raise NotImplementedError

    def subset(self, queries: F32, offsets: Offsets, *, limit: int) -> tuple[Offsets, F32]:
        """Best of these offsets, ascending and all present, reading their rows only."""
        raise NotImplementedError

    def score(self, query: F32, offsets: Offsets) -> F32:
        """Score of each of these offsets, all present, ``(n,) float32`` in the order given."""
        raise NotImplementedError

    def has(self, offsets: Offsets) -> npt.NDArray[np.bool_]:
        """Whether each point has this vector, ``(n,) bool``."""
        raise NotImplementedError
