"""Queries within their bounds, with their defaults."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isnan

from qdrantlite.errors import BadInput, BadRequest
from qdrantlite.query.formula import Decay, DecayKind, Expression, Extreme
from qdrantlite.query.search import (
    Context,
    ContextPair,
    Discover,
    FeedbackItem,
    Fusion,
    FusionKind,
    NearestMmr,
    Recommend,
    RecommendStrategy,
    RelevanceFeedback,
    TextQuery,
    VectorInput,
)
from qdrantlite.wire.bounds import at_least, at_most, within
from qdrantlite.wire.checked.once_found import OnceFound

MMR_CANDIDATES_MAX = 16_384
RRF_K_DEFAULT = 2
DIVERSITY_DEFAULT = 0.5
BM25_K_DEFAULT = 1.2
BM25_B_DEFAULT = 0.75
DECAY_SCALE_DEFAULT = 1.0
DECAY_MIDPOINT_DEFAULT = 0.5


def rrf(k: int | None, weights: Sequence[float] | None) -> Fusion:
    """Raises ValidationFailed for a ``k`` of 0."""
    if k is not None:
        at_least("k", k, 1)
    return Fusion(
        FusionKind.RRF,
        k=RRF_K_DEFAULT if k is None else k,
        weights=None if weights is None else tuple(weights),
    )


def recommend(
    positive: tuple[VectorInput, ...], negative: tuple[VectorInput, ...], strategy: RecommendStrategy
) -> Recommend:
    """Raises OnceFound when the strategy has nothing to work with."""
    if strategy is RecommendStrategy.AVERAGE_VECTOR:
        if not positive:
            raise OnceFound(BadInput("Positive vectors should not be empty with `average` strategy"))
    elif not (positive or negative):
        raise OnceFound(BadRequest("At least one positive or negative vector ID required with this strategy"))
    return Recommend(positive, negative, strategy)


def old_recommend(
    positive: tuple[VectorInput, ...], negative: tuple[VectorInput, ...], strategy: RecommendStrategy
) -> Recommend:
    """The same for the older request, which has words of its own and leaves out what lacks the vector. Raises
    OnceFound.
    """
    if strategy is RecommendStrategy.AVERAGE_VECTOR and not positive:
        raise OnceFound(BadRequest("At least one positive vector ID required with this strategy"))
    return replace(recommend(positive, negative, strategy), lenient=True)


def old_discover(target: VectorInput | None, pairs: tuple[ContextPair, ...]) -> Discover | Context:
    """A request without a target is a context search. Raises OnceFound for one without pairs, too."""
    if target is not None:
        return Discover(target, pairs)
    if not pairs:
        raise OnceFound(BadRequest("target and/or context_pairs must be specified"))
    return Context(pairs)


def mmr(nearest: VectorInput, diversity: float | None, candidates_limit: int | None) -> NearestMmr:
    """Raises ValidationFailed."""
    if diversity is not None:
        within("mmr.diversity", diversity, 0.0, 1.0)
    if candidates_limit is not None:
        at_most("mmr.candidates_limit", candidates_limit, MMR_CANDIDATES_MAX)
    return NearestMmr(nearest, DIVERSITY_DEFAULT if diversity is None else diversity, candidates_limit)


def feedback(target: VectorInput, items: tuple[FeedbackItem, ...], a: float, b: float, c: float) -> RelevanceFeedback:
    """Raises ValidationFailed for a negative exponent."""
    at_least("strategy.naive.b", b, 0.0)
    return RelevanceFeedback(target=target, feedback=items, a=a, b=b, c=c)


def text_query(text: str, k: float | None, b: float | None) -> TextQuery:
    """Raises BadInput for parameters that make no sense."""
    k = BM25_K_DEFAULT if k is None else k
    b = BM25_B_DEFAULT if b is None else b
    if not 0 <= k < inf:
        raise BadInput(f"Validation failed: BM25 k1 must be finite and non-negative, got {_shown(k)}")
    if not 0 <= b <= 1:
        raise BadInput(f"Validation failed: BM25 b must be finite and within [0, 1], got {_shown(b)}")
    return TextQuery(text, k, b)


def _shown(value: float) -> str:
    """As Qdrant writes a float32."""
    return "NaN" if isnan(value) else f"{value:.7g}"


def extreme(operands: tuple[Expression, ...], *, largest: bool) -> Extreme:
    """Raises BadInput for no operands."""
    if not operands:
        raise BadInput(f"Validation failed: `{'max' if largest else 'min'}` needs at least one operand")
    return Extreme(operands, largest)


def decay(
    kind: DecayKind, x: Expression, *, target: Expression | None, scale: float | None, midpoint: float | None
) -> Decay:
    """Bounds of scale and midpoint are checked when the formula is bound."""
    return Decay(
        kind=kind,
        x=x,
        target=target,
        scale=DECAY_SCALE_DEFAULT if scale is None else scale,
        midpoint=DECAY_MIDPOINT_DEFAULT if midpoint is None else midpoint,
    )
