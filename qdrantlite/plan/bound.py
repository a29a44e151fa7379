"""The bound tree: a search whose ids have become vectors and whose filters have become sets of offsets.

What ``collection/read/bind.py`` makes and the planner reads. Everything in it is immutable and belongs to one frozen
state of the shard. A stage that Qdrant refuses cannot be built: the constructor raises what the client reads.
Knows no segment: a set of offsets is whatever tells its length.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdrantlite.errors import BadInput, BadRequest
from qdrantlite.plan.custom import CustomScore
from qdrantlite.query.formula import Expression, everything_in
from qdrantlite.query.search import DEFAULT_PARAMS, LIMIT_DEFAULT, Direction, FusionKind, SearchParams
from qdrantlite.text.bm25 import Saturation
from qdrantlite.values.payload import Json, Path
from qdrantlite.values.schema import FieldKind
from qdrantlite.values.vector import DEFAULT_VECTOR, F32, U32, SparseVector


class OffsetSet(Protocol):
    """An immutable set of offsets of live points."""

    @property
    def is_settled(self) -> bool:
        """Whether all of them pass the filter; else some may not, which reading tells."""
        ...

    def __len__(self) -> int:
        """How many offsets it holds; takes no time in proportion to them."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class NearestDense:
    """Points most similar to ``vector`` ``(dim,) float32``, prepared as the stored rows expect it.

    ``larger_is_better`` is the direction of the field's distance.
    """

    vector: F32
    larger_is_better: bool

    @property
    def details(self) -> str:
        """For ``explain``."""
        return f"dim={len(self.vector)}"


@dataclass(frozen=True, slots=True, eq=False)
class NearestSparse:
    """Points with the largest dot product; the weights have been multiplied by IDF where the field asks for it."""

    vector: SparseVector

    @property
    def details(self) -> str:
        """For ``explain``."""
        return f"indices={len(self.vector.indices)}"


@dataclass(frozen=True, slots=True, eq=False)
class NearestMulti:
    """Points with the best MaxSim to ``rows`` ``(q, dim) float32``, prepared as the stored rows expect them."""

    rows: F32
    larger_is_better: bool

    @property
    def details(self) -> str:
        """For ``explain``."""
        return f"rows={self.rows.shape[0]}x{self.rows.shape[1]}"


@dataclass(frozen=True, slots=True, eq=False)
class BoundText:
    """Points whose texts in the index at ``key`` say one of distinct ``words``, the rarer (``rarities`` ``(n,)
    float32``) and the more often the better. ``postings``: how many points say each word, summed up.
    """

    key: str
    words: tuple[str, ...]
    rarities: F32
    saturation: Saturation
    postings: int

    @property
    def details(self) -> str:
        """For ``explain``."""
        return f"words={len(self.words)}"


@dataclass(frozen=True, slots=True)
class BoundOrderBy:
    """By the values of a payload index; ``start_from`` is inclusive and already in the index's own numbers."""

    key: str
    direction: Direction = Direction.ASC
    start_from: int | float | None = None


@dataclass(frozen=True, slots=True)
class BoundFusion:
    """Merge of the children; ``k`` and ``weights`` belong to RRF, ``None`` weights mean 1 each."""

    kind: FusionKind
    k: int = 2
    weights: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class BoundSample:
    """A random subset."""


class PointTest(Protocol):
    """Something that holds for some points of the state."""

    def passes(self, offsets: U32) -> NDArray[np.bool_]:
        """For which of these live points it holds, ``(n,) bool``."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class BoundFormula:
    """An expression for each candidate of the children.

    ``defaults`` are by path, ``score_defaults`` by child. A field that is ``indexed`` has the values that its index
    holds; ``index_keys`` are the keys of these. ``conditions`` are by the identity of the conditions in the expression.
    """

    expression: Expression
    defaults: Mapping[Path, Json]
    score_defaults: Mapping[int, float]
    indexed: Mapping[Path, FieldKind]
    conditions: Mapping[int, PointTest]
    index_keys: Mapping[Path, str] = field(default_factory=dict)

    @property
    def parts(self) -> int:
        """How many expressions are in it."""
        return sum(1 for _ in everything_in(self.expression))


NearestQuery: TypeAlias = NearestDense | NearestSparse | NearestMulti
BoundVectorQuery: TypeAlias = NearestQuery | CustomScore


@dataclass(frozen=True, slots=True, eq=False)
class BoundDiversity:
    """Picks from what the children hand up those like the query and unlike what was picked; their scores stay.

    ``query`` of a sparse vector is without IDF. ``diversity`` from 0 (the nearest) to 1 (the most different).
    """

    query: NearestQuery
    diversity: float


BoundQuery: TypeAlias = (
    BoundVectorQuery | BoundText | BoundOrderBy | BoundFusion | BoundFormula | BoundSample | BoundDiversity
)


@dataclass(frozen=True, slots=True, eq=False)
class BoundStage:
    """One stage; a stage without children is a leaf and reads the shard

    ``selection`` counts at leaves only: the live points that pass the filters of the leaf and of all stages above it,
    None = no filter. ``limit`` is how many candidates the stage hands up.

    Raises InvalidRequest for a combination that has no meaning (a fusion of nothing, a threshold without scores …).
    """

    children: "tuple[BoundStage, ...]" = ()
    query: BoundQuery | None = None
    using: str = DEFAULT_VECTOR
    selection: OffsetSet | None = None
    params: SearchParams = DEFAULT_PARAMS
    score_threshold: float | None = None
    limit: int = LIMIT_DEFAULT

    def __post_init__(self) -> None:
        match self.query:
            case None:
                self._require_no_query_needed()
            case BoundFusion() as fusion:
                self._require_fusible(fusion)
            case BoundFormula() if not self.children:
                raise BadInput("Validation failed: cannot apply Formula without prefetches")
            case BoundText() if self.children:
                raise BadRequest("BM25 over a text index cannot rescore prefetches")
            case BoundOrderBy() if self.score_threshold is not None:
                raise BadRequest("Can't use score_threshold with an order_by query.")
            case _:
                pass

    def _require_no_query_needed(self) -> None:
        if self.children:
            raise BadRequest(
                "A query is needed to merge the prefetches. Can't have prefetches without defining a query."
            )
        if self.score_threshold is not None:
            raise BadRequest(
                "A query is needed to use the score_threshold. Can't have score_threshold without defining a query."
            )

    def _require_fusible(self, fusion: BoundFusion) -> None:
        if not self.children:
            raise BadInput("Validation failed: cannot apply Fusion without prefetches")
        if self.using != DEFAULT_VECTOR:
            raise BadRequest("Fusion queries cannot be combined with the 'using' field.")
        if fusion.weights is not None and len(fusion.weights) != len(self.children):
            raise BadRequest(
                f"RRF weights length ({len(fusion.weights)}) does not match number of prefetches ({len(self.children)})"
            )


@dataclass(frozen=True, slots=True, eq=False)
class BoundSearch:
    """The root stage and what is skipped of its answer.

    ``repeats``: an order by value lists a point once per value (scroll) instead of dropping its neighbouring repeats
    (Query API). It matters only when the root stage is an order.
    """

    stage: BoundStage
    offset: int = 0
    repeats: bool = False


def widened(stage: BoundStage, factor: int) -> BoundStage:
    """The stage with the limits of all stages below it multiplied; its own limit and numbers of candidates stay."""
    if factor == 1 or not stage.children:
        return stage
    grown = 1 if isinstance(stage.query, BoundDiversity) else factor
    children = tuple(replace(widened(child, factor), limit=child.limit * grown) for child in stage.children)
    return replace(stage, children=children)
