"""A shard that is a list of points: the strict, slow twin of what the executor reads.

Offsets are neither dense nor in the order of ids, and ties come out by offset, so that a mix-up of the two shows.
Scores are the oracle's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from qdrantlite.deadline import FOREVER, Ask
from qdrantlite.plan.bound import OffsetSet
from qdrantlite.plan.statistics import VectorStatistics
from qdrantlite.query.check import VectorKind, vector_kind
from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.multivector import MultiVectorView
from qdrantlite.segment.payload_index.ordered import OrderedValues
from qdrantlite.segment.payload_index.text_scores import TextScores
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.sparse import SparseView
from qdrantlite.text.bm25 import Saturation
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.payload import Payload, elements_at, parse_path
from qdrantlite.values.point_id import PointId, id_order
from qdrantlite.values.point_ids import PointIds
from qdrantlite.values.schema import CollectionConfig
from qdrantlite.values.vector import F32, U32, SparseVector
from tests.oracle_filter import Point
from tests.oracle_scores import max_sim, rows_of, similarity, sparse_score, stored
from tests.oracle_text import weighted

Best = tuple[U32, F32]


@dataclass(frozen=True, slots=True, eq=False)
class ListedVector:
    """One dense or multi vector: for each offset its rows ``(n, dim)`` in stored form."""

    rows: dict[int, NDArray[np.float64]]
    distance: Distance
    datatype: Datatype

    @property
    def present(self) -> Selection:
        """Who has it."""
        return Selection.from_offsets(np.array(list(self.rows), dtype=np.uint32))

    def scan(self, queries: F32, *, limit: int, selection: Selection | None = None, ask: Ask = FOREVER.check) -> Best:
        """As ``DenseView.scan``."""
        chosen = self.present if selection is None else selection.intersection(self.present)
        return self.subset(queries, chosen.offsets(), limit=limit, ask=ask)

    def subset(self, queries: F32, offsets: U32, *, limit: int, ask: Ask = FOREVER.check) -> Best:
        """As ``DenseView.subset``."""
        scores = self.score(queries, offsets, ask=ask)
        return best(offsets, scores, limit, larger_is_better=self.distance.larger_is_better)

    def search(self, query: F32, *, selection: Selection, limit: int, ask: Ask = FOREVER.check) -> Best:
        """As ``MultiVectorView.search``."""
        return self.scan(query, limit=limit, selection=selection, ask=ask)

    def score(self, query: F32, offsets: U32, *, ask: Ask = FOREVER.check) -> F32:
        """As ``DenseView.score`` and ``MultiVectorView.score``."""
        ask()
        asked = self._asked(query)
        return np.array([max_sim(self.distance, asked, self.rows[o]) for o in offsets.tolist()], dtype=np.float32)

    def similarities(self, queries: F32, offsets: U32) -> F32:
        """As ``DenseView.similarities``."""
        found = [[similarity(self.distance, self._asked(q), self.rows[o]) for o in offsets.tolist()] for q in queries]
        return np.array(found, dtype=np.float32).reshape(len(queries), len(offsets))

    def similarity(self, query: F32, offsets: U32, *, ask: Ask = FOREVER.check) -> F32:
        """As ``MultiVectorView.similarity``."""
        ask()
        asked = self._asked(query)
        return np.array([similarity(self.distance, asked, self.rows[o]) for o in offsets.tolist()], dtype=np.float32)

    def toward(self, offsets: U32, target: int) -> F32:
        """As ``MultiVectorView.toward``."""
        found = [similarity(self.distance, self.rows[o], self.rows[target]) for o in offsets.tolist()]
        return np.array(found, dtype=np.float32)

    def vectors(self, offsets: U32) -> F32:
        """As ``DenseView.vectors``."""
        return np.array([self.rows[offset][0] for offset in offsets.tolist()], dtype=np.float32)

    def only(self, offsets: U32) -> "ListedVector":
        """As ``DenseView.only``."""
        rows = {place: self.rows[offset] for place, offset in enumerate(offsets.tolist())}
        return ListedVector(rows, self.distance, self.datatype)

    def has(self, offsets: U32) -> NDArray[np.bool_]:
        """As in both."""
        return self.present.contains(offsets)

    def _asked(self, query: F32) -> NDArray[np.float64]:
        rows = np.atleast_2d(query).astype(np.float64)
        unit = self.datatype is Datatype.UINT8 and self.distance is Distance.COSINE
        return stored(rows, self.distance, Datatype.FLOAT32) if unit else rows


@dataclass(frozen=True, slots=True, eq=False)
class ListedPostings:
    """One sparse vector."""

    vectors: dict[int, SparseVector]

    def search(self, query: SparseVector, *, selection: Selection, limit: int, ask: Ask = FOREVER.check) -> Best:
        """As ``SparseView.search``."""
        offsets = selection.offsets()
        scores, overlap = self.score(query, offsets, ask=ask)
        found = overlap & (scores != 0)
        return best(offsets[found], scores[found], limit, larger_is_better=True)

    def score(self, query: SparseVector, offsets: U32, *, ask: Ask = FOREVER.check) -> tuple[F32, NDArray[np.bool_]]:
        """As ``SparseView.score``."""
        ask()
        weights = dict(zip(query.indices.tolist(), query.weights.tolist(), strict=True))
        none = SparseVector(np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.float32))
        found = [sparse_score(weights, self.vectors.get(offset, none)) for offset in offsets.tolist()]
        scores = np.array([0.0 if score is None else score for score in found], dtype=np.float32)
        return scores, np.array([score is not None for score in found], dtype=np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class ListedTexts:
    """The texts of one payload field."""

    points: dict[int, Point]
    key: str

    def search(
        self, words: Sequence[str], rarities: F32, saturation: Saturation, *, selection: Selection, limit: int, ask: Ask
    ) -> Best:
        """As ``TextScores.search``."""
        ask()
        offsets = selection.offsets()
        weights = dict(zip(words, rarities, strict=True))
        among = [self.points[offset] for offset in offsets.tolist()]
        k, b, average = saturation.k, saturation.b, saturation.average
        found = weighted(weights, self.key, among, k=k, b=b, average=average)
        scores = np.array(list(found.values()), dtype=np.float32)
        return best(offsets[list(found)], scores, limit, larger_is_better=True)


@dataclass(frozen=True, slots=True, eq=False)
class ListedOrder:
    """Entries (value, offset) of one payload field."""

    entries: list[tuple[int, int]]

    def only(self, offsets: U32) -> NDArray[np.int64] | None:
        """As ``OrderedValues.only``."""
        fitting = [(value, owner) for value, owner in self.entries if -(2**63) <= value < 2**63]
        found = [[value for value, owner in fitting if owner == offset] for offset in offsets.tolist()]
        if any(len(values) != 1 for values in found):
            return None
        return np.array([values[0] for values in found], dtype=np.int64)

    def page(
        self, selection: Selection, *, ascending: bool, start_from: int | float | None, limit: int, ask: Ask
    ) -> tuple[U32, NDArray[np.int64]]:
        """As ``OrderedValues.page``; tied entries come by descending offset."""
        ask()
        sign = 1 if ascending else -1
        passing = [
            (value, offset)
            for value, offset in self.entries
            if selection.contains(np.array([offset], dtype=np.uint32))[0]
            and (start_from is None or sign * value >= sign * start_from)
        ]
        passing.sort(key=lambda entry: (sign * entry[0], -entry[1]))
        page = [entry for entry in passing if len(passing) <= limit or sign * entry[0] <= sign * passing[limit - 1][0]]
        offsets = np.array([offset for _, offset in page], dtype=np.uint32)
        return offsets, np.array([value for value, _ in page], dtype=np.int64)


def best(offsets: U32, scores: F32, limit: int, *, larger_is_better: bool) -> Best:
    """Best first, ties by offset."""
    order = np.lexsort((offsets, -scores if larger_is_better else scores))[:limit]
    return offsets[order], scores[order]


class ListedShard:
    """Implements ``ShardView`` and ``Statistics``."""

    def __init__(self, config: CollectionConfig, points: Sequence[Point], *, seed: int = 0) -> None:
        self.config = config
        self.random = np.random.default_rng(seed)
        offsets = self.random.permutation(2 * len(points) + 1)[: len(points)].tolist()
        self.points = dict(zip(offsets, points, strict=True))
        self.offsets = {point.id: offset for offset, point in self.points.items()}
        self.live = self.select(points)

    def select(self, points: Sequence[Point]) -> Selection:
        """The offsets of these points."""
        return Selection.from_offsets(np.array([self.offsets[point.id] for point in points], dtype=np.uint32))

    def kind(self, name: str) -> VectorKind:
        """As the configuration says."""
        return vector_kind(self.config, name)

    def present(self, name: str) -> Selection:
        """Counted out."""
        return self.select([point for point in self.points.values() if name in point.vectors])

    def sparse_vectors(self, name: str, offsets: U32) -> list[SparseVector]:
        """As given."""
        found = [self.points[offset].vectors[name] for offset in offsets.tolist()]
        return [vector for vector in found if isinstance(vector, SparseVector)]

    def dense(self, name: str) -> DenseView:
        """A listed vector in the place of stored rows."""
        return cast(DenseView, self._listed(name))

    def multi(self, name: str) -> MultiVectorView:
        """A listed vector in the place of stored rows."""
        return cast(MultiVectorView, self._listed(name))

    def sparse(self, name: str) -> SparseView:
        """Listed vectors in the place of postings."""
        found = {offset: point.vectors[name] for offset, point in self.points.items() if name in point.vectors}
        return cast(SparseView, ListedPostings({o: v for o, v in found.items() if isinstance(v, SparseVector)}))

    def texts(self, key: str) -> TextScores:
        """The words at ``key``."""
        return cast(TextScores, ListedTexts(self.points, key))

    def ordered(self, key: str) -> OrderedValues:
        """The integers at ``key``."""
        return cast(OrderedValues, ListedOrder(self._entries(key)))

    def ids(self, offsets: U32) -> PointIds:
        """Ids of live points."""
        return PointIds.of([self.points[offset].id for offset in offsets.tolist()])

    def payloads(self, offsets: U32) -> list[Payload]:
        """Payloads of live points."""
        return [dict(self.points[offset].payload) for offset in offsets.tolist()]

    def id_page(self, selection: OffsetSet | None, start: PointId | None, limit: int, ask: Ask) -> U32:
        """By id, ascending."""
        ask()
        chosen = self.live if selection is None else selection
        assert isinstance(chosen, Selection)
        offsets = sorted(chosen.offsets().tolist(), key=lambda offset: id_order(self.points[offset].id))
        passing = [o for o in offsets if start is None or id_order(self.points[o].id) >= id_order(start)]
        return np.array(passing[:limit], dtype=np.uint32)

    @property
    def live_points(self) -> int:
        """All of them."""
        return len(self.points)

    def vector(self, name: str) -> VectorStatistics:
        """Counted."""
        having = sum(name in point.vectors for point in self.points.values())
        params = self.config.vectors.get(name)
        return VectorStatistics(having, 2 * having, 0 if params is None else params.size)

    def ordered_entries(self, key: str) -> int:
        """Counted."""
        return len(self._entries(key))

    def _entries(self, key: str) -> list[tuple[int, int]]:
        return [
            (value, offset)
            for offset, point in self.points.items()
            for value in elements_at(point.payload, parse_path(key))
            if isinstance(value, int) and not isinstance(value, bool)
        ]

    def _listed(self, name: str) -> ListedVector:
        params = self.config.vectors[name]
        distance, datatype = params.distance, params.datatype or Datatype.FLOAT32
        having = {offset: point.vectors[name] for offset, point in self.points.items() if name in point.vectors}
        rows = {offset: stored(rows_of(vector), distance, datatype) for offset, vector in having.items()}
        return ListedVector(rows, distance, datatype)
