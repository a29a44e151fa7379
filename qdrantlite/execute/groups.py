"""Grouping: the best points of each of the best groups, found in one walk down one ranking.

The first run asks for ``groups * group_size`` candidates with every prefetch limit multiplied by ``group_size``, as
Qdrant does. While groups are missing or not full and the ranking went on, it is run again with a longer reach (the
prefetches stay), up to ``REACH_MAX`` times the first. Scores are those of one ranking: with a fusion, no rank restarts.
Pure but for the callables given; knows no collection, no payload store.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from qdrantlite.execute.ranking import Ranking
from qdrantlite.plan.bound import BoundSearch, widened
from qdrantlite.values.payload import Json
from qdrantlite.values.vector import U32

GroupKey: TypeAlias = int | str

REACH_STEP = 4
REACH_MAX = 64

Run: TypeAlias = Callable[[BoundSearch], Ranking]
"""Plans and executes a bound search, over the same view each time."""

ElementsOf: TypeAlias = Callable[[U32], Sequence[Sequence[Json]]]
"""For offsets ``(n,) uint32`` the elements of each point's group field, in order; none when it has no value."""


@dataclass(frozen=True, slots=True, eq=False)
class RankedGroup:
    """One value of the field and its best points, best first."""

    key: GroupKey
    hits: Ranking


def search_groups(
    search: BoundSearch, *, group_size: int, run: Run, elements_of: ElementsOf
) -> tuple[RankedGroup, ...]:
    """At most ``search.stage.limit`` groups, by their best point, each of at most ``group_size`` points.

    ``search`` has no offset, and its filter already drops points without a value in the field.
    """
    assert search.offset == 0
    groups_max = search.stage.limit
    stage = widened(search.stage, group_size)
    reach = 1
    while True:
        candidates = groups_max * group_size * reach
        ranking = run(replace(search, stage=replace(stage, limit=candidates)))
        found = group_ranking(ranking, elements_of(ranking.offsets), groups_max=groups_max, group_size=group_size)
        full = len(found) == groups_max and all(len(group.hits) == group_size for group in found)
        if full or len(ranking) < candidates or reach >= REACH_MAX:
            return found
        reach *= REACH_STEP


def group_ranking(
    ranking: Ranking, elements: Sequence[Sequence[Json]], *, groups_max: int, group_size: int
) -> tuple[RankedGroup, ...]:
    """Groups in the order in which their first point appears in the ranking.

    A point joins the group of each of its distinct keys, once. A point with any element that cannot be a key (a float,
    bool, null, list or object) joins none.
    """
    walk = _Walk(groups_max, group_size)
    for position, (offset, values) in enumerate(zip(ranking.offsets.tolist(), elements, strict=True)):
        keys = group_keys(values)
        if keys and walk.take(position, offset, keys):
            break
    return tuple(
        [
            RankedGroup(key, ranking.take(np.array(list(members.values()), dtype=np.intp)))
            for key, members in walk.members.items()
        ]
    )


def group_keys(elements: Sequence[Json]) -> tuple[GroupKey, ...]:
    """The distinct keys of a point in the order of its elements; none if one of them cannot be a key."""
    keys: dict[GroupKey, None] = {}
    for element in elements:
        if isinstance(element, bool) or not isinstance(element, int | str):
            return ()
        keys[element] = None
    return tuple(keys)


@dataclass(slots=True)
class _Walk:
    """The state of one walk: for each key the offsets that joined it with their positions in the ranking."""

    groups_max: int
    group_size: int
    members: dict[GroupKey, dict[int, int]] = field(default_factory=dict)
    full: int = 0

    def take(self, position: int, offset: int, keys: Sequence[GroupKey]) -> bool:
        """Put one point into its groups; True when no later point can change anything."""
        for key in keys:
            group = self.members.get(key)
            if group is None:
                if len(self.members) == self.groups_max:
                    continue
                group = self.members[key] = {}
            if offset in group or len(group) == self.group_size:
                continue
            group[offset] = position
            self.full += len(group) == self.group_size
        return self.full == self.groups_max
