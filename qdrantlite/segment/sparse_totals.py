"""Postings of a sparse query, added up: for all offsets at once, or for chosen ones.

Totals are sums of float32 products in float64, which is exact but for weights many magnitudes apart; so a point's total
does not depend on the way in which it was found.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import faiss
import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap

from qdrantlite.deadline import Ask
from qdrantlite.segment.best import best_of, reached
from qdrantlite.segment.bitmaps import Offsets, packed_bits
from qdrantlite.segment.runs import VisibleRun, alive, found_in
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.sparse_columns import Column, ColumnCache, RunColumns
from qdrantlite.values.vector import F32, U32

Totals = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SCATTER_RATIO = 16
"""All offsets get a total while postings are at least one in so many of them."""
CHOSEN_SHARE = 4
"""Of no more than one in so many offsets totals are found one by one."""
PIECE_POSTINGS = 1 << 20
"""Added up between two looks at the deadline: some 5 ms."""
LOOKUP_POSTINGS = 4096
LOOKUP_COST = 40
"""Looking for chosen offsets in one list costs as much as going through so many postings, and so many more for each."""
EPSILON = float(np.finfo(np.float32).eps)
NOTHING: tuple[Offsets, F32] = np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.float32)


class Located(NamedTuple):
    """Where some indices are in one run."""

    visible: VisibleRun[np.uint32]
    places: npt.NDArray[np.intp]
    """Of those that are there, among the indices asked for."""
    numbers: npt.NDArray[np.intp]
    """Their groups."""
    starts: npt.NDArray[np.uint32]
    stops: npt.NDArray[np.uint32]


class Frequent(NamedTuple):
    """A list with a column, and the query's own weight."""

    column: Column
    factor: np.float32


class Together(NamedTuple):
    """Lists of some runs that cover ``first <= offset < stop``; ``dead`` offsets count for nothing.

    ``offsets`` (ascending) and ``weights`` of each rare list, and the query's own weights ``factors``, an array for
    each run; ``frequent`` lists have columns instead.
    """

    offsets: list[Offsets]
    weights: list[F32]
    factors: list[F32]
    frequent: list[Frequent]
    first: int
    stop: int
    dead: AbstractBitMap | None

    @property
    def postings(self) -> int:
        """In all rare lists."""
        return sum(map(len, self.offsets))


def _pieces(offsets: list[Offsets], ask: Ask) -> Iterator[slice]:
    """Stretches of these lists that are added up between two looks at the deadline; at least one list each."""
    ends = np.cumsum([*map(len, offsets)])
    at = 0
    while at < len(offsets):
        ask()
        before = int(ends[at - 1]) if at else 0
        stop = max(at + 1, int(ends.searchsorted(before + PIECE_POSTINGS, side="right")))
        yield slice(at, stop)
        at = stop


def locate(runs: Sequence[VisibleRun[np.uint32]], indices: U32) -> list[Located]:
    """The runs that have any of the indices."""
    found: list[Located] = []
    for visible in runs:
        run = visible.run
        held, numbers = run.locate(indices)
        if len(numbers):
            found.append(Located(visible, held.nonzero()[0], numbers, run.starts[numbers], run.starts[numbers + 1]))
    return found


def listed_together(
    located: Sequence[Located], query_weights: F32, among: AbstractBitMap, columns: ColumnCache
) -> list[Together]:
    """The lists of a query, as far as offsets are ``among`` these; an offset counts in one of the results only.

    Runs of which none of the offsets was forgotten, nearly always all of them, come together.
    """
    clean: Together | None = None
    found: list[Together] = []
    for each in located:
        visible, covered = each.visible, columns.of(each.visible.run)
        if visible.dead and not visible.dead.isdisjoint(among):
            together = Together([], [], [], [], covered.first, covered.stop, visible.dead)
            found.append(together)
        elif clean is None:
            together = clean = Together([], [], [], [], covered.first, covered.stop, None)
        else:
            first, stop = min(clean.first, covered.first), max(clean.stop, covered.stop)
            together = clean = clean._replace(first=first, stop=stop)
        _add_lists(each, query_weights[each.places], together, columns, covered)
    return found if clean is None else [*found, clean]


def _add_lists(each: Located, factors: F32, together: Together, columns: ColumnCache, covered: RunColumns) -> None:
    """Adds the lists of a run; forgotten offsets are among them."""
    run, starts, stops = each.visible.run, each.starts, each.stops
    assert run.weights is not None
    many = stops - starts >= covered.frequent_from
    if many.any():
        rare = ~many
        for at in many.nonzero()[0].tolist():
            column = columns.column(run, int(each.numbers[at]))
            if column is None:
                rare[at] = True
            else:
                together.frequent.append(Frequent(column, factors[at]))
        starts, stops, factors = starts[rare], stops[rare], factors[rare]
    bounds = list(zip(starts.tolist(), stops.tolist(), strict=True))
    together.offsets.extend([run.offsets[start:stop] for start, stop in bounds])
    together.weights.extend([run.weights[start:stop] for start, stop in bounds])
    together.factors.append(factors)


def best_of_each(togethers: Iterable[Together], selection: Selection, limit: int, ask: Ask) -> tuple[Offsets, F32]:
    """The best totals other than 0 in all of them, each of which has offsets of its own; as ``best_together``."""
    parts = [best_together(each, selection, limit, ask) for each in togethers]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return NOTHING
    offsets, scores = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return best_of(offsets, scores, limit=limit, larger_is_better=True)


def best_together(together: Together, selection: Selection, limit: int, ask: Ask) -> tuple[Offsets, F32]:
    """The best totals other than 0 of the selection, best first, ties by offset."""
    span = together.stop - together.first
    if len(selection) * CHOSEN_SHARE < span:
        offsets = selection.offsets()
        return nonzero_best(offsets, totals_at(together, offsets, ask)[0].astype(np.float32), limit)
    if not together.frequent and together.postings * SCATTER_RATIO < span:
        offsets = np.unique(np.concatenate(together.offsets))
        offsets = offsets[selection.contains(offsets)]
        return nonzero_best(offsets, totals_at(together, offsets, ask)[0].astype(np.float32), limit)
    return _best_of_all(together, _rare_totals(together, ask), selection, limit, ask)


def _rare_totals(together: Together, ask: Ask) -> Totals:
    """Totals of the rare lists for all offsets covered, ``(span,)``."""
    span, totals = together.stop - together.first, None
    factors = np.concatenate(together.factors)
    for piece in _pieces(together.offsets, ask):
        owners = np.concatenate(together.offsets[piece], dtype=np.int64)
        products = np.concatenate(together.weights[piece])
        products *= np.repeat(factors[piece], [*map(len, together.offsets[piece])])
        if together.first:
            owners -= together.first
        added = np.bincount(owners, weights=products, minlength=span)
        totals = added if totals is None else totals + added
    return np.zeros(span) if totals is None else totals.astype(np.float64, copy=False)


def _best_of_all(together: Together, totals: Totals, selection: Selection, limit: int, ask: Ask) -> tuple[Offsets, F32]:
    """The best of all offsets, whose ``totals`` lack the frequent lists.

    These are added up roughly, in float32, and exactly only for the few that may be among the best.
    """
    rough = totals.astype(np.float32)
    slack = _slack(rough, together.frequent)
    for column, factor in together.frequent:
        ask()
        address = faiss.swig_ptr(rough[column.first - together.first :])
        faiss.fvec_madd(len(column.weights), address, float(factor), faiss.swig_ptr(column.weights), address)
    passing = _passing(together, selection)
    if passing is not None:
        rough[~passing] = 0
    least = reached(rough, limit) - slack
    hopeful: npt.NDArray[np.int64]
    if 0 < least < np.inf:
        hopeful = np.flatnonzero(rough >= least)
    else:
        hopeful = np.arange(len(totals)) if passing is None else np.flatnonzero(passing)
    exact, offsets = totals[hopeful], hopeful + together.first
    for column, factor in together.frequent:
        column.add_at(offsets, factor, exact)
    return nonzero_best(offsets.astype(np.uint32), exact.astype(np.float32), limit)


def _slack(rough: F32, frequent: Sequence[Frequent]) -> float:
    """How far apart two totals may be that are roughly alike, when these lists are added in float32."""
    if not frequent:
        return 0.0
    reach = float(max(rough.max(), -rough.min()))
    reach += sum([abs(float(factor)) * column.peak for column, factor in frequent])
    return 2 * (len(frequent) + 1) * EPSILON * reach


def totals_at(together: Together, offsets: Offsets, ask: Ask) -> tuple[Totals, Bools]:
    """Totals of ascending offsets, and whether any list has them."""
    totals, shared = np.zeros(len(offsets), dtype=np.float64), np.zeros(len(offsets), dtype=np.bool_)
    if not len(offsets):
        return totals, shared
    for column, factor in together.frequent:
        column.add_at(offsets, factor, totals)
    if together.offsets:
        ask()
        _add_rare(together, offsets, totals, shared, ask)
    shared |= totals != 0
    for column, _ in together.frequent:
        if not shared.all():
            shared |= column.has(offsets)
    if together.dead is not None:
        living = alive(offsets, together.dead)
        totals[~living], shared[~living] = 0, False
    return totals, shared


def _add_rare(together: Together, offsets: Offsets, totals: Totals, shared: Bools, ask: Ask) -> None:
    """Adds what rare lists have for ascending offsets: these are looked for in long lists, and others in them."""
    owned, weights, factors = together.offsets, together.weights, np.concatenate(together.factors)
    long = LOOKUP_POSTINGS + LOOKUP_COST * len(offsets)
    if max(map(len, owned)) > long:
        short: list[int] = []
        for at, listed in enumerate(owned):
            if len(listed) <= long:
                short.append(at)
                continue
            ask()
            held, places = found_in(listed, offsets)
            totals[held] += weights[at][places] * factors[at]
            shared[held] = True
        if not short:
            return
        owned, weights, factors = [owned[at] for at in short], [weights[at] for at in short], factors[short]
    chosen = np.zeros(max(together.stop, int(offsets[-1]) + 1), dtype=np.bool_)
    chosen[offsets] = True
    for piece in _pieces(owned, ask):
        owners = np.concatenate(owned[piece], dtype=np.int64)
        met = chosen.take(owners).nonzero()[0]  # Few of them: what follows takes little.
        places = offsets.searchsorted(owners.take(met).astype(np.uint32))
        lists = np.cumsum([*map(len, owned[piece])]).searchsorted(met, side="right")
        products = np.concatenate(weights[piece]).take(met) * factors[piece].take(lists)
        totals += np.bincount(places, weights=products, minlength=len(offsets))
        shared[places] = True


def _passing(together: Together, selection: Selection) -> Bools | None:
    """Whether each offset covered is selected and not forgotten, ``(span,) bool``; None when all are."""
    passing, first, stop = None, together.first, together.stop
    if selection.bitmap.range_cardinality(first, stop) < stop - first:
        passing = _flags(selection.mask(first, stop), stop - first)
    if together.dead is not None:
        living = ~_flags(packed_bits(together.dead, first, stop), stop - first)
        passing = living if passing is None else passing & living
    return passing


def _flags(bits: npt.NDArray[np.uint8], count: int) -> Bools:
    """The first ``count`` of packed bits, ``(count,) bool``."""
    return np.unpackbits(bits, count=count, bitorder="little").view(np.bool_)


def nonzero_best(offsets: Offsets, scores: F32, limit: int) -> tuple[Offsets, F32]:
    """The best totals other than 0."""
    kept = scores.nonzero()[0]
    if len(kept) < len(scores):
        offsets, scores = offsets[kept], scores[kept]
    return best_of(offsets, scores, limit=limit, larger_is_better=True)
