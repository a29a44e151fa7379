"""A server outlives its builds: whatever data and settings do to them, it answers exactly and says why."""

import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models

from qdrantlite.collection.upkeep import build_process
from qdrantlite.testing import Server
from tests.collection.upkeep.test_build_process import CRASH, children

NAME, COUNT, DIM = "points", 400, 16
THRESHOLD = models.OptimizersConfigDiff(indexing_threshold=1)
GREEN, RED = models.CollectionStatus.GREEN, models.CollectionStatus.RED


def rows() -> NDArray[np.float32]:
    return np.random.default_rng(8).normal(size=(COUNT, DIM)).astype(np.float32)


def fill(client: QdrantClient, given: NDArray[np.float32]) -> None:
    client.upsert(NAME, [models.PointStruct(id=at, vector=row.tolist()) for at, row in enumerate(given)], wait=True)


def wait_until(client: QdrantClient, status: models.CollectionStatus) -> models.CollectionInfo:
    deadline = time.monotonic() + 100
    while (info := client.get_collection(NAME)).status is not status:
        assert time.monotonic() < deadline, info
        time.sleep(0.05)
    return info


def assert_exact(client: QdrantClient, given: NDArray[np.float32], distance: models.Distance) -> None:
    for query in given[:3]:
        hits = client.query_points(NAME, query=query.tolist(), limit=10).points
        doubles = given.astype(np.float64)
        scores = doubles @ query if distance is models.Distance.DOT else -np.linalg.norm(doubles - query, axis=1)
        assert [hit.id for hit in hits] == np.argsort(-scores, kind="stable")[:10].tolist()


def huge(given: NDArray[np.float32]) -> NDArray[np.float32]:
    """One component is beyond what can be squared."""
    given = given.copy()
    given[COUNT // 2, 0] = 3e19
    return given


PRODUCT = models.ProductQuantization(product=models.ProductQuantizationConfig(compression=models.CompressionRatio.X4))
BITS = models.TurboQuantization(turbo=models.TurboQuantQuantizationConfig(bits=models.TurboQuantBitSize.BITS2))


@pytest.mark.parametrize("distance", [models.Distance.EUCLID, models.Distance.DOT])
@pytest.mark.parametrize("quantization", [PRODUCT, BITS], ids=["product", "bits"])
def test_one_link_and_huge_components_leave_a_server_green(
    tmp_path: Path, distance: models.Distance, quantization: models.ProductQuantization | models.TurboQuantization
) -> None:
    given = huge(rows())
    for start in range(2):
        with Server(tmp_path / "storage") as server, closing(QdrantClient(**server.client_options)) as client:
            if start == 0:
                client.create_collection(
                    NAME,
                    models.VectorParams(size=DIM, distance=distance),
                    hnsw_config=models.HnswConfigDiff(m=1, full_scan_threshold=10),
                    optimizers_config=THRESHOLD,
                    quantization_config=quantization,
                )
                fill(client, given)
            wait_until(client, GREEN)
            assert_exact(client, given, distance)


def test_a_build_that_crashes_leaves_the_server_answering_and_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, sound = rows(), build_process.COMMAND
    monkeypatch.setattr(build_process, "COMMAND", CRASH)
    with Server(tmp_path / "storage") as server, closing(QdrantClient(**server.client_options)) as client:
        client.create_collection(
            NAME, models.VectorParams(size=DIM, distance=models.Distance.DOT), optimizers_config=THRESHOLD
        )
        fill(client, given)
        error = wait_until(client, RED).optimizer_status
        assert "SIGABRT" in str(error)
        assert str(tmp_path) not in str(error)
        assert_exact(client, given, models.Distance.DOT)
    monkeypatch.setattr(build_process, "COMMAND", sound)
    with Server(tmp_path / "storage") as server, closing(QdrantClient(**server.client_options)) as client:
        assert "SIGABRT" in str(wait_until(client, RED).optimizer_status)
        assert_exact(client, given, models.Distance.DOT)
        assert not any("serve" in " ".join(each.cmdline()) for each in children())
        client.update_collection(NAME, hnsw_config=models.HnswConfigDiff(m=8))
        wait_until(client, GREEN)
        assert client.get_collection(NAME).indexed_vectors_count == COUNT
