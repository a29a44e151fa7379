"""The routes of the HTTP port, as an ASGI application.

So far: what clients and orchestrators ask before anything else (title and version, liveness, readiness). Everything
else is answered 501 in the envelope that clients expect of an error.
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from qdrantlite.version import API_VERSION, TITLE

NOT_BUILT = "REST API is not built yet; use gRPC"


async def root(_request: Request) -> Response:
    """Title and version of the API: the first thing clients read, without an envelope."""
    return JSONResponse({"title": TITLE, "version": API_VERSION})


async def alive(_request: Request) -> Response:
    """``/healthz`` and ``/livez`` (one text for both, as Qdrant has it): the process answers."""
    return PlainTextResponse("healthz check passed")


async def ready(_request: Request) -> Response:
    """``/readyz``: collections are open before the port is, so an answer means ready."""
    return PlainTextResponse("all shards are ready")


async def not_built(_request: Request) -> Response:
    """Any other path."""
    return JSONResponse({"status": {"error": NOT_BUILT}, "time": 0.0}, status_code=501)


def make_app() -> Starlette:
    """The application; it holds no state."""
    every = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    return Starlette(
        routes=[
            Route("/", root),
            Route("/healthz", alive),
            Route("/livez", alive),
            Route("/readyz", ready),
            Route("/{path:path}", not_built, methods=every),
        ]
    )
