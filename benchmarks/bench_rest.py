"""What HTTP and JSON cost beside gRPC: single searches, upserts, answers with vectors, and the company of idle clients.

Everything is measured in turns on one server in one run; the ratios count.
"""

import http.client
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import grpc
import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.grpc_load import UNLIMITED
from benchmarks.measure import sample_payloads, sample_vectors, show, verdict
from qdrantlite.wire.pb import points as pb
from tests.server_process import ServerProcess

BATCH = 500
ROUNDS = 5
SEARCHES = 300
IDLE = 200
FIELDS = ("name", "version", "section", "description")
COLLECTION = "/collections/c"
JSON = {"content-type": "application/json"}


class Rest:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def send(self, method: str, path: str, body: bytes) -> bytes:
        """The body of the answer, which must be 200."""
        self._connection.request(method, path, body, JSON)
        response = self._connection.getresponse()
        content = response.read()
        assert response.status == 200, content
        return content


class Grpc:
    """One kept channel."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, UNLIMITED)

    def send(self, method: str, body: bytes) -> bytes:
        """The encoded answer."""
        answer: bytes = self._channel.unary_unary(f"/qdrant.Points/{method}")(body)
        return answer


def upserts(vectors: NDArray[np.float32]) -> tuple[list[bytes], list[bytes]]:
    """The same batches as JSON and as messages."""
    payloads = [{name: str(payload[name]) for name in FIELDS} for payload in sample_payloads()]
    as_json, as_messages = [], []
    for start in range(0, len(vectors), BATCH):
        rows = range(start, min(start + BATCH, len(vectors)))
        as_json.append(
            orjson.dumps({"points": [{"id": i, "vector": vectors[i].tolist(), "payload": payloads[i]} for i in rows]})
        )
        message = pb.UpsertPoints(collection_name="c", wait=True)
        for i in rows:
            point = message.points.add()
            point.id.num = i
            point.vectors.vector.dense.data.extend(vectors[i].tolist())
            for name, text in payloads[i].items():
                point.payload[name].string_value = text
        as_messages.append(message.SerializeToString())
    return as_json, as_messages


def searches(vectors: NDArray[np.float32], *, with_vectors: bool) -> tuple[list[bytes], list[bytes]]:
    """The same searches as JSON and as messages, with payload."""
    asked = vectors[:SEARCHES] + np.float32(0.01)
    limit = 100 if with_vectors else 10
    as_json = [
        orjson.dumps({"query": row.tolist(), "limit": limit, "with_payload": True, "with_vector": with_vectors})
        for row in asked
    ]
    as_messages = []
    for row in asked:
        message = pb.QueryPoints(collection_name="c", limit=limit)
        message.query.nearest.dense.data.extend(row.tolist())
        message.with_payload.enable = True
        message.with_vectors.enable = with_vectors
        as_messages.append(message.SerializeToString())
    return as_json, as_messages


def medians(ways: dict[str, Callable[[int], object]], count: int) -> dict[str, float]:
    """Median seconds of each way's calls, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(count):
        for name, call in ways.items():
            started = time.perf_counter()
            call(number)
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(taken) for name, taken in times.items()}


def percentile(times: list[float]) -> float:
    """The 99th of a hundred."""
    return sorted(times)[int(len(times) * 0.99)]


def company(server: ServerProcess, rest: Rest, bodies: list[bytes]) -> tuple[float, float]:
    """The 99th percentile of a healthy client, alone and beside idle connections and a slow client; in turns."""
    alone: list[float] = []
    beside: list[float] = []

    def run(times: list[float]) -> None:
        for body in bodies:
            started = time.perf_counter()
            rest.send("POST", COLLECTION + "/points/query", body)
            times.append(time.perf_counter() - started)

    for _ in range(ROUNDS):
        run(alone)
        with ExitStack() as open_ones:
            for _ in range(IDLE):
                open_ones.enter_context(socket.create_connection(("127.0.0.1", server.http_port)))
            slow = open_ones.enter_context(socket.create_connection(("127.0.0.1", server.http_port)))
            done = threading.Event()
            dripping = threading.Thread(target=drip, args=(slow, done))
            dripping.start()
            run(beside)
            done.set()
            dripping.join()
    return percentile(alone), percentile(beside)


def drip(connection: socket.socket, done: threading.Event) -> None:
    """A body that comes byte by byte and never ends."""
    head = (f"PUT {COLLECTION}/points HTTP/1.1", "Host: x", "Content-Type: application/json", "Content-Length: 100000")
    connection.sendall("\r\n".join((*head, "", "")).encode())
    while not done.wait(0.01):
        connection.sendall(b" ")


def main() -> None:
    """Prints the tables."""
    vectors = sample_vectors()
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder) / "data") as server:
        rest, rpc = Rest(server.http_port), Grpc(server.address)
        rest.send("PUT", COLLECTION, orjson.dumps({"vectors": {"size": vectors.shape[1], "distance": "Cosine"}}))
        bodies, messages = upserts(vectors)
        loading = medians(
            {
                "REST": lambda i: rest.send("PUT", COLLECTION + "/points?wait=true", bodies[i % len(bodies)]),
                "gRPC": lambda i: rpc.send("Upsert", messages[i % len(messages)]),
            },
            ROUNDS * len(bodies),
        )
        rows = [["upsert, points/s", f"{BATCH / loading['REST']:,.0f}", f"{BATCH / loading['gRPC']:,.0f}"]]
        rows[0].append(f"{loading['REST'] / loading['gRPC']:.2f}")
        rows[0].append(verdict(BATCH / loading["REST"], 8_000, larger_is_better=True))
        for what, with_vectors in (("search, top 10, ms", False), ("top 100 with vectors, ms", True)):
            asked, sent = searches(vectors, with_vectors=with_vectors)
            found = medians(
                {
                    "REST": lambda i, asked=asked: rest.send("POST", COLLECTION + "/points/query", asked[i]),  # type: ignore[misc]  # mypy cannot type a lambda with a default
                    "gRPC": lambda i, sent=sent: rpc.send("Query", sent[i]),  # type: ignore[misc]  # mypy cannot type a lambda with a default
                },
                SEARCHES,
            )
            ratio = found["REST"] / found["gRPC"]
            rows.append([what, f"{found['REST'] * 1000:.2f}", f"{found['gRPC'] * 1000:.2f}", f"{ratio:.2f}"])
            rows[-1].append(verdict(ratio, 1.5, larger_is_better=False))
        show("REST beside gRPC, one client", ["what", "REST", "gRPC", "time ratio", "target"], rows)
        alone, beside = company(server, rest, searches(vectors, with_vectors=False)[0])
        row = [f"{alone * 1000:.2f}", f"{beside * 1000:.2f}", verdict(beside / alone, 2, larger_is_better=False)]
        show("p99 of a healthy client, ms", ["alone", f"beside {IDLE} idle and a slow one", "target"], [row])


if __name__ == "__main__":
    main()
