"""The HTTP port as an ASGI application: from a request to a call on a thread, and from its outcome to a response.

The event loop only moves bytes: bodies are parsed, engines asked and answers written on threads, few and brief ones
for searches. A slow client keeps a coroutine, never a thread. The only place where errors become statuses.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final
from urllib.parse import parse_qsl

import orjson
from starlette.types import Receive, Scope, Send

from qdrantlite.errors import MalformedRequest, QdrantliteError
from qdrantlite.wire.call_pools import CallPools, overloaded
from qdrantlite.wire.call_threads import CallThreads
from qdrantlite.wire.checked.once_found import OnceFound, told
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.rest import collections, point_reads, point_writes, service
from qdrantlite.wire.rest.bodies import (
    COMPRESSED_BYTES_MIN,
    accepted_coding,
    compressed,
    decompressed,
    too_large,
)
from qdrantlite.wire.rest.call import Call, Client
from qdrantlite.wire.rest.described import described
from qdrantlite.wire.rest.encode.answer import Answer
from qdrantlite.wire.rest.release import LONG_BYTES, release
from qdrantlite.wire.rest.routes import Route, RouteTable
from qdrantlite.wire.status import failure_of

ROUTES: Final = RouteTable(described((*service.ROUTES, *collections.ROUTES, *point_reads.ROUTES, *point_writes.ROUTES)))

WATCHED_AFTER_S: Final = 0.05
"""A call that takes longer ends when its client leaves; sooner, watching would cost more than it saves."""

HELD_BYTES_MAX: Final = 2**30
"""All bodies together, until they are answered; clients beyond that are asked to come back."""

_JSON = b"application/json"
_TEXTS: Final = {"text": b"text/plain; charset=utf-8", "html": b"text/html; charset=utf-8"}
"""Kinds of what goes out as it is, by the route's result."""
_CLOSE = ((b"connection", b"close"),)
"""After a body that is not read."""


@dataclass(frozen=True, slots=True)
class Response:
    """What goes out."""

    status: int
    content: bytes = b""
    kind: bytes = _JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class _Request:
    """What has come in whole."""

    route: Route
    arguments: Mapping[str, str]
    query: bytes
    headers: Mapping[bytes, bytes]
    content: bytes
    client: Client
    started: float


class _Gone(Exception):
    """The client left before its request was whole."""


class App:
    """Answers requests over an engine. ``body_bytes_max`` bounds a body, as sent and as decompressed."""

    def __init__(self, engine: Engine, *, pools: CallPools, body_bytes_max: int) -> None:
        self._engine = engine
        self._pools = pools
        self._body_bytes_max = body_bytes_max
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        assert scope["type"] == "http"
        with suppress(_Gone):
            response = await self._respond(scope, receive)
            length = str(len(response.content)).encode()
            headers = [(b"content-length", length), *response.headers]
            if response.content:
                headers.append((b"content-type", response.kind))
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            await send({"type": "http.response.body", "body": response.content})

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        started = perf_counter()
        found = ROUTES.find(scope["method"], scope["raw_path"].decode("latin-1"))
        if found is None:
            return Response(404)
        route, arguments = found
        headers = dict(scope["headers"])
        if route.request is None:
            return await self._call(scope, receive, route, arguments, headers, b"", started)
        chunks: list[bytes] = []
        try:
            _refuse_unread(headers, self._body_bytes_max)
            await self._receive_body(receive, chunks)
            return await self._call(scope, receive, route, arguments, headers, b"".join(chunks), started)
        except QdrantliteError as refusal:
            refused = _failed(refusal, route, 0.0)
            return replace(refused, headers=(*refused.headers, *_CLOSE))
        finally:
            self._held_bytes -= sum(map(len, chunks))

    async def _call(
        self,
        scope: Scope,
        receive: Receive,
        route: Route,
        arguments: Mapping[str, str],
        headers: Mapping[bytes, bytes],
        content: bytes,
        started: float,
    ) -> Response:
        threads = self._pools.of(route.kind)
        if threads.is_full:
            return _failed(overloaded(), route, 0.0)
        client = Client(self._pools.give_way(route.kind))
        request = _Request(route, arguments, scope["query_string"], headers, content, client, started)
        return await self._on_thread(threads, request, receive)

    async def _receive_body(self, receive: Receive, chunks: list[bytes]) -> None:
        """Appends the body, which counts as held. Raises _Gone, MalformedRequest, RateLimited."""
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            chunk, more = message.get("body", b""), message.get("more_body", False)
            size += len(chunk)
            if size > self._body_bytes_max:
                raise too_large(self._body_bytes_max)
            if self._held_bytes + len(chunk) > HELD_BYTES_MAX:
                raise overloaded()
            self._held_bytes += len(chunk)
            chunks.append(chunk)

    async def _on_thread(self, threads: CallThreads, request: _Request, receive: Receive) -> Response:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Response] = loop.create_future()

        def run() -> None:
            held: list[object] = []
            response = self._answer(request, held)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, answered, response)
            release(held)

        threads.submit(run)
        watching = loop.call_later(WATCHED_AFTER_S, _watch, request.client, receive, answered)
        try:
            return await answered
        finally:
            watching.cancel()

    def _answer(self, request: _Request, held: list[object]) -> Response:
        """Calls the handler; never raises. ``held`` gets what is large and no longer needed."""
        route = request.route
        try:
            coding = request.headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
            content = decompressed(request.content, coding, self._body_bytes_max)
            parameters = dict(parse_qsl(request.query.decode("latin-1"), keep_blank_values=True))
            call = Call(request.arguments, parameters, content, route.path, request.client, held)
            try:
                answer = route.handler(self._engine, call)
            except OnceFound as refused:
                raise told(refused, self._engine, call.collection) from None
            response = _succeeded(answer, route, request.started)
            if len(response.content) > LONG_BYTES:
                held.append(answer)
        except Exception as error:
            return _failed(error, route, perf_counter() - request.started)
        if len(response.content) < COMPRESSED_BYTES_MIN:
            return response
        wanted = accepted_coding(request.headers.get(b"accept-encoding", b"").decode("latin-1"))
        if wanted is None:
            return response
        coded = compressed(response.content, wanted)
        headers = ((b"content-encoding", wanted.encode()), (b"vary", b"accept-encoding"))
        return Response(response.status, coded, response.kind, headers)


def _watch(client: Client, receive: Receive, answered: "asyncio.Future[Response]") -> None:
    """Lets the call end when its client leaves before the answer is there."""

    async def notice() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        client.leave()

    watcher = asyncio.get_running_loop().create_task(notice())
    answered.add_done_callback(lambda _: watcher.cancel())


def _settle(answered: "asyncio.Future[Response]", response: Response) -> None:
    if not answered.done():
        answered.set_result(response)


def _refuse_unread(headers: Mapping[bytes, bytes], body_bytes_max: int) -> None:
    """Raises MalformedRequest for a body that need not be read."""
    kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if kind != _JSON and not (kind.startswith(b"application/") and kind.endswith(b"+json")):
        raise MalformedRequest("Payload error: Content type error")
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > body_bytes_max:
        raise too_large(body_bytes_max, int(length))


def _succeeded(answer: Answer, route: Route, started: float) -> Response:
    if not route.enveloped:
        if isinstance(answer, str):
            return Response(200, answer.encode(), _TEXTS[route.result])
        return Response(200, written(answer))
    envelope = {"result": answer, "status": "ok", "time": perf_counter() - started}
    return Response(200, written(envelope))


def _failed(error: Exception, route: Route, time_s: float) -> Response:
    failure = failure_of(error, call=f"{route.method} {route.path}")
    seconds = failure.retry_after_s
    headers = () if seconds is None else ((b"retry-after", str(seconds).encode()),)
    if not route.enveloped:
        return Response(failure.status.http_status, failure.message.encode(), _TEXTS["text"], headers)
    content = written({"status": {"error": failure.message}, "time": time_s})
    return Response(failure.status.http_status, content, headers=headers)


def written(answer: object) -> bytes:
    """JSON: arrays as lists, what is not finite as null."""
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
