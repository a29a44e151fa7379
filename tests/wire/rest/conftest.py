"""A server that the tests of this folder share, and a plain HTTP client of it."""

from collections.abc import Iterator

import httpx
import pytest

from qdrantlite.testing import Server


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    """Connected to the server; whatever collections the test created are deleted after it."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client
        for collection in client.get("/collections").json()["result"]["collections"]:
            client.delete(f"/collections/{collection['name']}")


@pytest.fixture
def books(http: httpx.Client) -> httpx.Client:
    """The client, and a collection ``books`` with four points and the named vectors ``a``, ``m`` and ``s``."""
    vectors = {
        "a": {"size": 2, "distance": "Dot"},
        "m": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}},
    }
    assert http.put("/collections/books", json={"vectors": vectors, "sparse_vectors": {"s": {}}}).status_code == 200
    points = [
        {
            "id": number,
            "vector": {"a": [1.0, number], "m": [[1, 0], [0, number]], "s": {"indices": [7, 3], "values": [1, number]}},
            "payload": {"n": number, "color": "red" if number % 2 else "green"},
        }
        for number in range(4)
    ]
    assert http.put("/collections/books/points?wait=true", json={"points": points}).status_code == 200
    return http
