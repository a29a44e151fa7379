"""What one stage asks: ``Query`` messages to the ``Query`` classes of ``query.search``."""

from qdrantlite.errors import MalformedRequest
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
)
from qdrantlite.wire.bounds import each_inside, inside
from qdrantlite.wire.checked import query as checked
from qdrantlite.wire.grpc.decode.formula import decode_formula
from qdrantlite.wire.grpc.decode.selector import decode_order_by
from qdrantlite.wire.grpc.decode.vector import decode_input
from qdrantlite.wire.pb import points as pb

_SAMPLE = Sample()
_STRATEGIES = {strategy.value: strategy for strategy in RecommendStrategy}


def decode_query(message: pb.Query) -> Query:
    """Raises InvalidRequest."""
    match message.WhichOneof("variant"):
        case "nearest":
            return Nearest(inside("variant", decode_input, message.nearest))
        case "fusion":
            return _decode_fusion(message.fusion)
        case "rrf":
            return inside("variant", _decode_rrf, message.rrf)
        case "order_by":
            return inside("variant", decode_order_by, message.order_by)
        case "sample":
            if message.sample != pb.Sample.Random:
                raise MalformedRequest(f"Unknown sample: {message.sample}")
            return _SAMPLE
        case "formula":
            return inside("variant", decode_formula, message.formula)
        case "recommend":
            return inside("variant", _decode_recommend, message.recommend)
        case "discover":
            return inside("variant", _decode_discover, message.discover)
        case "context":
            return Context(inside("variant", _decode_context, message.context))
        case "nearest_with_mmr":
            return inside("variant", _decode_mmr, message.nearest_with_mmr)
        case "relevance_feedback":
            return inside("variant", _decode_feedback, message.relevance_feedback)
        case "text":
            return _decode_text(message.text)
        case None:
            raise MalformedRequest("Query variant is missing")


def _decode_text(message: pb.TextQuery) -> Query:
    k, b = (getattr(message.bm25, name) if message.bm25.HasField(name) else None for name in ("k", "b"))
    return checked.text_query(message.query, k, b)


def _decode_fusion(number: int) -> Fusion:
    if number == pb.Fusion.RRF:
        return Fusion(FusionKind.RRF)
    if number == pb.Fusion.DBSF:
        return Fusion(FusionKind.DBSF)
    raise MalformedRequest(f"Unknown fusion: {number}")


def _decode_rrf(message: pb.Rrf) -> Fusion:
    return checked.rrf(message.k if message.HasField("k") else None, message.weights or None)


def decode_strategy(number: int) -> RecommendStrategy:
    """An unknown number is the average, as Qdrant has it."""
    return _STRATEGIES.get(number, RecommendStrategy.AVERAGE_VECTOR)


def _decode_recommend(message: pb.RecommendInput) -> Recommend:
    return checked.recommend(
        each_inside("positive", decode_input, message.positive),
        each_inside("negative", decode_input, message.negative),
        decode_strategy(message.strategy),
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
    return checked.mmr(
        inside("nearest", decode_input, message.nearest),
        mmr.diversity if mmr.HasField("diversity") else None,
        mmr.candidates_limit if mmr.HasField("candidates_limit") else None,
    )


def _decode_feedback(message: pb.RelevanceFeedbackInput) -> RelevanceFeedback:
    if not message.HasField("target"):
        raise MalformedRequest("RelevanceFeedbackInput target is missing")
    if message.strategy.WhichOneof("variant") is None:
        raise MalformedRequest("FeedbackStrategy variant is missing")
    naive = message.strategy.naive
    return checked.feedback(
        inside("target", decode_input, message.target),
        each_inside("feedback", _decode_feedback_item, message.feedback),
        naive.a,
        naive.b,
        naive.c,
    )


def _decode_feedback_item(message: pb.FeedbackItem) -> FeedbackItem:
    if not message.HasField("example"):
        raise MalformedRequest("FeedbackItem example is missing")
    return FeedbackItem(inside("example", decode_input, message.example), message.score)
