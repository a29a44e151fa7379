"""Queries for rows held in memory: some whose true answers are known, and others drawn anew for each measurement."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.buckets import Buckets, windows

HELD_OUT = 500
LIMIT = 10
DRAWN = 8_000
"""Requests that are measured in one go; some come again when that takes less than the time given."""

Floats = NDArray[np.float32]
Asked = tuple[Floats, list[range | None]]
"""Queries, and the window of each."""


class Data:
    """Unit rows, a random bucket of each, queries, and the true answers."""

    def __init__(self, vectors: Floats, held_out: int = HELD_OUT) -> None:
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        self._chance = np.random.default_rng(1)
        order = self._chance.permutation(len(vectors))
        self.queries: Floats = vectors[order[:held_out]]
        self.rows: Floats = np.ascontiguousarray(vectors[order[held_out:]])
        self.buckets = Buckets(len(self.rows), self._chance)
        self._scores = self.queries @ self.rows.T

    def checked(self, width: int | None = None) -> Asked:
        """The queries whose answers are known, each with a window."""
        return self.queries, windows(width, len(self.queries), self._chance)

    def drawn(self, width: int | None = None) -> Asked:
        """Others, each between two of these."""
        one, other = self._chance.integers(0, len(self.queries), (2, DRAWN))
        share = self._chance.random((DRAWN, 1), dtype=np.float32)
        between: Floats = share * self.queries[one] + (1 - share) * self.queries[other]
        return between, windows(width, DRAWN, self._chance)

    def recall(self, found: Sequence[Sequence[int]], asked: Asked) -> float:
        """Share of the true best of the checked queries that were found; equally good ones count."""
        passing = [self.buckets.within(window) for window in asked[1]]
        assert all(np.isin(ids, some).all() for ids, some in zip(found, passing, strict=True))
        theirs = [scores[list(ids)] for scores, ids in zip(self._scores, found, strict=True)]
        best = [np.sort(scores[some])[-LIMIT:] for scores, some in zip(self._scores, passing, strict=True)]
        return share_of_best(theirs, best)


def share_of_best(found: Sequence[Floats], best: Sequence[Floats]) -> float:
    """Of the ``best`` of each query, the share that was ``found``, both by their scores; equally good ones count."""
    hits = [
        np.count_nonzero(scores >= true.min(initial=np.inf) - 1e-6) for scores, true in zip(found, best, strict=True)
    ]
    return float(np.sum(hits)) / sum(map(len, best))
