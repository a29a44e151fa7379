"""NaN and infinities never reach an answer, wherever they come from: JSON has no word for them, and readers break."""

import json
from collections.abc import Iterator
from itertools import product
from math import inf, nan
from typing import Any, NoReturn

import httpx
import pytest
from qdrant_client import QdrantClient, models

from qdrantlite.testing import Server

ODD = (nan, inf, -inf, 3e38, 0.0, 1.0)
HUGE = [1e39, -1e39]
"""Infinities, once they are float32."""
DENSE = tuple(distance.value for distance in models.Distance)
NAMES = (*DENSE, "rows", "sparse")
EXAMPLES = {"positive": [5, 7], "negative": [8], "target": 5, "context": [{"positive": 7, "negative": 8}]}
SCORE_KINDS: dict[str, Any] = {
    "id": 7,
    "recommend": {"recommend": {"positive": [5, 7], "negative": [8], "strategy": "best_score"}},
    "sums": {"recommend": {"positive": [5, 7], "strategy": "sum_scores"}},
    "discover": {"discover": {"target": 5, "context": EXAMPLES["context"]}},
    "context": {"context": EXAMPLES["context"]},
    "mmr": {"nearest": 7, "mmr": {"diversity": 0.5}},
}


@pytest.fixture(scope="module")
def odd(server: Server) -> Iterator[httpx.Client]:
    """A client of a collection in which vectors and payloads hold what is no finite number."""
    rpc = QdrantClient(**server.client_options)
    rows = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    dense = {name: models.VectorParams(size=2, distance=models.Distance(name)) for name in DENSE}
    dense["rows"] = models.VectorParams(size=2, distance=models.Distance.DOT, multivector_config=rows)
    rpc.create_collection("odd", vectors_config=dense, sparse_vectors_config={"sparse": models.SparseVectorParams()})
    points = []
    for number, pair in enumerate(product(ODD, repeat=2)):
        vector: dict[str, Any] = {name: list(pair) for name in DENSE}
        vector |= {"rows": [list(pair)] * 2, "sparse": models.SparseVector(indices=[1, 2], values=list(pair))}
        payload = {"n": 1.7e308 * (number % 3 - 1), "group": number % 3}
        points.append(models.PointStruct(id=number, vector=vector, payload=payload))
    rpc.upsert("odd", points)
    rpc.create_payload_index("odd", "n", models.PayloadSchemaType.FLOAT)
    with httpx.Client(base_url=f"{server.url}/collections/odd/points", timeout=30) as client:
        yield client
    rpc.delete_collection("odd")
    rpc.close()


def strictly(response: httpx.Response) -> Any:
    """The result, from a body that is JSON by the letter."""

    def refuse(word: str) -> NoReturn:
        raise AssertionError(f"{word} is no JSON: {response.text}")

    body = json.loads(response.text, parse_constant=refuse)
    assert response.status_code == 200, body
    return body["result"]


def test_stored_vectors_hold_null_instead(odd: httpx.Client) -> None:
    page = strictly(odd.post("/scroll", json={"limit": 100, "with_vector": True}))["points"]
    assert len(page) == len(ODD) ** 2
    vectors = page[0]["vector"]
    assert vectors["Dot"] == vectors["sparse"]["values"] == [None, None]
    assert vectors["rows"] == [[None, None]] * 2
    assert strictly(odd.post("", json={"ids": [0], "with_vector": True}))[0]["vector"] == vectors
    assert strictly(odd.get("/0"))["vector"] == vectors


@pytest.mark.parametrize("written", ["NaN", "-Infinity", "1e999", '[{"a": -1e999}]'])
def test_payloads_hold_none_because_none_gets_in(odd: httpx.Client, written: str) -> None:
    content = f'{{"payload": {{"n": {written}}}, "points": [0]}}'
    refused = odd.post("/payload?wait=true", content=content, headers={"content-type": "application/json"})
    assert refused.status_code == 400, refused.text
    ordered = strictly(odd.post("/scroll", json={"order_by": "n", "limit": 100}))["points"]
    assert {point["payload"]["n"] for point in ordered} == {point["order_value"] for point in ordered}
    assert {point["order_value"] for point in ordered} == {-1.7e308, 0.0, 1.7e308}


@pytest.mark.parametrize("using", NAMES)
@pytest.mark.parametrize("kind", [*SCORE_KINDS, "huge"])
def test_scores_are_numbers_or_null(odd: httpx.Client, using: str, kind: str) -> None:
    huge: Any = {"indices": [1, 2], "values": HUGE} if using == "sparse" else [HUGE] if using == "rows" else HUGE
    asked = {"query": SCORE_KINDS.get(kind, huge), "using": using, "limit": 50, "with_vector": True}
    strictly(odd.post("/query", json=asked))
    strictly(odd.post("/query/batch", json={"searches": [asked, asked]}))
    strictly(odd.post("/query/groups", json={**asked, "group_by": "group"}))


@pytest.mark.parametrize("using", DENSE)
def test_matrices_hold_numbers_or_null(odd: httpx.Client, using: str) -> None:
    for form in ("pairs", "offsets"):
        strictly(odd.post(f"/search/matrix/{form}", json={"sample": 36, "limit": 35, "using": using}))


@pytest.mark.parametrize("fusion", ["rrf", "dbsf"])
def test_fused_scores_are_numbers_or_null(odd: httpx.Client, fusion: str) -> None:
    prefetch = [{"query": HUGE, "using": name, "limit": 40} for name in DENSE]
    strictly(odd.post("/query", json={"prefetch": prefetch, "query": {"fusion": fusion}, "limit": 50}))
