"""The OpenAPI document: it describes every route, refers to nothing that is missing, and what the server takes and
gives is as it says.
"""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from qdrantlite.testing import Server
from qdrantlite.wire.rest.app import ROUTES
from qdrantlite.wire.rest.openapi.document import SCHEMAS, make_document, references

DESCRIBED = [route for route in ROUTES.routes if route.result != "error"]
DOCUMENT: dict[str, Any] = make_document(DESCRIBED)

_VECTORS = {"size": 3, "distance": "Euclid"}
_CREATE = {
    "vectors": {"": _VECTORS, "m": {**_VECTORS, "multivector_config": {"comparator": "max_sim"}}},
    "sparse_vectors": {"s": {"modifier": "idf"}},
    "strict_mode_config": {"enabled": False},
    "quantization_config": {"scalar": {"type": "int8"}},
    "metadata": {"made": "here"},
}
_POINTS = [
    {
        "id": at,
        "vector": {"": [at, 0, 1], "m": [[at, 1, 1]], "s": {"indices": [1], "values": [0.5]}},
        "payload": {"n": at, "k": "even" if at % 2 == 0 else "odd", "a": [{"b": at}]},
    }
    for at in range(6)
]
_NAMED = "/collections/c"
_FILTER = {
    "must": {"key": "n", "range": {"gte": 1}},
    "should": [{"key": "k", "match": {"any": ["even"]}}, {"nested": {"key": "a", "filter": {"must": []}}}],
    "must_not": [{"has_id": [3]}, {"is_empty": {"key": "n"}}],
    "min_should": {"conditions": [{"has_vector": "s"}], "min_count": 1},
}
CALLS: list[tuple[str, str, object]] = [
    ("GET", "/", None),
    ("GET", "/collections", None),
    ("PUT", _NAMED, _CREATE),
    ("GET", _NAMED, None),
    ("GET", _NAMED + "/exists", None),
    ("PATCH", _NAMED, {"hnsw_config": {"m": 8}, "params": {"read_fan_out_factor": 1}, "metadata": {"made": None}}),
    ("PUT", _NAMED + "/index?wait=true", {"field_name": "n", "field_schema": "integer"}),
    ("PUT", _NAMED + "/index?wait=true", {"field_name": "k", "field_schema": {"type": "keyword", "is_tenant": True}}),
    ("PUT", _NAMED + "/points?wait=true", {"points": _POINTS}),
    ("PUT", _NAMED + "/points?wait=true", {"batch": {"ids": [7], "vectors": {"": [[1, 2, 3]]}, "payloads": [None]}}),
    ("GET", _NAMED, None),
    ("GET", _NAMED + "/points/1", None),
    ("POST", _NAMED + "/points", {"ids": [1, 7], "with_vector": True, "with_payload": {"include": ["n"]}}),
    ("POST", _NAMED + "/points/scroll", {"filter": _FILTER, "limit": 2, "with_vector": ["s"]}),
    ("POST", _NAMED + "/points/scroll", {"order_by": {"key": "n", "direction": "desc"}}),
    ("POST", _NAMED + "/points/count", {"exact": True}),
    ("POST", _NAMED + "/points/query", {"query": [1, 2, 3], "with_payload": True, "with_vector": True, "limit": 3}),
    (
        "POST",
        _NAMED + "/points/query",
        {
            "prefetch": [{"query": 1, "limit": 3}, {"query": {"indices": [1], "values": [1]}, "using": "s"}],
            "query": {"fusion": "rrf"},
            "params": {"exact": True},
        },
    ),
    ("POST", _NAMED + "/points/query/batch", {"searches": [{"query": {"order_by": "n"}}, {"limit": 1}]}),
    ("POST", _NAMED + "/points/query/groups", {"query": [1, 2, 3], "group_by": "k", "with_lookup": "c"}),
    ("POST", _NAMED + "/points/search", {"vector": [1, 2, 3], "limit": 2}),
    ("POST", _NAMED + "/points/search", {"vector": {"name": "", "vector": [1, 2, 3]}, "limit": 2, "offset": 1}),
    ("POST", _NAMED + "/points/payload?wait=true", {"payload": {"x": 1}, "points": [1]}),
    ("PUT", _NAMED + "/points/payload?wait=true", {"payload": {"x": 1}, "filter": {"must": [{"has_id": [2]}]}}),
    ("POST", _NAMED + "/points/payload/delete?wait=true", {"keys": ["x"], "points": [1]}),
    ("POST", _NAMED + "/points/payload/clear?wait=true", {"points": [1]}),
    ("PUT", _NAMED + "/points/vectors?wait=true", {"points": [{"id": 1, "vector": {"": [0, 0, 1]}}]}),
    ("POST", _NAMED + "/points/vectors/delete?wait=true", {"vector": ["s"], "points": [1]}),
    ("POST", _NAMED + "/points/batch?wait=true", {"operations": [{"delete": {"points": [1]}}]}),
    ("POST", _NAMED + "/points/delete", {"filter": {"must": []}}),
    ("PUT", _NAMED + "/vectors/extra?wait=true", {"sparse": {}}),
    ("DELETE", _NAMED + "/vectors/extra", None),
    ("DELETE", _NAMED + "/index/n", None),
    ("POST", "/collections/aliases", {"actions": [{"create_alias": {"collection_name": "c", "alias_name": "d"}}]}),
    ("GET", "/aliases", None),
    ("GET", _NAMED + "/aliases", None),
    ("GET", _NAMED + "/cluster", None),
    ("GET", _NAMED + "/shards", None),
    ("GET", _NAMED + "/optimizations", None),
    ("GET", "/cluster", None),
    ("GET", "/telemetry?details_level=2", None),
    ("GET", "/issues", None),
    ("DELETE", _NAMED, None),
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Server() as server:
        yield server.url


def test_every_route_is_described_once_and_refers_to_what_is_there() -> None:
    operations = [operation for path in DOCUMENT["paths"].values() for operation in path.values()]
    assert len(operations) == len(DESCRIBED)
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] for operation in operations)
    assert set(references(DOCUMENT)) <= set(SCHEMAS)


def test_what_the_server_takes_and_gives_is_as_described(url: str) -> None:
    for method, path, body in CALLS:
        operation = DOCUMENT["paths"][_template(method, path)][method.lower()]
        if body is not None:
            _validate(operation["requestBody"]["content"]["application/json"]["schema"], body, (method, path, body))
        request = urllib.request.Request(url + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.loads(response.read())
        _validate(
            operation["responses"]["200"]["content"]["application/json"]["schema"], answer, (method, path, answer)
        )


def _template(method: str, path: str) -> str:
    found = ROUTES.find(method, path.partition("?")[0])
    assert found is not None, path
    return found[0].path


def _validate(schema: dict[str, Any], value: object, told: object) -> None:
    whole = {**schema, "components": DOCUMENT["components"]}
    errors = [error.message for error in jsonschema_rs.Draft202012Validator(whole).iter_errors(value)]
    assert not errors, (told, errors)


def test_wrong_requests_do_not_fit_their_schemas() -> None:
    for name, wrong in (
        ("Filter", {"mist": []}),
        ("QueryRequest", {"limit": 0}),
        ("CreateCollection", {"vectors": {"size": 0, "distance": "Dot"}}),
        ("PointInsertOperations", {"points": []}),
        ("Expression", {"sum": "x"}),
    ):
        whole = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
        assert not jsonschema_rs.Draft202012Validator(whole).is_valid(wrong), name


def test_document_and_page_are_served_and_ask_no_other_server(url: str) -> None:
    with urllib.request.urlopen(url + "/openapi.json") as response:
        assert json.loads(response.read())["paths"].keys() == DOCUMENT["paths"].keys()
    with urllib.request.urlopen(url + "/docs") as response:
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        page = response.read().decode()
    assert "openapi.json" in page
    assert "http://" not in page
    assert "https://" not in page
