"""The table of routes: method and path, what answers, and what goes in and out, by the names of Qdrant's schemas.

A path is matched segment by segment, as it came (an escaped slash belongs to its segment), without a slash at its end.
A fixed segment is preferred to a parameter. Knows nothing of any single route.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote

from qdrantlite.wire.call_pools import CallKind
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.rest.call import Call
from qdrantlite.wire.rest.encode.answer import Answer

Handler: TypeAlias = Callable[[Engine, Call], Answer]
"""Returns what the envelope holds; raises as ``errors.py``."""

COLLECTION = "/collections/{collection_name}"
POINTS = COLLECTION + "/points"

READ = ("consistency", "timeout")
WRITE = ("wait", "ordering", "timeout")
TIMED = ("timeout",)


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. ``request`` and ``result`` name schemas (``X[]`` is a list of X), ``parameters`` those of the
    query. ``kind`` tells on which threads it is answered. What is not ``enveloped`` goes out as it is: ``text`` and
    ``html`` as what they are, anything else as JSON.
    """

    method: str
    path: str
    handler: Handler
    result: str
    request: str | None = None
    parameters: tuple[str, ...] = ()
    kind: CallKind = CallKind.OTHER
    enveloped: bool = True


@dataclass(slots=True)
class _Place:
    """What may follow a beginning of a path."""

    fixed: "dict[str, _Place]"
    parameter: "tuple[str, _Place] | None"
    routes: dict[str, Route]


class RouteTable:
    """Finds the route of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._root = _Place({}, None, {})
        for route in self.routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        place = self._root
        for segment in _segments(route.path):
            if segment.startswith("{"):
                name = segment[1:-1]
                if place.parameter is None:
                    place.parameter = (name, _Place({}, None, {}))
                assert place.parameter[0] == name, f"{route.path}: the parameter is called {place.parameter[0]} already"
                place = place.parameter[1]
            else:
                place = place.fixed.setdefault(segment, _Place({}, None, {}))
        assert route.method not in place.routes, f"{route.method} {route.path} is there twice"
        place.routes[route.method] = route

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """The route and the arguments in the path, percent-decoded; None when there is no such path or method."""
        return _find(self._root, method, _segments(path), 0)


def _segments(path: str) -> list[str]:
    return path.strip("/").split("/") if path.strip("/") else []


def _find(place: _Place, method: str, segments: list[str], at: int) -> tuple[Route, dict[str, str]] | None:
    if at == len(segments):
        route = place.routes.get(method)
        return None if route is None else (route, {})
    following = place.fixed.get(segments[at])
    if following is not None:
        found = _find(following, method, segments, at + 1)
        if found is not None:
            return found
    if place.parameter is None:
        return None
    name, following = place.parameter
    found = _find(following, method, segments, at + 1)
    if found is not None:
        found[1][name] = unquote(segments[at])
    return found
