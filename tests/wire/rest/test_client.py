"""The official client over HTTP, end to end: what it sends is understood, what it gets it can read."""

from collections.abc import Iterator

import pytest
from qdrant_client import QdrantClient, models

from qdrantlite.testing import Server


@pytest.fixture
def client(server: Server) -> Iterator[QdrantClient]:
    connected = QdrantClient(**server.rest_options)
    yield connected
    for collection in connected.get_collections().collections:
        connected.delete_collection(collection.name)
    connected.close()


def test_nearest_points_are_found_with_payload_and_vectors(client: QdrantClient) -> None:
    client.create_collection("c", vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT))
    points = [models.PointStruct(id=i, vector=[1.0, i], payload={"n": i}) for i in range(4)]
    assert client.upsert("c", points).status is models.UpdateStatus.COMPLETED
    high = models.Filter(must=[models.FieldCondition(key="n", range=models.Range(lt=3))])
    found = client.query_points("c", query=[0.0, 0.5], query_filter=high, limit=2, with_vectors=True).points
    assert [(hit.id, hit.score, hit.payload, hit.vector) for hit in found] == [
        (2, 1.0, {"n": 2}, [1.0, 2.0]),
        (1, 0.5, {"n": 1}, [1.0, 1.0]),
    ]
    assert client.get_collection("c").points_count == 4
