"""Plan nodes: one closed union of frozen values, matched whole by the executor and by ``explain``.

Leaves read the shard; inner nodes take what their sources hand up. What flows is a ranking: offsets with scores, best
first, at most ``limit`` of them. Every node carries what the planner expected of it.
Invariants: sources are nodes, never empty; a selection never holds a dead point; ``threshold`` is applied before
``limit``. Knows no segment and computes nothing.
"""

from dataclasses import dataclass
from typing import TypeAlias

from qdrantlite.plan.bound import BoundVectorQuery, NearestDense, NearestMulti, NearestSparse, OffsetSet
from qdrantlite.query.search import Direction, FusionKind, QuantizationParams
from qdrantlite.values.cardinality import Cardinality


@dataclass(frozen=True, slots=True)
class Estimate:
    """Rows a node is expected to hand up, and the microseconds it takes together with all below it."""

    rows: Cardinality
    cost_us: float


@dataclass(frozen=True, slots=True)
class Nothing:
    """Hands up no row: what is left of a leaf whose filter lets no point through."""

    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class ExactScan:
    """Compares every row of a dense vector, skipping those outside ``selection`` (None = every point)."""

    using: str
    query: NearestDense
    selection: OffsetSet | None
    limit: int
    threshold: float | None
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class SubsetScan:
    """Compares only the rows of the points in ``selection``, one by one."""

    using: str
    query: NearestDense
    selection: OffsetSet
    limit: int
    threshold: float | None
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class GraphScan:
    """Walks the graphs of the sealed segments with a beam of ``ef`` and scans the rows not sealed yet (``tail``).

    ``quantization`` says how codes are used where there are any, None = as the codes are.
    Where the nearest points of all hold too few of the selection, the beam grows up to ``ef_max``; then all that pass
    are compared: ``one_by_one``, as a SubsetScan does, or else as an ExactScan does.
    """

    using: str
    query: NearestDense
    selection: OffsetSet | None
    limit: int
    threshold: float | None
    ef: int
    tail: bool
    one_by_one: bool
    estimate: Estimate
    quantization: QuantizationParams | None = None
    ef_max: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SparseScan:
    """Adds up the postings of the query's indices."""

    using: str
    query: NearestSparse
    selection: OffsetSet | None
    limit: int
    threshold: float | None
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class MultiScan:
    """Compares all rows of every point by MaxSim."""

    using: str
    query: NearestMulti
    selection: OffsetSet | None
    limit: int
    threshold: float | None
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class IdScan:
    """The first points by id."""

    selection: OffsetSet | None
    limit: int
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class OrderScan:
    """Points by the value of a payload index, then by id; with ``repeats`` once per value, neighbouring or not."""

    key: str
    direction: Direction
    start_from: int | float | None
    repeats: bool
    selection: OffsetSet | None
    limit: int
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class SampleScan:
    """Random points."""

    selection: OffsetSet | None
    limit: int
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Rescore:
    """Scores the union of the sources anew; points without the vector are dropped."""

    sources: "tuple[Node, ...]"
    using: str
    query: BoundVectorQuery
    limit: int
    threshold: float | None
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Fuse:
    """Merges the sources by rank (RRF) or by normalised score (DBSF)."""

    sources: "tuple[Node, ...]"
    kind: FusionKind
    k: int
    weights: tuple[float, ...] | None
    limit: int
    threshold: float | None
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """Orders the union of the sources as ``OrderScan`` does; points without a value are dropped."""

    sources: "tuple[Node, ...]"
    key: str
    direction: Direction
    start_from: int | float | None
    repeats: bool
    limit: int
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class SampleOf:
    """Random points of the union of the sources."""

    sources: "tuple[Node, ...]"
    limit: int
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Top:
    """Skips ``offset`` rows and keeps ``limit`` of the rest; only at the root."""

    source: "Node"
    offset: int
    limit: int
    estimate: Estimate


DenseLeaf: TypeAlias = ExactScan | SubsetScan | GraphScan
ReadingLeaf: TypeAlias = DenseLeaf | SparseScan | MultiScan | IdScan | OrderScan | SampleScan
Leaf: TypeAlias = Nothing | ReadingLeaf
Merge: TypeAlias = Rescore | Fuse | Order | SampleOf
Node: TypeAlias = Leaf | Merge | Top
