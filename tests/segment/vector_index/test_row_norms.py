"""Norms of bytes: those of the rows, whatever was asked before, while the rows become more."""

import numpy as np
import pytest

from qdrantlite.segment.vector_index import row_norms
from qdrantlite.segment.vector_index.row_encoding import Rows
from qdrantlite.segment.vector_index.row_norms import RowNorms, have_norms
from qdrantlite.values.distance import Distance
from qdrantlite.values.vector import F32


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_norms, "BLOCK_ROWS", 8)


def rows(count: int) -> Rows:
    """The same rows each time, the fourth of them zeros."""
    made = np.random.default_rng(3).integers(0, 256, (count, 5)).astype(np.uint8)
    made[3:4] = 0
    return made


def expected(stored: Rows) -> F32:
    found: F32 = np.maximum(np.linalg.norm(stored.astype(np.float64), axis=1), 1).astype(np.float32)
    return found


def test_norms_are_those_of_the_rows_as_these_become_more() -> None:
    norms, everything = RowNorms(), rows(40)
    for count, start, stop in [
        (5, 0, 5),
        (13, 2, 13),
        (13, 9, 11),
        (27, 0, 27),
        (27, 26, 27),
        (40, 7, 40),
        (40, 0, 40),
    ]:
        found = norms.of(everything[:count], start, stop)
        np.testing.assert_allclose(found, expected(everything[start:stop]), rtol=1e-6)


def test_norms_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []

    def counted(block: Rows) -> F32:
        found.append(len(block))
        return expected(block)

    monkeypatch.setattr(row_norms, "norms_of", counted)
    norms, everything = RowNorms(), rows(40)
    for count in (20, 20, 24, 40, 40):
        norms.of(everything[:count], 0, count)
    assert found == [8, 8, 4, 8, 8, 8]


def test_no_rows_have_no_norms() -> None:
    assert len(RowNorms().of(rows(0), 0, 0)) == 0


def test_only_products_of_bytes_are_divided() -> None:
    stored: tuple[Rows, ...] = (np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float16), np.zeros((1, 2), np.uint8))
    divided = {(str(one.dtype), distance) for one in stored for distance in Distance if have_norms(one, distance)}
    assert divided == {("uint8", Distance.COSINE)}
