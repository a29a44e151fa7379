"""Points of a write turned into columns: ids, payload texts, and one matrix per dense vector.

All checks against the collection's settings happen here, before anything is written. Pure: knows no store and no
files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qdrantlite.collection.shard.payload_text import payload_text
from qdrantlite.query.check import fit_vector, require_dimension
from qdrantlite.query.operation import PointWrite, VectorsWrite
from qdrantlite.segment.vector_index.exact import prepare_rows
from qdrantlite.text.inference import embed_stored
from qdrantlite.values.distance import Datatype
from qdrantlite.values.payload import Payload
from qdrantlite.values.point_id import PointId
from qdrantlite.values.schema import CollectionConfig, VectorParams
from qdrantlite.values.vector import F32, DenseVector, MultiVector, NamedVectors, SparseVector, Vector

Positions = NDArray[np.int64]
StoredRows = NDArray[np.generic]

STACKED_AT_ONCE: Final = 4096


@dataclass(frozen=True, slots=True, eq=False)
class DenseColumn:
    """Rows ``(k, dim)`` of the stored dtype, for the points at ``positions`` ``(k,) int64`` ascending."""

    positions: Positions
    rows: StoredRows

    def take(self, index: Positions, size: int) -> "DenseColumn":
        """The rows of the points at ``index``, renumbered from 0."""
        kept, positions = _renumbered(self.positions, index, size)
        return DenseColumn(positions, self.rows[kept])


@dataclass(frozen=True, slots=True, eq=False)
class MultiColumn:
    """Rows of several per point: point ``positions[i]`` owns the next ``counts[i]`` of ``rows``.

    ``starts`` is set when the rows are in the vector's file already and ``rows`` is empty.
    """

    positions: Positions
    counts: NDArray[np.int64]
    rows: StoredRows
    starts: NDArray[np.int64] | None = None

    def take(self, index: Positions, size: int) -> "MultiColumn":
        """The rows of the points at ``index``, renumbered from 0."""
        kept, positions = _renumbered(self.positions, index, size)
        if self.starts is not None:
            return replace(self, positions=positions, counts=self.counts[kept], starts=self.starts[kept])
        ends = np.cumsum(self.counts)
        picked = [np.arange(ends[i] - self.counts[i], ends[i]) for i in kept]
        rows = self.rows[np.concatenate(picked)] if picked else self.rows[:0]
        return MultiColumn(positions, self.counts[kept], rows)


@dataclass(frozen=True, slots=True, eq=False)
class SparseColumn:
    """Sparse vectors of the points at ``positions``."""

    positions: Positions
    vectors: Sequence[SparseVector]

    def take(self, index: Positions, size: int) -> "SparseColumn":
        """The vectors of the points at ``index``, renumbered from 0."""
        kept, positions = _renumbered(self.positions, index, size)
        return SparseColumn(positions, [self.vectors[i] for i in kept])


Column = DenseColumn | MultiColumn | SparseColumn


def laid_over(old: Column | None, new: Column | None) -> Column | None:
    """Both columns as one; their positions do not overlap."""
    if old is None or new is None:
        return old or new
    positions = np.concatenate([old.positions, new.positions])
    order = np.argsort(positions)
    if isinstance(old, DenseColumn) and isinstance(new, DenseColumn):
        return DenseColumn(positions[order], np.concatenate([old.rows, new.rows])[order])
    if isinstance(old, SparseColumn) and isinstance(new, SparseColumn):
        vectors = [*old.vectors, *new.vectors]
        return SparseColumn(positions[order], [vectors[i] for i in order.tolist()])
    assert isinstance(old, MultiColumn)
    assert isinstance(new, MultiColumn)
    assert old.starts is not None
    assert new.starts is not None
    counts, starts = np.concatenate([old.counts, new.counts]), np.concatenate([old.starts, new.starts])
    return MultiColumn(positions[order], counts[order], new.rows, starts[order])


@dataclass(frozen=True, slots=True, eq=False)
class PointColumns:
    """Points of distinct ids. ``texts`` are payloads as JSON, None where empty; ``vectors`` holds columns by name."""

    ids: Sequence[PointId]
    payloads: Sequence[Payload]
    texts: Sequence[bytes | None]
    vectors: Mapping[str, Column] = field(default_factory=dict)

    def take(self, index: Positions) -> "PointColumns":
        """The points at ``index``, in that order."""
        picked = index.tolist()
        return PointColumns(
            ids=[self.ids[i] for i in picked],
            payloads=[self.payloads[i] for i in picked],
            texts=[self.texts[i] for i in picked],
            vectors={name: column.take(index, len(self.ids)) for name, column in self.vectors.items()},
        )


def _renumbered(positions: Positions, index: Positions, size: int) -> tuple[Positions, Positions]:
    """Rows of a column whose points are picked, in picked order, and those points' new numbers."""
    row_of = np.full(size, -1, dtype=np.int64)
    row_of[positions] = np.arange(len(positions))
    rows = row_of[index]
    return rows[rows >= 0], np.flatnonzero(rows >= 0)


def point_columns(config: CollectionConfig, points: Sequence[PointWrite]) -> PointColumns:
    """Columns of whole points; of a repeated id the last occurrence counts. Raises BadInput."""
    last = {point.id: point for point in points}
    kept = list(last.values())
    payloads = [dict(point.payload) for point in kept]
    return PointColumns(
        ids=list(last),
        payloads=payloads,
        texts=[payload_text(payload) for payload in payloads],
        vectors=vector_columns(config, [point.vectors for point in kept]),
    )


def check_dimensions(config: CollectionConfig, points: Sequence[PointWrite | VectorsWrite]) -> None:
    """Raises BadInput for a vector of another dimension than its slot's, and for no other misfit."""
    for point in points:
        for name, source in point.vectors.items():
            params = config.vectors.get(name)
            if params is not None and isinstance(source, DenseVector | MultiVector):
                require_dimension(params, source)


def merged_vector_writes(points: Sequence[VectorsWrite]) -> dict[PointId, NamedVectors]:
    """Vectors by id; of a repeated id later vectors are laid over earlier ones."""
    merged: dict[PointId, NamedVectors] = {}
    for point in points:
        merged[point.id] = {**merged.get(point.id, {}), **point.vectors}
    return merged


def vector_columns(config: CollectionConfig, points: Sequence[NamedVectors]) -> dict[str, Column]:
    """One column per vector name that any point brings. Raises BadInput before any column is built."""
    alike = _alike(config, points)
    if alike is not None:
        everybody = np.arange(len(points))
        return {name: _column(config.vectors.get(name), everybody, vectors) for name, vectors in alike.items()}
    gathered: dict[str, tuple[list[int], list[Vector]]] = {}
    for position, named in enumerate(points):
        for name, source in named.items():
            vector = fit_vector(config, name, embed_stored(source))
            positions, vectors = gathered.setdefault(name, ([], []))
            positions.append(position)
            vectors.append(vector)
    return {
        name: _column(config.vectors.get(name), np.array(positions, dtype=np.int64), vectors)
        for name, (positions, vectors) in gathered.items()
    }


def _alike(config: CollectionConfig, points: Sequence[NamedVectors]) -> dict[str, Sequence[Vector]] | None:
    """The vectors by name, if all points, at least one, bring the same names in the same order, and each vector fits as
    it is: the usual case.
    """
    orders = set(map(tuple, points))
    if len(orders) != 1:
        return None
    found: dict[str, Sequence[Vector]] = {}
    for name in orders.pop():
        sources, params = [named[name] for named in points], config.vectors.get(name)
        if params is not None:
            rows = [source for source in sources if isinstance(source, DenseVector)]
            fit = not params.multivector and {len(row.values) for row in rows} == {params.size}
            found[name] = rows if fit else ()
        else:
            found[name] = [source for source in sources if isinstance(source, SparseVector)]
            if name not in config.sparse_vectors:
                return None
        if len(found[name]) < len(points):
            return None
    return found


def _column(params: VectorParams | None, positions: Positions, vectors: Sequence[Vector]) -> Column:
    if params is None:
        return SparseColumn(positions, [vector for vector in vectors if isinstance(vector, SparseVector)])
    datatype = params.datatype or Datatype.FLOAT32
    if params.multivector:
        multis = [vector.rows for vector in vectors if isinstance(vector, MultiVector)]
        counts = np.array([len(rows) for rows in multis], dtype=np.int64)
        return MultiColumn(positions, counts, prepare_rows(np.concatenate(multis), params.distance, datatype))
    rows = [vector.values for vector in vectors if isinstance(vector, DenseVector)]
    return DenseColumn(positions, prepare_rows(_stacked(rows), params.distance, datatype))


def _stacked(rows: Sequence[F32]) -> F32:
    """``(n, dim) float32``, some rows at a time: no other thread runs while NumPy looks at a list of arrays."""
    if len(rows) <= STACKED_AT_ONCE:
        return np.concatenate(rows, dtype=np.float32).reshape(len(rows), -1)
    table = np.empty((len(rows), len(rows[0])), np.float32)
    for start in range(0, len(rows), STACKED_AT_ONCE):
        some = rows[start : start + STACKED_AT_ONCE]
        np.concatenate(some, out=table[start : start + len(some)].reshape(-1))
    return table


def presence_of(vectors: Mapping[str, Column], vector_ids: Mapping[str, int], count: int) -> list[int]:
    """Per point, an integer whose bit ``v`` tells that it has the vector of id ``v``."""
    masks: list[int] = [0] * count
    full = 0
    for name, column in vectors.items():
        bit = 1 << vector_ids[name]
        if len(column.positions) == count:
            full |= bit
            continue
        for position in column.positions.tolist():
            masks[position] |= bit
    return [mask | full for mask in masks] if full else masks
