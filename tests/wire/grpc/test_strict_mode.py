"""Strict mode through the official client: limits hold, codes and texts are Qdrant's, nothing was done."""

from collections.abc import Iterator

import grpc
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse

from qdrantlite.testing import Server

POINTS = [models.PointStruct(id=i, vector=[1.0, float(i)], payload={"n": i}) for i in range(4)]


@pytest.fixture(scope="module")
def client() -> Iterator[QdrantClient]:
    with Server() as server:
        connected = QdrantClient(**server.client_options)
        yield connected
        connected.close()


def made(client: QdrantClient, name: str, **limits: object) -> str:
    client.create_collection(
        name,
        vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT),
        strict_mode_config=models.StrictModeConfig.model_validate({"enabled": True, **limits}),
    )
    return name


def test_a_write_beyond_its_limits_leaves_everything_as_it_was(client: QdrantClient) -> None:
    name = made(client, "writes", upsert_max_batchsize=3, unindexed_filtering_update=False)
    client.upsert(name, POINTS[:3])
    for wait in (True, False):
        with pytest.raises(grpc.RpcError) as refused:
            client.upsert(name, POINTS, wait=wait)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.value.details() == (
            'Bad request: Limit exceeded 4 > 3 for "upsert limit". Help: Reduce the "upsert limit" parameter to or '
            "below 3."
        )
    by_filter = models.Filter(must=[models.FieldCondition(key="n", match=models.MatchValue(value=1))])
    with pytest.raises(grpc.RpcError, match="Index required but not found"):
        client.delete(name, models.FilterSelector(filter=by_filter))
    assert client.count(name, exact=True).count == 3
    client.create_payload_index(name, "n", models.PayloadSchemaType.INTEGER)
    client.delete(name, models.FilterSelector(filter=by_filter))
    assert client.count(name, exact=True).count == 2


def test_limits_of_reads_hold_until_strict_mode_is_switched_off(client: QdrantClient) -> None:
    name = made(client, "reads", max_query_limit=2, search_allow_exact=False, max_timeout=10)
    client.upsert(name, POINTS)
    assert len(client.query_points(name, [1.0, 0.0], limit=2).points) == 2
    assert len(client.query_points(name, [1.0, 0.0], limit=2, timeout=10).points) == 2
    calls = (
        lambda: client.query_points(name, [1.0, 0.0], limit=3),
        lambda: client.scroll(name, limit=3),
        lambda: client.query_points_groups(name, "n", query=[1.0, 0.0], limit=2, group_size=2),
        lambda: client.query_points(name, [1.0, 0.0], limit=2, search_params=models.SearchParams(exact=True)),
        lambda: client.count(name, exact=True),
        lambda: client.query_points(name, [1.0, 0.0], limit=2, timeout=11),
    )
    for call in calls:
        with pytest.raises(grpc.RpcError) as refused:
            call()
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    client.update_collection(name, strict_mode_config=models.StrictModeConfig(enabled=False))
    for call in calls:
        call()


def test_a_rate_limit_says_when_to_come_again(client: QdrantClient) -> None:
    name = made(client, "rates", read_rate_limit=2, write_rate_limit=1)
    client.upsert(name, POINTS)
    with pytest.raises(ResourceExhaustedResponse) as refused:
        client.upsert(name, POINTS)
    assert 0 < refused.value.retry_after_s <= 60
    client.query_points(name, [1.0, 0.0])
    client.retrieve(name, [1])
    with pytest.raises(ResourceExhaustedResponse, match="Read rate limit exceeded: Operation requires 1 tokens"):
        client.scroll(name)
