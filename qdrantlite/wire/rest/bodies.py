"""Bodies on their way in and out: within the limit, decompressed and compressed as the headers say.

zlib lets other threads run, and is called from the threads of calls, never from the event loop.
"""

import zlib
from typing import Final

from qdrantlite.errors import MalformedRequest

COMPRESSED_BYTES_MIN: Final = 2048
"""Shorter answers go out as they are, whatever the client accepts."""

_LEVEL: Final = 1
_GZIP_BITS: Final = zlib.MAX_WBITS | 16
_GZIP_OR_ZLIB_BITS: Final = zlib.MAX_WBITS | 32
_CODINGS: Final = {"gzip": _GZIP_BITS, "deflate": zlib.MAX_WBITS}


def too_large(limit: int, given: int | None = None) -> MalformedRequest:
    """The refusal of a body beyond the limit; ``given`` is its length, if that is known."""
    size = "JSON payload" if given is None else f"JSON payload ({given} bytes)"
    return MalformedRequest(f"Payload error: {size} is larger than allowed (limit: {limit} bytes).")


def decompressed(content: bytes, coding: str, limit: int) -> bytes:
    """The body behind a Content-Encoding. Raises MalformedRequest: unknown, broken, or larger than ``limit``."""
    if coding in ("", "identity"):
        return content
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise MalformedRequest(f"Payload error: content encoding {coding} is not supported")
    inflater = zlib.decompressobj(_GZIP_OR_ZLIB_BITS)
    try:
        plain = inflater.decompress(content, limit + 1)
    except zlib.error:
        raise MalformedRequest(f"Payload error: the body is not {coding}") from None
    if len(plain) > limit:
        raise too_large(limit)
    if not inflater.eof:
        raise MalformedRequest(f"Payload error: the body ends within its {coding} data")
    return plain


def accepted_coding(header: str) -> str | None:
    """The coding of an answer for an Accept-Encoding; None = as it is."""
    accepted = {}
    for item in header.lower().split(","):
        name, _, weight = item.partition(";")
        accepted[name.strip()] = weight.strip().replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return next((coding for coding in _CODINGS if accepted.get(coding, accepted.get("*", False))), None)


def compressed(content: bytes, coding: str) -> bytes:
    """``content`` in one of the codings of ``accepted_coding``."""
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, _CODINGS[coding])
    return deflater.compress(content) + deflater.flush()
