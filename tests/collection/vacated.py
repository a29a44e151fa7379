"""Shards whose dead rows are given back in place, in blocks of few rows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.shard.slots import MultiSlot
from qdrantlite.collection.shard.vacating import vacate
from qdrantlite.storage import row_format
from qdrantlite.storage.vacant import Ranges, Vacant, ranges_of

BLOCK_ROWS = 8
"""Of two float32 components each."""


@contextmanager
def small_blocks(*, rows: int = BLOCK_ROWS) -> Iterator[None]:
    """Row files that are opened here have blocks of few rows of two components, of longer rows even fewer."""
    with patch.object(row_format, "BLOCK_BYTES_MAX", rows * 8):
        yield


def dead_of(shard: Shard) -> Vacant:
    """Everything that no point of the last commit has."""
    reader = shard.store.writer
    live = list(reader.live_offsets())
    rows: dict[int, Ranges] = {}
    for slot in shard.row_slots():
        if isinstance(slot, MultiSlot):
            owned = [
                np.arange(start, start + count)
                for each in reader.iter_ragged(slot.id)
                for start, count in zip(each.starts.tolist(), each.counts.tolist(), strict=True)
            ]
            rows[slot.id] = _unlisted(owned, reader.committed_rows(slot.id).rows)
    return Vacant(_unlisted(live, reader.state().offset_next), rows)


def vacate_dead(shard: Shard) -> int:
    """Gives back whatever nobody has."""
    return vacate(shard, dead_of(shard))


def _unlisted(listed: Sequence[NDArray[np.integer]], stop: int) -> Ranges:
    left = np.setdiff1d(np.arange(stop), np.concatenate([np.empty(0, np.int64), *listed]))
    return ranges_of(np.stack((left, left + 1), axis=1))
