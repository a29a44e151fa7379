"""What the executor asks of a shard: one frozen state, read by many queries at a time.

The collection's view implements it; tests do so over plain lists. Every answer belongs to the same state, and
nothing here takes a lock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from qdrantlite.deadline import Ask
from qdrantlite.execute.ranking import Bools
from qdrantlite.plan.bound import OffsetSet
from qdrantlite.query.check import VectorKind
from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.multivector import MultiVectorView
from qdrantlite.segment.payload_index.ordered import OrderedValues
from qdrantlite.segment.payload_index.text_scores import TextScores
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.sparse import SparseView
from qdrantlite.values.payload import Payload
from qdrantlite.values.point_id import PointId
from qdrantlite.values.point_ids import PointIds
from qdrantlite.values.vector import U32, SparseVector


class ShardView(Protocol):
    """A frozen shard. Names and keys have been checked by the binder; an unknown one is our own mistake."""

    @property
    def live(self) -> Selection:
        """Offsets of all points that are not deleted."""
        ...

    @property
    def random(self) -> "np.random.Generator":
        """Source of samples; safe to use from the calling thread."""
        ...

    def kind(self, name: str) -> VectorKind:
        """Which of the three view methods answers for this vector."""
        ...

    def present(self, name: str) -> Selection:
        """Live points that have this vector."""
        ...

    def dense(self, name: str) -> DenseView:
        """Rows of a dense vector."""
        ...

    def sparse(self, name: str) -> SparseView:
        """Postings of a sparse vector."""
        ...

    def sparse_vectors(self, name: str, offsets: U32) -> Sequence[SparseVector]:
        """Sparse vectors as stored, in the order of ``offsets`` ``(n,) uint32``, which all have one."""
        ...

    def multi(self, name: str) -> MultiVectorView:
        """Rows of a multivector."""
        ...

    def texts(self, key: str) -> TextScores:
        """The text index at ``key``, which scores."""
        ...

    def ordered(self, key: str) -> OrderedValues:
        """The ordered payload index at ``key``; may list dead offsets."""
        ...

    def ids(self, offsets: U32) -> PointIds:
        """Ids of live points, in the order of ``offsets`` ``(n,) uint32``. Asked for ties only."""
        ...

    def payloads(self, offsets: U32) -> Sequence[Payload]:
        """Payloads of live points, in the order of ``offsets`` ``(n,) uint32``."""
        ...

    def id_page(self, selection: OffsetSet | None, start: PointId | None, limit: int, ask: Ask, /) -> U32:
        """The first ``limit`` live points of ``selection`` (None = all) by id, from ``start`` on (inclusive).

        ``ask`` is called between blocks of work.
        """
        ...


class Sieve(Protocol):
    """A filter over one state of a shard that payloads must settle, asked for a few points first.

    Indexes have narrowed it down to ``possible``; a leaf that reads those passes what it finds through ``passes``.
    Asked by one thread at a time.
    """

    @property
    def possible(self) -> Selection:
        """Points that may pass; all of them do when ``is_settled``."""
        ...

    @property
    def is_settled(self) -> bool:
        """Whether no payload need be read."""
        ...

    def passes(self, offsets: U32) -> Bools:
        """Which of these possible points pass, ``(n,) bool``; reads their payloads."""
        ...

    def settle(self) -> Selection:
        """All points that pass; reads the payloads of all possible ones."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Doubtful:
    """The points that a leaf reads when its filter is not settled: those that may pass, and what tells which do."""

    possible: Selection
    sieve: Sieve

    @property
    def is_settled(self) -> bool:
        """False: see ``plan.bound.OffsetSet``."""
        return False

    def __len__(self) -> int:
        return len(self.possible)
