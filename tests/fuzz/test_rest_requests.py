"""Requests made from our own OpenAPI document, right and wrong ones: none is blamed on the server."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from qdrantlite.wire.rest.app import ROUTES
from qdrantlite.wire.rest.openapi.document import make_document
from tests.fuzz.target import REVEALING, Target

FAST_EXAMPLES, SLOW_EXAMPLES = 3, 550


def document() -> dict[str, Any]:
    """As served, but the names of collections are those that are there, and one that is not."""
    made = make_document([route for route in ROUTES.routes if route.result != "error"])
    for path in made["paths"].values():
        for operation in path.values():
            for parameter in operation["parameters"]:
                if parameter["name"] == "collection_name":
                    parameter["schema"] = {"type": "string", "enum": ["points", "empty", "nobody"]}
    del made["paths"]["/collections/{collection_name}"]["delete"]  # The collections must stay.
    return made


def _operations() -> Iterator[Any]:
    found: Any
    for found in schemathesis.openapi.from_dict(document()).get_all_operations():
        yield found.ok()


CASES = [
    pytest.param(operation, mode, id=f"{operation.method.upper()} {operation.path} {mode.value}")
    for operation in _operations()
    for mode in GenerationMode
    # What says nothing can say nothing wrong.
    if mode is GenerationMode.POSITIVE or len(operation.body) or len(operation.query)
]
"""Each operation with right requests and with wrong ones."""
FAST = ("/points/query positive", "/points/scroll positive", "/points positive", "/points/query negative")
FAST_CASES = [case for case in CASES if str(case.id).endswith(FAST)]


def attack(target: Target, operation: Any, mode: GenerationMode, examples: int) -> float:
    """Sends so many requests of one operation; the longest time, in seconds."""
    cases, worst_s = operation.as_strategy(mode), 0.0

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def send(data: st.DataObject) -> None:
        nonlocal worst_s
        case = data.draw(cases)
        response = case.call(base_url=target.http, timeout=30)
        seconds = response.elapsed
        if seconds >= 1:  # Is it the request, or what else the machine does?
            seconds = min(seconds, case.call(base_url=target.http, timeout=30).elapsed)
        worst_s = max(worst_s, seconds)
        assert response.status_code < 500 or response.status_code == 501, response.text
        asked = unquote(response.request.url) + str(response.request.body)
        assert not [word for word in REVEALING if word in response.text and word not in asked], response.text
        if response.status_code == 200 and "application/json" in response.headers.get("content-type", [""])[0]:
            assert "NaN" not in response.text
            assert "Infinity" not in response.text

    send()
    return worst_s


@pytest.mark.parametrize(("operation", "mode"), FAST_CASES)
def test_no_request_is_blamed_on_the_server(target: Target, operation: Any, mode: GenerationMode) -> None:
    attack(target, operation, mode, FAST_EXAMPLES)


@pytest.mark.slow
@pytest.mark.parametrize(("operation", "mode"), CASES)
def test_very_many_requests_are_answered_within_a_second_each(
    target: Target, operation: Any, mode: GenerationMode
) -> None:
    assert attack(target, operation, mode, SLOW_EXAMPLES) < 1
