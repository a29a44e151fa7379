"""One wrapper around every RPC: runs it, fills in the time it took, turns errors into status codes.

RPCs are plain functions ``(engine, request, deadline) -> response``; what the contract has and no function answers is
UNIMPLEMENTED with its name. Knows nothing of any single RPC.
"""

from collections.abc import Callable, Iterator, Mapping
from math import inf
from time import perf_counter
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.message import DecodeError, Message

from qdrantlite.deadline import READ_DEFAULT_S, Deadline
from qdrantlite.errors import MalformedRequest, Unsupported
from qdrantlite.wire.call_pools import CallKind, CallPools, overloaded
from qdrantlite.wire.call_threads import CallThreads
from qdrantlite.wire.checked.once_found import OnceFound, told
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.pb.services import SERVICES, Method
from qdrantlite.wire.status import Failure, failure_of

Rpc: TypeAlias = Callable[[Engine, Any, Deadline], Message]
"""The request is of the class that the contract gives the RPC."""

BriefRpc: TypeAlias = Callable[[Engine, Any], Message]
"""An RPC that asks for no deadline, because its work does not grow with data."""

Behaviour: TypeAlias = Callable[[Any, grpc.ServicerContext], Message]
"""What grpc calls for an RPC."""


class ServiceMethods(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """All methods of a service, for ``grpc.Server.add_generic_rpc_handlers``."""

    def __init__(
        self,
        service: str,
        rpcs: Mapping[str, Rpc],
        engine: Engine,
        *,
        kind_of: Callable[[str], CallKind],
        pools: CallPools,
    ) -> None:
        """``rpcs`` maps names of methods to what answers them; every name must be in the contract.

        A method runs on the threads of its kind, unless too many calls wait for them: then the client is told so.
        """
        methods = SERVICES[service]
        unknown = rpcs.keys() - methods.keys()
        assert not unknown, f"{service} has no {unknown}"
        self._methods: dict[str, tuple[CallThreads, grpc.RpcMethodHandler]] = {}
        for name, method in methods.items():
            kind = kind_of(name)
            threads = pools.of(kind)
            behaviour = answer(method, rpcs.get(name, refusal(method)), engine, give_way=pools.give_way(kind))
            self._methods[method.path] = (
                threads,
                grpc.unary_unary_rpc_method_handler(
                    on_threads(behaviour, threads),
                    request_deserializer=reader(method),
                    response_serializer=method.response.SerializeToString,
                ),
            )
        # Of a stream: then the request itself need not have come.
        self._refusal = grpc.stream_unary_rpc_method_handler(on_threads(turn_away, pools.refusals))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """What answers a call; None when it is not of this service."""
        found = self._methods.get(handler_call_details.method)
        if found is None:
            return None
        threads, handler = found
        return self._refusal if threads.is_full else handler


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


def turn_away(_requests: Iterator[bytes], context: grpc.ServicerContext) -> NoReturn:
    """Answers RESOURCE_EXHAUSTED."""
    fail(context, failure_of(overloaded(), call="overload"))


def fail(context: grpc.ServicerContext, failure: Failure) -> NoReturn:
    """Ends the call; raises what grpc knows."""
    if failure.retry_after_s is not None:
        context.set_trailing_metadata((("retry-after", str(failure.retry_after_s)),))
    context.abort(failure.status.grpc_code, failure.message)
    raise AssertionError("abort returned")


def on_threads(behaviour: Behaviour, threads: CallThreads) -> Behaviour:
    """Tells grpc which threads run a method."""
    behaviour.experimental_thread_pool = threads  # type: ignore[attr-defined]  # the name by which grpc looks for it
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


def answer(method: Method, rpc: Rpc, engine: Engine, *, give_way: Callable[[], None] | None) -> Behaviour:
    """The function that grpc calls: the only place where errors become status codes."""
    timed = "time" in method.response.DESCRIPTOR.fields_by_name
    path = method.path
    deadline_of = _deadline_of(method, give_way)

    def call(request: Message | Undecodable, context: grpc.ServicerContext) -> Message:
        started = perf_counter()
        try:
            if isinstance(request, Undecodable):
                raise MalformedRequest("failed to decode Protobuf message")
            try:
                response = rpc(engine, request, deadline_of(request, context))
            except OnceFound as refused:
                raise told(refused, engine, request.collection_name) from None  # type: ignore[attr-defined]  # it has one
        except Exception as error:
            fail(context, failure_of(error, call=path))
        if timed:
            response.time = perf_counter() - started  # type: ignore[attr-defined]  # the field was looked up above
        return response

    return call


def _deadline_of(
    method: Method, give_way: Callable[[], None] | None
) -> Callable[[Any, grpc.ServicerContext], Deadline]:
    """How a method gets its deadline. Without a timeout, or with one of 0, writes have what time they need."""
    fields = method.request.DESCRIPTOR.fields_by_name
    may_carry, writes = "timeout" in fields, "wait" in fields
    default_s = inf if writes else READ_DEFAULT_S
    operation = method.name

    def deadline_of(request: Any, context: grpc.ServicerContext) -> Deadline:
        given = may_carry and request.HasField("timeout") and not (writes and request.timeout == 0)
        return Deadline(
            float(request.timeout) if given else None,
            default_s=default_s,
            operation=operation,
            client_s=context.time_remaining(),
            is_alone=lambda: not context.is_active(),
            give_way=give_way,
        )

    return deadline_of
