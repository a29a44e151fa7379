"""Points of a write as columns, checked before anything is written."""

from unittest.mock import patch

import numpy as np
import pytest

from qdrantlite.collection.shard.payload_text import payload_of, payload_text
from qdrantlite.collection.write import columns as columns_module
from qdrantlite.collection.write.columns import (
    Column,
    DenseColumn,
    MultiColumn,
    PointColumns,
    SparseColumn,
    merged_vector_writes,
    point_columns,
    presence_of,
    vector_columns,
)
from qdrantlite.errors import BadInput
from qdrantlite.query.operation import VectorsWrite
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.schema import CollectionConfig, SparseVectorParams, VectorParams
from qdrantlite.values.vector import DenseVector, Vector
from tests.collection.small import CONFIG, dense, multi, point, sparse

WITH: dict[str, Vector] = {"": dense(1, 2), "many": multi((1, 2), (3, 4)), "words": sparse(i1=1)}


def columns_of(*points: dict[str, Vector]) -> PointColumns:
    return point_columns(CONFIG, [point(number, vectors, at=number) for number, vectors in enumerate(points)])


def test_each_column_knows_whose_rows_it_has() -> None:
    columns = columns_of({"": dense(1, 2)}, {}, WITH, {"many": multi((5, 6))})
    dense_column, many, words = columns.vectors[""], columns.vectors["many"], columns.vectors["words"]
    assert isinstance(dense_column, DenseColumn)
    assert (dense_column.positions.tolist(), dense_column.rows.tolist()) == ([0, 2], [[1, 2], [1, 2]])
    assert isinstance(many, MultiColumn)
    assert (many.positions.tolist(), many.counts.tolist()) == ([2, 3], [2, 1])
    assert many.rows.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert isinstance(words, SparseColumn)
    assert words.positions.tolist() == [2]
    assert presence_of(columns.vectors, {"": 0, "many": 1, "words": 70}, 4) == [1, 0, 3 | 1 << 70, 2]


def test_all_having_a_vector_is_told_the_same_way() -> None:
    columns = columns_of(WITH, WITH)
    assert presence_of(columns.vectors, {"": 3, "many": 1, "words": 0}, 2) == [11, 11]
    assert presence_of({}, {}, 2) == [0, 0]


def test_taking_points_renumbers_their_rows() -> None:
    columns = columns_of({"": dense(0, 0)}, WITH, {}, {"many": multi((5, 6)), "": dense(3, 3)})
    taken = columns.take(np.array([1, 3]))
    assert (taken.ids, taken.payloads, taken.texts) == ([1, 3], [{"at": 1}, {"at": 3}], [b'{"at":1}', b'{"at":3}'])
    dense_column, many, words = taken.vectors[""], taken.vectors["many"], taken.vectors["words"]
    assert isinstance(dense_column, DenseColumn)
    assert (dense_column.positions.tolist(), dense_column.rows.tolist()) == ([0, 1], [[1, 2], [3, 3]])
    assert isinstance(many, MultiColumn)
    assert (many.positions.tolist(), many.counts.tolist()) == ([0, 1], [2, 1])
    assert many.rows.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert words.positions.tolist() == [0]
    nobody = columns.take(np.array([2]))
    assert all(len(column.positions) == 0 for column in nobody.vectors.values())
    placed = MultiColumn(many.positions, many.counts, many.rows[:0], np.array([10, 12]))
    last = placed.take(np.array([1]), 2)
    assert last.starts is not None
    assert (last.positions.tolist(), last.counts.tolist(), last.starts.tolist()) == ([0], [1], [12])


def test_rows_are_stored_as_the_vector_wants_them() -> None:
    config = CollectionConfig(
        vectors={
            "unit": VectorParams(2, Distance.COSINE),
            "bytes": VectorParams(2, Distance.DOT, datatype=Datatype.UINT8),
            "half": VectorParams(2, Distance.DOT, datatype=Datatype.FLOAT16, multivector=True),
        }
    )
    columns = vector_columns(config, [{"unit": dense(3, 4), "bytes": dense(1.9, 300), "half": dense(0.1, 1)}])
    unit, small, half = columns["unit"], columns["bytes"], columns["half"]
    assert isinstance(unit, DenseColumn)
    assert unit.rows.tolist() == [pytest.approx([0.6, 0.8])]
    assert isinstance(small, DenseColumn)
    assert (str(small.rows.dtype), small.rows.tolist()) == ("uint8", [[1, 255]])
    assert isinstance(half, MultiColumn)
    assert (str(half.rows.dtype), half.counts.tolist()) == ("float16", [1])


@pytest.mark.parametrize(
    "vectors",
    [{"nobody": dense(1, 2)}, {"": dense(1)}, {"": multi((1, 2))}, {"": sparse(i1=1)}, {"words": dense(1, 2)}],
)
def test_what_does_not_fit_is_refused(vectors: dict[str, Vector]) -> None:
    with pytest.raises(BadInput):
        columns_of(WITH, vectors)


def test_later_vectors_of_an_id_are_laid_over_earlier_ones() -> None:
    writes = [VectorsWrite(1, {"": dense(1, 1), "words": sparse(i1=1)}), VectorsWrite(2, {})]
    merged = merged_vector_writes([*writes, VectorsWrite(1, {"": dense(2, 2)})])
    assert {key: sorted(named) for key, named in merged.items()} == {1: ["", "words"], 2: []}
    laid = merged[1][""]
    assert isinstance(laid, DenseVector)
    assert laid.values.tolist() == [2, 2]


def test_payloads_keep_integers_and_floats_apart() -> None:
    payload = point(1, {}, a=1, b=1.0, c=[None, {"d": "é"}], e=2**63 - 1, f=-(2**63)).payload
    again = payload_of(payload_text(payload))
    assert repr(again) == repr(dict(payload))
    assert payload_text({}) is None
    assert payload_of(None) == {}


def test_no_points_make_no_columns() -> None:
    assert point_columns(CollectionConfig(sparse_vectors={"w": SparseVectorParams()}), []).vectors == {}


ODD: list[dict[str, Vector]] = [
    {},
    {"": dense(5, 6)},
    {"": dense(5, 6), "words": sparse(i1=1)},
    {"words": sparse(i2=1)},
    {"many": multi((1, 2))},
]


@pytest.mark.parametrize("among", [{"": dense(1, 2)}, {"words": sparse(i1=2)}, {"many": dense(1, 2)}, WITH, {}])
@pytest.mark.parametrize("odd", ODD)
def test_points_that_bring_the_same_have_the_columns_that_they_have_taken_one_by_one(
    among: dict[str, Vector], odd: dict[str, Vector]
) -> None:
    points = [among, among, odd, among]
    at_once = vector_columns(CONFIG, points)
    with patch.object(columns_module, "_alike", return_value=None):
        one_by_one = vector_columns(CONFIG, points)
    assert at_once.keys() == one_by_one.keys()
    for name, column in at_once.items():
        assert type(column) is type(one_by_one[name])
        assert column.positions.tolist() == one_by_one[name].positions.tolist()
        assert _numbers(column) == _numbers(one_by_one[name])


def _numbers(column: Column) -> object:
    if isinstance(column, SparseColumn):
        return [(vector.indices.tolist(), vector.weights.tolist()) for vector in column.vectors]
    return column.rows.tolist()


@pytest.mark.parametrize("wrong", [dense(1), sparse(i1=1), multi((1, 2))])
def test_one_vector_among_many_that_does_not_fit_is_refused(wrong: Vector) -> None:
    with pytest.raises(BadInput):
        vector_columns(CONFIG, [{"": dense(1, 2)}, {"": wrong}, {"": dense(1, 2)}])
