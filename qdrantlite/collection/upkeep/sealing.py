"""When a dense vector's rows get a graph, and which. Pure: counts and settings in, a decision out.

One graph per vector grows at its end: rows beyond it (the tail, scanned exactly) are linked in once they are worth
it. Linking costs in proportion to the tail, saving in proportion to the graph: its file is written whole; there is
nothing to merge. A long tail is linked in steps, each saved and put to use before the next. A graph with too many dead
points is pruned, which costs in proportion to them; when too much of it has been healed that way, or its settings have
changed, it is built anew.
"""

from dataclasses import dataclass
from enum import Enum
from math import inf

from qdrantlite.collection.shard.thresholds import threshold_rows
from qdrantlite.collection.upkeep.coding import coding_of
from qdrantlite.segment.sealed import Coding, GraphParams, SealedSegment
from qdrantlite.segment.selection import Selection
from qdrantlite.values.schema import CollectionConfig, HnswConfig, VectorParams, merged

TAIL_EAGER = 8
"""A tail of so many thresholds is linked even while writes go on."""
TAIL_POLISH = 0.01
"""A tail of this share of the graph is linked after a short rest although it is below the threshold; a smaller one
after a longer rest, in proportion: a collection that rests comes to have no tail."""
TAIL_POLISH_AGAIN = 0.03
"""One that has rested and been written to again must have a tail of this share, or ``POLISH_AGAIN_S`` must have passed:
saving a graph takes as long as it is large, whatever was linked."""
STEP_POINTS = 500_000
"""Linked by one job, at least: minutes of work, which is lost when the server ends meanwhile, and which searches do
without until it is done; saving what it made takes a second."""
STEP_SHARE = 0.25
"""Of what the graph covers, where that is more: so all steps together write it some four times, however large it is."""
DEAD_MAX = 0.5
"""Share of a graph's points up to which it is pruned: of more, healing takes as long as building what is left."""
HEALED_MAX = 2 / 3
"""Share that died, over time, of all points that were ever linked, up to which it is pruned. Measured on embeddings,
recall at beam 64: half of 60,000 dead at once -.004 of a fresh graph, five rounds of a fifth of 40,000 -.002."""
QUIET_S = 1.0
POLISH_S = 3.0
POLISH_AGAIN_S = 60.0
WAIT_S = 10.0


class Sealing(Enum):
    """What to do."""

    NOTHING = "nothing"
    BUILD = "build"
    EXTEND = "extend"
    PRUNE = "prune"
    ENCODE = "encode"
    RELOAD = "reload"
    """The codes are right, but are to be held or asked otherwise."""
    DROP = "drop"


AT_ONCE = frozenset({Sealing.ENCODE, Sealing.RELOAD, Sealing.DROP})
"""Changes no row, so that more writes give no reason to wait."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the settings ask of one vector; ``coding`` None = no codes."""

    params: GraphParams
    coding: Coding | None = None


@dataclass(frozen=True, slots=True)
class SealingFacts:
    """Counts of points with the vector; ``covered`` lie within the graph, of ``covered_built`` it was built with."""

    row_bytes: int
    tail: int
    covered: int
    covered_built: int
    params: GraphParams | None
    """Of the graph there is."""
    coding: Coding | None
    """Of the codes there are."""
    quiet_s: float
    """Since the last write."""
    waiting_s: float
    """Since there first was something to do."""
    polished_s: float = inf
    """Since a tail below the threshold was linked."""
    pruned: int = 0
    """Points pruned from the graph since it was built."""


def hnsw_of(config: CollectionConfig, vector: VectorParams) -> HnswConfig:
    """The settings of one vector's graph: its own over the collection's."""
    return config.hnsw_config if vector.hnsw_config is None else merged(config.hnsw_config, vector.hnsw_config)


def wanted_of(config: CollectionConfig, vector: VectorParams) -> Wanted:
    """The settings in force for one vector."""
    settings = hnsw_of(config, vector)
    assert settings.m is not None
    assert settings.ef_construct is not None
    return Wanted(GraphParams(settings.m, settings.ef_construct), coding_of(config, vector))


def indexed_points(present: Selection, segment: SealedSegment | None) -> int:
    """Points that a graph covers."""
    return 0 if segment is None else present.count_below(segment.stop)


def is_pending(facts: SealingFacts, config: CollectionConfig, wanted: Wanted) -> bool:
    """Whether the collection is not yet as its settings want it."""
    return _needed(facts, config, wanted) is not Sealing.NOTHING


def choose(facts: SealingFacts, config: CollectionConfig, wanted: Wanted) -> Sealing:
    """What to do now: what is needed, once writes pause or have gone on for long, or a little polishing at rest."""
    needed = _needed(facts, config, wanted)
    threshold = threshold_rows(config, facts.row_bytes)
    if needed is Sealing.NOTHING:
        is_wanted = facts.params is not None and threshold is not None
        return Sealing.EXTEND if is_wanted and _is_worth_polishing(facts) else Sealing.NOTHING
    if needed in AT_ONCE or facts.quiet_s >= QUIET_S or facts.waiting_s >= WAIT_S:
        return needed
    assert threshold is not None
    return needed if facts.tail >= TAIL_EAGER * threshold else Sealing.NOTHING


def _needed(facts: SealingFacts, config: CollectionConfig, wanted: Wanted) -> Sealing:
    threshold = threshold_rows(config, facts.row_bytes)
    if wanted.params.m == 0:
        return Sealing.DROP if facts.params is not None else Sealing.NOTHING
    if threshold is None:
        return Sealing.NOTHING if facts.params is None else _of_codes(facts.coding, wanted.coding)
    total = facts.tail + facts.covered
    if facts.params is None:
        return Sealing.BUILD if total >= threshold else Sealing.NOTHING
    if not total and (facts.params != wanted.params or _is_worn(facts, config)):
        return Sealing.DROP
    if facts.params != wanted.params:
        return Sealing.BUILD
    if _is_worn(facts, config):
        return Sealing.PRUNE if is_healable(facts) else Sealing.BUILD
    if facts.tail >= threshold:
        return Sealing.EXTEND
    return _of_codes(facts.coding, wanted.coding)


def letting_go(facts: SealingFacts, wanted: Wanted) -> Sealing:
    """How a graph comes to link nothing dead, at once and however little that is."""
    if wanted.params.m == 0 or not facts.covered:
        return Sealing.DROP
    return Sealing.PRUNE if facts.params == wanted.params and is_healable(facts) else Sealing.BUILD


def covered_next(covered: int, points: int) -> int:
    """Of so many points, how many a graph that covers some is to cover after the next job."""
    step = max(STEP_POINTS, int(STEP_SHARE * covered))
    return points if points - covered < 2 * step else covered + step


def is_healable(facts: SealingFacts) -> bool:
    """Whether the graph is as good without its dead points as one built anew."""
    dead = facts.covered_built - facts.covered
    died = dead + facts.pruned
    return dead <= DEAD_MAX * facts.covered_built and died <= HEALED_MAX * (facts.covered + died)


def _is_worth_polishing(facts: SealingFacts) -> bool:
    """Whether to link a tail that need not be linked."""
    if (
        not facts.tail
        or facts.quiet_s < POLISH_S
        or facts.tail * facts.quiet_s <= TAIL_POLISH * POLISH_S * facts.covered
    ):
        return False
    return facts.polished_s >= POLISH_AGAIN_S or facts.tail > TAIL_POLISH_AGAIN * facts.covered


def _of_codes(there: Coding | None, wanted: Coding | None) -> Sealing:
    if there == wanted:
        return Sealing.NOTHING
    alike = there is not None and wanted is not None and there.kind == wanted.kind
    return Sealing.RELOAD if alike else Sealing.ENCODE


def _is_worn(facts: SealingFacts, config: CollectionConfig) -> bool:
    """Whether too many of the graph's points have died."""
    optimizers = config.optimizer_config
    share, least = optimizers.deleted_threshold, optimizers.vacuum_min_vector_number
    assert share is not None
    assert least is not None
    dead = facts.covered_built - facts.covered
    return facts.covered_built >= least and dead > share * facts.covered_built
