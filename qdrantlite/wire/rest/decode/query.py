"""What one stage asks: a bare vector or id is nearest, an object is told by its members."""

from collections.abc import Callable, Mapping
from enum import Enum

from qdrantlite.query.search import (
    Context,
    ContextPair,
    Discover,
    FeedbackItem,
    Formula,
    Fusion,
    FusionKind,
    Nearest,
    Query,
    Recommend,
    RecommendStrategy,
    RelevanceFeedback,
    Sample,
)
from qdrantlite.values.payload import Json
from qdrantlite.wire.checked import query as checked
from qdrantlite.wire.rest.decode.formula import decode_expression
from qdrantlite.wire.rest.decode.selector import order_by
from qdrantlite.wire.rest.decode.vector import asked
from qdrantlite.wire.rest.reading import (
    Fields,
    Misread,
    choice,
    count,
    fields,
    inside,
    one_or_more,
    payload,
    small_number,
    text,
)

_SAMPLE = Sample()


class _SampleName(Enum):
    RANDOM = "random"


_fusion_kind, _strategy = choice(FusionKind, by_name=True), choice(RecommendStrategy, by_name=True)
_sample_name = choice(_SampleName)


def decode_query(value: Json) -> Query:
    """Raises InvalidRequest."""
    if not isinstance(value, dict):
        return Nearest(asked(value))
    if "nearest" in value:
        return _nearest(Fields(value))
    if "formula" in value:
        return _formula(Fields(value))
    if "model" not in value:  # with one, a text is what the model makes a vector of
        for name, decode in _TAGGED.items():
            if name in value:
                return inside(name, decode, value[name])
    return Nearest(asked(value))


def _nearest(members: Fields) -> Query:
    wanted = members.needed("nearest", asked)
    mmr = members.read("mmr", fields)
    if mmr is None:
        return Nearest(wanted)
    return checked.mmr(wanted, mmr.small_number("diversity"), mmr.count("candidates_limit"))


def _formula(members: Fields) -> Query:
    return Formula(members.needed("formula", decode_expression), members.read("defaults", payload) or {})


def _fusion(value: Json) -> Query:
    return Fusion(_fusion_kind(value))


def _rrf(value: Json) -> Query:
    members = fields(value)
    return checked.rrf(members.read("k", count), members.each("weights", small_number))


def strategy(members: Fields) -> RecommendStrategy:
    """``strategy`` of a recommendation. Raises Misread."""
    found = members.read("strategy", _strategy)
    return RecommendStrategy.AVERAGE_VECTOR if found is None else found


def _recommend(value: Json) -> Recommend:
    members = fields(value)
    return checked.recommend(
        members.each("positive", asked) or (), members.each("negative", asked) or (), strategy(members)
    )


def _discover(value: Json) -> Query:
    members = fields(value)
    if "context" not in members.raw():
        raise Misread("missing field `context`")
    return Discover(members.needed("target", asked), members.some("context", context_pair))


def context_pair(value: Json) -> ContextPair:
    """A positive and a negative example. Raises InvalidRequest."""
    members = fields(value)
    return ContextPair(members.needed("positive", asked), members.needed("negative", asked))


def _feedback(value: Json) -> RelevanceFeedback:
    members = fields(value)
    naive = members.needed("strategy", lambda given: fields(given).needed("naive", fields))
    return checked.feedback(
        members.needed("target", asked),
        members.every("feedback", _feedback_item),
        *(naive.needed(name, small_number) for name in ("a", "b", "c")),
    )


def _feedback_item(value: Json) -> FeedbackItem:
    members = fields(value)
    return FeedbackItem(members.needed("example", asked), members.needed("score", small_number))


def _sample(value: Json) -> Query:
    _sample_name(value)
    return _SAMPLE


def _text(value: Json) -> Query:
    if isinstance(value, str):
        return checked.text_query(value, None, None)
    members = fields(value)
    scoring = members.read("scoring", fields)
    wanted = members.needed("query", text)
    if scoring is None:
        return checked.text_query(wanted, None, None)
    bm25 = scoring.needed("bm25", fields)
    return checked.text_query(wanted, bm25.small_number("k"), bm25.small_number("b"))


_TAGGED: Mapping[str, Callable[[Json], Query]] = {
    "recommend": _recommend,
    "discover": _discover,
    "context": lambda value: Context(one_or_more(value, context_pair)),
    "order_by": order_by,
    "fusion": _fusion,
    "rrf": _rrf,
    "sample": _sample,
    "relevance_feedback": _feedback,
    "text": _text,
}
