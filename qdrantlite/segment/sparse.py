"""Sparse vectors as postings, in immutable sorted runs merged log-structured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap

from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.payload_index.index import Part
from qdrantlite.segment.selection import Selection
from qdrantlite.values.vector import F32, U32, SparseVector


@dataclass(frozen=True, slots=True, eq=False)
class SparseView:
    """The index at one moment; immutable."""

    def search(self, query: SparseVector, *, selection: Selection, limit: int) -> tuple[Offsets, F32]:
        """Best points of the selection that share an index with the query and whose total is not 0.

        ``(offsets (k,) uint32, scores (k,) float32)``, best first, ties by offset, ``k <= limit``.
        """
        raise NotImplementedError

    def score(self, query: SparseVector, offsets: Offsets) -> tuple[F32, npt.NDArray[np.bool_]]:
        """Score of each offset (0 without overlap) and whether it shares an index with the query, in the order given."""
        raise NotImplementedError

    def idf(self, indices: U32, live: Selection) -> F32:
        """``ln((n - df + 0.5) / (df + 0.5) + 1)`` of each index, ``(len(indices),) float32``.

        ``live`` are the points of the corpus that have this vector: ``n`` is their number, ``df`` counts them only.
        """
        raise NotImplementedError


class SparseIndex:
    """The postings of one sparse vector; all methods run under the collection's lock."""

    def add(self, offsets: Offsets, vectors: Sequence[SparseVector]) -> None:
        """Take up points; an offset that is in already must be discarded first."""
        raise NotImplementedError

    def discard(self, offsets: AbstractBitMap) -> None:
        """Forget these points; unknown ones are no error."""
        raise NotImplementedError

    def view(self) -> SparseView:
        """What is in now; later changes do not show in it."""
        raise NotImplementedError

    def dump(self) -> list[Part]:
        """Everything needed to ``load``."""
        raise NotImplementedError

    def load(self, parts: Sequence[Part]) -> None:
        """Take the state of a dump; the index must be fresh."""
        raise NotImplementedError
