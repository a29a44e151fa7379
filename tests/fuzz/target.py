"""The server that is fuzzed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from qdrant_client import QdrantClient, models

from qdrantlite.testing import Server

REVEALING = ("Traceback", "Error:", "/tmp", "sqlite", ".py", "NoneType", "object has no", "numpy", "np.")
"""No answer holds any of these."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where it listens."""

    grpc: str
    http: str


@contextmanager
def serving() -> Iterator[Target]:
    """A server with a collection of forty points, an empty one and an alias."""
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
        client.upsert("points", [_point(at) for at in range(40)])
        client.update_collection_aliases(
            [models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name="points", alias_name="alias"))]
        )
        client.close()
        yield Target(f"127.0.0.1:{server.grpc_port}", server.url)


def _point(at: int) -> models.PointStruct:
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
