"""Payload indexes: a kind by name, or an object with the kind as its ``type`` and parameters beside it."""

from enum import Enum
from typing import Any

from qdrantlite.errors import BadRequest
from qdrantlite.query.operation import CreateFieldIndex
from qdrantlite.values.payload import Json
from qdrantlite.values.schema import FieldIndex, FieldKind, FieldParams, Memory, Stemmer, Stopwords, Tokenizer
from qdrantlite.wire.checked import settings as checked
from qdrantlite.wire.rest.reading import Misread, choice, count, fields, flag, path, text

_kind = choice(FieldKind)


class _StemmerType(Enum):
    SNOWBALL = "snowball"
    NONE = "none"


class _ScoringType(Enum):
    BM25 = "bm25"


_stemmer_type, _scoring_type = choice(_StemmerType), choice(_ScoringType)


def decode_create_index(value: Json) -> CreateFieldIndex:
    """Raises InvalidRequest."""
    members = fields(value)
    name = members.needed("field_name", path)
    index = members.read(members.given("field_schema", "field_type"), _index)
    if index is None:
        raise BadRequest("Can't auto-detect field type, please specify `field_schema` in the request")
    return CreateFieldIndex(name, checked.field_index(name, index))


def _index(value: Json) -> FieldIndex:
    if isinstance(value, str):
        return FieldIndex(_kind(value))
    members = fields(value)
    kind = members.needed("type", _kind)
    given: dict[str, Any] = {name: members.read(name, _READERS[name]) for name in checked.INDEX_PARAMS[kind]}
    return FieldIndex(kind, FieldParams(**given))


def _stopwords(value: Json) -> Stopwords:
    if isinstance(value, str):
        return Stopwords((value,), alone=True)
    members = fields(value)
    return Stopwords(members.each("languages", text) or (), members.each("custom", text) or ())


def _stemmer(value: Json) -> Stemmer:
    members = fields(value)
    if members.needed("type", _stemmer_type) is _StemmerType.NONE:
        return Stemmer(None)
    return Stemmer(members.needed("language", text))


def _scoring(value: Json) -> str | None:
    if isinstance(value, bool):
        return _ScoringType.BM25.value if value else None
    if not isinstance(value, dict):
        raise Misread("data did not match any variant of untagged enum TextScoringInterface")
    return fields(value).needed("type", _scoring_type).value


_READERS = {
    **dict.fromkeys(("is_tenant", "is_principal", "on_disk", "enable_hnsw", "prefix", "lookup", "range"), flag),
    **dict.fromkeys(("lowercase", "phrase_matching", "ascii_folding"), flag),
    **dict.fromkeys(("min_token_len", "max_token_len"), count),
    "memory": choice(Memory),
    "nested": text,
    "tokenizer": choice(Tokenizer),
    "stopwords": _stopwords,
    "stemmer": _stemmer,
    "scoring": _scoring,
}
