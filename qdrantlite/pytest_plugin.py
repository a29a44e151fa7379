"""Fixtures for the tests of programs that use Qdrant: ``qdrantlite_server`` and ``qdrantlite_client``.

pytest loads this module in every environment where qdrantlite is installed, so it must load nothing itself: the server
and the client are looked up by name when a test asks for them.
"""

import pkgutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

    from qdrantlite.testing import Server


@pytest.fixture(scope="session")
def qdrantlite_server() -> "Iterator[Server]":
    """A server on free loopback ports with a temporary folder, shared by the whole session."""
    make_server = pkgutil.resolve_name("qdrantlite.testing:Server")
    with make_server() as server:
        yield server


@pytest.fixture
def qdrantlite_client(qdrantlite_server: "Server") -> "Iterator[QdrantClient]":
    """The official client, connected to ``qdrantlite_server``; whatever the test created is deleted after it."""
    try:
        make_client = pkgutil.resolve_name("qdrant_client:QdrantClient")
    except ModuleNotFoundError:
        pytest.fail("the fixture qdrantlite_client needs the official client: pip install qdrant-client")
    client = make_client(**qdrantlite_server.client_options)
    try:
        yield client
        for collection in client.get_collections().collections:
            client.delete_collection(collection.name)
    finally:
        client.close()
