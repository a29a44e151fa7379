"""Text queries meet a state: the field's index, the words that it would hold of the text, and how rare they are."""

from collections.abc import Mapping

from qdrantlite.collection.read.view import ReadView
from qdrantlite.errors import BadInput
from qdrantlite.plan.bound import BoundText
from qdrantlite.query.search import TextQuery
from qdrantlite.segment.payload_index.index import supports_ranking
from qdrantlite.segment.selection import Selection
from qdrantlite.text.bm25 import Saturation
from qdrantlite.text.parameters import index_text_params
from qdrantlite.text.tokenizer import ranking_tokens
from qdrantlite.values.payload import spelled
from qdrantlite.values.schema import FieldIndex, FieldKind


def _ranking_field(schema: Mapping[str, FieldIndex], given: str) -> str:
    """The indexed field that a text query names, as the schema spells it. Raises BadInput for a field whose texts are
    not scored, MalformedRequest for what is no path.
    """
    key = spelled(given)
    if key not in schema:
        raise BadInput(f"Validation failed: BM25 requires a text index on field {given}, which has none")
    if schema[key].kind is not FieldKind.TEXT:
        kind = schema[key].kind.name.title()
        raise BadInput(f"Validation failed: BM25 requires a text index on field {given}, which is indexed as {kind}")
    if not supports_ranking(schema[key]):
        raise BadInput(
            f"Validation failed: The text index on `{given}` does not score: set `scoring` on it to query it"
        )
    return key


def bind_text(view: ReadView, query: TextQuery, field: str, corpus: Selection | None) -> BoundText:
    """A text query over a field. How rare words are, and how long texts, is what it is among the live points of
    ``corpus``, None = all. Raises BadInput, MalformedRequest for a field whose texts are not scored.
    """
    key = _ranking_field(view.state.schema, field)
    params = view.state.schema[key].params
    assert params is not None
    words = ranking_tokens(query.text, index_text_params(params))
    known = view.texts(key).corpus(words, view.live if corpus is None else corpus)
    # Where there is nothing to compare lengths with, they do not matter.
    saturation = Saturation(query.k, query.b, known.average) if known.average else Saturation(query.k, 0.0, 1.0)
    return BoundText(key, words, known.rarities(), saturation, int(known.saying.sum()))
