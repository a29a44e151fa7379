"""Facets of random payloads under random filters, before and after points change, against the reference engine."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import grpc
import pytest
import qdrant_edge as edge
from qdrant_client import QdrantClient, models

from qdrantlite.values.payload import Json
from tests.congruence import in_edge_words as words
from tests.congruence.test_filters import POINTS, Random
from tests.congruence.twin import Twin

KINDS = models.PayloadSchemaType


class RandomUuids(Random):
    """Often a UUID where there would be something else."""

    def value(self, depth: int = 0) -> Json:
        return self.choice(UUIDS) if self.random() < 0.4 else super().value(depth)


UUIDS = (f"{UUID(int=1)}", f"{UUID(int=2**127)}".upper(), UUID(int=2**127).hex, f"urn:uuid:{UUID(int=3)}")


def facets(twin: Twin, key: str, limit: int, given: models.Filter | None) -> tuple[list[Any], list[Any]]:
    """Values and counts on our side and on theirs, where values that no point holds any more still have a count."""
    ours = twin.ours.facet(twin.name, key, facet_filter=given, limit=limit, exact=True).hits
    theirs = twin.theirs.facet(edge.FacetRequest(key, limit=limit, exact=True, filter=words.group(given))).hits
    return [(hit.value, hit.count) for hit in ours], [(hit.value, hit.count) for hit in theirs if hit.count]


@pytest.mark.parametrize("kind", [KINDS.KEYWORD, KINDS.INTEGER, KINDS.BOOL, KINDS.UUID])
def test_facets_count_alike(make_twin: Callable[..., Twin], kind: models.PayloadSchemaType) -> None:
    chance = (RandomUuids if kind is KINDS.UUID else Random)(kind.value)
    twin = make_twin(dense=models.VectorParams(size=1, distance=models.Distance.DOT))
    for key in ("a", "b", "c[]", "a.b"):
        twin.index(key, kind)
    for ids in (range(POINTS), range(0, POINTS, 3)):
        payloads = [{key: chance.value() for key in "abc"} for _ in ids]
        twin.upsert(
            [models.PointStruct(id=i, vector=[1.0], payload=each) for i, each in zip(ids, payloads, strict=True)]
        )
        twin.delete([chance.randrange(0, POINTS, 7)])
        twin.set_payload([i for i in range(POINTS) if i % 7 == 1], {"a": chance.value()})
        for _ in range(60):
            key, limit = chance.choice(["a", "b", "c[]", "a.b"]), chance.choice([1, 2, 3, 100])
            given = chance.choice([None, chance.filter()])
            ours, theirs = facets(twin, key, limit, given)
            assert ours == theirs, (key, limit, given)


def test_facet_needs_a_fitting_index(client: QdrantClient) -> None:
    client.create_collection("facets", vectors_config={})
    client.create_payload_index("facets", "f", KINDS.FLOAT)
    ranged = models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, lookup=False, range=True)
    client.create_payload_index("facets", "n", ranged)
    for key in ("none", "f", "n"):
        with pytest.raises(grpc.RpcError, match=f"No appropriate index for faceting: `{key}`"):
            client.facet("facets", key)
    client.delete_collection("facets")
