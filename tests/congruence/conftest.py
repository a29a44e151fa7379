"""One server for all tests of this folder; collections have names of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from qdrantlite.testing import Server
from tests.congruence.twin import Twin


@pytest.fixture(scope="session")
def client() -> Iterator[QdrantClient]:
    """The official client over gRPC."""
    with Server() as server:
        client = QdrantClient(**server.client_options)
        yield client
        client.close()


@pytest.fixture
def make_twin(client: QdrantClient, tmp_path: Path) -> Iterator[Callable[..., Twin]]:
    """Makes twins that are dropped at the end."""
    made: list[Twin] = []

    def make(**settings: object) -> Twin:
        made.append(Twin(client, tmp_path, name=f"twin{len(made)}", **settings))  # type: ignore[arg-type]  # passed on
        return made[-1]

    yield make
    for twin in made:
        twin.close()
