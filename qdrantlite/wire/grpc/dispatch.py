"""One wrapper around every RPC: runs it, fills in the time it took, turns errors into status codes.

RPCs are plain functions ``(engine, request, deadline) -> response``; what the contract has and no function answers is
UNIMPLEMENTED with its name. Knows nothing of any single RPC.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from math import inf
from time import perf_counter
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.message import DecodeError, Message

from qdrantlite.deadline import Deadline
from qdrantlite.errors import MalformedRequest, Unsupported
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.grpc.decode_selector import TIMEOUT_DEFAULT_S
from qdrantlite.wire.pb.services import SERVICES, Method
from qdrantlite.wire.status import failure_of

Rpc: TypeAlias = Callable[[Engine, Any, Deadline], Message]
"""The request is of the class that the contract gives the RPC."""

BriefRpc: TypeAlias = Callable[[Engine, Any], Message]
"""An RPC that asks for no deadline, because its work does not grow with data."""

Behaviour: TypeAlias = Callable[["Message | Undecodable", grpc.ServicerContext], Message]
"""What grpc calls for an RPC."""


def service_handler(
    service: str,
    rpcs: Mapping[str, Rpc],
    engine: Engine,
    *,
    pools: Mapping[str, ThreadPoolExecutor],
) -> grpc.GenericRpcHandler:
    """All methods of a service, for ``grpc.Server.add_generic_rpc_handlers``.

    ``rpcs`` maps names of methods to what answers them; every name must be in the contract. A method in ``pools`` runs
    on a pool of its own, all others on the server's.
    """
    methods = SERVICES[service]
    unknown = rpcs.keys() - methods.keys()
    assert not unknown, f"{service} has no {unknown}"
    return grpc.method_handlers_generic_handler(
        service,
        {
            name: grpc.unary_unary_rpc_method_handler(
                on_pool(answer(method, rpcs.get(name, refusal(method)), engine), pools.get(name)),
                request_deserializer=reader(method),
                response_serializer=method.response.SerializeToString,
            )
            for name, method in methods.items()
        },
    )


class Undecodable:
    """In place of a message: the bytes are none of the method's requests."""


def reader(method: Method) -> Callable[[bytes], Message | Undecodable]:
    """Reads a request. grpc itself would blame the server for bytes that cannot be read."""
    read = method.request.FromString

    def deserialize(encoded: bytes) -> Message | Undecodable:
        try:
            return read(encoded)
        except DecodeError:
            return Undecodable()

    return deserialize


def on_pool(behaviour: Behaviour, pool: ThreadPoolExecutor | None) -> Behaviour:
    """Tells grpc which threads run a method; None = the server's."""
    if pool is not None:
        behaviour.experimental_thread_pool = pool  # type: ignore[attr-defined]  # the name by which grpc looks for it
    return behaviour


def brief(rpcs: Mapping[str, BriefRpc]) -> dict[str, Rpc]:
    """RPCs that ask for no deadline in the form of those that do."""

    def one(rpc: BriefRpc) -> Rpc:
        return lambda engine, request, _deadline: rpc(engine, request)

    return {name: one(rpc) for name, rpc in rpcs.items()}


def refusal(method: Method) -> Rpc:
    """What answers an RPC that is not built: UNIMPLEMENTED, with its name."""

    def refuse(_engine: Engine, _request: Message, _deadline: Deadline) -> NoReturn:
        raise Unsupported(f"{method.service}/{method.name} is not implemented by this server")

    return refuse


def answer(method: Method, rpc: Rpc, engine: Engine) -> Behaviour:
    """The function that grpc calls: the only place where errors become status codes."""
    timed = "time" in method.response.DESCRIPTOR.fields_by_name
    path = method.path
    deadline_of = _timed(method) if "timeout" in method.request.DESCRIPTOR.fields_by_name else _untimed

    def call(request: Message | Undecodable, context: grpc.ServicerContext) -> Message:
        started = perf_counter()
        try:
            if isinstance(request, Undecodable):
                raise MalformedRequest("failed to decode Protobuf message")
            response = rpc(engine, request, deadline_of(request, context))
        except Exception as error:
            failure = failure_of(error, call=path)
            if failure.retry_after_s is not None:
                context.set_trailing_metadata((("retry-after", str(failure.retry_after_s)),))
            context.abort(failure.status.grpc_code, failure.message)
        if timed:
            response.time = perf_counter() - started  # type: ignore[attr-defined]  # the field was looked up above
        return response

    return call


DeadlineOf: TypeAlias = Callable[[Any, grpc.ServicerContext], Deadline]


def _timed(method: Method) -> DeadlineOf:
    """The deadline of a request that may carry a timeout; without one, writes have what time they need."""
    default_s = inf if "wait" in method.request.DESCRIPTOR.fields_by_name else TIMEOUT_DEFAULT_S
    operation = method.name

    def deadline_of(request: Any, context: grpc.ServicerContext) -> Deadline:
        timeout_s = float(request.timeout) if request.timeout or request.HasField("timeout") else default_s
        return _followed(Deadline(timeout_s, operation=operation, client_s=context.time_remaining()), context)

    return deadline_of


def _untimed(_request: Any, context: grpc.ServicerContext) -> Deadline:
    return _followed(Deadline(client_s=context.time_remaining()), context)


def _followed(deadline: Deadline, context: grpc.ServicerContext) -> Deadline:
    """The deadline, cancelled as soon as the client goes away."""
    if not context.add_callback(deadline.cancel):
        deadline.cancel()
    return deadline
