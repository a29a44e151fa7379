"""Small messages that come again and again are decoded once, and remembered by their bytes.

For decoders whose results are immutable and follow from the message alone: all who send the same get the same object.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)
T = TypeVar("T")


def remembered(kind: type[M], *, bytes_max: int, entries: int) -> Callable[[Callable[[M], T]], Callable[[M], T]]:
    """Decorates a decoder of ``kind``: the last ``entries`` messages of up to ``bytes_max`` need no decoding.

    Thread-safe. What the decoder raises is not remembered: a message that it refuses is decoded each time it comes.
    """

    def decorate(decode: Callable[[M], T]) -> Callable[[M], T]:
        @lru_cache(maxsize=entries)
        def decode_encoded(encoded: bytes) -> T:
            return decode(kind.FromString(encoded))

        @wraps(decode)
        def recall(message: M) -> T:
            encoded = message.SerializeToString()
            return decode(message) if len(encoded) > bytes_max else decode_encoded(encoded)

        return recall

    return decorate
