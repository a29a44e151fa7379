"""Grouping: the best points of each of the best groups, found by Qdrant's loop of requests.

Up to five requests collect groups, each leaving out the groups that are full, and up to five more fill the best ones;
all leave out the points taken already. What is left out is left out at the leaves, so that later requests reach deeper
into the prefetches. Which groups and points there are follows the loop. A query without prefetches is not asked anew
for each request: its best points are kept, and reached for further when too few of them are left.
Scores are those of the plain query: a fusion counts ranks anew in each request, so what later requests found is scored
again by the same query without exclusions, its prefetches reaching as far as it takes.
Pure but for the callables given; knows no collection, no payload store.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, assert_never

import numpy as np

from qdrantlite.execute.dense_leaves import as_selection
from qdrantlite.execute.ranking import Positions, Ranking
from qdrantlite.execute.view import Sieve
from qdrantlite.plan.bound import (
    BoundDiversity,
    BoundFormula,
    BoundFusion,
    BoundOrderBy,
    BoundQuery,
    BoundSample,
    BoundSearch,
    BoundStage,
    BoundText,
    NearestDense,
    NearestMulti,
    NearestSparse,
    widened,
)
from qdrantlite.plan.custom import CustomScore
from qdrantlite.query.filter import (
    FieldCondition,
    Filter,
    IsEmpty,
    MatchAnyInteger,
    MatchAnyKeyword,
    MatchExceptInteger,
    MatchExceptKeyword,
)
from qdrantlite.segment.selection import NO_POINTS, Selection
from qdrantlite.values.payload import Json
from qdrantlite.values.vector import U32

GroupKey: TypeAlias = int | str

REQUESTS_MAX = 5
"""That collect groups; and that fill the best ones."""
WIDER = 4
"""How many times further each look for the plain score of what later requests found reaches, or for more to keep."""
KEPT_FIRST = 8
"""How many times as many points as a request wants are kept at first: no more than a walk meets anyhow."""
KEPT_MAX = 2048
"""When so many of the best are not enough, what is wanted is asked for alone."""
KEPT_SHARE = 8
"""And what fewer than one point in so many passes: the points of some groups are soon compared."""

Run: TypeAlias = Callable[[BoundSearch, Sieve | None], Ranking]
"""Plans and executes a bound search, over the same view each time; leaves hand up what passes the sieve."""

SieveOf: TypeAlias = Callable[[Filter], Sieve]
"""Binds a filter to that view."""

ElementsOf: TypeAlias = Callable[[U32], Sequence[Sequence[Json]]]
"""For offsets ``(n,) uint32`` the elements of each point's group field, in order; none when it has no value."""


@dataclass(frozen=True, slots=True, eq=False)
class RankedGroup:
    """One value of the field and its best points, best first."""

    key: GroupKey
    hits: Ranking


def search_groups(
    search: BoundSearch, *, group_by: str, group_size: int, run: Run, sieve_of: SieveOf, elements_of: ElementsOf
) -> tuple[RankedGroup, ...]:
    """At most ``search.stage.limit`` groups, by their best point, each of at most ``group_size`` points.

    ``search`` has no offset. Raises whatever the callables raise.
    """
    assert search.offset == 0
    stage = replace(widened(search.stage, group_size), limit=search.stage.limit * group_size)
    taken = _Taken(search.stage.limit, group_size, _larger_is_better(stage.query))
    ask = _Kept(stage, run).asked if not stage.children and isinstance(stage.query, _VECTOR_QUERIES) else None
    for collecting in (True, False):
        for _ in range(REQUESTS_MAX):
            keys = taken.full if collecting else taken.unfilled()
            sieve = sieve_of(_among(group_by, keys, wanted=not collecting))
            ranking = None if ask is None else ask(sieve, taken.points)
            if ranking is None:
                ranking = _asked(stage, sieve, taken.points, run)
            if len(ranking) == 0:
                break
            taken.add(ranking, elements_of(ranking.offsets))
            if taken.is_full:
                break
        if taken.is_full:
            break
    chosen, ranking = taken.best()
    if isinstance(stage.query, BoundFusion):
        everybody = sieve_of(_among(group_by, (), wanted=False))
        ranking = _scored_plainly(ranking, taken.first, stage, everybody, run)
        chosen = _reordered(chosen, ranking)
    return tuple([RankedGroup(key, ranking.take(places)) for key, places in chosen])


def group_keys(elements: Sequence[Json]) -> tuple[GroupKey, ...]:
    """The distinct keys of a point in the order of its elements; none if one of them cannot be a key."""
    keys: dict[GroupKey, None] = {}
    for element in elements:
        if isinstance(element, bool) or not isinstance(element, int | str):
            return ()
        keys[element] = None
    return tuple(keys)


@dataclass(slots=True)
class _Taken:
    """What the requests so far have brought: groups, each with its points and their places among all rows."""

    groups_max: int
    group_size: int
    larger_is_better: bool
    points: Selection = NO_POINTS
    """Those that joined a group."""
    first: int = 0
    """Rows of the first request."""
    full: dict[GroupKey, None] = field(default_factory=dict)
    _rankings: list[Ranking] = field(default_factory=list)
    _ranks: list[tuple[float, int]] = field(default_factory=list)
    """Sorts rows best first: by score, then as they came."""
    _groups: dict[GroupKey, dict[int, int]] = field(default_factory=dict)
    _best: dict[GroupKey, tuple[float, int]] = field(default_factory=dict)

    def add(self, ranking: Ranking, elements: Sequence[Sequence[Json]]) -> None:
        """Puts each point into the group of each of its keys, also into full ones: a later point may be better."""
        place = len(self._ranks)
        self._rankings.append(ranking)
        scores = -ranking.scores if self.larger_is_better else ranking.scores
        self._ranks.extend(zip(scores.tolist(), range(place, place + len(ranking)), strict=True))
        joined: list[int] = []
        for offset, values in zip(ranking.offsets.tolist(), elements, strict=True):
            keys = group_keys(values)
            if keys:
                joined.append(offset)
            for key in keys:
                members = self._groups.setdefault(key, {})
                if offset not in members:
                    members[offset] = place
                    self._best[key] = min(self._best.get(key, self._ranks[place]), self._ranks[place])
                if len(members) == self.group_size:
                    self.full[key] = None
            place += 1
        self.points = self.points.union(Selection.from_offsets(np.array(joined, dtype=np.uint32)))
        self.first = self.first or place

    @property
    def is_full(self) -> bool:
        """Whether there are enough groups and none of the best lacks a point."""
        return len(self._groups) >= self.groups_max and not self.unfilled()

    def unfilled(self) -> list[GroupKey]:
        """Those of the best groups that lack points."""
        return [key for key in self._best_keys() if key not in self.full]

    def best(self) -> tuple[list[tuple[GroupKey, Positions]], Ranking]:
        """The best groups with the places of their best points, and the rows that these are places in."""
        chosen = []
        for key in self._best_keys():
            places = sorted(self._groups[key].values(), key=self._ranks.__getitem__)[: self.group_size]
            chosen.append((key, np.array(places, dtype=np.intp)))
        return chosen, Ranking.joined(self._rankings)

    def _best_keys(self) -> list[GroupKey]:
        return sorted(self._best, key=self._best.__getitem__)[: self.groups_max]


def _larger_is_better(query: BoundQuery | None) -> bool:
    """Which scores are the best; those of an order or a sample are all alike."""
    match query:
        case NearestDense() | NearestMulti():
            return query.larger_is_better
        case BoundDiversity():
            return _larger_is_better(query.query)
        case NearestSparse() | CustomScore() | BoundText() | BoundFusion() | BoundFormula():
            return True
        case BoundOrderBy() | BoundSample() | None:
            return True
        case _:
            assert_never(query)


def _among(group_by: str, keys: Iterable[GroupKey], *, wanted: bool) -> Filter:
    """Points that have the field, and a value of it among these keys, or one that is not among them.

    Integers and strings are asked for by conditions of their own. Unlike Qdrant's, points of either are wanted, so that
    groups of both kinds are filled; of no keys nobody is unwanted, and everybody wanted.
    """
    integers = tuple([key for key in keys if isinstance(key, int) and -(2**63) <= key < 2**63])
    words = tuple([key for key in keys if isinstance(key, str)])
    conditions: list[FieldCondition] = []
    if integers:
        number = MatchAnyInteger(integers) if wanted else MatchExceptInteger(integers)
        conditions.append(FieldCondition(group_by, number))
    if words:
        word = MatchAnyKeyword(words) if wanted else MatchExceptKeyword(words)
        conditions.append(FieldCondition(group_by, word))
    present = (IsEmpty(group_by),)
    if wanted:
        return Filter(should=tuple(conditions), must_not=present)
    return Filter(must=tuple(conditions), must_not=present)


@dataclass(slots=True)
class _Kept:
    """The best points of a leaf, kept for all requests."""

    stage: BoundStage
    run: Run
    _ranking: Ranking = field(default_factory=Ranking.empty)
    _reach: int = 0
    """How many were asked for."""
    _everybody: int = 0
    """How many points the first request was about."""

    def asked(self, sieve: Sieve, taken: Selection) -> Ranking | None:
        """One request: the best of what passes the sieve and is not taken; None where looking further costs more than
        asking for it alone.
        """
        limit, possible = self.stage.limit, len(sieve.possible)
        self._everybody = self._everybody or possible
        left = sieve.possible.difference(taken)
        while True:
            passing = self._passing(sieve, left)
            if len(passing) >= limit or len(self._ranking) < self._reach:
                return self._ranking.take(passing[:limit])
            if self._reach >= KEPT_MAX or possible * KEPT_SHARE < self._everybody:
                return None
            self._reach = min(self._reach * WIDER, KEPT_MAX) or limit * KEPT_FIRST
            self._ranking = self.run(BoundSearch(replace(self.stage, limit=self._reach)), None)

    def _passing(self, sieve: Sieve, left: Selection) -> Positions:
        """Places of what is left and passes, as many as a request wants if there are; each step looks at twice as many
        as that before.
        """
        offsets, found, count = self._ranking.offsets, [np.empty(0, dtype=np.intp)], 0
        at, step = 0, self.stage.limit
        while at < len(offsets) and count < self.stage.limit:
            chunk = offsets[at : at + step]
            places = np.flatnonzero(left.contains(chunk))
            if not sieve.is_settled:
                places = places[sieve.passes(chunk[places])]
            found.append(places + at)
            count += len(places)
            at, step = at + step, 2 * step
        return np.concatenate(found)


_VECTOR_QUERIES = (NearestDense, NearestSparse, NearestMulti, CustomScore)


def _asked(stage: BoundStage, sieve: Sieve, taken: Selection, run: Run) -> Ranking:
    """One request: the stage over what passes the sieve and is not taken."""
    # An order by value lists a point once for each of its values; a group takes it once.
    search = BoundSearch(_narrowed(stage, sieve.possible.difference(taken)), repeats=True)
    return run(search, None if sieve.is_settled else sieve)


def _narrowed(stage: BoundStage, possible: Selection) -> BoundStage:
    """The stage with its leaves reading these points only."""
    if stage.children:
        return replace(stage, children=tuple([_narrowed(child, possible) for child in stage.children]))
    selection = as_selection(stage.selection)
    return replace(stage, selection=possible if selection is None else selection.intersection(possible))


def _scored_plainly(ranking: Ranking, first: int, stage: BoundStage, everybody: Sieve, run: Run) -> Ranking:
    """The rows with the scores that the query gives them when nothing is left out.

    Those of the first request, the ``first`` rows, have them already. Others get them from the first look that meets
    them, each reaching further into the prefetches; when even all points do not bring them, they keep their own.
    """
    scores = ranking.scores.copy()
    missing = np.arange(first, len(ranking))
    reach = 1
    plain = replace(stage, score_threshold=None)
    while len(missing) and reach < len(everybody.possible):
        reach *= WIDER
        wide = widened(plain, reach)
        wide = replace(wide, limit=sum([child.limit for child in wide.children]))
        met = _asked(wide, everybody, NO_POINTS, run)
        by_offset = np.argsort(met.offsets)
        places = np.searchsorted(met.offsets, ranking.offsets[missing], sorter=by_offset)
        places = by_offset[np.minimum(places, len(met) - 1)] if len(met) else places
        found = met.offsets[places] == ranking.offsets[missing] if len(met) else np.zeros(len(missing), dtype=np.bool_)
        scores[missing[found]] = met.scores[places[found]]
        missing = missing[~found]
    return replace(ranking, scores=scores)


def _reordered(chosen: list[tuple[GroupKey, Positions]], ranking: Ranking) -> list[tuple[GroupKey, Positions]]:
    """Points of each group, and groups by their best point, by the scores of a fusion; otherwise as they were."""
    ordered = [(key, places[np.argsort(-ranking.scores[places], kind="stable")]) for key, places in chosen]
    return sorted(ordered, key=lambda group: -float(ranking.scores[group[1][0]]))
