"""A frozen view of one shard: what every stage of a search sees, from binding to the final page.

Pairs an immutable ``ShardState`` with a read transaction of the point store that began under the same publish lock,
so ids, payloads and vectors belong to the same commit as bitmaps and rows. Hold a view for one request; close it. One
thread at a time.
"""

from collections.abc import Sequence
from types import TracebackType

import numpy as np

from qdrantlite.collection.read.id_pages import id_page
from qdrantlite.collection.shard.payload_text import payload_of
from qdrantlite.collection.shard.shard import Shard, ShardState
from qdrantlite.collection.shard.slots import sparse_vectors
from qdrantlite.collection.shard.thresholds import full_scan_points, threshold_rows
from qdrantlite.deadline import FOREVER, Ask
from qdrantlite.plan.bound import OffsetSet
from qdrantlite.plan.statistics import VectorStatistics
from qdrantlite.query.check import VectorKind, vector_kind
from qdrantlite.query.search import VectorsSelector
from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.multivector import MultiVectorView
from qdrantlite.segment.payload_index.facet import FacetValues
from qdrantlite.segment.payload_index.ordered import OrderedValues
from qdrantlite.segment.payload_index.text_scores import TextScores
from qdrantlite.segment.runs import ranges
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.sparse import SparseView
from qdrantlite.storage.point_store import StoreView
from qdrantlite.storage.store_reader import MISSING, Records
from qdrantlite.values.payload import Payload
from qdrantlite.values.point_id import PointId
from qdrantlite.values.point_ids import PointIds
from qdrantlite.values.vector import U32, DenseVector, MultiVector, SparseVector, Vector


class ReadView:
    """Implements ``execute.view.ShardView`` and ``plan.statistics.Statistics``."""

    def __init__(self, state: ShardState, reader: StoreView) -> None:
        self.state = state
        self.reader = reader

    def close(self) -> None:
        """Gives the read transaction back."""
        self.reader.close()

    def __enter__(self) -> "ReadView":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what the executor asks

    @property
    def random(self) -> "np.random.Generator":
        """A generator of its own for each sample."""
        return np.random.default_rng()

    @property
    def live(self) -> Selection:
        """All points."""
        return self.state.live

    def kind(self, name: str) -> VectorKind:
        """What the slot holds."""
        return vector_kind(self.state.config, name)

    def present(self, name: str) -> Selection:
        """Points that have the vector."""
        return self.state.present[name]

    def dense(self, name: str) -> DenseView:
        """Rows of a dense vector."""
        return self.state.dense[name]

    def sparse(self, name: str) -> SparseView:
        """Postings of a sparse vector."""
        return self.state.sparse[name].view()

    def sparse_vectors(self, name: str, offsets: U32) -> Sequence[SparseVector]:
        """From the store."""
        return sparse_vectors(self.reader.sparse(self.reader.vector_ids()[name], offsets))

    def multi(self, name: str) -> MultiVectorView:
        """Rows of a multivector."""
        return self.state.multi[name]

    def texts(self, key: str) -> TextScores:
        """The texts of a field to be ranked, of which there is a fitting index."""
        return self.state.fields[key].texts()

    def ordered(self, key: str) -> OrderedValues:
        """The values of a field in order, of which there is a fitting index."""
        return self.state.fields[key].ordered()

    def ids(self, offsets: U32) -> PointIds:
        """Ids of live points, in the order given."""
        return self.state.ids.get().at(offsets)

    def id_page(self, selection: OffsetSet | None, start: PointId | None, limit: int, ask: Ask = FOREVER.check) -> U32:
        """The first points by id; ``ask`` is called between blocks of work."""
        assert selection is None or isinstance(selection, Selection)
        return id_page(self.reader, self.live_points, selection, start, limit, ask)

    # -- what the planner asks

    @property
    def live_points(self) -> int:
        """Number of points."""
        return len(self.state.live)

    def vector(self, name: str) -> VectorStatistics:
        """Facts about a vector."""
        known = self.state.statistics.get(name)
        if known is None:
            known = self.state.statistics[name] = self._vector(name)
        return known

    def _vector(self, name: str) -> VectorStatistics:
        points = len(self.state.present[name])
        match self.kind(name):
            case "dense":
                view = self.state.dense[name]
                rows = view.rows
                sealed = view.rows_sealed
                beam = max((segment.params.ef_construct for segment in view.sealed), default=0)
                full_scan = full_scan_points(self.state.config, name) if sealed else 0
                row_bytes = rows.shape[1] * rows.dtype.itemsize
                large = threshold_rows(self.state.config, row_bytes)
                return VectorStatistics(
                    points, view.rows_held, rows.shape[1], rows.dtype.itemsize, sealed, beam, full_scan, large
                )
            case "multi":
                multi = self.state.multi[name]
                held = len(multi.rows) - multi.rows_vacant
                return VectorStatistics(points, held, multi.rows.shape[1], multi.rows.dtype.itemsize)
            case "sparse":
                return VectorStatistics(points, self.state.sparse[name].stack.size, 0)

    def ordered_entries(self, key: str) -> int:
        """Entries of an ordered index."""
        return self.state.fields[key].stack.size

    # -- what the final page needs

    def facet(self, key: str) -> FacetValues:
        """The values of a field to be counted, of which there is a fitting index."""
        return self.state.fields[key].facet()

    def offset_of(self, point_id: PointId) -> int | None:
        """Offset of one point."""
        found = int(self.reader.offsets_of([point_id])[0])
        return None if found == MISSING else found

    def records(self, offsets: U32, *, with_payload: bool) -> Records:
        """Ids, versions and payload texts."""
        records = self.state.record_cache.find(offsets, with_payload=with_payload)
        if records is None:
            records = self.reader.records(offsets, with_payload=with_payload)
            self.state.record_cache.keep(offsets, records, with_payload=with_payload)
        return records

    def payloads(self, offsets: U32) -> list[Payload]:
        """Payloads in the order given."""
        return [payload_of(text) for text in self.reader.payloads(offsets)]

    def vectors(self, offsets: U32, selector: VectorsSelector) -> list[dict[str, Vector]]:
        """The vectors asked for of each point, as stored."""
        names = selector.names if selector.names is not None else tuple(self.state.present)
        found: list[dict[str, Vector]] = [{} for _ in range(len(offsets))]
        for name in names:
            positions = np.flatnonzero(self.state.present[name].contains(offsets)) if len(offsets) else offsets
            for position, vector in zip(positions.tolist(), self._stored(name, offsets[positions]), strict=True):
                found[position][name] = vector
        return found

    def _stored(self, name: str, offsets: U32) -> Sequence[Vector]:
        if len(offsets) == 0:
            return []
        match self.kind(name):
            case "dense":
                view = self.state.dense[name]
                view.verify(offsets)
                return [DenseVector(row) for row in view.rows[offsets].astype(np.float32)]
            case "multi":
                multi = self.state.multi[name]
                owned = multi.bounds.at(offsets)
                multi.verify(ranges(owned.starts, owned.counts))
                spans = [slice(s, s + c) for s, c in zip(owned.starts.tolist(), owned.counts.tolist(), strict=True)]
                return [MultiVector(multi.rows[span].astype(np.float32)) for span in spans]
            case "sparse":
                return self.sparse_vectors(name, offsets)


def open_view(shard: Shard) -> ReadView:
    """A frozen view of the last commit; the caller closes it. Raises NotFound once the shard is closed, ShardRetired,
    ShardBehind.
    """
    with shard.publish_lock:
        shard.require_open()
        return ReadView(shard.state, shard.store.open_view())
