"""Requests filled at random and broken: whatever is sent, the answer is one that a client can do something with."""

import time
from collections.abc import Iterator

import grpc
import pytest
from qdrant_client import QdrantClient, models

from qdrantlite.testing import Server
from qdrantlite.wire.pb.services import SERVICES, Method
from tests.fuzz.random_messages import Chance, fill, mutated

BLAMED_ON_THE_SERVER = {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}
REVEALING = ("Traceback", "Error:", "/tmp", "sqlite", ".py", "NoneType", "object has no", "numpy", "np.")
METHODS = [
    method
    for service in ("qdrant.Points", "qdrant.Collections", "qdrant.Snapshots", "qdrant.Qdrant")
    for method in SERVICES[service].values()
]
OFTEN = ("Query", "QueryBatch", "QueryGroups", "Upsert", "Scroll", "UpdateBatch", "Create")


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    with Server() as server:
        client = QdrantClient(**server.client_options)
        for name in ("points", "empty"):
            client.create_collection(
                name,
                vectors_config={
                    "": models.VectorParams(size=3, distance=models.Distance.COSINE),
                    "d": models.VectorParams(size=3, distance=models.Distance.EUCLID),
                    "m": models.VectorParams(
                        size=3,
                        distance=models.Distance.DOT,
                        multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
                    ),
                },
                sparse_vectors_config={"s": models.SparseVectorParams(modifier=models.Modifier.IDF)},
            )
        for field, kind in (("n", models.PayloadSchemaType.INTEGER), ("k", models.PayloadSchemaType.KEYWORD)):
            client.create_payload_index("points", field, kind)
        client.upsert("points", [point(at) for at in range(40)])
        client.update_collection_aliases(
            [models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name="points", alias_name="alias"))]
        )
        client.close()
        yield f"127.0.0.1:{server.grpc_port}"


def point(at: int) -> models.PointStruct:
    vector = [1.0, at / 40, at % 7]
    return models.PointStruct(
        id=at,
        vector={
            "": vector,
            "d": vector,
            "m": [vector] * (1 + at % 3),
            "s": models.SparseVector(indices=[1, at + 2], values=[1.0, 0.5]),
        },
        payload={"n": at, "k": f"k{at % 5}", "a": [{"b": at}]},
    )


def send(channel: grpc.Channel, method: Method, encoded: bytes) -> tuple[grpc.StatusCode, str, float]:
    """Code, text and seconds."""
    started = time.perf_counter()
    try:
        channel.unary_unary(method.path)(encoded, timeout=30)
    except grpc.RpcError as error:
        return error.code(), error.details() or "", time.perf_counter() - started
    return grpc.StatusCode.OK, "", time.perf_counter() - started


def run(target: str, seed: int, count: int) -> tuple[float, Method | None]:
    """Sends so many requests; the longest time and what took it."""
    chance = Chance(seed)
    weighted = [method for method in METHODS for _ in range(4 if method.name in OFTEN else 1)]
    # The collections must stay: dropping them is not what is tried here.
    weighted = [method for method in weighted if (method.service, method.name) != ("qdrant.Collections", "Delete")]
    worst: tuple[float, Method | None] = (0.0, None)
    with grpc.insecure_channel(target) as channel:
        for _ in range(count):
            method, chance.wild = chance.choice(weighted), chance.choice((0.0, 0.02, 0.3))
            message = fill(chance, method.request())
            if method.name == "Update":
                message.ClearField("strict_mode_config")  # It would refuse all that comes after.
            encoded = mutated(chance, message.SerializeToString())
            code, text, seconds = send(channel, method, encoded)
            assert code not in BLAMED_ON_THE_SERVER, (method.path, encoded.hex(), code, text)
            assert not any(word in text for word in REVEALING), (method.path, encoded.hex(), text)
            if seconds > worst[0]:
                worst = (seconds, method)
        code, text, _ = send(channel, SERVICES["qdrant.Collections"]["List"], b"")
        assert code is grpc.StatusCode.OK, text
    return worst


@pytest.mark.parametrize("seed", range(3))
def test_no_request_is_blamed_on_the_server(target: str, seed: int) -> None:
    run(target, seed, 700)


@pytest.mark.slow
def test_two_hundred_thousand_requests_are_answered_within_a_second_each(target: str) -> None:
    for seed in range(100, 120):
        seconds, method = run(target, seed, 10_000)
        assert seconds < 1, method
