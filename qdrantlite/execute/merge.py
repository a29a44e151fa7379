"""The best rows of many in a total order: by score, then by id.

Scores alone leave ties, and offsets would break them differently after each rewrite of a point; so ids are asked for,
but only for rows that are tied and near enough to the top to matter. Groups of more than ``TIED_ROWS_MAX`` tied rows
stay in the order they came in (by offset): naming each of them would cost more than the search. This depends on the
size of the group alone, never on the limit, so that pages of one ranking fit together.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdrantlite.execute.ranking import Positions, Ranking
from qdrantlite.values.point_ids import PointIds
from qdrantlite.values.vector import F32, U32

TIED_ROWS_MAX = 1024

SPARE_ROWS = 32
"""Asked for beyond the limit where ties are frequent and a few rows more cost nothing, but asking again much: short
texts tie, and their copies do.
"""

IdsOf: TypeAlias = Callable[[U32], PointIds]
Fetch: TypeAlias = Callable[[int], tuple[U32, F32]]


def best_first(scores: F32, *, larger_is_better: bool) -> Positions:
    """Positions of the scores ``(n,)`` from best to worst, equal ones in the order given; NaN comes last."""
    order: Positions = np.argsort(-scores if larger_is_better else scores, kind="stable")
    return order


def passing_threshold(ranking: Ranking, threshold: float | None, *, larger_is_better: bool) -> Ranking:
    """The rows strictly better than the threshold, as vector queries count it. The threshold is compared as float32."""
    if threshold is None:
        return ranking
    limit = np.float32(threshold)
    passing = ranking.scores > limit if larger_is_better else ranking.scores < limit
    return ranking if passing.all() else ranking.take(np.flatnonzero(passing))


def fetch_best(fetch: Fetch, limit: int, ids_of: IdsOf, *, spare: int = 1) -> Ranking:
    """The best ``limit`` rows of a scan.

    ``fetch(n)`` returns the best n rows, best first and ties by offset, fewer when there are no more. The ``spare``
    rows beyond the limit show whether the cut goes through a tie that does not end among them; then all that may be
    tied there is fetched.
    """
    offsets, scores = fetch(limit + spare)
    if not np.logical_or.reduce(scores[1:] == scores[:-1]):
        return Ranking.scored(offsets[:limit], scores[:limit])  # Nearly always; ``settled`` finds the same out later.
    if len(scores) == limit + spare and scores[-1] == scores[limit - 1]:
        offsets, scores = fetch(limit + TIED_ROWS_MAX + 1)
    return settled(Ranking.scored(offsets, scores), scores, limit, ids_of)


def settled(
    ranking: Ranking, keys: NDArray[np.generic], limit: int, ids_of: IdsOf, *, ascending: bool = True
) -> Ranking:
    """The first ``limit`` rows with ties settled by id, ascending or descending.

    ``keys`` ``(n,)`` tell which neighbouring rows are tied: those with equal keys. Either all rows of a tied group are
    given or more than ``TIED_ROWS_MAX`` of them.
    """
    if len(keys) < 2:
        return ranking.head(limit)
    equal = keys[1:] == keys[:-1]
    end = _end_of_group(equal, limit)
    if not equal[: end - 1].any():
        return ranking.head(limit)
    tied = np.zeros(end, dtype=np.bool_)
    tied[1:] = equal[: end - 1]
    group = np.cumsum(~tied)
    tied[:-1] |= equal[: end - 1]
    if end > TIED_ROWS_MAX:
        tied &= np.bincount(group)[group] <= TIED_ROWS_MAX
    positions = np.arange(end)
    chosen = np.flatnonzero(tied)
    if len(chosen):
        ids = ids_of(ranking.offsets[chosen])
        positions[chosen] = chosen[ids.order(group[chosen], ascending=ascending)]
    return ranking.take(positions[:limit])


def _end_of_group(equal: NDArray[np.bool_], limit: int) -> int:
    """Where the group of row ``limit - 1`` ends; rows from there on cannot come into the first ``limit``."""
    count = len(equal) + 1
    if limit >= count:
        return count
    if limit == 0 or not equal[limit - 1]:
        return max(limit, 1)
    differing = np.flatnonzero(~equal[limit:])
    return limit + 1 + int(differing[0]) if len(differing) else count
