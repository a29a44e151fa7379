"""Point ids between messages and values; UUIDs leave in lower case with hyphens."""

from collections.abc import Sequence
from uuid import UUID

from qdrantlite.errors import MalformedRequest
from qdrantlite.values.point_id import PointId, parse_uuid
from qdrantlite.wire.pb import qdrant_common as pb


def decode_id(message: pb.PointId) -> PointId:
    """Raises MalformedRequest when neither kind is given or the text is no UUID."""
    # A number that is not 0 can only have been set: two fast reads instead of a slow WhichOneof.
    number = message.num
    if number:
        return number
    text = message.uuid
    if text:
        return parse_uuid(text)
    match message.WhichOneof("point_id_options"):
        case "num":
            return 0
        case "uuid":
            return parse_uuid("")
        case None:
            raise MalformedRequest("No ID options provided")


def decode_ids(messages: Sequence[pb.PointId]) -> tuple[PointId, ...]:
    """In the order given, repetitions kept. Raises MalformedRequest."""
    return tuple([decode_id(message) for message in messages])


def encode_id(point_id: PointId) -> pb.PointId:
    """The message of an id."""
    if isinstance(point_id, UUID):
        return pb.PointId(uuid=str(point_id))
    return pb.PointId(num=point_id)
