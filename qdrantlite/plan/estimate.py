"""The cost model: how many rows a node hands up and what it costs, from counts alone.

All constants live here; they are microseconds on one core, measured by ``benchmarks/calibrate.py``. Only their ratios
decide anything. Pure arithmetic: no arrays, no segment.
"""

from collections.abc import Sequence
from math import ceil, log10
from typing import assert_never

from qdrantlite.plan.bound import BoundVectorQuery, NearestDense, NearestMulti, NearestSparse
from qdrantlite.plan.custom import BestScore, CustomScore, DenseExamples, MultiExamples, PairRanks, SparseExamples
from qdrantlite.plan.nodes import Estimate, Node
from qdrantlite.plan.statistics import VectorStatistics
from qdrantlite.values.cardinality import Cardinality

SCAN_US = 25.0
"""Opening a scan of all rows."""
SCAN_COMPONENT_US = 0.0002
"""One component of a row that is compared where it lies."""
MASK_US = 50.0
"""Turning a selection into bits."""
MASK_ROW_US = 0.008
"""Asking the bits about one row."""
SUBSET_US = 30.0
"""Opening a scan of chosen rows."""
SUBSET_COMPONENT_US = {4: 0.0003, 2: 0.00045, 1: 0.00035}
"""One component of a chosen row by its size: float32 is compared in place, the others are gathered first."""
GRAPH_US = 150.0
"""Opening a walk."""
GRAPH_STEP_US = 1.2
GRAPH_COMPONENT_US = 0.003
"""One candidate of the beam: looking at its links, and comparing components of those not seen yet."""
SIFT_US = 30.0
"""Asking which of a beam pass."""
WIDENING = 0.6
"""The beam grows with selectivity to the power of minus this: measured to keep recall at 0.99 from 50 % down to 5 %."""
BEAM_PER_HIT = 6.0
"""Candidates for each hit and each point passed over: a quarter of a beam is trusted, and where passing points are as
near as others it must hold the limit with some to spare."""
BEAM_ROWS = 100_000
BEAM_GROWTH = 0.5
"""From so many rows on the beam of a search that names none grows by this share for every tenfold: a beam of 100 finds
0.99 of the best among 100,000 rows, and 0.965 to 0.985 among a million."""
SPARSE_US = 60.0
POSTING_US = 0.004
TEXT_POSTING_US = 0.012
MULTI_US = 60.0
MULTI_COMPONENT_US = 0.0005
ID_US = 15.0
ID_ROW_US = 0.5
ORDER_US = 30.0
ORDER_ENTRY_US = 0.002
SAMPLE_US = 15.0
SAMPLE_ROW_US = 0.001
RESCORE_US = 30.0
RESCORE_COMPONENT_US = 0.001
RESCORE_INDEX_US = 0.01
CUSTOM_US = 60.0
CUSTOM_COMPONENT_US = 0.00025
CUSTOM_EXAMPLE_US = 0.00011
"""A component of a point that is scored, and what each example compared with it adds."""
GUIDE_SPARE = 2
"""How many times the limit are sought about each guide where examples may reject what is found."""
GUIDE_SHARING = 0.9
"""A beam is shared by guides as if it grew with their number to the power of so much: with three of them 0.995 of what
is best is found with 0.37 of the beam each."""
SHARED_MIN = 1 / 3
"""Of the beam, whatever the number of guides."""
SCORED_SHARE = 0.5
"""Of a beam, best first: what is scored where pairs may reject what is near; towards its end ever more is missing."""
GUIDED_PAIRS_MAX = 20
"""A million points about one guide are never cheaper than all."""
PICK_US = 20.0
FORMULA_US = 40.0
FORMULA_ROW_US = 4.0
FORMULA_PART_US = 6.0
FUSE_US = 40.0
FUSE_ROW_US = 0.1
TOP_US = 2.0

NOTHING = Estimate(Cardinality.exactly(0), 0.0)


def rows_up(passing: int, limit: int, *, certain: bool) -> Cardinality:
    """Rows of a node that sees ``passing`` candidates; ``certain`` when none of them can drop out."""
    high = min(passing, limit)
    return Cardinality(high if certain else 0, high, high)


def rows_of(sources: Sequence[Node]) -> int:
    """Rows expected from all sources together, repeats counted."""
    return sum(source.estimate.rows.expected for source in sources)


def cost_of(sources: Sequence[Node]) -> float:
    """Microseconds of all sources, run one after the other."""
    return sum(source.estimate.cost_us for source in sources)


def scan_cost(facts: VectorStatistics, passing: int | None) -> float:
    """Comparing all rows; with ``passing`` points let through by a mask, or None without one."""
    if passing is None:
        return SCAN_US + facts.rows * facts.dimension * SCAN_COMPONENT_US
    return SCAN_US + MASK_US + facts.rows * MASK_ROW_US + passing * facts.dimension * SCAN_COMPONENT_US


def default_beam(facts: VectorStatistics) -> int:
    """The beam of a search that names none: that of the graph's construction, wider in graphs of many rows."""
    growth = max(0.0, log10(max(facts.rows, 1) / BEAM_ROWS)) * BEAM_GROWTH
    return ceil(facts.beam * (1 + growth))


def widened_beam(beam: int, limit: int, facts: VectorStatistics, passing: int | None) -> int:
    """The beam that keeps recall when only ``passing`` points may be returned (None = all)."""
    if passing is None or passing >= facts.points:
        return beam
    rarity = facts.points / max(passing, 1)
    widened: float = max(beam * rarity**WIDENING, limit * rarity * BEAM_PER_HIT)
    return ceil(widened)


def graph_cost(facts: VectorStatistics, passing: int | None, beam: int) -> float:
    """Walking every graph with a beam, and scanning the rows beyond them."""
    walks = len(facts.sealed) * beam * (GRAPH_STEP_US + facts.dimension * GRAPH_COMPONENT_US)
    tail = (facts.rows - sum(facts.sealed)) * facts.dimension * SCAN_COMPONENT_US
    return GRAPH_US + walks + tail + (0.0 if passing is None else MASK_US + SIFT_US)


def subset_cost(facts: VectorStatistics, passing: int) -> float:
    """Comparing the rows of ``passing`` chosen points."""
    return SUBSET_US + passing * facts.dimension * SUBSET_COMPONENT_US[facts.component_bytes]


def sparse_cost(facts: VectorStatistics, indices: int) -> float:
    """Adding up the postings of a query of so many indices, as if each held a hundredth of all."""
    return SPARSE_US + min(facts.rows, indices * facts.rows / 100) * POSTING_US


def text_cost(postings: int) -> float:
    """Adding up what so many postings of words are worth."""
    return SPARSE_US + postings * TEXT_POSTING_US


def multi_cost(facts: VectorStatistics, passing: int, query_rows: int) -> float:
    """MaxSim of ``passing`` points, each with its share of the stored rows."""
    rows = facts.rows * passing / max(facts.points, 1)
    return MULTI_US + rows * query_rows * facts.dimension * MULTI_COMPONENT_US


def rescore_cost(facts: VectorStatistics, points: int, query: BoundVectorQuery) -> float:
    """Scoring so many chosen points."""
    match query:
        case NearestDense():
            return RESCORE_US + points * facts.dimension * RESCORE_COMPONENT_US
        case NearestSparse(vector):
            return RESCORE_US + points * len(vector.indices) * RESCORE_INDEX_US
        case NearestMulti(rows):
            return RESCORE_US + multi_cost(facts, points, len(rows))
        case CustomScore():
            return RESCORE_US + custom_cost(facts, points, query)
        case _:
            assert_never(query)


def custom_cost(facts: VectorStatistics, points: int, query: CustomScore) -> float:
    """Comparing so many points with every example."""
    match query.examples:
        case DenseExamples(vectors):
            return CUSTOM_US + points * facts.dimension * (CUSTOM_COMPONENT_US + len(vectors) * CUSTOM_EXAMPLE_US)
        case SparseExamples(sparse):
            return CUSTOM_US + sum(sparse_cost(facts, len(vector.indices)) for vector in sparse)
        case MultiExamples(multi):
            return CUSTOM_US + multi_cost(facts, points, sum(map(len, multi)))
        case _:
            assert_never(query.examples)


def guided_limit(query: CustomScore, limit: int) -> int:
    """How many points about each guide are likely to hold the best ``limit``.

    Each negative may reject some, and each pair is met by half of all points unless something is known of it.
    """
    match query.scorer:
        case BestScore(positives) if positives == len(query.examples):
            return limit + 1
        case PairRanks(pairs):
            return (limit << min(pairs, GUIDED_PAIRS_MAX)) + 1
        case _:
            return limit * GUIDE_SPARE + 1


def guided_beam(query: CustomScore, beam: int, sought: int, *, guides: int) -> tuple[int, int]:
    """The beam of the walk about each of so many guides, and how many of the points in it are scored.

    Guides share a beam: what is near several of them is met several times, and where it is not, fewer points about each
    are among the best. Where pairs may reject what is near, all that the walk met is scored.
    """
    shared = max(ceil(beam * max(guides**-GUIDE_SHARING, SHARED_MIN)), sought)
    match query.scorer:
        case PairRanks(pairs) if pairs:
            return shared, max(int(shared * SCORED_SHARE), sought)
        case _:
            return shared, sought


def pick_cost(facts: VectorStatistics, candidates: int, picks: int) -> float:
    """Picking from candidates, each time comparing all of them with the last one picked."""
    return picks * (PICK_US + candidates * max(facts.dimension, 1) * RESCORE_COMPONENT_US)


def order_cost(entries: int) -> float:
    """A page of an ordered index, as if a tenth of the entries were looked at."""
    return ORDER_US + entries / 10 * ORDER_ENTRY_US


def sample_cost(passing: int) -> float:
    """Drawing from so many points."""
    return SAMPLE_US + passing * SAMPLE_ROW_US


def id_cost(rows: int) -> float:
    """Walking so many ids."""
    return ID_US + rows * ID_ROW_US


def formula_cost(rows: int, parts: int) -> float:
    """Reading the payloads of so many rows, and computing an expression of so many parts."""
    return FORMULA_US + rows * FORMULA_ROW_US + parts * FORMULA_PART_US


def fuse_cost(rows: int) -> float:
    """Merging so many rows."""
    return FUSE_US + rows * FUSE_ROW_US
