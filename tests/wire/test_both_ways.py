"""The same request over HTTP and over gRPC has the same answer, or the same refusal."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from qdrantlite.testing import Server
from qdrantlite.values.distance import Distance
from qdrantlite.values.schema import CollectionConfig, SparseVectorParams, VectorParams
from tests import strategies
from tests.oracle_filter import Point
from tests.wire.in_client_words import filter_model, id_model, request_model, vector_model

CONFIG = CollectionConfig(
    vectors={
        "": VectorParams(strategies.DIMENSION, Distance.DOT),
        "dense": VectorParams(strategies.DIMENSION, Distance.EUCLID),
        "multi": VectorParams(strategies.DIMENSION, Distance.DOT, multivector=True),
    },
    sparse_vectors={"sparse": SparseVectorParams()},
)


def _dense(distance: models.Distance, **more: Any) -> models.VectorParams:
    return models.VectorParams(size=strategies.DIMENSION, distance=distance, **more)


# Every example makes a collection: a failing one is told as it was drawn.
RUNS = settings(
    max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.reuse, Phase.generate]
)


class BothWays:
    """One server, two clients, one collection ``c``."""

    def __init__(self, server: Server) -> None:
        self.rest = QdrantClient(**server.rest_options)
        self.grpc = QdrantClient(**server.client_options)

    def make_collection(self, points: list[Point]) -> None:
        """Afresh, with points written through the two clients in turns."""
        self.rest.delete_collection("c")
        comparator = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
        self.rest.create_collection(
            "c",
            vectors_config={
                "": _dense(models.Distance.DOT),
                "dense": _dense(models.Distance.EUCLID),
                "multi": _dense(models.Distance.DOT, multivector_config=comparator),
            },
            sparse_vectors_config={"sparse": models.SparseVectorParams()},
        )
        self.rest.create_payload_index("c", strategies.NUMBER_KEY, models.PayloadSchemaType.INTEGER)
        ranked = models.TextIndexParams(
            type=models.TextIndexType.TEXT, scoring=models.TextScoringParams(type=models.TextScoringType.BM25)
        )
        self.rest.create_payload_index("c", strategies.TEXT_KEY, ranked)
        for number, point in enumerate(points):
            vectors = {name: vector_model(vector) for name, vector in point.vectors.items()}
            struct = models.PointStruct(id=id_model(point.id), vector=vectors, payload=point.payload)
            (self.rest, self.grpc)[number % 2].upsert("c", [struct])

    def same(self, ask: Callable[[QdrantClient], Any]) -> None:
        """Asserts that both clients get the same."""
        assert _outcome(ask, self.rest) == _outcome(ask, self.grpc)

    def close(self) -> None:
        self.rest.close()
        self.grpc.close()


def _outcome(ask: Callable[[QdrantClient], Any], client: QdrantClient) -> Any:
    """The answer, or the reason of a refusal without the words that tell the transport."""
    try:
        return ask(client)
    except UnexpectedResponse as error:
        text = str(error.structured()["status"]["error"])
    except grpc.RpcError as error:
        text = str(error.details())
    return text.replace("in JSON body", "in body").replace("Format error in body: ", "").partition(" at `")[0]


def _search(request: models.QueryRequest, client: QdrantClient) -> Any:
    return [_told(hit) for hit in client.query_batch_points("c", [request])[0].points]


def _told(point: models.ScoredPoint | models.Record) -> models.ScoredPoint | models.Record:
    """gRPC has no way to tell an empty payload from none; JSON has as few digits of a score as float32 needs."""
    told: dict[str, Any] = {"payload": point.payload or {}, "vector": point.vector or {}}
    if isinstance(point, models.ScoredPoint):
        told["score"] = np.float32(point.score)
    return point.model_copy(update=told)


def _page(narrowed: models.Filter | None, client: QdrantClient) -> Any:
    records, following = client.scroll("c", narrowed, with_vectors=True)
    return [_told(record) for record in records], following, client.count("c", narrowed)


@pytest.fixture(scope="module")
def both() -> Iterator[BothWays]:
    with Server() as server:
        clients = BothWays(server)
        yield clients
        clients.close()


@RUNS
@given(data=st.data())
def test_random_searches_are_answered_alike(both: BothWays, data: st.DataObject) -> None:
    points = data.draw(strategies.points(CONFIG, max_size=8))
    both.make_collection(points)
    for search in data.draw(st.lists(strategies.searches(CONFIG, points), min_size=1, max_size=6)):
        both.same(partial(_search, request_model(search)))


@RUNS
@given(data=st.data())
def test_random_filters_are_answered_alike(both: BothWays, data: st.DataObject) -> None:
    points = data.draw(strategies.points(CONFIG, max_size=8))
    both.make_collection(points)
    for tree in data.draw(st.lists(strategies.filters(), min_size=1, max_size=6)):
        both.same(partial(_page, filter_model(tree)))
