"""Records of points returned lately, so that the page of a search that finds them again need not ask SQLite.

An offset's id never changes, its version and payload do only in place; so what is kept stays true until a commit
changes a point in place, and then ``Shard`` begins anew. A reader whose state is older than that keeps what it took.
"""

from itertools import islice
from threading import Lock

import numpy as np

from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.storage.store_reader import Records, StoreReader
from qdrantlite.values.point_id import PointId

POINTS_MAX = 16_384
PAYLOAD_BYTES_MAX = 4 << 20
PAGE_POINTS_MAX = 128
"""Larger pages pass by: they would push out what short ones share."""


class RecentRecords:
    """Thread-safe; the oldest are forgotten first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._heads: dict[int, tuple[PointId, int]] = {}
        self._payloads: dict[int, bytes | None] = {}
        self._payload_bytes = 0

    def read(self, reader: StoreReader, offsets: Offsets, *, with_payload: bool) -> Records:
        """As ``StoreReader.records``: of the reader's commit, in the order given."""
        keys: list[int] = offsets.tolist()
        try:
            heads = [self._heads[key] for key in keys]
            payloads = [self._payloads[key] if with_payload else None for key in keys]
        except KeyError:
            records = reader.records(offsets, with_payload=with_payload)
            if len(keys) <= PAGE_POINTS_MAX:
                self._keep(keys, records, with_payload=with_payload)
            return records
        return Records([head[0] for head in heads], np.array([head[1] for head in heads], np.int64), payloads)

    def _keep(self, keys: list[int], records: Records, *, with_payload: bool) -> None:
        with self._lock:
            self._heads.update(zip(keys, zip(records.ids, records.versions.tolist(), strict=True), strict=True))
            _forget(self._heads, len(self._heads) - POINTS_MAX)
            if not with_payload:
                return
            for key, payload in zip(keys, records.payloads, strict=True):
                if key not in self._payloads:
                    self._payloads[key] = payload
                    self._payload_bytes += _size(payload)
            while self._payload_bytes > PAYLOAD_BYTES_MAX or len(self._payloads) > POINTS_MAX:
                self._payload_bytes -= _size(self._payloads.pop(next(iter(self._payloads))))


def _forget(heads: dict[int, tuple[PointId, int]], count: int) -> None:
    for key in list(islice(heads, max(count, 0))):
        del heads[key]


def _size(payload: bytes | None) -> int:
    return 0 if payload is None else len(payload)
