"""How given vectors become stored rows and queries."""

import numpy as np
import pytest

from qdrantlite.segment.vector_index.row_encoding import as_float32, prepare_query, prepare_rows
from qdrantlite.values.distance import Datatype, Distance


@pytest.mark.parametrize("datatype", [Datatype.FLOAT32, Datatype.FLOAT16])
def test_cosine_normalises_float_rows(datatype: Datatype) -> None:
    rows = prepare_rows([[3.0, 4.0], [0.0, 0.0], [-5.0, 12.0]], Distance.COSINE, datatype)
    assert rows.dtype == datatype.dtype
    np.testing.assert_allclose(
        np.asarray(rows, dtype=np.float32), [[0.6, 0.8], [0.0, 0.0], [-5 / 13, 12 / 13]], rtol=1e-3
    )


def test_cosine_keeps_nearly_normalised_and_tiny_rows_bit_for_bit() -> None:
    given = np.array([[0.6, 0.8000001], [1e-5, 1e-5]], dtype=np.float32)
    np.testing.assert_array_equal(prepare_rows(given, Distance.COSINE, Datatype.FLOAT32), given)


@pytest.mark.parametrize("distance", [Distance.DOT, Distance.EUCLID, Distance.MANHATTAN])
def test_other_distances_keep_float32_rows(distance: Distance) -> None:
    given = np.array([[3.0, -4.0]], dtype=np.float32)
    np.testing.assert_array_equal(prepare_rows(given, distance, Datatype.FLOAT32), given)


@pytest.mark.parametrize("distance", Distance)
def test_bytes_are_truncated_and_clamped(distance: Distance) -> None:
    given = [[1.9, -0.9, -7.0, 255.9, 256.0, 1e30, float("nan"), float("-inf"), float("inf"), 17.0]]
    rows = prepare_rows(given, distance, Datatype.UINT8)
    assert rows.dtype == np.uint8
    assert rows.tolist() == [[1, 0, 0, 255, 255, 255, 0, 0, 255, 17]]


def test_queries_are_rounded_like_rows() -> None:
    query = prepare_query([0.1, 70000.0], Distance.DOT, Datatype.FLOAT16)
    assert query.dtype == np.float32
    assert query.tolist() == [float(np.float16(0.1)), float("inf")]
    assert prepare_query([1.7, 300.0], Distance.DOT, Datatype.UINT8).tolist() == [1.0, 255.0]
    assert prepare_query([[3.0, 4.0]], Distance.COSINE, Datatype.FLOAT32).shape == (1, 2)


def test_every_half_is_decoded_exactly() -> None:
    halves = np.arange(65536, dtype=np.uint16).view(np.float16).reshape(256, 256)
    np.testing.assert_array_equal(as_float32(halves, Distance.DOT), halves.astype(np.float32))


def test_an_empty_batch_stays_empty() -> None:
    for datatype in Datatype:
        rows = prepare_rows(np.empty((0, 5), dtype=np.float32), Distance.COSINE, datatype)
        assert rows.shape == (0, 5)
        assert as_float32(rows, Distance.COSINE).shape == (0, 5)
