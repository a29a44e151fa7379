"""The one hierarchy of errors that qdrantlite raises on purpose.

Raised where the fact is known, caught once in ``wire/`` (mapped by ``wire/status.py``) and at the head of background
loops. The text of an error is what the client reads; ``prefix`` is the opening that Qdrant puts before it, part of
the contract. Places on the disk and the words of libraries are for the log alone: they go into ``detail``.

    QdrantliteError
    ├── InvalidRequest            400  INVALID_ARGUMENT
    │   ├── BadInput                   "Wrong input: …"
    │   ├── BadRequest                 "Bad request: …"
    │   ├── MalformedRequest           no prefix: the message could not be converted
    │   └── ValidationFailed      422  "Validation error in body: [field: …]"
    ├── NotFound                  404  NOT_FOUND
    ├── AlreadyExists             409  ALREADY_EXISTS
    ├── Unsupported               501  UNIMPLEMENTED
    ├── StandaloneMode            405  UNIMPLEMENTED
    ├── TimedOut                  408  DEADLINE_EXCEEDED
    ├── Cancelled                 499  CANCELLED
    ├── RateLimited               429  RESOURCE_EXHAUSTED
    ├── NotReady                  503  UNAVAILABLE
    ├── Locked                    403  FAILED_PRECONDITION
    ├── Corrupted                 500  DATA_LOSS
    └── StorageFailed             503  UNAVAILABLE
"""

from copy import copy
from typing import ClassVar


class QdrantliteError(Exception):
    """Root of the hierarchy; never raised itself."""

    prefix: ClassVar[str] = ""

    def __init__(self, text: str, *, detail: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.text} [{self.detail}]" if self.detail else self.text

    @property
    def message(self) -> str:
        """What a client reads: the prefix of the kind, then the text."""
        return self.prefix + self.text

    @property
    def report(self) -> str:
        """What the operator reads: the message, then the detail."""
        return f"{self.message} [{self.detail}]" if self.detail else self.message


class InvalidRequest(QdrantliteError):
    """The request cannot be meant as it stands."""


class BadInput(InvalidRequest):
    """A value in the request is wrong for the collection or for its kind."""

    prefix = "Wrong input: "


class BadRequest(InvalidRequest):
    """The request contradicts itself or lacks a part."""

    prefix = "Bad request: "


class MalformedRequest(InvalidRequest):
    """The message could not be converted into a request; the text stands alone."""


class ValidationFailed(InvalidRequest):
    """A field is outside its bounds; ``text`` reads like ``limit: value 0 invalid, must be 1 or larger``."""

    prefix = "Validation error in body: "

    @property
    def message(self) -> str:
        """The text in brackets, as Qdrant prints validation errors."""
        return f"{self.prefix}[{self.text}]"


class NotFound(QdrantliteError):
    """A collection, point, vector or view named in the request does not exist."""

    prefix = "Not found: "


class AlreadyExists(QdrantliteError):
    """What the request would create is there already."""

    prefix = "Wrong input: "


class Unsupported(QdrantliteError):
    """A part of Qdrant's API that this server does not have (yet)."""


class StandaloneMode(QdrantliteError):
    """A call that only a cluster can answer."""

    def __init__(self) -> None:
        super().__init__("Qdrant is running in standalone mode")


class TimedOut(QdrantliteError):
    """The request's own timeout has passed."""

    prefix = "Timeout: "


class Cancelled(QdrantliteError):
    """The client went away, or took its request back; hardly anybody reads the text."""


class RateLimited(QdrantliteError):
    """More than the settings of the collection allow in a minute, or than the server can take."""

    prefix = "Rate limiting exceeded: "

    def __init__(self, text: str, *, retry_after_s: int | None = None) -> None:
        """``retry_after_s`` None: never as it stands."""
        super().__init__(text)
        self.retry_after_s = retry_after_s


class NotReady(QdrantliteError):
    """Collections are still being opened; told to those alone who ask for it."""


class Locked(QdrantliteError):
    """The storage folder, or a part of it, is held by somebody else."""

    prefix = "Storage locked: "


class Corrupted(QdrantliteError):
    """Bytes on disk are not what was written."""

    prefix = "Service internal error: "


class StorageFailed(QdrantliteError):
    """The operating system refused to read or write."""

    prefix = "Service internal error: "


def told(error: BaseException) -> str:
    """What a client may read of any error, also of one that is none of ours: no place, no name of a type."""
    match error:
        case QdrantliteError():
            return error.message
        case MemoryError():
            return "out of memory"
        case OSError():
            return error.strerror or "the operating system refused"
        case _:
            return "Service internal error"


def fresh(error: Exception) -> Exception:
    """An equal error for another thread to raise: traceback and context belong to one raising alone."""
    again: Exception
    try:
        again = copy(error)
    except Exception:  # Its constructor does not take what Python would give it; and nothing need be constructed.
        again = error.__class__.__new__(error.__class__)
        again.args = error.args
        vars(again).update(vars(error))
    again.__cause__ = error
    return again
