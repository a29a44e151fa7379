"""Ids by offset: what points are called, for ties and short pages, without asking the store."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from qdrantlite.segment.by_offset import ByOffset, OffsetSegment
from qdrantlite.segment.payload_index.parts import Part, Parts, array_of
from qdrantlite.values.point_ids import PointIds, UuidHalves

IdIndex: TypeAlias = ByOffset[PointIds]
IdSegment: TypeAlias = OffsetSegment[PointIds]


class IdForm:
    """See ``by_offset.Form``. Eight bytes an id, more where there are UUIDs."""

    def joined(self, parts: Sequence[PointIds], /) -> PointIds:
        """See ``by_offset.Form``."""
        return PointIds.joined(parts) if parts else PointIds(np.empty(0, dtype=np.uint64))

    def dump(self, values: PointIds, /) -> list[Part]:
        """See ``by_offset.Form``."""
        wide = values.wide
        parts: list[Part] = [("low", values.low)]
        return parts if wide is None else [*parts, ("upper", wide.upper), ("uuids", wide.are_uuids.view(np.uint8))]

    def load(self, parts: Parts, /) -> PointIds:
        """See ``by_offset.Form``."""
        wide = None
        if "upper" in parts:
            uuids = array_of(parts, "uuids").astype(np.uint8, copy=False).view(np.bool_)
            wide = UuidHalves(array_of(parts, "upper").astype(np.uint64, copy=False), uuids)
        return PointIds(array_of(parts, "low").astype(np.uint64, copy=False), wide)


NO_IDS: IdIndex = ByOffset(IdForm())
