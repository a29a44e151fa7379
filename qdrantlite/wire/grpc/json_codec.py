"""JSON values between ``Value`` messages and Python: integers and floats stay apart, no kind at all is null.

Both run once per payload field of every point that passes and are written for speed.
"""

from collections.abc import Mapping
from math import isfinite

import orjson
from google.protobuf.message import Message

from qdrantlite.errors import MalformedRequest
from qdrantlite.values.payload import DEPTH_MAX, Json, Payload
from qdrantlite.wire.pb import json_with_int as pb

INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**63 - 1


def decode_fields(fields: Mapping[str, pb.Value]) -> Payload:
    """A map field as a JSON object. Raises MalformedRequest for NaN and infinities."""
    # What is not empty or 0 can only have been set: for most values these reads save the call and a slow WhichOneof.
    decoded: Payload = {}
    for key in fields:
        value = fields[key]
        decoded[key] = value.string_value or value.integer_value or decode_value(value)
    return decoded


def decode_value(value: pb.Value) -> Json:
    """One JSON value. Raises MalformedRequest for NaN and infinities."""
    match value.WhichOneof("kind"):
        case "double_value":
            number = value.double_value
            if not isfinite(number):
                raise MalformedRequest("cannot convert to json number")
            return number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [element.string_value or decode_value(element) for element in value.list_value.values]
        case "struct_value":
            return decode_fields(value.struct_value.fields)
        case "string_value":
            return value.string_value
        case "integer_value":
            return value.integer_value
        case "null_value" | None:
            return None


def encode_fields(fields: Mapping[str, Json], into: Mapping[str, pb.Value], depth: int = 0) -> None:
    """Fills a message's map field with a JSON object that lies in so many others."""
    for key, value in fields.items():
        if isinstance(value, str):
            into[key].string_value = value
        else:
            encode_value(value, into[key], depth)


def encode_value(value: Json, into: pb.Value, depth: int = 0) -> None:
    """Fills a message with one JSON value. Integers beyond 64 bits become doubles, as Qdrant's JSON numbers do.

    What lies deeper than clients can read, from before such payloads were refused, becomes text.
    """
    if isinstance(value, str):
        into.string_value = value
    elif isinstance(value, bool):
        into.bool_value = value
    elif isinstance(value, int):
        if INTEGER_MIN <= value <= INTEGER_MAX:
            into.integer_value = value
        else:
            into.double_value = float(value)
    elif isinstance(value, float):
        into.double_value = value
    elif isinstance(value, dict | list) and depth == DEPTH_MAX:
        into.string_value = orjson.dumps(value).decode()
    elif isinstance(value, list):
        values = into.list_value.values
        _mark(into.list_value)
        for element in value:
            encode_value(element, values.add(), depth + 1)
    elif isinstance(value, dict):
        _mark(into.struct_value)
        encode_fields(value, into.struct_value.fields, depth + 1)
    else:
        into.null_value = pb.NULL_VALUE


def _mark(part: Message) -> None:
    """Makes a oneof hold a message that may stay empty."""
    part.SetInParent()
