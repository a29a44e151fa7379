"""The OpenAPI document: one operation for each route of the table, schemas by name.

Pure; made once. A name that a route uses and no table holds is our own mistake.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from qdrantlite.version import API_VERSION
from qdrantlite.wire.rest.openapi.collections import CLUSTER, COLLECTIONS, SERVICE, SETTINGS
from qdrantlite.wire.rest.openapi.filters import FILTERS, FORMULAS
from qdrantlite.wire.rest.openapi.points import POINTS, READS, WRITES
from qdrantlite.wire.rest.openapi.queries import LEGACY, QUERIES
from qdrantlite.wire.rest.openapi.schema import FLAG, FLOAT, TEXT, Schema, Schemas, at_least, gives, one, ref, words
from qdrantlite.wire.rest.routes import Route

SCHEMAS: Schemas = {
    **POINTS,
    **READS,
    **WRITES,
    **QUERIES,
    **LEGACY,
    **FILTERS,
    **FORMULAS,
    **SETTINGS,
    **COLLECTIONS,
    **CLUSTER,
    **SERVICE,
}

PARAMETERS: Schemas = {
    "consistency": one({"type": "integer", "minimum": 1}, words("majority", "quorum", "all")),
    "timeout": {**at_least(1), "description": "seconds"},
    "wait": {**FLAG, "description": "answer only when applied and on the disk"},
    "ordering": words("weak", "medium", "strong"),
    "with": {**TEXT, "description": "any of queued, completed, idle_segments, between commas"},
    "completed_limit": at_least(0),
    "anonymize": FLAG,
    "details_level": at_least(0),
    "per_collection": FLAG,
}
"""Of the query string."""


def make_document(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document, as JSON wants it."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "qdrantlite",
            "version": API_VERSION,
            "description": "The part of Qdrant's REST API that one node answers.",
        },
        "paths": paths,
        "components": {"schemas": dict(SCHEMAS)},
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": (route.handler.__doc__ or route.request or route.path).strip().partition("\n")[0],
        "operationId": operation_id(route),
        "tags": [_tag(route.path)],
        "parameters": [*_in_path(route.path), *_in_query(route.parameters)],
        "responses": {
            "200": _answer("done", _enveloped(route.result) if route.enveloped else ref(route.result), route),
            "default": {
                "description": "refused, or failed",
                "content": {"application/json": {"schema": ref("ErrorResponse")}},
            },
        },
    }
    if route.request is not None:
        body = {"required": True, "content": {"application/json": {"schema": ref(route.request)}}}
        operation["requestBody"] = body
    return operation


def operation_id(route: Route) -> str:
    """A name for generated clients, made of method and path: ``put_collections_points``."""
    parts = [part for part in route.path.split("/") if part and not part.startswith("{")]
    ends_in_parameter = route.path.endswith("}")
    return "_".join([route.method.lower(), *parts, *(["one"] if ends_in_parameter else [])])


def _tag(path: str) -> str:
    parts = path.strip("/").split("/")
    return parts[2] if len(parts) > 2 and parts[0] == "collections" else parts[0] or "service"


def _answer(description: str, schema: Schema, route: Route) -> dict[str, Any]:
    kind = {"text": "text/plain", "html": "text/html"}.get(route.result, "application/json")
    return {"description": description, "content": {kind: {"schema": schema}}}


def _enveloped(result: str) -> Schema:
    return gives({"result": ref(result), "status": words("ok"), "time": FLOAT})


def _in_path(path: str) -> Iterator[dict[str, Any]]:
    for part in path.split("/"):
        if part.startswith("{"):
            yield {"name": part[1:-1], "in": "path", "required": True, "schema": {**TEXT, "minLength": 1}}


def _in_query(names: Iterable[str]) -> Iterator[dict[str, Any]]:
    for name in names:
        yield {"name": name, "in": "query", "required": False, "schema": PARAMETERS[name]}


def references(schema: object) -> Iterator[str]:
    """The names of all schemas that a value refers to."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield value.removeprefix("#/components/schemas/")
            else:
                yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)
