"""Distance matrices against searches one by one, for vectors of all kinds; samples by chance alone."""

from pathlib import Path
from unittest.mock import PropertyMock, patch

import numpy as np
import pytest

from qdrantlite.collection.read.view import ReadView
from qdrantlite.database import Database
from qdrantlite.errors import BadInput
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.filter import FieldCondition, Filter, Range
from qdrantlite.values.distance import Distance
from qdrantlite.values.schema import CollectionConfig, SparseVectorParams, VectorParams
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector

NAMES = ("dot", "near", "multi", "words")
SMALL = Filter(must=(FieldCondition("n", Range(lt=12)),))


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Thirty points; of these every fifth has no sparse vector."""
    database = Database(tmp_path / "d")
    dense = {"dot": (Distance.DOT, False), "near": (Distance.EUCLID, False), "multi": (Distance.COSINE, True)}
    vectors = {name: VectorParams(size=3, distance=each, multivector=multi) for name, (each, multi) in dense.items()}
    database.create_collection("c", CollectionConfig(vectors=vectors, sparse_vectors={"words": SparseVectorParams()}))
    rng = np.random.default_rng(5)
    points = []
    for number in range(30):
        row = rng.normal(size=(2, 3)).astype(np.float32)
        given: dict[str, DenseVector | MultiVector | SparseVector] = {
            "dot": DenseVector(row[0]),
            "near": DenseVector(row[1]),
            "multi": MultiVector(row),
        }
        if number % 5:
            indices = np.sort(rng.choice(6, 3, replace=False)).astype(np.uint32)
            given["words"] = SparseVector(indices, rng.random(3).astype(np.float32))
        points.append(o.PointWrite(number, given, {"n": number}))
    database.write("c", (o.Upsert(tuple(points)),), wait=True)
    return database


@pytest.mark.parametrize("using", NAMES)
@pytest.mark.parametrize("filter", [None, SMALL])
def test_rows_are_the_searches_of_their_points(database: Database, using: str, filter: Filter | None) -> None:
    with database:
        matrix = database.matrix("c", s.Matrix(using, filter, sample=100, limit=4))
        wanted = [number for number in range(30 if filter is None else 12) if using != "words" or number % 5]
        assert list(matrix.ids) == wanted
        for row, point_id in enumerate(wanted):
            stage = s.Prefetch(query=s.Nearest(point_id), using=using, filter=filter, limit=4)
            hits = database.search("c", s.Search(stage))
            at = matrix.rows == row
            assert [matrix.ids[place] for place in matrix.columns[at].tolist()] == [hit.record.id for hit in hits]
            assert matrix.scores[at].tolist() == pytest.approx([hit.score for hit in hits], abs=1e-6)


def test_sample_is_drawn_from_the_source_of_chance(database: Database) -> None:
    with database:

        def drawn(seed: int) -> list[object]:
            chance = PropertyMock(side_effect=lambda: np.random.default_rng(seed))
            with patch.object(ReadView, "random", new_callable=lambda: chance):
                return list(database.matrix("c", s.Matrix("dot", sample=5)).ids)

        assert drawn(1) == drawn(1)
        assert len(set(drawn(1))) == 5
        assert any(drawn(1) != drawn(seed) for seed in range(2, 6))


def test_fewer_than_two_points_have_no_matrix(database: Database) -> None:
    with database:
        lonely = Filter(must=(FieldCondition("n", Range(lt=1)),))
        assert list(database.matrix("c", s.Matrix("dot", lonely)).ids) == []
        with pytest.raises(BadInput, match="Not existing vector name error: nothing"):
            database.matrix("c", s.Matrix("nothing"))
