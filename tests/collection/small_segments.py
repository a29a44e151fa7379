"""Few points as if they were many: segments are merged, kept in files of their own and written anew from the start."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from qdrantlite.collection.read import filter_source
from qdrantlite.collection.shard import checkpoint, indexing
from qdrantlite.collection.upkeep import merging
from qdrantlite.collection.upkeep.merging import merge_segments
from qdrantlite.database import Database
from qdrantlite.segment import merge_policy, runs
from qdrantlite.segment.payload_index import words
from tests.collection.small import NAME


@contextmanager
def small_segments() -> Iterator[None]:
    """Two points wait for an index at most, commits merge no more than two entries, the manifest holds segments of two,
    merges write a segment of thirty to its file and take their entries and words a few at a time, and filters that read
    payloads are settled by sifting.
    """
    with (
        patch.object(indexing, "WAITING_OFFSETS_MAX", 2),
        patch.multiple(merge_policy, TINY_MAX=2),
        patch.object(checkpoint, "INLINE_ENTRIES_MAX", 2),
        patch.object(merging, "FILED_ENTRIES_MIN", 30),
        patch.object(runs, "SORTED_AT_ONCE", 8),
        patch.object(words, "MERGED_AT_ONCE", 2),
        patch.object(filter_source, "SIFTED_MIN", 1),
    ):
        yield


def merge(database: Database) -> None:
    """All that is due, now."""
    database._on(NAME, lambda collection: merge_segments(collection.shard))
