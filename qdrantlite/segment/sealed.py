"""A sealed segment: an immutable graph over a contiguous range of offsets of one dense vector, and perhaps codes.

Codes stand in for the rows while the graph is walked. Where they are coarsest, or a search asks for it, what is found
is scored again from the rows. Dead points stay in the graph until it is pruned or built anew; a walk steps on them and
the selection keeps them out of the answer.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index import graph_prune, hnsw, quantized
from qdrantlite.segment.vector_index.hnsw import Graph, Progress
from qdrantlite.segment.vector_index.preconditions import oversampled
from qdrantlite.segment.vector_index.quantized import QUERY_BITS, BitCodes, CodeKind, Codes, ScalarCodes
from qdrantlite.segment.vector_index.row_encoding import Rows
from qdrantlite.storage.vacant import Ranges
from qdrantlite.values.distance import Distance
from qdrantlite.values.vector import F32


@dataclass(frozen=True, slots=True)
class GraphParams:
    """What a graph is built with: links per node and candidates for each."""

    m: int
    ef_construct: int


@dataclass(frozen=True, slots=True)
class Coding:
    """Which codes a segment has, whether they are held in memory or mapped, and how finely queries are rounded."""

    kind: CodeKind
    in_memory: bool
    query_bits: int = QUERY_BITS

    @property
    def rescored(self) -> bool:
        """Whether searches that do not say score again what they find: as in Qdrant, only where codes are coarsest."""
        return isinstance(self.kind, BitCodes) and self.kind.bits <= 2


@dataclass(frozen=True, slots=True)
class Refinement:
    """How codes are used by one search. None = by kind.

    ``oversampling`` is how many times the limit are rescored at least: where more are unasked, it takes nothing away.
    """

    ignore: bool = False
    rescored: bool | None = None
    oversampling: float | None = None


PLAIN = Refinement()

FEW_COMPONENTS = 256
"""Below so many the errors of single bits do not even out: what belongs into a beam is often ranked beyond its end, so
that a beam twice as wide is walked and scored again.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """Codes of a segment's rows and its graph walked over them."""

    coding: Coding
    codes: Codes
    graph: Graph


class _Walk(NamedTuple):
    """What ``Graph.search`` and ``Graph.sift`` are called with."""

    graph: Graph
    ef: int
    oversampling: float | None
    rescored: bool


@dataclass(frozen=True, slots=True, eq=False)
class SealedSegment:
    """Offsets ``first <= offset < stop`` behind a graph built with ``params``."""

    graph: Graph
    params: GraphParams
    linked: int
    """Points that the segment was made of, those that have died since included."""
    apart: Selection | None = None
    """Those of them that the graph cannot find, because they cannot be linked; None: there are none."""
    coded: Coded | None = None
    pruned: int = 0
    """Points that were linked since the graph was built, and taken out of it again."""

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

    def links(self, ranges: Ranges) -> bool:
        """Whether a walk may come to any of these offsets."""
        places = self.graph.linked().searchsorted(ranges)
        return bool((places[:, 0] < places[:, 1]).any())

    def walk(
        self, queries: F32, *, limit: int, ef: int, passing: Selection | None, refinement: Refinement = PLAIN
    ) -> tuple[Offsets, F32]:
        """Best of ``passing`` (None = everything covered) along the graph, ``(q, k)`` padded; see ``Graph.search``."""
        selector = None if passing is None else passing.mask(self.first, self.stop)
        walk = self._walk_along(refinement, limit=limit, ef=ef)
        return walk.graph.search(
            queries,
            limit=limit,
            ef=walk.ef,
            selector=selector,
            oversampling=walk.oversampling,
            rescored=walk.rescored,
        )

    def sift(
        self, queries: F32, *, limit: int, ef: int, passing: Selection, refinement: Refinement = PLAIN
    ) -> tuple[Offsets, F32, npt.NDArray[np.bool_]]:
        """What of ``passing`` is among the nearest of all, and whether that is enough; see ``Graph.sift``."""
        walk = self._walk_along(refinement, limit=limit, ef=ef)
        return walk.graph.sift(
            queries,
            limit=limit,
            ef=walk.ef,
            passes=passing.contains,
            oversampling=walk.oversampling,
            rescored=walk.rescored,
        )

    def _walk_along(self, refinement: Refinement, *, limit: int, ef: int) -> "_Walk":
        """What a search walks along. Coarse codes order candidates poorly, so their whole beam is scored again."""
        if self.coded is None or refinement.ignore:
            return _Walk(self.graph, ef, None, rescored=True)
        graph, kind = self.coded.graph, self.coded.coding.kind
        rescored = self.coded.coding.rescored if refinement.rescored is None else refinement.rescored
        if not rescored:
            return _Walk(graph, ef, None, rescored=False)
        if isinstance(kind, ScalarCodes):
            least = hnsw.rescored_unasked(limit) / max(limit, 1)
        else:
            ef = max(ef, limit) * (2 if kind == BitCodes(1) and graph.rows.shape[1] < FEW_COMPONENTS else 1)
            least = ef / max(limit, 1)
        oversampling = max(least, refinement.oversampling or 1.0)
        reach = max(ef, oversampled(limit, oversampling, graph.count))
        return _Walk(graph, reach, oversampling, rescored=True)

    def over(self, rows: Rows) -> "SealedSegment":
        """The same segment reading a newer mapping of the same rows."""
        segment = replace(self, graph=hnsw.over(self.graph, rows), coded=None)
        if self.coded is None:
            return segment
        return with_codes(segment, replace(self.coded.codes, rows=rows), self.coded.coding)


def with_codes(segment: SealedSegment, codes: Codes, coding: Coding) -> SealedSegment:
    """The segment walked over these codes of its rows."""
    return replace(segment, coded=Coded(coding, codes, codes.along(segment.graph)))


def encode(segment: SealedSegment, coding: Coding, *, threads: int, progress: Progress | None = None) -> SealedSegment:
    """The segment with codes learned from what it links. ``progress`` abandons it by raising."""
    graph = segment.graph
    codes = quantized.encode(
        graph.rows,
        coding.kind,
        first=graph.first,
        count=graph.count,
        linked=graph.linked(),
        distance=graph.distance,
        threads=threads,
        query_bits=coding.query_bits,
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
    return SealedSegment(graph, params, len(offsets), _apart(graph, present))


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
    return _linked(segment, rows, beyond, present, threads=threads, progress=progress)


def _linked(
    segment: SealedSegment,
    rows: Rows,
    offsets: Offsets,
    present: Selection,
    *,
    threads: int,
    progress: Progress | None = None,
) -> SealedSegment:
    """With the rows at these offsets linked in, which it was not made of."""
    graph = hnsw.extend(
        segment.graph,
        rows,
        offsets,
        ef_construct=segment.params.ef_construct,
        threads=threads,
        progress=progress,
    )
    linked, apart = segment.linked + len(offsets), _apart(graph, present)
    return SealedSegment(graph, segment.params, linked, apart, pruned=segment.pruned)


def prune(
    segment: SealedSegment, present: Selection, *, threads: int, progress: Progress | None = None
) -> SealedSegment | None:
    """The segment, without codes, over the same range, with nothing but rows of ``present`` in its graph.

    None: a graph is better built anew, see ``graph_prune.prune``. ``progress`` abandons it by raising.
    """
    graph = segment.graph
    living = present.offsets()
    living = living[np.searchsorted(living, segment.first) : np.searchsorted(living, segment.stop)]
    pruned = graph_prune.prune(
        *(graph, living),
        rows=graph.rows,
        offsets=living,
        first=graph.first,
        count=graph.count,
        threads=threads,
        progress=progress,
    )
    return _pruned(segment, pruned, len(living), present)


def carry(
    segment: SealedSegment,
    origins: Offsets,
    rows: Rows,
    present: Selection,
    *,
    threads: int,
    progress: Progress | None = None,
) -> SealedSegment | None:
    """The segment, without codes, in other numbers: the n-th of ``present``, in ``rows``, is the row that it has at
    ``origins[n]``, or none of its own.

    What is not named is pruned. What is not its own is linked in if any of it lies between the others. None and
    ``progress``: as ``prune``.
    """
    offsets = present.offsets()
    own = np.flatnonzero((origins >= segment.first) & (origins < segment.stop))
    own = own[np.argsort(origins[own])]
    named = offsets[own]
    if not len(named):
        return None
    first = int(named.min())
    graph = graph_prune.prune(
        *(segment.graph, origins[own]),
        rows=rows,
        offsets=named,
        first=first,
        count=int(named.max()) + 1 - first,
        threads=threads,
        progress=progress,
    )
    carried = _pruned(segment, graph, len(named), present)
    others = np.delete(offsets, own)
    others = others[np.searchsorted(others, first) :]
    if carried is None or not len(others) or others[0] >= carried.stop:
        return carried
    return _linked(carried, rows, others, present, threads=threads, progress=progress)


def _pruned(segment: SealedSegment, graph: Graph | None, living: int, present: Selection) -> SealedSegment | None:
    if graph is None:
        return None
    dead = segment.pruned + segment.linked - living
    return SealedSegment(graph, segment.params, living, _apart(graph, present), pruned=dead)


def _apart(graph: Graph, present: Selection) -> Selection | None:
    """Of the points that have the vector, those in the graph's range that it does not link.

    A point that gets the vector later is at a new offset, so that each of these was there when the graph was made.
    """
    holes = present.intersection(Selection.from_offsets(graph.holes()))
    return holes if len(holes) else None


def save_graph(segment: SealedSegment, path: Path) -> None:
    """Writes links (and codes of the graph's own, if it has any) to a file; see ``hnsw.save``."""
    hnsw.save(segment.graph, path)


def save_codes(coded: Coded, path: Path) -> None:
    """Writes the codes to a file; see ``quantized.save``."""
    quantized.save(coded.codes, path)


def load(
    path: Path,
    rows: Rows,
    present: Selection,
    *,
    first: int,
    distance: Distance,
    params: GraphParams,
    linked: int,
    pruned: int,
) -> SealedSegment:
    """Maps a saved graph over its rows; ``present`` are the points that have the vector now. Raises Corrupted."""
    graph = hnsw.load(path, rows, first=first, distance=distance)
    return SealedSegment(graph, params, linked, _apart(graph, present), pruned=pruned)


def load_codes(segment: SealedSegment, path: Path, coding: Coding) -> SealedSegment:
    """The segment with its saved codes. Raises Corrupted."""
    graph = segment.graph
    codes = quantized.load(
        path,
        graph.rows,
        first=graph.first,
        distance=graph.distance,
        mapped=not coding.in_memory,
        query_bits=coding.query_bits,
    )
    return with_codes(segment, codes, coding)
