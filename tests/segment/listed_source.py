"""A filter source over a list of records: the twin of a shard in tests of filters."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from pyroaring import AbstractBitMap, BitMap

from qdrantlite.query.filter import Filter
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.column import Column
from qdrantlite.segment.filter_bitmap import bind_filter
from qdrantlite.segment.payload_index.index import PayloadIndex, make_index
from qdrantlite.values.payload import Payload, elements_at, parse_path
from qdrantlite.values.point_id import PointId
from qdrantlite.values.record import Record
from qdrantlite.values.schema import FieldIndex, FieldKind


class ListedSource:
    """Record i lies at offset i; indexes are filled in ``batch`` records at a time; dead ones stay in them."""

    def __init__(
        self,
        records: Sequence[Record],
        kinds: Mapping[str, FieldKind],
        *,
        dead: frozenset[int] = frozenset(),
        batch: int = 3,
        columns: Iterable[str] = (),
    ) -> None:
        self.records = records
        self.live: AbstractBitMap = BitMap(set(range(len(records))) - dead)
        self.indexes: dict[str, PayloadIndex] = {key: make_index(FieldIndex(kind)) for key, kind in kinds.items()}
        for key, index in self.indexes.items():
            for start in range(0, len(records), batch):
                chunk = records[start : start + batch]
                offsets = np.arange(start, start + len(chunk), dtype=np.uint32)
                index = index.with_points(
                    offsets, [elements_at(record.payload or {}, parse_path(key)) for record in chunk]
                )
            self.indexes[key] = index

        self.columns: dict[str, Column] = {}
        for key in columns:
            column = Column(key)
            for start in range(0, len(records), batch):
                chunk = records[start : start + batch]
                offsets = np.arange(start, start + len(chunk), dtype=np.uint32)
                column = column.with_points(offsets, [record.payload or {} for record in chunk])
            self.columns[key] = column

    def index(self, key: str) -> PayloadIndex | None:
        return self.indexes.get(key)

    def column(self, key: str) -> Column | None:
        return self.columns.get(key)

    def offsets_of(self, ids: Sequence[PointId]) -> Offsets:
        return np.array([i for i, record in enumerate(self.records) if record.id in ids], dtype=np.uint32)

    def ask(self) -> None:
        """Has all the time."""

    def presence(self, vector_name: str) -> AbstractBitMap:
        return BitMap(i for i, record in enumerate(self.records) if vector_name in (record.vectors or {}))

    def payloads(self, offsets: Offsets) -> list[Payload]:
        return [dict(self.records[offset].payload or {}) for offset in offsets.tolist()]

    def ids(self, offsets: Offsets) -> list[PointId]:
        return [self.records[offset].id for offset in offsets.tolist()]

    def passing(self, one: Filter) -> list[int]:
        """Offsets that pass, through binding and settling."""
        binding = bind_filter(one, self)
        found: list[int] = binding.settle(self).offsets().tolist()
        assert binding.cardinality.low <= len(found) <= binding.cardinality.high
        return found
