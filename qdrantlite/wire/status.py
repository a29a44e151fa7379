"""Errors to status codes, the one place: error class → gRPC code and HTTP status, looked up along the class's MRO.

The caller reads the message of an error; its detail, where there is one, goes to the log. What is not in the hierarchy
is our own mistake: it is logged with its traceback and the caller learns only that it happened.
"""

import logging
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import grpc

from qdrantlite import errors
from qdrantlite.errors import QdrantliteError, RateLimited

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """The two codes of one kind of error."""

    grpc_code: grpc.StatusCode
    http_status: int


@dataclass(frozen=True, slots=True)
class Failure:
    """What the caller is told."""

    status: Status
    message: str
    retry_after_s: int | None = None
    """After so many seconds the same request may pass; told in ``retry-after``, as header or metadata."""


_INVALID = Status(grpc.StatusCode.INVALID_ARGUMENT, 400)

STATUS: Final = MappingProxyType(
    {
        errors.InvalidRequest: _INVALID,
        errors.BadInput: _INVALID,
        errors.BadRequest: _INVALID,
        errors.MalformedRequest: _INVALID,
        errors.ValidationFailed: Status(grpc.StatusCode.INVALID_ARGUMENT, 422),
        errors.NotFound: Status(grpc.StatusCode.NOT_FOUND, 404),
        errors.AlreadyExists: Status(grpc.StatusCode.ALREADY_EXISTS, 409),
        errors.Unsupported: Status(grpc.StatusCode.UNIMPLEMENTED, 501),
        errors.StandaloneMode: Status(grpc.StatusCode.UNIMPLEMENTED, 405),
        errors.TimedOut: Status(grpc.StatusCode.DEADLINE_EXCEEDED, 408),
        errors.Cancelled: Status(grpc.StatusCode.CANCELLED, 499),
        errors.RateLimited: Status(grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
        errors.NotReady: Status(grpc.StatusCode.UNAVAILABLE, 503),
        errors.Locked: Status(grpc.StatusCode.FAILED_PRECONDITION, 403),
        errors.Corrupted: Status(grpc.StatusCode.DATA_LOSS, 500),
        errors.StorageFailed: Status(grpc.StatusCode.UNAVAILABLE, 503),
    }
)
"""A row for every class of ``errors.py`` but the root, which is never raised itself."""

INTERNAL: Final = Failure(Status(grpc.StatusCode.INTERNAL, 500), "Service internal error")


def failure_of(error: Exception, *, call: str) -> Failure:
    """What to answer; ``call`` names the RPC or route in the log."""
    if isinstance(error, QdrantliteError):
        for kind in type(error).__mro__:
            status = STATUS.get(kind)
            if status is not None:
                if error.detail:
                    logger.error("%s failed: %s", call, error.report)
                retry_after_s = error.retry_after_s if isinstance(error, RateLimited) else None
                return Failure(status, error.message, retry_after_s)
    logger.error("%s failed", call, exc_info=error)
    return INTERNAL
