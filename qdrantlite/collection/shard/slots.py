"""Derived state of one named vector: which offsets have it, and how it is searched.

A slot is changed only under the shard's publish lock; ``view`` freezes it for readers. Dense rows live in a vector
file whose row number is the offset; multivector rows in a file of running row numbers; sparse vectors in the point
store.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qdrantlite.collection.shard.changes import Inserted
from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.multivector import MultiVectorView
from qdrantlite.segment.row_bounds import BoundsIndex
from qdrantlite.segment.sealed import SealedSegment
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.row_norms import RowNorms
from qdrantlite.storage.checkpoint import Part
from qdrantlite.storage.store_reader import SparseRows
from qdrantlite.storage.vacant import Ranges
from qdrantlite.storage.vector_file import VectorFile
from qdrantlite.values.distance import Datatype
from qdrantlite.values.schema import SparseVectorParams, VectorParams
from qdrantlite.values.vector import U32, SparseVector

NO_OFFSETS: U32 = np.empty(0, dtype=np.uint32)
NOWHERE = Selection.from_offsets(NO_OFFSETS)
Verify = Callable[[Any], None]


def sparse_vectors(rows: SparseRows) -> list[SparseVector]:
    """One vector per row that is present, sharing the arrays of ``rows``."""
    bounds = rows.bounds.tolist()
    return [
        SparseVector(rows.indices[start:end], rows.weights[start:end])
        for start, end, present in zip(bounds[:-1], bounds[1:], rows.present.tolist(), strict=True)
        if present
    ]


@dataclass(slots=True, eq=False)
class _Slot:
    """What all slots have in common: they know which points have the vector."""

    id: int
    present: Selection

    def _take_in(self, owners: U32, given: Selection) -> None:
        """Takes in new offsets that have the vector, of all that are new."""
        owning = given if len(owners) == len(given) else Selection.from_offsets(owners)
        self.present = self.present.union(owning)

    def drop(self, offsets: Selection) -> None:
        """Takes out offsets that died or lost the vector."""
        self.present = self.present.difference(offsets)

    def clear(self) -> None:
        """Forgets everything derived."""
        self.present = NOWHERE

    def dump(self) -> list[tuple[str, Part]]:
        """Parts of a checkpoint."""
        return [("present", self.present.to_bytes())]

    def load(self, parts: "dict[str, Part]") -> None:
        """State from the parts of a checkpoint."""
        self.present = Selection.from_bytes(bytes(parts["present"]))


@dataclass(slots=True, eq=False)
class DenseSlot(_Slot):
    """One row per offset; rows of points without the vector are zeros and never looked at."""

    params: VectorParams
    file: VectorFile
    sealed: SealedSegment | None = None
    norms: RowNorms = field(default_factory=RowNorms)

    def add(self, inserted: Inserted, name: str, given: Selection) -> None:
        """Takes in the offsets that brought this vector; ``given`` are all that are new."""
        self._take_in(inserted.dense.get(name, NO_OFFSETS), given)

    def view(self, rows: int, vacant: Ranges) -> DenseView:
        """Frozen view of the first ``rows`` offsets, of which nothing lives in ``vacant`` ranges."""
        return DenseView(
            rows=self.file.rows(rows),
            distance=self.params.distance,
            datatype=self.params.datatype or Datatype.FLOAT32,
            present=None if len(self.present) == rows else self.present,
            sealed=() if self.sealed is None else (self.sealed,),
            verify=self.file.verify_rows,
            norms=self.norms,
            vacant=vacant,
        )


@dataclass(slots=True, eq=False)
class MultiSlot(_Slot):
    """Several rows per offset; their bounds are among the shard's indexes."""

    params: VectorParams
    file: VectorFile

    def add(self, inserted: Inserted, name: str, given: Selection) -> None:
        """Takes in the offsets that brought this vector; ``given`` are all that are new."""
        part = inserted.multi.get(name)
        if part is not None:
            self._take_in(part.offsets, given)

    def view(self, bounds: BoundsIndex) -> MultiVectorView:
        """Frozen view of all points that have it now."""
        return MultiVectorView(
            rows=self.file.rows(self.file.rows_appended),
            bounds=bounds,
            distance=self.params.distance,
            datatype=self.params.datatype or Datatype.FLOAT32,
            present=self.present,
            verify=self.file.verify_rows,
            rows_vacant=self.file.rows_vacant,
        )


@dataclass(slots=True, eq=False)
class SparseSlot(_Slot):
    """Points that have a sparse vector; its postings are among the shard's indexes."""

    params: SparseVectorParams

    def add(self, inserted: Inserted, name: str, given: Selection) -> None:
        """Takes in the offsets that brought this vector; ``given`` are all that are new."""
        part = inserted.sparse.get(name)
        if part is not None:
            self._take_in(part.offsets, given)


Slot = DenseSlot | MultiSlot | SparseSlot
