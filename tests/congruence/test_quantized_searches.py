"""Quantized vectors searched as a user asks, here and in the engine: which scores are exact, and how much is found.

Estimates themselves are each side's own: the codes are different ones.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qdrant_edge as edge
from qdrant_client import QdrantClient, models

from qdrantlite.plan import estimate

ROWS, DIM, QUERIES, LIMIT = 1500, 64, 20, 10
SLACK = 0.1
"""Of recall, by which the engine may find more: its codes fit some rows better than ours."""

ENCODING, QUERY = models.BinaryQuantizationEncoding, models.BinaryQuantizationQueryEncoding
KINDS: dict[str, Any] = {
    "plain": None,
    "scalar": models.ScalarQuantization(scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8)),
    "scalar 0.99": models.ScalarQuantization(
        scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
    ),
    **{
        f"product {each.value}": models.ProductQuantization(product=models.ProductQuantizationConfig(compression=each))
        for each in models.CompressionRatio
    },
    **{
        f"binary {encoding.value} {query.value}": models.BinaryQuantization(
            binary=models.BinaryQuantizationConfig(encoding=encoding, query_encoding=query)
        )
        for encoding in ENCODING
        for query in QUERY
    },
    **{
        f"turbo {bits.value}": models.TurboQuantization(turbo=models.TurboQuantQuantizationConfig(bits=bits))
        for bits in models.TurboQuantBitSize
    },
}
QUICK = ("plain", "scalar", "product x16", "binary one_bit default", "turbo bits4")
ASKED: dict[str, models.QuantizationSearchParams | None] = {
    "nothing": None,
    "rescore": models.QuantizationSearchParams(rescore=True),
    "rescore oversampled": models.QuantizationSearchParams(rescore=True, oversampling=4.0),
    "oversampled": models.QuantizationSearchParams(oversampling=4.0),
    "estimate": models.QuantizationSearchParams(rescore=False),
    "estimate oversampled": models.QuantizationSearchParams(rescore=False, oversampling=4.0),
    "ignore": models.QuantizationSearchParams(ignore=True),
}


def in_edge_words(given: Any) -> Any:
    """Quantization settings for the engine."""
    match given:
        case None:
            return None
        case models.ScalarQuantization(scalar=asked):
            return edge.ScalarQuantizationConfig(edge.ScalarType.Int8, asked.quantile)
        case models.ProductQuantization(product=asked):
            return edge.ProductQuantizationConfig(getattr(edge.CompressionRatio, asked.compression.name))
        case models.BinaryQuantization(binary=asked):
            encodings = {
                ENCODING.ONE_BIT: edge.BinaryQuantizationEncoding.OneBit,
                ENCODING.TWO_BITS: edge.BinaryQuantizationEncoding.TwoBits,
                ENCODING.ONE_AND_HALF_BITS: edge.BinaryQuantizationEncoding.OneAndHalfBits,
            }
            queries = {
                QUERY.DEFAULT: edge.BinaryQuantizationQueryEncoding.Default,
                QUERY.BINARY: edge.BinaryQuantizationQueryEncoding.Binary,
                QUERY.SCALAR4BITS: edge.BinaryQuantizationQueryEncoding.Scalar4Bits,
                QUERY.SCALAR8BITS: edge.BinaryQuantizationQueryEncoding.Scalar8Bits,
            }
            return edge.BinaryQuantizationConfig(
                encoding=encodings[asked.encoding or ENCODING.ONE_BIT],
                query_encoding=queries[asked.query_encoding or QUERY.DEFAULT],
            )
        case _:
            bits = given.turbo.bits.value.capitalize()
            return edge.TurboQuantQuantizationConfig(bits=getattr(edge.TurboQuantBitSize, bits))


class Pair:
    """The same rows under every quantization on both sides; ``recall`` and ``exact`` of ours and theirs."""

    def __init__(self, client: QdrantClient, folder: Path, name: str, kinds: dict[str, Any]) -> None:
        self.name = name
        chance = np.random.default_rng(11)
        near = chance.normal(size=(ROWS + QUERIES, DIM // 4)) @ chance.normal(size=(DIM // 4, DIM))
        rows = (near + 0.3 * chance.normal(size=near.shape)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        self.rows, self.queries = rows[:ROWS], rows[ROWS:]
        self.ours = client
        client.create_collection(
            name,
            vectors_config={
                kind: models.VectorParams(size=DIM, distance=models.Distance.COSINE, quantization_config=given)
                for kind, given in kinds.items()
            },
            hnsw_config=models.HnswConfigDiff(full_scan_threshold=10),
            optimizers_config=models.OptimizersConfigDiff(indexing_threshold=100),
        )
        self.theirs = edge.EdgeShard.create(
            str(folder),
            edge.EdgeConfig(
                vectors={
                    kind: edge.EdgeVectorParams(DIM, edge.Distance.Cosine, quantization_config=in_edge_words(given))
                    for kind, given in kinds.items()
                },
                optimizers=edge.EdgeOptimizersConfig(indexing_threshold=1),
            ),
        )
        for at in range(0, ROWS, 500):
            points = [(at + i, dict.fromkeys(kinds, row.tolist())) for i, row in enumerate(self.rows[at : at + 500])]
            client.upsert(name, [models.PointStruct(id=i, vector=given) for i, given in points], wait=True)
            self.theirs.update(edge.UpdateOperation.upsert_points([edge.Point(i, given, {}) for i, given in points]))
        self.theirs.optimize()
        deadline = time.monotonic() + 60
        while client.get_collection(name).indexed_vectors_count != ROWS * len(kinds):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        while client.get_collection(name).status is not models.CollectionStatus.GREEN:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def ask_ours(self, kind: str, query: list[float], asked: models.QuantizationSearchParams | None) -> list[Any]:
        """Hits."""
        params = models.SearchParams(hnsw_ef=100, quantization=asked)
        return self.ours.query_points(self.name, query, using=kind, limit=LIMIT, search_params=params).points

    def ask_theirs(self, name: str, query: list[float], asked: models.QuantizationSearchParams | None) -> list[Any]:
        """Hits."""
        given = asked and edge.QuantizationSearchParams(bool(asked.ignore), asked.rescore, asked.oversampling)
        params = edge.SearchParams(hnsw_ef=100, quantization=given or None)
        return self.theirs.query(
            edge.QueryRequest(limit=LIMIT, query=edge.Query.Nearest(query, using=name), params=params)
        )

    def judged(self, name: str, asked: models.QuantizationSearchParams | None) -> list[tuple[float, float]]:
        """Recall and share of exact scores: ours, then theirs."""
        judged = []
        for ask in (self.ask_ours, self.ask_theirs):
            hits = exact = 0
            for query in self.queries:
                found = ask(name, query.tolist(), asked)
                scores = self.rows @ query
                hits += len({int(hit.id) for hit in found} & set(np.argsort(-scores)[:LIMIT].tolist()))
                exact += sum(bool(abs(hit.score - scores[int(hit.id)]) < 1e-5) for hit in found)
            judged.append((hits / (LIMIT * QUERIES), exact / (LIMIT * QUERIES)))
        return judged


@pytest.fixture(scope="module")
def pair_of(client: QdrantClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Pair]]:
    """The pair that has a kind, built when first asked for; nothing writes to it."""
    pairs: dict[bool, Pair] = {}

    def pair_of(kind: str) -> Pair:
        is_quick = kind in QUICK
        if is_quick not in pairs:
            kinds = {name: given for name, given in KINDS.items() if (name in QUICK) is is_quick}
            pairs[is_quick] = Pair(client, tmp_path_factory.mktemp("edge"), f"quantized {is_quick}", kinds)
        return pairs[is_quick]

    yield pair_of
    for pair in pairs.values():
        client.delete_collection(pair.name)
        pair.theirs.close()


@pytest.fixture(autouse=True)
def graphs_are_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although comparing so few rows is cheaper, and exact."""
    monkeypatch.setattr(estimate, "graph_cost", lambda *_: 0.0)


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in QUICK else pytest.mark.slow) for kind in KINDS]
)
def test_scores_are_exact_where_the_engines_are_and_as_much_is_found(
    pair_of: Callable[[str], Pair], kind: str, asked: str
) -> None:
    ours, theirs = pair_of(kind).judged(kind, ASKED[asked])
    assert (ours[1] > 0.9) == (theirs[1] > 0.9), (ours, theirs)
    assert ours[0] >= theirs[0] - SLACK, (ours, theirs)
