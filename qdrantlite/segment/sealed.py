"""A sealed segment: an immutable graph over a contiguous range of offsets of one dense vector.

Dead points stay in the graph until it is built anew; a walk steps on them and the selection keeps them out of the
answer.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index import hnsw
from qdrantlite.segment.vector_index.hnsw import Graph, Progress
from qdrantlite.segment.vector_index.row_encoding import Rows
from qdrantlite.values.distance import Distance
from qdrantlite.values.vector import F32


@dataclass(frozen=True, slots=True)
class GraphParams:
    """What a graph is built with: links per node and candidates for each."""

    m: int
    ef_construct: int


@dataclass(frozen=True, slots=True, eq=False)
class SealedSegment:
    """Offsets ``first <= offset < stop`` behind a graph built with ``params``."""

    graph: Graph
    params: GraphParams
    linked: int
    """Points that the graph can find, those that have died since included."""

    @property
    def first(self) -> int:
        """The first offset covered."""
        return self.graph.first

    @property
    def stop(self) -> int:
        """One past the last offset covered."""
        return self.graph.first + self.graph.count

    def walk(self, queries: F32, *, limit: int, ef: int, passing: Selection | None) -> tuple[Offsets, F32]:
        """Best of ``passing`` (None = everything covered) along the graph, ``(q, k)`` padded; see ``Graph.search``."""
        selector = None if passing is None else passing.mask(self.first, self.stop)
        return self.graph.search(queries, limit=limit, ef=ef, selector=selector)

    def over(self, rows: Rows) -> "SealedSegment":
        """The same graph reading a newer mapping of the same rows."""
        return SealedSegment(hnsw.over(self.graph, rows), self.params, self.linked)

    def save(self, path: Path) -> None:
        """Writes links (and codes, if it has its own) to a file; see ``hnsw.save``."""
        hnsw.save(self.graph, path)


def seal(
    rows: Rows,
    present: Selection,
    *,
    distance: Distance,
    params: GraphParams,
    threads: int,
    progress: Progress | None = None,
) -> SealedSegment:
    """Builds a graph over the rows of ``present``, at least one. ``progress`` abandons it by raising."""
    offsets = present.offsets()
    graph = hnsw.build(
        rows,
        offsets,
        m=params.m,
        ef_construct=params.ef_construct,
        distance=distance,
        threads=threads,
        progress=progress,
    )
    return SealedSegment(graph, params, len(offsets))


def extend(
    segment: SealedSegment,
    rows: Rows,
    present: Selection,
    *,
    threads: int,
    progress: Progress | None = None,
) -> SealedSegment:
    """The segment with the rows of ``present`` that lie beyond it linked in; those within it stay as they are."""
    beyond = present.offsets()
    beyond = beyond[np.searchsorted(beyond, segment.stop) :]
    graph = hnsw.extend(
        segment.graph,
        rows,
        beyond,
        ef_construct=segment.params.ef_construct,
        threads=threads,
        progress=progress,
    )
    return SealedSegment(graph, segment.params, segment.linked + len(beyond))


def load(path: Path, rows: Rows, *, first: int, distance: Distance, params: GraphParams, linked: int) -> SealedSegment:
    """Maps a saved segment over its rows. Raises Corrupted."""
    return SealedSegment(hnsw.load(path, rows, first=first, distance=distance), params, linked)
