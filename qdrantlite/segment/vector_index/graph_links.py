"""Links of a graph, packed: as a walk reads them, without the places that FAISS keeps free for more.

FAISS gives a node ``2 m`` places in the lowest layer and ``m`` in each one above, layer after layer, and fills those of
a layer from the left; -1 is a free place. A walk reads a list up to its first free place or to the end of its range. So
a node's topmost list, mostly its only one, may end with one free place, or with none if it is full, and the links of
the next node may follow there. Of a million rows linked with ``m`` 16 that leaves out a fifth of the bytes.

Packed links can be walked and nothing else: what adds to them, or is to be read by FAISS's own reader, needs the places
(``unpack``). Knows FAISS's layout and nothing of rows, offsets or files.
"""

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from qdrantlite.segment.runs import ranges

__all__ = ["Layer", "Links", "Lists", "adopt", "attach", "holes", "layers_of", "pack", "unpack", "widths"]

CHUNK_NODES = 1 << 12
"""Nodes packed at a time: some 4 MB of indices for ``m`` 16."""

Ints = npt.NDArray[np.int64]
Lists = npt.NDArray[np.int32]
"""Links of some nodes, ``(k, width)``; what follows the first -1 of a row is free."""

_UNOWNED = faiss.MaybeOwnedVectorInt32()
"""Lends its empty owner to every view. It must live as long as the process: the owner is a pointer into it."""


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """What the links of a FAISS index lie in, and what only adding needs; must live as long as the index."""

    levels: npt.NDArray[np.uint8]
    """Layers that each node is in, ``(n,)``, at least 1; FAISS's own, of four bytes each, are given up."""
    places: npt.NDArray[np.int32]
    """Node numbers, -1 where there is none, ``(p,)``; the last ``2 m`` are free, so that every range ends inside."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One layer of links with all their places, to be read and changed in place; valid until nodes are added."""

    places: Lists
    starts: Ints
    """Where the places of each node begin, ``(n,)``."""
    width: int
    """Places of a node in this layer, at its ``starts``."""

    def of(self, nodes: Ints) -> Lists:
        """The lists of nodes that are in this layer, copied."""
        lists: Lists = self.places[self.starts[nodes, np.newaxis] + np.arange(self.width)]
        return lists

    def put(self, nodes: Ints, lists: Lists) -> None:
        """Replaces the lists of these nodes."""
        self.places[self.starts[nodes, np.newaxis] + np.arange(self.width)] = lists


def layers_of(hnsw: faiss.HNSW) -> list[Layer]:
    """The layers of links with all their places, from the lowest."""
    places = _view(hnsw.neighbors, np.int32)
    starts, bounds = _view(hnsw.offsets, np.uint64)[:-1].astype(np.int64), _layers(hnsw)
    return [Layer(places, starts + bounds[at], int(bounds[at + 1] - bounds[at])) for at in range(hnsw.max_level + 1)]


def pack(hnsw: faiss.HNSW, nodes: Ints, count: int) -> Links:
    """Pack the links of ``hnsw`` in place, node i becoming ``nodes[i]`` of ``count``, which may leave holes between.

    The links of each node keep their order, whatever that of the nodes; a node for which ``nodes`` is -1 is left out,
    and no other must link to it. A hole is a node of the lowest layer with one free place. The index must be told its
    ``ntotal`` by the caller.
    """
    layers = _layers(hnsw)
    starts, levels = _view(hnsw.offsets, np.uint64), _view(hnsw.levels, np.int32)
    source = _view(hnsw.neighbors, np.int32)
    taken = np.flatnonzero(nodes >= 0)
    packed = np.ones(count, dtype=np.uint32)
    for chunk in _chunks(len(taken)):
        part = taken[chunk]
        packed[nodes[part]] = _packed_widths(source, starts[part].astype(np.int64), levels[part], layers)
    targets = np.cumsum(packed, dtype=np.int64) - packed
    places = np.full(int(packed.sum(dtype=np.int64)) + int(layers[1]), -1, dtype=np.int32)
    for chunk in _chunks(len(taken)):
        part = taken[chunk]
        kept, into = packed[nodes[part]].astype(np.int64), targets[nodes[part]]
        found = source[ranges(starts[part].astype(np.int64), kept)]
        found[found >= 0] = nodes[found[found >= 0]]
        places[ranges(into, kept)] = found
    all_levels = np.ones(count, dtype=np.uint8)
    all_levels[nodes[taken]] = levels[taken]
    links = Links(all_levels, places)
    entry_point = int(nodes[hnsw.entry_point]) if hnsw.entry_point >= 0 else -1
    attach(hnsw, links, packed, entry_point=entry_point, max_level=hnsw.max_level)
    return links


def attach(hnsw: faiss.HNSW, links: Links, packed: npt.NDArray[np.uint32], *, entry_point: int, max_level: int) -> None:
    """Let ``hnsw`` walk along ``links``, of whose places each node has as many as ``packed`` ``(n,)`` says."""
    _free(hnsw.levels)
    hnsw.offsets.resize(len(packed) + 1)
    offsets = _view(hnsw.offsets, np.uint64)
    offsets[0] = 0
    np.cumsum(packed, dtype=np.uint64, out=offsets[1:])
    address = faiss.swig_ptr(links.places)
    hnsw.neighbors = faiss.MaybeOwnedVectorInt32.create_view(address, len(links.places), _UNOWNED.owner)
    hnsw.entry_point, hnsw.max_level = entry_point, max_level


def adopt(hnsw: faiss.HNSW) -> Links:
    """Links as FAISS read them from a file of its own, with all their places; their memory is that of ``hnsw``."""
    levels = faiss.vector_to_array(hnsw.levels).astype(np.uint8)
    _free(hnsw.levels)
    return Links(levels, _view(hnsw.neighbors, np.int32))


def unpack(source: faiss.HNSW, links: Links, target: faiss.HNSW) -> None:
    """Copy links into the empty ``target`` with all their places, as memory of its own that FAISS can add to."""
    layers = _layers(source)
    packed = _view(source.offsets, np.uint64)
    starts = np.zeros(len(links.levels) + 1, dtype=np.uint64)
    np.cumsum(layers[links.levels], dtype=np.uint64, out=starts[1:])
    target.neighbors.resize(int(starts[-1]))
    places = _view(target.neighbors, np.int32)
    for chunk in _chunks(len(links.levels)):
        bounds = packed[chunk.start : chunk.stop + 1].astype(np.int64)
        into = starts[chunk.start : chunk.stop + 1].astype(np.int64)
        places[into[0] : into[-1]] = -1
        places[ranges(into[:-1], np.diff(bounds))] = links.places[bounds[0] : bounds[-1]]
    faiss.copy_array_to_vector(links.levels.astype(np.int32), target.levels)
    faiss.copy_array_to_vector(starts, target.offsets)
    target.entry_point, target.max_level = source.entry_point, source.max_level


def holes(hnsw: faiss.HNSW, links: Links) -> Ints:
    """Nodes that no walk can find, ascending: those without links, but for the one where every walk begins."""
    nodes = np.arange(len(links.levels))
    if len(links.places) < len(nodes) * int(_layers(hnsw)[1]):
        nodes = np.flatnonzero(widths(hnsw) == 1)  # Packed: the links of others need not even be read from the file.
    starts = _view(hnsw.offsets, np.uint64)[nodes].astype(np.int64)
    unlinked: Ints = nodes[(links.places[starts] < 0) & (nodes != hnsw.entry_point)]
    return unlinked


def widths(hnsw: faiss.HNSW) -> npt.NDArray[np.uint32]:
    """Places of each node, ``(n,)``."""
    return np.diff(_view(hnsw.offsets, np.uint64)).astype(np.uint32)


def _packed_widths(
    source: npt.NDArray[np.int32], starts: Ints, levels: npt.NDArray[np.int32], layers: Ints
) -> npt.NDArray[np.uint32]:
    """Places that a walk reads of each node: all below its topmost layer, and there the links and one free place."""
    found = np.empty(len(starts), dtype=np.uint32)
    for level in np.unique(levels):
        at = np.flatnonzero(levels == level)
        below, full = layers[level - 1], layers[level]
        free = source[starts[at, np.newaxis] + np.arange(below, full)] < 0
        found[at] = np.where(free.any(axis=1), below + free.argmax(axis=1) + 1, full)
    return found


def _layers(hnsw: faiss.HNSW) -> Ints:
    """Places of a node that is in so many layers."""
    layers: Ints = faiss.vector_to_array(hnsw.cum_nneighbor_per_level).astype(np.int64)
    return layers


def _chunks(count: int) -> list[slice]:
    return [slice(at, min(at + CHUNK_NODES, count)) for at in range(0, count, CHUNK_NODES)]


def _view(vector: Any, dtype: type[np.generic]) -> npt.NDArray[Any]:
    """The numbers of a FAISS vector in place, valid until it is resized."""
    size = vector.size()
    return faiss.rev_swig_ptr(vector.data(), size) if size else np.empty(0, dtype)


def _free(vector: faiss.Int32Vector) -> None:
    """Empty a vector and give back its memory, which ``clear`` keeps."""
    faiss.Int32Vector().swap(vector)
