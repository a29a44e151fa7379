"""Dense vectors of one name: exact scans over stored rows, sealed graphs beside them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index import exact
from qdrantlite.segment.vector_index.row_encoding import Rows
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import F32


@dataclass(frozen=True, slots=True, eq=False)
class DenseView:
    """One dense vector of all points at one moment; row number = offset.

    ``present`` are the live points that have the vector, ``None`` when that is every row. ``sealed`` is empty until
    graphs exist. ``verify`` is called with offsets or a slice of them before their rows are served and raises
    Corrupted. Queries ``(dim,)`` or ``(q, dim)`` float32 are prepared already (``row_encoding.prepare_query``).
    Results for one query are ``(offsets (k,) uint32, scores (k,) float32)``; for several ``(q, k)``, missing hits
    padded with ``exact.MISSING``. Best first, ties by offset, scores as Qdrant reports them.
    """

    rows: Rows
    distance: Distance
    datatype: Datatype
    present: Selection | None
    sealed: tuple[object, ...]
    verify: Callable[[Offsets | slice], None]

    def scan(self, queries: F32, *, limit: int, selection: Selection | None = None) -> tuple[Offsets, F32]:
        """Best of the selection (``None`` = all present) by reading all rows in order."""
        passing = self._present_in(selection)
        self.verify(slice(0, len(self.rows)))
        found = exact.scan(
            self.rows,
            np.atleast_2d(queries),
            distance=self.distance,
            limit=limit if passing is None else min(limit, len(passing)),
            selector=None if passing is None else passing.mask(0, len(self.rows)),
        )
        return self._ordered(*found, single=queries.ndim == 1)

    def subset(self, queries: F32, offsets: Offsets, *, limit: int) -> tuple[Offsets, F32]:
        """Best of these offsets, ascending and all present, reading their rows only."""
        self.verify(offsets)
        found = exact.subset(self.rows, np.atleast_2d(queries), offsets, distance=self.distance, limit=limit)
        return self._ordered(*found, single=queries.ndim == 1)

    def score(self, query: F32, offsets: Offsets) -> F32:
        """Score of each of these offsets, all present, ``(n,) float32`` in the order given."""
        self.verify(offsets)
        return exact.score(self.rows, query, offsets, distance=self.distance)

    def has(self, offsets: Offsets) -> npt.NDArray[np.bool_]:
        """Whether each point has this vector, ``(n,) bool``."""
        if self.present is None:
            return np.ones(len(offsets), dtype=np.bool_)
        return self.present.contains(offsets)

    def _present_in(self, selection: Selection | None) -> Selection | None:
        if selection is None or self.present is None:
            return self.present if selection is None else selection
        return selection.intersection(self.present)

    def _ordered(self, offsets: Offsets, scores: F32, *, single: bool) -> tuple[Offsets, F32]:
        """Settle ties by offset; for a single query drop the padding."""
        order = np.lexsort((offsets, -scores if self.distance.larger_is_better else scores), axis=-1)
        offsets, scores = np.take_along_axis(offsets, order, axis=1), np.take_along_axis(scores, order, axis=1)
        if not single:
            return offsets, scores
        found = int(np.count_nonzero(offsets[0] != exact.MISSING))
        return offsets[0, :found], scores[0, :found]
