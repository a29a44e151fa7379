"""What the official client would send: its own messages, made by its own conversions, as messages of our pool."""

from typing import Any, TypeVar

from google.protobuf.message import Message

from qdrantlite.wire.pb import collections, points, qdrant_common

M = TypeVar("M", bound=Message)
_MODULES: tuple[Any, ...] = (points, collections, qdrant_common)


def received(sent: Any) -> Any:
    """The bytes of a client's message, read as the message of the same name of ours."""
    (ours,) = [getattr(module, type(sent).__name__) for module in _MODULES if hasattr(module, type(sent).__name__)]
    message = ours.FromString(sent.SerializeToString())
    assert message.SerializeToString(deterministic=True) == sent.SerializeToString(deterministic=True)
    return message


def returned(ours: Message, theirs: type[M]) -> M:
    """Our message as the client reads it."""
    return theirs.FromString(ours.SerializeToString())
