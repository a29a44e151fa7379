"""A listed shard whose vectors and values are read through the real segment classes; ids stay a list."""

import numpy as np
from numpy.typing import NDArray

from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.multivector import MultiVectorView
from qdrantlite.segment.payload_index.index import PayloadIndex, make_index
from qdrantlite.segment.payload_index.ordered import OrderedValues
from qdrantlite.segment.payload_index.text_scores import TextScores
from qdrantlite.segment.sparse import SparseIndex, SparseView
from qdrantlite.segment.vector_index.row_encoding import Rows, prepare_rows
from qdrantlite.values.distance import Datatype
from qdrantlite.values.payload import elements_at, parse_path
from qdrantlite.values.schema import FieldIndex, FieldKind
from qdrantlite.values.vector import SparseVector
from tests.execute.listed_shard import ListedShard
from tests.oracle_scores import rows_of
from tests.segment.bounds import bounds_of
from tests.strategies import TEXT_INDEX

GARBAGE = 77
"""What rows hold that belong to no point; would win every search."""


class StoredShard(ListedShard):
    """Rows at their offsets, garbage in the holes."""

    def dense(self, name: str) -> DenseView:
        """Over an array."""
        params = self.config.vectors[name]
        datatype = params.datatype or Datatype.FLOAT32
        having = self.present(name)
        rows = np.full((max(self.points, default=-1) + 1, params.size), GARBAGE, dtype=datatype.dtype)
        for offset in having.offsets().tolist():
            given = rows_of(self.points[offset].vectors[name])
            rows[offset] = prepare_rows(given, params.distance, datatype)[0]
        return DenseView(_as_rows(rows), params.distance, datatype, having, (), lambda _: None)

    def multi(self, name: str) -> MultiVectorView:
        """Over an array, points in descending order of offset."""
        params = self.config.vectors[name]
        datatype = params.datatype or Datatype.FLOAT32
        having = self.present(name)
        starts = np.zeros(max(self.points, default=-1) + 1, dtype=np.uint64)
        counts = np.zeros(len(starts), dtype=np.uint32)
        pieces: list[NDArray[np.generic]] = [np.empty((0, params.size), dtype=datatype.dtype)]
        for offset in reversed(having.offsets().tolist()):
            rows = prepare_rows(rows_of(self.points[offset].vectors[name]), params.distance, datatype)
            starts[offset], counts[offset] = sum(map(len, pieces)), len(rows)
            pieces.append(rows)
        stored = _as_rows(np.concatenate(pieces))
        return MultiVectorView(stored, bounds_of(starts, counts), params.distance, datatype, having, lambda _: None)

    def sparse(self, name: str) -> SparseView:
        """Over an index."""
        index = SparseIndex()
        for offset, point in self.points.items():
            vector = point.vectors.get(name)
            if isinstance(vector, SparseVector):
                index = index.with_points(np.array([offset], dtype=np.uint32), [vector])
        return index.view()

    def ordered(self, key: str) -> OrderedValues:
        """Over an integer index."""
        return self._indexed(key, FieldIndex(FieldKind.INTEGER)).ordered()

    def texts(self, key: str) -> TextScores:
        """Over a text index."""
        return self._indexed(key, TEXT_INDEX).texts()

    def _indexed(self, key: str, schema: FieldIndex) -> PayloadIndex:
        index = make_index(schema)
        for offset, point in self.points.items():
            index = index.with_points(
                np.array([offset], dtype=np.uint32), [elements_at(point.payload, parse_path(key))]
            )
        return index


def _as_rows(array: NDArray[np.generic]) -> Rows:
    """The array under the type of stored rows."""
    assert array.dtype in (np.float32, np.float16, np.uint8)
    rows: Rows = np.ascontiguousarray(array, dtype=array.dtype)
    return rows
