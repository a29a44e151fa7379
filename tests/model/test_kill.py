"""A server that is killed at any moment loses nothing it acknowledged and shows nothing half-applied.

Several writers work on points of their own through the official client and keep a model of what was acknowledged. The
server is killed with SIGKILL, started again on the same folder, and every point is compared: each writer's points
must be as the model has them, with the one request that was in flight applied either whole or not at all.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import grpc
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException

from tests.server_process import ServerProcess

WRITERS = 4
IDS_PER_WRITER = 40
DIM = 8

Content = tuple[tuple[float, ...], dict[str, object]]
State = dict[int, Content]


@dataclass
class Writer:
    """One client with points of its own; ``acknowledged`` is certain, ``in_flight`` what the last request would make
    of it.
    """

    number: int
    random: random.Random
    acknowledged: State = field(default_factory=dict)
    in_flight: State | None = None
    writes: int = 0

    def run(self, client: QdrantClient, stop: Event) -> None:
        """Writes until told to stop or the server is gone."""
        while not stop.is_set():
            after = dict(self.acknowledged)
            write = self._choose(after)
            self.in_flight = after
            try:
                write(client)
            except (grpc.RpcError, ResponseHandlingException):
                return
            self.acknowledged, self.in_flight = after, None
            self.writes += 1

    def _choose(self, after: State) -> Callable[[QdrantClient], object]:
        ids = self.random.sample(range(IDS_PER_WRITER), self.random.randint(1, 12))
        ids = [self.number * 1000 + each for each in ids]
        known = [each for each in ids if each in after]
        kind = self.random.choice(["upsert", "upsert", "delete", "payload", "vectors"])
        if kind == "delete" and known:
            for each in known:
                del after[each]
            return lambda client: client.delete("points", models.PointIdsList(points=[*known]), wait=True)
        if kind == "payload" and known:
            change = {"stamp": self.random.random()}
            for each in known:
                after[each] = (after[each][0], {**after[each][1], **change})
            return lambda client: client.set_payload("points", change, points=[*known], wait=True)
        if kind == "vectors" and known:
            vectors = {each: self._vector() for each in known}
            for each in known:
                after[each] = (vectors[each], after[each][1])
            changed = [models.PointVectors(id=each, vector=list(vectors[each])) for each in known]
            return lambda client: client.update_vectors("points", changed, wait=True)
        for each in ids:
            after[each] = (self._vector(), {"writer": self.number, "value": self.random.randint(0, 9)})
        points = [models.PointStruct(id=each, vector=list(after[each][0]), payload=after[each][1]) for each in ids]
        return lambda client: client.upsert("points", points, wait=True)

    def _vector(self) -> tuple[float, ...]:
        return tuple(float(self.random.randint(-8, 8)) for _ in range(DIM))


@pytest.mark.parametrize("rounds", [4, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
@pytest.mark.timeout(300)
def test_killed_server_keeps_every_acknowledged_write(tmp_path: Path, rounds: int) -> None:
    writers = [Writer(number, random.Random(number)) for number in range(WRITERS)]
    moments = random.Random(7)
    for round_number in range(rounds + 1):
        server = ServerProcess(tmp_path)
        try:
            client = server.client()
            if round_number == 0:
                client.create_collection(
                    "points", vectors_config=models.VectorParams(size=DIM, distance=models.Distance.EUCLID)
                )
                client.create_payload_index("points", "value", models.PayloadSchemaType.INTEGER)
            verify(client, writers)
            if round_number < rounds:
                write_until_killed(server, writers, seconds=moments.uniform(0.01, 0.25))
        finally:
            server.kill()
    assert sum(writer.writes for writer in writers) > rounds  # Else there was nothing to lose.


def write_until_killed(server: ServerProcess, writers: list[Writer], *, seconds: float) -> None:
    stop = Event()
    clients = [server.client() for _ in writers]
    threads = [Thread(target=writer.run, args=(client, stop)) for writer, client in zip(writers, clients, strict=True)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    server.kill()
    stop.set()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()


def verify(client: QdrantClient, writers: list[Writer]) -> None:
    """Every writer's points are those acknowledged, with the request in flight applied whole or not at all."""
    records, _ = client.scroll("points", limit=10_000, with_vectors=True)
    found: State = {}
    for record in records:
        assert isinstance(record.id, int)
        assert isinstance(record.vector, list)
        components = [each for each in record.vector if isinstance(each, float)]
        found[record.id] = (tuple(components), record.payload or {})
    for writer in writers:
        mine = {each: content for each, content in found.items() if each // 1000 == writer.number}
        if writer.in_flight is not None and mine == writer.in_flight:
            writer.acknowledged = writer.in_flight
        assert mine == writer.acknowledged
        writer.in_flight = None
    for value in range(10):
        match = models.Filter(must=[models.FieldCondition(key="value", match=models.MatchValue(value=value))])
        expected = sum(content[1].get("value") == value for content in found.values())
        assert client.count("points", count_filter=match).count == expected
    for each, (vector, _) in list(found.items())[:3]:
        nearest = client.query_points("points", query=list(vector), limit=100).points
        assert any(hit.id == each and hit.score == 0 for hit in nearest)
