"""What one stage asks: ``Query`` messages to the ``Query`` classes of ``query.search``."""

from qdrantlite.errors import BadInput, BadRequest, MalformedRequest
from qdrantlite.query.search import (
    Context,
    ContextPair,
    Discover,
    FeedbackItem,
    Fusion,
    FusionKind,
    Nearest,
    NearestMmr,
    Query,
    Recommend,
    RecommendStrategy,
    RelevanceFeedback,
    Sample,
    TextQuery,
)
from qdrantlite.wire.bounds import at_least, at_most, each_inside, inside, within
from qdrantlite.wire.grpc.decode_formula import decode_formula
from qdrantlite.wire.grpc.decode_selector import decode_order_by
from qdrantlite.wire.grpc.decode_vector import decode_input
from qdrantlite.wire.pb import points as pb

MMR_CANDIDATES_MAX = 16_384
_SAMPLE = Sample()
_STRATEGIES = {strategy.value: strategy for strategy in RecommendStrategy}


def decode_query(message: pb.Query) -> Query:
    """Raises InvalidRequest."""
    match message.WhichOneof("variant"):
        case "nearest":
            return Nearest(inside("nearest", decode_input, message.nearest))
        case "fusion":
            return _decode_fusion(message.fusion)
        case "rrf":
            return inside("rrf", _decode_rrf, message.rrf)
        case "order_by":
            return inside("order_by", decode_order_by, message.order_by)
        case "sample":
            if message.sample != pb.Sample.Random:
                raise MalformedRequest(f"Unknown sample: {message.sample}")
            return _SAMPLE
        case "formula":
            return inside("formula", decode_formula, message.formula)
        case "recommend":
            return inside("recommend", _decode_recommend, message.recommend)
        case "discover":
            return inside("discover", _decode_discover, message.discover)
        case "context":
            return Context(inside("context", _decode_context, message.context))
        case "nearest_with_mmr":
            return inside("nearest_with_mmr", _decode_mmr, message.nearest_with_mmr)
        case "relevance_feedback":
            return inside("relevance_feedback", _decode_feedback, message.relevance_feedback)
        case "text":
            return TextQuery(message.text.query)
        case None:
            raise MalformedRequest("Query variant is missing")


def _decode_fusion(number: int) -> Fusion:
    if number == pb.Fusion.RRF:
        return Fusion(FusionKind.RRF)
    if number == pb.Fusion.DBSF:
        return Fusion(FusionKind.DBSF)
    raise MalformedRequest(f"Unknown fusion: {number}")


def _decode_rrf(message: pb.Rrf) -> Fusion:
    if message.HasField("k"):
        at_least("k", message.k, 1)
        return Fusion(FusionKind.RRF, k=message.k, weights=tuple(message.weights) or None)
    return Fusion(FusionKind.RRF, weights=tuple(message.weights) or None)


def decode_strategy(number: int) -> RecommendStrategy:
    """An unknown number is the average, as Qdrant has it."""
    return _STRATEGIES.get(number, RecommendStrategy.AVERAGE_VECTOR)


def require_examples(recommend: Recommend) -> Recommend:
    """Raises InvalidRequest when the strategy has nothing to work with."""
    if recommend.strategy is RecommendStrategy.AVERAGE_VECTOR:
        if not recommend.positive:
            raise BadInput("Positive vectors should not be empty with `average` strategy")
    elif not (recommend.positive or recommend.negative):
        raise BadRequest("At least one positive or negative vector ID required with this strategy")
    return recommend


def _decode_recommend(message: pb.RecommendInput) -> Recommend:
    return require_examples(
        Recommend(
            each_inside("positive", decode_input, message.positive),
            each_inside("negative", decode_input, message.negative),
            decode_strategy(message.strategy),
        )
    )


def _decode_discover(message: pb.DiscoverInput) -> Discover:
    if not message.HasField("target"):
        raise MalformedRequest("DiscoverInput target is missing")
    return Discover(inside("target", decode_input, message.target), inside("context", _decode_context, message.context))


def _decode_context(message: pb.ContextInput) -> tuple[ContextPair, ...]:
    return each_inside("pairs", _decode_pair, message.pairs)


def _decode_pair(message: pb.ContextInputPair) -> ContextPair:
    if not message.HasField("positive"):
        raise MalformedRequest("ContextPair positive is missing")
    if not message.HasField("negative"):
        raise MalformedRequest("ContextPair negative is missing")
    return ContextPair(
        inside("positive", decode_input, message.positive), inside("negative", decode_input, message.negative)
    )


def _decode_mmr(message: pb.NearestInputWithMmr) -> NearestMmr:
    if not message.HasField("nearest"):
        raise MalformedRequest("NearestInputWithMmr nearest is missing")
    if not message.HasField("mmr"):
        raise MalformedRequest("NearestInputWithMmr mmr is missing")
    mmr = message.mmr
    if mmr.HasField("diversity"):
        within("mmr.diversity", mmr.diversity, 0.0, 1.0)
    at_most("mmr.candidates_limit", mmr.candidates_limit, MMR_CANDIDATES_MAX)
    return NearestMmr(
        inside("nearest", decode_input, message.nearest),
        diversity=mmr.diversity if mmr.HasField("diversity") else 0.5,
        candidates_limit=mmr.candidates_limit if mmr.HasField("candidates_limit") else None,
    )


def _decode_feedback(message: pb.RelevanceFeedbackInput) -> RelevanceFeedback:
    if not message.HasField("target"):
        raise MalformedRequest("RelevanceFeedbackInput target is missing")
    if message.strategy.WhichOneof("variant") is None:
        raise MalformedRequest("FeedbackStrategy variant is missing")
    naive = message.strategy.naive
    at_least("strategy.naive.b", naive.b, 0.0)
    return RelevanceFeedback(
        target=inside("target", decode_input, message.target),
        feedback=each_inside("feedback", _decode_feedback_item, message.feedback),
        a=naive.a,
        b=naive.b,
        c=naive.c,
    )


def _decode_feedback_item(message: pb.FeedbackItem) -> FeedbackItem:
    if not message.HasField("example"):
        raise MalformedRequest("FeedbackItem example is missing")
    return FeedbackItem(inside("example", decode_input, message.example), message.score)
