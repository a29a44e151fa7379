"""Routes that tell about all routes: ``/openapi.json``, and ``/docs``, a page that asks no other server."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from qdrantlite.wire.engine import Engine
from qdrantlite.wire.rest.call import Call
from qdrantlite.wire.rest.encode.answer import Answer
from qdrantlite.wire.rest.openapi.document import make_document
from qdrantlite.wire.rest.routes import Route


def described(routes: Sequence[Route]) -> tuple[Route, ...]:
    """The routes, and two more that describe them. What is not built is not described."""

    @cache
    def document() -> dict[str, Answer]:
        return make_document([route for route in everything if route.result != "error"])

    def openapi(_engine: Engine, _call: Call) -> Answer:
        """This description."""
        return document()

    everything = (
        *routes,
        Route("GET", "/openapi.json", openapi, "object", enveloped=False),
        Route("GET", "/docs", docs, "html", enveloped=False),
    )
    return everything


@cache
def _page() -> str:
    return (files("qdrantlite.wire.rest.openapi") / "docs.html").read_text(encoding="utf-8")


def docs(_engine: Engine, _call: Call) -> Answer:
    """A page that shows this description."""
    return _page()
