"""Requests filled at random and broken: whatever is sent, the answer is one that a client can do something with."""

import time

import grpc
import pytest

from qdrantlite.wire.pb.services import SERVICES, Method
from tests.fuzz.random_messages import Chance, fill, mutated
from tests.fuzz.target import REVEALING, Target

BLAMED_ON_THE_SERVER = {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}
METHODS = [
    method
    for service in ("qdrant.Points", "qdrant.Collections", "qdrant.Snapshots", "qdrant.Qdrant")
    for method in SERVICES[service].values()
]
OFTEN = ("Query", "QueryBatch", "QueryGroups", "Upsert", "Scroll", "UpdateBatch", "Create")


def send(channel: grpc.Channel, method: Method, encoded: bytes) -> tuple[grpc.StatusCode, str, float]:
    """Code, text and seconds."""
    started = time.perf_counter()
    try:
        channel.unary_unary(method.path)(encoded, timeout=30)
    except grpc.RpcError as error:
        return error.code(), error.details() or "", time.perf_counter() - started
    return grpc.StatusCode.OK, "", time.perf_counter() - started


def run(target: Target, seed: int, count: int) -> tuple[float, Method | None]:
    """Sends so many requests; the longest time and what took it."""
    chance = Chance(seed)
    weighted = [method for method in METHODS for _ in range(4 if method.name in OFTEN else 1)]
    # The collections must stay: dropping them is not what is tried here.
    weighted = [method for method in weighted if (method.service, method.name) != ("qdrant.Collections", "Delete")]
    worst: tuple[float, Method | None] = (0.0, None)
    with grpc.insecure_channel(target.grpc) as channel:
        for _ in range(count):
            method, chance.wild = chance.choice(weighted), chance.choice((0.0, 0.02, 0.3))
            message = fill(chance, method.request())
            if method.name == "Update":
                message.ClearField("strict_mode_config")  # It would refuse all that comes after.
            encoded = mutated(chance, message.SerializeToString())
            code, text, seconds = send(channel, method, encoded)
            assert code not in BLAMED_ON_THE_SERVER, (method.path, encoded.hex(), code, text)
            assert not any(word in text for word in REVEALING), (method.path, encoded.hex(), text)
            if seconds >= 1:  # Is it the request, or what else the machine does?
                seconds = min(seconds, send(channel, method, encoded)[2])
            if seconds > worst[0]:
                worst = (seconds, method)
        code, text, _ = send(channel, SERVICES["qdrant.Collections"]["List"], b"")
        assert code is grpc.StatusCode.OK, text
    return worst


@pytest.mark.parametrize("seed", range(3))
def test_no_request_is_blamed_on_the_server(target: Target, seed: int) -> None:
    run(target, seed, 700)


@pytest.mark.slow
def test_two_hundred_thousand_requests_are_answered_within_a_second_each(target: Target) -> None:
    for seed in range(100, 120):
        seconds, method = run(target, seed, 10_000)
        assert seconds < 1, method
