"""Leaves whose filter only payloads settle: they look as far as they must for the best that pass.

First a leaf finds some times as many points as it wants, in its own way, and the payloads of these are read. Where too
few pass, near points and passing ones are different ones: all are compared once, and payloads are read best first.
Only when that leads nowhere the payloads of all points that may pass are read.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from qdrantlite.deadline import Deadline
from qdrantlite.execute.ranking import Ranking
from qdrantlite.execute.view import Doubtful, Sieve
from qdrantlite.plan.nodes import ExactScan, GraphScan, OrderScan, ReadingLeaf
from qdrantlite.segment.selection import Selection

WIDER = 4
"""How many times further a leaf looks each time."""
REACHED_MAX = 64
"""How many times as much as it wants a leaf finds in its own way."""
READ_MAX = 16_384
"""So many payloads are read best first before all are."""
READ_STEP = 512


def sifted(
    leaf: ReadingLeaf, sieve: Sieve, among: Selection, run: Callable[[ReadingLeaf], Ranking], deadline: Deadline
) -> Ranking:
    """The best rows of a leaf that pass; ``among`` are the points it reads, ``run`` what it finds unsifted."""
    reach, most = 1, len(among)
    while reach <= REACHED_MAX:
        deadline.pause()
        found = run(_reaching(leaf, reach, most=most))
        passing = np.flatnonzero(sieve.passes(found.offsets))
        if len(passing) >= leaf.limit or len(found) < leaf.limit * reach:
            return found.take(passing[: leaf.limit])
        reach *= WIDER
    return _best_first(leaf, sieve, most, run, deadline) or run(
        replace(leaf, selection=among.intersection(sieve.settle()))
    )


def possible(leaf: ReadingLeaf) -> ReadingLeaf:
    """The leaf over all points that may pass."""
    return replace(leaf, selection=leaf.selection.possible) if isinstance(leaf.selection, Doubtful) else leaf


def _best_first(
    leaf: ReadingLeaf, sieve: Sieve, most: int, run: Callable[[ReadingLeaf], Ranking], deadline: Deadline
) -> Ranking | None:
    """The best rows that pass among so many of the best; None when these are too few to tell."""
    far = replace(_exact(leaf), limit=max(leaf.limit, min(READ_MAX, most)))
    found = run(far)
    passing: list[int] = []
    for start in range(0, len(found), READ_STEP):
        deadline.pause()
        held = np.flatnonzero(sieve.passes(found.offsets[start : start + READ_STEP])) + start
        passing.extend(held.tolist())
        if len(passing) >= leaf.limit:
            return found.take(np.array(passing[: leaf.limit]))
    every = len(found) < far.limit or (far.limit >= most and not isinstance(far, OrderScan))
    return found.take(np.array(passing, dtype=np.intp)) if every else None


def _exact(leaf: ReadingLeaf) -> ReadingLeaf:
    """The leaf that compares all points; a walk so wide would cost more."""
    if isinstance(leaf, GraphScan):
        return ExactScan(leaf.using, leaf.query, leaf.selection, leaf.limit, leaf.threshold, leaf.estimate)
    return leaf


def _reaching(leaf: ReadingLeaf, reach: int, *, most: int) -> ReadingLeaf:
    """The leaf with a limit so many times as large, up to ``most`` rows that there are, and a beam to match."""
    if reach == 1:
        return leaf
    limit = leaf.limit * reach
    if not isinstance(leaf, OrderScan):  # An order may list a point many times, and never reads more than there is.
        limit = max(leaf.limit, min(limit, most))
    if isinstance(leaf, GraphScan):
        return replace(leaf, limit=limit, ef=leaf.ef * reach, ef_max=leaf.ef_max * reach)
    return replace(leaf, limit=limit)
