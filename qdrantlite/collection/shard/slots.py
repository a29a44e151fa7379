"""Derived state of one named vector: which offsets have it, and how it is searched.

A slot is changed only under the shard's publish lock; ``view`` freezes it for readers. Dense rows live in a vector
file whose row number is the offset; multivector rows in a file of running row numbers; sparse vectors in the point
store.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdrantlite.collection.shard.changes import Inserted
from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.multivector import MultiVectorView
from qdrantlite.segment.sealed import SealedSegment
from qdrantlite.segment.selection import Selection
from qdrantlite.storage.checkpoint import Part
from qdrantlite.storage.store_reader import RaggedRows, SparseRows
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


def _below(offsets: U32, offset_to: int | None) -> NDArray[np.bool_]:
    return np.ones(len(offsets), dtype=np.bool_) if offset_to is None else offsets < offset_to


@dataclass(slots=True, eq=False)
class DenseSlot:
    """One row per offset; rows of points without the vector are zeros and never looked at."""

    id: int
    params: VectorParams
    file: VectorFile
    present: Selection
    sealed: SealedSegment | None = None

    def add(self, inserted: Inserted, name: str) -> None:
        """Takes in the offsets that brought this vector."""
        self.present = self.present.union(Selection.from_offsets(inserted.dense.get(name, NO_OFFSETS)))

    def drop(self, offsets: Selection) -> None:
        """Takes out offsets that died or lost the vector."""
        self.present = self.present.difference(offsets)

    def view(self, rows: int) -> DenseView:
        """Frozen view of the first ``rows`` offsets."""
        return DenseView(
            rows=self.file.rows(rows),
            distance=self.params.distance,
            datatype=self.params.datatype or Datatype.FLOAT32,
            present=None if len(self.present) == rows else self.present,
            sealed=() if self.sealed is None else (self.sealed,),
            verify=self.file.verify_rows,
        )

    def clear(self) -> None:
        """Forgets everything derived."""
        self.present = NOWHERE

    def dump(self) -> list[tuple[str, Part]]:
        """Parts of a checkpoint."""
        return [("present", self.present.to_bytes())]

    def load(self, parts: "dict[str, Part]") -> None:
        """State from the parts of a checkpoint."""
        self.present = Selection.from_bytes(bytes(parts["present"]))


class RowBounds:
    """Start and count of each offset's rows; grows at the end, older views stay valid."""

    __slots__ = ("_counts", "_starts", "size")

    def __init__(self) -> None:
        self._starts: NDArray[np.uint64] = np.zeros(0, dtype=np.uint64)
        self._counts: NDArray[np.uint32] = np.zeros(0, dtype=np.uint32)
        self.size = 0

    def put(self, offsets: U32, starts: NDArray[Any], counts: NDArray[Any]) -> None:
        """Writes the bounds of offsets at or beyond ``size``; those skipped own no rows."""
        if len(offsets) == 0:
            return
        self.extend(int(offsets[-1]) + 1)
        self._starts[offsets] = starts
        self._counts[offsets] = counts

    def extend(self, size: int) -> None:
        """Makes room for ``size`` offsets, doubling so that appends cost constant time."""
        if size > len(self._starts):
            room = max(size, 2 * len(self._starts), 64)
            self._starts = np.concatenate([self._starts, np.zeros(room - len(self._starts), dtype=np.uint64)])
            self._counts = np.concatenate([self._counts, np.zeros(room - len(self._counts), dtype=np.uint32)])
        self.size = max(self.size, size)

    def view(self, size: int) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
        """Starts and counts of the first ``size`` offsets."""
        self.extend(size)
        return self._starts[:size], self._counts[:size]


@dataclass(slots=True, eq=False)
class MultiSlot:
    """Several rows per offset."""

    id: int
    params: VectorParams
    file: VectorFile
    present: Selection
    bounds: RowBounds

    def add(self, inserted: Inserted, name: str) -> None:
        """Takes in the offsets that brought this vector."""
        part = inserted.multi.get(name)
        if part is not None:
            self.bounds.put(part.offsets, part.starts, part.counts)
            self.present = self.present.union(Selection.from_offsets(part.offsets))

    def add_rows(self, rows: RaggedRows, offset_to: int | None) -> None:
        """Takes in what the store holds of offsets below ``offset_to``, while recovering."""
        owned = (rows.counts > 0) & _below(rows.offsets, offset_to)
        self.bounds.put(rows.offsets[owned], rows.starts[owned], rows.counts[owned])
        self.present = self.present.union(Selection.from_offsets(rows.offsets[owned]))

    def drop(self, offsets: Selection) -> None:
        """Takes out offsets that died or lost the vector."""
        self.present = self.present.difference(offsets)

    def view(self, rows: int) -> MultiVectorView:
        """Frozen view of the first ``rows`` offsets."""
        starts, counts = self.bounds.view(rows)
        return MultiVectorView(
            rows=self.file.rows(self.file.rows_appended),
            starts=starts,
            counts=counts,
            distance=self.params.distance,
            datatype=self.params.datatype or Datatype.FLOAT32,
            present=self.present,
            verify=self.file.verify_rows,
        )

    def clear(self) -> None:
        """Forgets everything derived."""
        self.present, self.bounds = NOWHERE, RowBounds()

    def dump(self) -> list[tuple[str, Part]]:
        """Parts of a checkpoint."""
        starts, counts = self.bounds.view(self.bounds.size)
        return [("present", self.present.to_bytes()), ("starts", starts), ("counts", counts)]

    def load(self, parts: "dict[str, Part]") -> None:
        """State from the parts of a checkpoint."""
        self.present = Selection.from_bytes(bytes(parts["present"]))
        starts, counts = parts["starts"], parts["counts"]
        assert isinstance(starts, np.ndarray)
        assert isinstance(counts, np.ndarray)
        self.bounds.put(np.arange(len(starts), dtype=np.uint32), starts, counts)


@dataclass(slots=True, eq=False)
class SparseSlot:
    """Points that have a sparse vector; its postings are among the shard's indexes."""

    id: int
    params: SparseVectorParams
    present: Selection

    def add(self, inserted: Inserted, name: str) -> None:
        """Takes in the offsets that brought this vector."""
        part = inserted.sparse.get(name)
        if part is not None:
            self.present = self.present.union(Selection.from_offsets(part.offsets))

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


Slot = DenseSlot | MultiSlot | SparseSlot
