"""A sealed segment: an immutable graph over a contiguous range of offsets of one dense vector, and perhaps codes.

Codes stand in for the rows while the graph is walked; what is found is scored again from the rows unless a search
declines. Dead points stay in the graph until it is built anew; a walk steps on them and the selection keeps them out
of the answer.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index import hnsw, quantized
from qdrantlite.segment.vector_index.hnsw import Graph, Progress
from qdrantlite.segment.vector_index.quantized import CodeKind, Codes, ScalarCodes
from qdrantlite.segment.vector_index.row_encoding import Rows
from qdrantlite.values.distance import Distance
from qdrantlite.values.vector import F32


@dataclass(frozen=True, slots=True)
class GraphParams:
    """What a graph is built with: links per node and candidates for each."""

    m: int
    ef_construct: int


@dataclass(frozen=True, slots=True)
class Coding:
    """Which codes a segment has, and whether they are held in memory or mapped from their file."""

    kind: CodeKind
    in_memory: bool


@dataclass(frozen=True, slots=True)
class Refinement:
    """How codes are used by one search. ``oversampling``: how many times the limit are rescored, None = by kind."""

    ignore: bool = False
    rescored: bool = True
    oversampling: float | None = None


PLAIN = Refinement()


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """Codes of a segment's rows and its graph walked over them."""

    coding: Coding
    codes: Codes
    graph: Graph


@dataclass(frozen=True, slots=True, eq=False)
class SealedSegment:
    """Offsets ``first <= offset < stop`` behind a graph built with ``params``."""

    graph: Graph
    params: GraphParams
    linked: int
    """Points that the graph can find, those that have died since included."""
    coded: Coded | None = None

    @property
    def first(self) -> int:
        """The first offset covered."""
        return self.graph.first

    @property
    def stop(self) -> int:
        """One past the last offset covered."""
        return self.graph.first + self.graph.count

    @property
    def coding(self) -> Coding | None:
        """Of the codes there are."""
        return None if self.coded is None else self.coded.coding

    def walk(
        self, queries: F32, *, limit: int, ef: int, passing: Selection | None, refinement: Refinement = PLAIN
    ) -> tuple[Offsets, F32]:
        """Best of ``passing`` (None = everything covered) along the graph, ``(q, k)`` padded; see ``Graph.search``."""
        selector = None if passing is None else passing.mask(self.first, self.stop)
        graph, oversampling = self._walked(refinement, limit=limit, ef=ef)
        return graph.search(
            queries, limit=limit, ef=ef, selector=selector, oversampling=oversampling, rescored=refinement.rescored
        )

    def sift(
        self, queries: F32, *, limit: int, ef: int, passing: Selection, refinement: Refinement = PLAIN
    ) -> tuple[Offsets, F32, npt.NDArray[np.bool_]]:
        """What of ``passing`` is among the nearest of all, and whether that is enough; see ``Graph.sift``."""
        graph, oversampling = self._walked(refinement, limit=limit, ef=ef)
        return graph.sift(
            queries,
            limit=limit,
            ef=ef,
            passes=passing.contains,
            oversampling=oversampling,
            rescored=refinement.rescored,
        )

    def _walked(self, refinement: Refinement, *, limit: int, ef: int) -> tuple[Graph, float | None]:
        """The graph a search walks, and how many times the limit it scores again."""
        if self.coded is None or refinement.ignore:
            return self.graph, None
        if refinement.oversampling is None and not isinstance(self.coded.coding.kind, ScalarCodes):
            # Coarse codes order candidates poorly, so the whole beam is scored again.
            return self.coded.graph, max(ef, limit) / max(limit, 1)
        return self.coded.graph, refinement.oversampling

    def over(self, rows: Rows) -> "SealedSegment":
        """The same segment reading a newer mapping of the same rows."""
        graph = hnsw.over(self.graph, rows)
        segment = SealedSegment(graph, self.params, self.linked)
        if self.coded is None:
            return segment
        return with_codes(segment, replace(self.coded.codes, rows=rows), self.coded.coding)


def with_codes(segment: SealedSegment, codes: Codes, coding: Coding) -> SealedSegment:
    """The segment walked over these codes of its rows."""
    return replace(segment, coded=Coded(coding, codes, codes.along(segment.graph)))


def encode(segment: SealedSegment, coding: Coding, *, threads: int, progress: Progress | None = None) -> SealedSegment:
    """The segment with codes learned from its rows. ``progress`` abandons it by raising."""
    graph = segment.graph
    codes = quantized.encode(
        graph.rows,
        coding.kind,
        first=graph.first,
        count=graph.count,
        distance=graph.distance,
        threads=threads,
        progress=progress,
    )
    return with_codes(segment, codes, coding)


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
    """The segment, without codes, with the rows of ``present`` beyond it linked in; those within it stay."""
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


def save_graph(segment: SealedSegment, path: Path) -> None:
    """Writes links (and codes of the graph's own, if it has any) to a file; see ``hnsw.save``."""
    hnsw.save(segment.graph, path)


def save_codes(coded: Coded, path: Path) -> None:
    """Writes the codes to a file; see ``quantized.save``."""
    quantized.save(coded.codes, path)


def load(path: Path, rows: Rows, *, first: int, distance: Distance, params: GraphParams, linked: int) -> SealedSegment:
    """Maps a saved graph over its rows. Raises Corrupted."""
    return SealedSegment(hnsw.load(path, rows, first=first, distance=distance), params, linked)


def load_codes(segment: SealedSegment, path: Path, coding: Coding) -> SealedSegment:
    """The segment with its saved codes. Raises Corrupted."""
    graph = segment.graph
    codes = quantized.load(path, graph.rows, first=graph.first, distance=graph.distance, mapped=not coding.in_memory)
    return with_codes(segment, codes, coding)
