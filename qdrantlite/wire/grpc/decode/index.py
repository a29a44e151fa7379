"""Payload indexes: kind and parameters of ``CreateFieldIndexCollection`` to ``FieldIndex``.

Parameters have the same names in the messages and in ``FieldParams``; each kind has a part of them.
"""

from typing import Any

from qdrantlite.errors import BadRequest, MalformedRequest
from qdrantlite.query.operation import CreateFieldIndex
from qdrantlite.values.payload import spelled
from qdrantlite.values.schema import FieldIndex, FieldKind, FieldParams, Stemmer, Stopwords, Tokenizer
from qdrantlite.wire.bounds import not_empty
from qdrantlite.wire.checked import settings as checked
from qdrantlite.wire.grpc.decode.settings import decode_memory, given, known
from qdrantlite.wire.pb import collections as pb
from qdrantlite.wire.pb import points

FIELD_TYPES = {
    int(points.FieldType.FieldTypeKeyword): FieldKind.KEYWORD,
    int(points.FieldType.FieldTypeInteger): FieldKind.INTEGER,
    int(points.FieldType.FieldTypeFloat): FieldKind.FLOAT,
    int(points.FieldType.FieldTypeGeo): FieldKind.GEO,
    int(points.FieldType.FieldTypeText): FieldKind.TEXT,
    int(points.FieldType.FieldTypeBool): FieldKind.BOOL,
    int(points.FieldType.FieldTypeDatetime): FieldKind.DATETIME,
    int(points.FieldType.FieldTypeUuid): FieldKind.UUID,
}
PARAMS_FIELDS = {kind: f"{kind.value}_index_params" for kind in FieldKind}
KIND_OF_PARAMS = {field: kind for kind, field in PARAMS_FIELDS.items()}
_MESSAGES = frozenset({"memory", "prefix", "tokenizer", "stopwords", "stemmer", "scoring"})
SCALARS = {kind: tuple(name for name in names if name not in _MESSAGES) for kind, names in checked.INDEX_PARAMS.items()}
"""Parameters that are copied by name."""
TOKENIZERS = dict(enumerate(Tokenizer, start=1))
SCORINGS = {int(pb.TextScoringType.Bm25): "bm25"}


def decode_create_index(message: points.CreateFieldIndexCollection) -> CreateFieldIndex:
    """Raises InvalidRequest."""
    field = decode_field(message)
    return CreateFieldIndex(field, checked.field_index(field, _decode_index(message)))


def decode_field(message: points.CreateFieldIndexCollection | points.DeleteFieldIndexCollection) -> str:
    """Where in payloads an index is. Raises ValidationFailed for nothing, MalformedRequest for what is no path."""
    not_empty("field_name", message.field_name)
    return spelled(message.field_name)


def _decode_index(message: points.CreateFieldIndexCollection) -> FieldIndex:
    kind = None
    if message.HasField("field_type"):
        if message.field_type not in FIELD_TYPES:
            raise MalformedRequest("cannot convert field_type")
        kind = FIELD_TYPES[message.field_type]
    given_params = message.field_index_params.WhichOneof("index_params")
    if given_params is None:
        if kind is None:
            raise BadRequest("Can't auto-detect field type, please specify `field_schema` in the request")
        return FieldIndex(kind)
    kind_of_params = KIND_OF_PARAMS[given_params]
    if kind not in (None, kind_of_params):
        number = message.field_type
        raise MalformedRequest(f"field_type ({points.FieldType.Name(number)}) and field_index_params do not match")
    return FieldIndex(kind_of_params, decode_params(kind_of_params, message.field_index_params))


def decode_params(kind: FieldKind, message: pb.PayloadIndexParams) -> FieldParams:
    """Raises InvalidRequest."""
    params = getattr(message, PARAMS_FIELDS[kind])
    own: dict[str, Any] = given(params, SCALARS[kind])
    match kind:
        case FieldKind.KEYWORD:
            own["prefix"] = True if params.HasField("prefix") else None
        case FieldKind.TEXT:
            own |= _decode_text(message.text_index_params)
        case _:
            pass
    return FieldParams(**own, memory=decode_memory(params))


def _decode_text(message: pb.TextIndexParams) -> dict[str, Any]:
    return {
        "tokenizer": known("tokenizer", message.tokenizer, TOKENIZERS) if message.tokenizer else None,
        "stopwords": Stopwords(tuple(message.stopwords.languages), tuple(message.stopwords.custom))
        if message.HasField("stopwords")
        else None,
        "stemmer": _decode_stemmer(message.stemmer) if message.HasField("stemmer") else None,
        "scoring": known("scoring", message.scoring.type, SCORINGS) if message.HasField("scoring") else None,
    }


def _decode_stemmer(message: pb.StemmingAlgorithm) -> Stemmer:
    match message.WhichOneof("stemming_params"):
        case "snowball":
            return Stemmer(message.snowball.language)
        case "disabled":
            return Stemmer(None)
        case None:
            raise MalformedRequest("Stemming algorithm is missing")
