"""Plan nodes: one closed union of frozen values, matched whole by the executor.

Leaves read the shard; inner nodes take what their sources hand up. What flows is a ranking: offsets with scores, best
first, at most ``limit`` of them. Every node carries what the planner expected of it, and tells its ``sources`` (none
for a leaf), the ``selection`` that it reads (None = every point, and for inner nodes) and its ``details``: what
``explain`` prints to tell it from others of its class, opening with a space. So whoever walks a plan lists no classes.
Invariants: sources are nodes, never empty; a selection never holds a dead point; ``threshold`` is applied before
``limit``. Knows no segment and computes nothing.
"""

from dataclasses import dataclass
from typing import TypeAlias

from qdrantlite.plan.bound import (
    BoundFormula,
    BoundText,
    BoundVectorQuery,
    NearestDense,
    NearestMulti,
    NearestQuery,
    NearestSparse,
    OffsetSet,
)
from qdrantlite.plan.custom import CustomScore
from qdrantlite.query.search import Direction, FusionKind, QuantizationParams
from qdrantlite.values.cardinality import Cardinality


@dataclass(frozen=True, slots=True)
class Estimate:
    """Rows a node is expected to hand up, and the microseconds it takes together with all below it."""

    rows: Cardinality
    cost_us: float


class _Reading:
    """What all leaves have in common."""

    __slots__ = ()

    @property
    def sources(self) -> "tuple[Node, ...]":
        """None: a leaf reads the shard."""
        return ()


class _Seeking(_Reading):
    """What all leaves have in common that read a vector, or texts, for the best of a query."""

    __slots__ = ()

    using: str
    query: BoundVectorQuery | BoundText
    selection: OffsetSet | None
    limit: int
    threshold: float | None

    @property
    def details(self) -> str:
        """For ``explain``."""
        return f' "{self.using}" {self.query.details}' + _bounds(self.selection, self.limit, self.threshold)


class _Merging:
    """What all inner nodes have in common."""

    __slots__ = ()

    @property
    def selection(self) -> None:
        """None: an inner node sees what its sources hand up."""
        return


@dataclass(frozen=True, slots=True)
class Nothing(_Reading):
    """Hands up no row: what is left of a leaf whose filter lets no point through."""

    estimate: Estimate
    selection: None = None

    @property
    def details(self) -> str:
        """For ``explain``."""
        return ""


@dataclass(frozen=True, slots=True, eq=False)
class ExactScan(_Seeking):
    """Compares every row of a dense vector, skipping those outside ``selection`` (None = every point)."""

    using: str
    query: NearestDense
    selection: OffsetSet | None
    limit: int
    threshold: float | None
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class SubsetScan(_Seeking):
    """Compares only the rows of the points in ``selection``, one by one."""

    using: str
    query: NearestDense
    selection: OffsetSet
    limit: int
    threshold: float | None
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class GraphScan(_Reading):
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

    @property
    def details(self) -> str:
        """For ``explain``."""
        asked = f' "{self.using}" {self.query.details} ef={self.ef}'
        return asked + _bounds(self.selection, self.limit, self.threshold)


@dataclass(frozen=True, slots=True, eq=False)
class SparseScan(_Seeking):
    """Adds up the postings of the query's indices."""

    using: str
    query: NearestSparse
    selection: OffsetSet | None
    limit: int
    threshold: float | None
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class TextScan(_Seeking):
    """Adds up what the words of the query are worth in the texts of the field ``using``."""

    using: str
    query: BoundText
    selection: OffsetSet | None
    limit: int
    threshold: float | None
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class MultiScan(_Seeking):
    """Compares all rows of every point by MaxSim."""

    using: str
    query: NearestMulti
    selection: OffsetSet | None
    limit: int
    threshold: float | None
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class CustomScan(_Seeking):
    """Scores every point that has the vector by its similarities to examples."""

    using: str
    query: CustomScore
    selection: OffsetSet | None
    limit: int
    threshold: float | None
    estimate: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class IdScan(_Reading):
    """The first points by id."""

    selection: OffsetSet | None
    limit: int
    estimate: Estimate

    @property
    def details(self) -> str:
        """For ``explain``."""
        return _bounds(self.selection, self.limit)


@dataclass(frozen=True, slots=True, eq=False)
class OrderScan(_Reading):
    """Points by the value of a payload index, then by id; with ``repeats`` once per value, neighbouring or not."""

    key: str
    direction: Direction
    start_from: int | float | None
    repeats: bool
    selection: OffsetSet | None
    limit: int
    estimate: Estimate

    @property
    def details(self) -> str:
        """For ``explain``."""
        return _order(self) + _bounds(self.selection, self.limit)


@dataclass(frozen=True, slots=True, eq=False)
class SampleScan(_Reading):
    """Random points."""

    selection: OffsetSet | None
    limit: int
    estimate: Estimate

    @property
    def details(self) -> str:
        """For ``explain``."""
        return _bounds(self.selection, self.limit)


@dataclass(frozen=True, slots=True, eq=False)
class Rescore(_Merging):
    """Scores the union of the sources anew; points without the vector are dropped."""

    sources: "tuple[Node, ...]"
    using: str
    query: BoundVectorQuery
    limit: int
    threshold: float | None
    estimate: Estimate

    @property
    def details(self) -> str:
        """For ``explain``."""
        return f' "{self.using}" {self.query.details}' + _bounds(None, self.limit, self.threshold)


@dataclass(frozen=True, slots=True, eq=False)
class GuidedScan(_Merging):
    """Scores what each of the sources found about one guide, a vector around which the best scores lie.

    While a point that no source found could be better than the last of the ``limit`` best, the sources are asked again
    for more, up to ``wider`` times; then ``otherwise`` is run instead.
    """

    sources: tuple[GraphScan, ...]
    otherwise: CustomScan
    wider: int
    estimate: Estimate

    @property
    def limit(self) -> int:
        """How many rows it hands up at most."""
        return self.otherwise.limit

    @property
    def details(self) -> str:
        """For ``explain``."""
        return self.otherwise.details


@dataclass(frozen=True, slots=True, eq=False)
class Diversify(_Merging):
    """Picks one by one those of the sources' rows that are like the query and unlike what was picked (MMR).

    Points without the vector are dropped; of those that several sources list, the first row counts.
    """

    sources: "tuple[Node, ...]"
    using: str
    query: NearestQuery
    diversity: float
    limit: int
    estimate: Estimate

    @property
    def details(self) -> str:
        """For ``explain``."""
        return f' "{self.using}" {self.query.details} diversity={self.diversity:g}' + _bounds(None, self.limit)


@dataclass(frozen=True, slots=True, eq=False)
class Fuse(_Merging):
    """Merges the sources by rank (RRF) or by normalised score (DBSF)."""

    sources: "tuple[Node, ...]"
    kind: FusionKind
    k: int
    weights: tuple[float, ...] | None
    limit: int
    threshold: float | None
    estimate: Estimate

    @property
    def details(self) -> str:
        """For ``explain``."""
        if self.kind is FusionKind.DBSF:
            return " dbsf" + _bounds(None, self.limit, self.threshold)
        weights = "" if self.weights is None else " weights=" + ",".join(f"{weight:g}" for weight in self.weights)
        return f" rrf k={self.k}{weights}" + _bounds(None, self.limit, self.threshold)


@dataclass(frozen=True, slots=True, eq=False)
class Formula(_Merging):
    """Scores the union of the sources by an expression."""

    sources: "tuple[Node, ...]"
    query: BoundFormula
    limit: int
    threshold: float | None
    estimate: Estimate

    @property
    def details(self) -> str:
        """For ``explain``."""
        return f" parts={self.query.parts}" + _bounds(None, self.limit, self.threshold)


@dataclass(frozen=True, slots=True, eq=False)
class Order(_Merging):
    """Orders the union of the sources as ``OrderScan`` does; points without a value are dropped."""

    sources: "tuple[Node, ...]"
    key: str
    direction: Direction
    start_from: int | float | None
    repeats: bool
    limit: int
    estimate: Estimate

    @property
    def details(self) -> str:
        """For ``explain``."""
        return _order(self) + _bounds(None, self.limit)


@dataclass(frozen=True, slots=True, eq=False)
class SampleOf(_Merging):
    """Random points of the union of the sources."""

    sources: "tuple[Node, ...]"
    limit: int
    estimate: Estimate

    @property
    def details(self) -> str:
        """For ``explain``."""
        return _bounds(None, self.limit)


@dataclass(frozen=True, slots=True, eq=False)
class Top(_Merging):
    """Skips ``offset`` rows and keeps ``limit`` of the rest; only at the root."""

    source: "Node"
    offset: int
    limit: int
    estimate: Estimate

    @property
    def sources(self) -> "tuple[Node, ...]":
        """The only one."""
        return (self.source,)

    @property
    def details(self) -> str:
        """For ``explain``."""
        return f" offset={self.offset} limit={self.limit}"


DenseLeaf: TypeAlias = ExactScan | SubsetScan | GraphScan
ReadingLeaf: TypeAlias = DenseLeaf | SparseScan | TextScan | MultiScan | CustomScan | IdScan | OrderScan | SampleScan
Merge: TypeAlias = Rescore | GuidedScan | Diversify | Fuse | Formula | Order | SampleOf
Node: TypeAlias = Nothing | ReadingLeaf | Merge | Top


def _bounds(selection: OffsetSet | None, limit: int, threshold: float | None = None) -> str:
    passing = "" if selection is None else f" filter{'=' if selection.is_settled else '<='}{len(selection)}"
    beyond = "" if threshold is None else f" threshold={threshold:g}"
    return f"{passing} limit={limit}{beyond}"


def _order(node: OrderScan | Order) -> str:
    start = "" if node.start_from is None else f" from={node.start_from:g}"
    direction = "asc" if node.direction is Direction.ASC else "desc"
    return f" {node.key} {direction}{start}{' repeats' if node.repeats else ''}"
