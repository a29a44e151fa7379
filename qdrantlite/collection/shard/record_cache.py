"""Records of points returned lately, so that the page of a search that finds them again need not ask SQLite.

An offset's id never changes, its version and payload do only in place; so what is kept stays true until a commit
changes a point in place, and then ``Shard`` begins anew. A reader whose state is older than that keeps what it took.
"""

from collections import OrderedDict
from threading import Lock

from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.storage.store_reader import Records
from qdrantlite.values.point_id import PointId

POINTS_MAX = 16_384
PAYLOAD_BYTES_MAX = 4 << 20
PAGE_POINTS_MAX = 128
"""Larger pages pass by: they would push out what short ones share."""


class RecordCache:
    """Thread-safe; the oldest are forgotten first."""

    def __init__(self) -> None:
        self._lock = Lock()
        # A dict emptied from the front is searched for its first entry past all that are gone; an OrderedDict is not.
        self._heads: OrderedDict[int, tuple[PointId, int]] = OrderedDict()
        self._payloads: OrderedDict[int, bytes | None] = OrderedDict()
        self._payload_bytes = 0

    def find(self, offsets: Offsets, *, with_payload: bool) -> Records | None:
        """As ``StoreReader.records``, in the order given; None unless all are kept."""
        keys: list[int] = offsets.tolist()
        try:
            heads = [self._heads[key] for key in keys]
            payloads: list[bytes | None] = [None] * len(keys)
            if with_payload:
                payloads = [self._payloads[key] for key in keys]
        except KeyError:
            return None
        return Records([head[0] for head in heads], [head[1] for head in heads], payloads)

    def keep(self, offsets: Offsets, records: Records, *, with_payload: bool) -> None:
        """Remembers records of the commit from which on these are kept, or a later one."""
        if len(offsets) > PAGE_POINTS_MAX:
            return
        keys: list[int] = offsets.tolist()
        with self._lock:
            self._heads.update(zip(keys, zip(records.ids, records.versions, strict=True), strict=True))
            while len(self._heads) > POINTS_MAX:
                self._heads.popitem(last=False)
            if not with_payload:
                return
            for key, payload in zip(keys, records.payloads, strict=True):
                if key not in self._payloads:
                    self._payloads[key] = payload
                    self._payload_bytes += _size(payload)
            while self._payload_bytes > PAYLOAD_BYTES_MAX or len(self._payloads) > POINTS_MAX:
                self._payload_bytes -= _size(self._payloads.popitem(last=False)[1])


def _size(payload: bytes | None) -> int:
    return 0 if payload is None else len(payload)
