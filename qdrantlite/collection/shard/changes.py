"""What a transaction did to a shard, collected while it is written and applied to derived state when it commits.

Offsets are never reused, so the order between insertions and deaths does not matter: what was inserted and died in
the same transaction is first added, then removed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from qdrantlite.values.payload import Payload
from qdrantlite.values.point_ids import PointIds
from qdrantlite.values.vector import U32, SparseVector


@dataclass(frozen=True, slots=True, eq=False)
class SparseInsert:
    """Sparse vectors of new offsets."""

    offsets: U32
    vectors: Sequence[SparseVector]


@dataclass(frozen=True, slots=True, eq=False)
class MultiInsert:
    """Where the rows of new offsets lie in the vector's file."""

    offsets: U32
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Inserted:
    """New offsets, contiguous and ascending, with what derived state wants to know of them."""

    offsets: U32
    ids: PointIds
    payloads: Sequence[Payload]
    dense: dict[str, U32]
    sparse: dict[str, SparseInsert]
    multi: dict[str, MultiInsert]


@dataclass(frozen=True, slots=True, eq=False)
class PayloadsChanged:
    """Offsets whose payloads one operation replaced, with the new ones."""

    offsets: U32
    after: Sequence[Payload]

    def pairs(self) -> Iterator[tuple[int, Payload]]:
        """Each offset with its payload."""
        return zip(self.offsets.tolist(), self.after, strict=True)


@dataclass(frozen=True, slots=True, eq=False)
class VectorsRemoved:
    """Offsets that lost a named vector."""

    name: str
    offsets: U32


@dataclass(slots=True)
class Changes:
    """Grows during a transaction. ``mark`` and ``undo_to`` take back what a failed request had added."""

    inserted: list[Inserted] = field(default_factory=list)
    dead: list[U32] = field(default_factory=list)
    payloads: list[PayloadsChanged] = field(default_factory=list)
    vectors_removed: list[VectorsRemoved] = field(default_factory=list)
    versions: list[U32] = field(default_factory=list)
    """Offsets that got a new version where they are, beside those of ``payloads``: they need not have lost a vector."""

    def mark(self) -> tuple[int, int, int, int, int]:
        """The present state, for ``undo_to``."""
        removed, versions = len(self.vectors_removed), len(self.versions)
        return len(self.inserted), len(self.dead), len(self.payloads), removed, versions

    def undo_to(self, mark: tuple[int, int, int, int, int]) -> None:
        """Forgets what was added since ``mark``."""
        del self.inserted[mark[0] :]
        del self.dead[mark[1] :]
        del self.payloads[mark[2] :]
        del self.vectors_removed[mark[3] :]
        del self.versions[mark[4] :]

    @property
    def is_empty(self) -> bool:
        """True when derived state need not change."""
        return not (self.inserted or self.dead or self.payloads or self.vectors_removed)

    @property
    def payloads_since(self) -> Sequence[Payload] | None:
        """The payloads of all offsets touched that live now, perhaps of others, too; None when some are not here."""
        if self.vectors_removed:
            return None
        parts = [part.payloads for part in self.inserted] + [part.after for part in self.payloads]
        return parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))

    @staticmethod
    def joined(parts: "Sequence[Changes]") -> "Changes":
        """Those of several transactions, in their order, as if one had made them all."""
        joined = Changes()
        for part in parts:
            joined.inserted += part.inserted
            joined.dead += part.dead
            joined.payloads += part.payloads
            joined.vectors_removed += part.vectors_removed
            joined.versions += part.versions
        return joined

    @property
    def size(self) -> int:
        """Number of offsets touched, repetitions counted."""
        parts = (self.inserted, self.vectors_removed, self.payloads)
        return sum([len(each.offsets) for part in parts for each in part]) + sum(map(len, self.dead))

    def touched(self) -> U32:
        """Every offset inserted, dead or changed, perhaps repeated."""
        parts = [part.offsets for part in self.inserted] + self.dead
        parts += [part.offsets for part in self.vectors_removed]
        parts += [part.offsets for part in self.payloads]
        return np.concatenate(parts)
