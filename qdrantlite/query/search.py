"""Searches: one immutable tree for every query that Qdrant's Query API can express.

A ``Search`` is the root; ``Prefetch`` nodes nest below it. What a node asks is its ``query``, one of the ``Query``
classes, or ``None`` (scroll by id). The tree knows names and ids only; binding to a collection turns ids into vectors
and filters into bitmaps. Older requests (search, recommend, discover) decode into the same tree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from qdrantlite.errors import BadRequest
from qdrantlite.query.filter import Filter
from qdrantlite.query.formula import Expression
from qdrantlite.values.payload import Json
from qdrantlite.values.point_id import PointId
from qdrantlite.values.vector import DEFAULT_VECTOR, VectorSource

PREFETCH_DEPTH_MAX = 64
LIMIT_DEFAULT = 10
GROUP_SIZE_DEFAULT = 3
GROUPS_DEFAULT = 10
SAMPLE_DEFAULT = 10
NEIGHBOURS_DEFAULT = 3

VectorInput: TypeAlias = PointId | VectorSource


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """Points most similar to one vector."""

    input: VectorInput


class RecommendStrategy(Enum):
    """How examples become a score."""

    AVERAGE_VECTOR = 0
    BEST_SCORE = 1
    SUM_SCORES = 2


@dataclass(frozen=True, slots=True, eq=False)
class Recommend:
    """Like the positives, unlike the negatives. ``lenient``: a point named that lacks the vector is left out."""

    positive: tuple[VectorInput, ...]
    negative: tuple[VectorInput, ...]
    strategy: RecommendStrategy = RecommendStrategy.AVERAGE_VECTOR
    lenient: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ContextPair:
    """One positive and one negative example."""

    positive: VectorInput
    negative: VectorInput


@dataclass(frozen=True, slots=True, eq=False)
class Discover:
    """Near the target, on the positive side of each pair."""

    target: VectorInput
    context: tuple[ContextPair, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """On the positive side of each pair."""

    pairs: tuple[ContextPair, ...]


class Direction(Enum):
    """Of an order."""

    ASC = 0
    DESC = 1


@dataclass(frozen=True, slots=True)
class OrderBy:
    """By a payload value; ``start_from`` is inclusive (a date is given as its text or microseconds since the epoch)."""

    key: str
    direction: Direction = Direction.ASC
    start_from: int | float | str | None = None


class FusionKind(Enum):
    """The two ways to merge result lists."""

    RRF = 0
    DBSF = 1


@dataclass(frozen=True, slots=True)
class Fusion:
    """Merge of the prefetches. ``k`` and ``weights`` belong to RRF; empty weights mean 1 each, ``None`` likewise."""

    kind: FusionKind
    k: int = 2
    weights: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A random subset."""


@dataclass(frozen=True, slots=True, eq=False)
class NearestMmr:
    """Nearest, then picked one by one for relevance and diversity."""

    input: VectorInput
    diversity: float = 0.5
    candidates_limit: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FeedbackItem:
    """An example with the confidence the user gives it."""

    example: VectorInput
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class RelevanceFeedback:
    """Target re-scored by scored examples, naive strategy with coefficients a, b, c."""

    target: VectorInput
    feedback: tuple[FeedbackItem, ...]
    a: float
    b: float
    c: float


@dataclass(frozen=True, slots=True)
class TextQuery:
    """By the words of an indexed text (BM25); ``using`` names the payload field.

    ``k`` says how soon repeated words count no more, not negative; ``b`` how much the length of texts does, 0 to 1.
    """

    text: str
    k: float = 1.2
    b: float = 0.75


@dataclass(frozen=True, slots=True)
class Formula:
    """An expression evaluated for every candidate of the prefetches."""

    expression: Expression
    defaults: Mapping[str, Json]


Query: TypeAlias = (
    Nearest
    | Recommend
    | Discover
    | Context
    | OrderBy
    | Fusion
    | Sample
    | Formula
    | NearestMmr
    | RelevanceFeedback
    | TextQuery
)


@dataclass(frozen=True, slots=True)
class QuantizationParams:
    """How quantized codes are used; ``rescore`` None = the index decides."""

    ignore: bool = False
    rescore: bool | None = None
    oversampling: float | None = None


@dataclass(frozen=True, slots=True)
class SearchParams:
    """Tuning of a leaf; ``idf_corpus`` None = the whole collection."""

    hnsw_ef: int | None = None
    exact: bool = False
    quantization: QuantizationParams | None = None
    indexed_only: bool = False
    acorn_max_selectivity: float | None = None
    idf_corpus: Filter | None = None


DEFAULT_PARAMS = SearchParams()


@dataclass(frozen=True, slots=True)
class LookupFrom:
    """Where ids of a node are resolved: another collection, and a vector name in it (None = the node's ``using``)."""

    collection: str
    vector: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prefetch:
    """One stage below the root; ``limit`` is how many candidates it hands up."""

    prefetch: "tuple[Prefetch, ...]" = ()
    query: Query | None = None
    using: str = DEFAULT_VECTOR
    filter: Filter | None = None
    params: SearchParams = DEFAULT_PARAMS
    score_threshold: float | None = None
    limit: int = LIMIT_DEFAULT
    lookup_from: LookupFrom | None = None


@dataclass(frozen=True, slots=True)
class PayloadSelector:
    """What of the payload is returned. ``include``/``exclude`` hold paths; ``everything`` counts only when both are
    None.
    """

    everything: bool = False
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] | None = None

    @property
    def wanted(self) -> bool:
        """True when payload must be read at all."""
        return self.everything or self.include is not None or self.exclude is not None


@dataclass(frozen=True, slots=True)
class VectorsSelector:
    """Which vectors are returned; ``names`` counts when given."""

    everything: bool = False
    names: tuple[str, ...] | None = None

    @property
    def wanted(self) -> bool:
        """True when vectors must be read at all."""
        return self.everything or bool(self.names)


NO_PAYLOAD = PayloadSelector()
ALL_PAYLOAD = PayloadSelector(everything=True)
NO_VECTORS = VectorsSelector()
ALL_VECTORS = VectorsSelector(everything=True)


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """The root: a stage plus what is returned of its points."""

    stage: Prefetch
    offset: int = 0
    with_payload: PayloadSelector = NO_PAYLOAD
    with_vectors: VectorsSelector = NO_VECTORS


@dataclass(frozen=True, slots=True)
class WithLookup:
    """Fetches, for each group, the point whose id is the group's key."""

    collection: str
    with_payload: PayloadSelector = ALL_PAYLOAD
    with_vectors: VectorsSelector = NO_VECTORS


@dataclass(frozen=True, slots=True, eq=False)
class GroupSearch:
    """``search.stage.limit`` groups of at most ``group_size`` hits, by the value at ``group_by``."""

    search: Search
    group_by: str
    group_size: int = GROUP_SIZE_DEFAULT
    with_lookup: WithLookup | None = None


@dataclass(frozen=True, slots=True)
class Scroll:
    """A page by id (``offset`` inclusive) or by a payload value, which its start value continues, not an id.

    Raises BadRequest for both.
    """

    filter: Filter | None = None
    offset: PointId | None = None
    limit: int = LIMIT_DEFAULT
    order_by: OrderBy | None = None
    with_payload: PayloadSelector = ALL_PAYLOAD
    with_vectors: VectorsSelector = NO_VECTORS

    def __post_init__(self) -> None:
        if self.offset is not None and self.order_by is not None:
            raise BadRequest(
                "Cannot use an `offset` when using `order_by`. The alternative for paging is to use "
                "`order_by.start_from` and a filter to exclude the IDs that you've already seen for the value"
            )


@dataclass(frozen=True, slots=True)
class Facet:
    """The most frequent values of an indexed field among the points that pass; counts are exact in either case."""

    key: str
    filter: Filter | None = None
    limit: int = LIMIT_DEFAULT
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Matrix:
    """Of a random ``sample`` of points that have the vector and pass, each with its ``limit`` nearest others."""

    using: str = DEFAULT_VECTOR
    filter: Filter | None = None
    sample: int = SAMPLE_DEFAULT
    limit: int = NEIGHBOURS_DEFAULT
