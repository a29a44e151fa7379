"""The file of a graph: its packed links and, where it keeps codes of its own, those before them.

    file    = codes? pad widths pad levels pad places pad trailer
    codes   = a FAISS index without links, as ``write_index`` has it        at the beginning, where FAISS can map it
    widths  = uint32 of each node: how many places it has
    levels  = uint8 of each node: how many layers it is in
    places  = int32 each: a node, or -1
    trailer = "qdlgraph" version:u32 m:u32 nodes:u64 places:u64 start:u64   64 bytes, the last of the file
              entry:i32 top:i32 zero[12] crc:u32                            start: where codes end, 0 without any
    pad     = zeros up to a multiple of 64 bytes                            all numbers little endian

A file without the trailer's mark is one that FAISS wrote as a whole, as all were before links were packed; ``read``
leaves it to FAISS. The crc is of the trailer; the bytes of the file are checked by whoever names it.
"""

import mmap
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import faiss
import numpy as np
import numpy.typing as npt

from qdrantlite.errors import Corrupted, StorageFailed
from qdrantlite.segment.vector_index import graph_links
from qdrantlite.segment.vector_index.graph_links import Links

__all__ = ["SavedLinks", "read", "write"]

_ALIGNMENT = 64
_TRAILER = struct.Struct("<8sIIQQQii12xI")
_MAGIC = b"qdlgraph"
_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class SavedLinks:
    """Links in a mapped file, and what ``graph_links.attach`` needs beside them."""

    m: int
    links: Links
    widths: npt.NDArray[np.uint32]
    entry_point: int
    max_level: int
    has_codes: bool
    """Whether the file begins with codes, for FAISS to read."""


def write(path: Path, hnsw: faiss.HNSW, links: Links, *, codes: faiss.Index | None) -> None:
    """Write the file, neither atomically nor synced. Raises ``StorageFailed``."""
    assert _TRAILER.size == _ALIGNMENT
    try:
        if codes is not None:
            faiss.write_index(codes, str(path))
        with path.open("wb" if codes is None else "ab") as file:
            start = file.tell()
            _pad(file)
            for array in (graph_links.widths(hnsw).astype("<u4"), links.levels, links.places.astype("<i4", copy=False)):
                file.write(array.data)
                _pad(file)
            m, sizes = hnsw.nb_neighbors(1), (len(links.levels), len(links.places), start)
            head = _TRAILER.pack(_MAGIC, _VERSION, m, *sizes, hnsw.entry_point, hnsw.max_level, 0)[:-4]
            file.write(head + struct.pack("<I", zlib.crc32(head)))
    except (OSError, RuntimeError) as error:
        raise StorageFailed("a graph cannot be written", detail=f"{path}: {error}") from error


def read(path: Path) -> SavedLinks | None:
    """Map the links of a file, a few milliseconds for a million nodes; None if FAISS wrote it as a whole.

    ``widths`` alone are read, since nothing looks at them twice. Raises ``Corrupted``.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TRAILER.size))
            trailer = file.read(_TRAILER.size)
            if not trailer.startswith(_MAGIC):
                return None
            _, version, m, nodes, count, start, entry_point, max_level, crc = _TRAILER.unpack(trailer)
            if version != _VERSION or zlib.crc32(trailer[:-4]) != crc:
                raise Corrupted("a graph is damaged, or of another version", detail=str(path))
            places_of = _sections(start, (4 * nodes, nodes, 4 * count, 0))
            if places_of[-1] + _TRAILER.size != size:
                raise Corrupted(f"a graph is damaged: it has {size} bytes", detail=str(path))
            file.seek(places_of[0])
            widths = np.fromfile(file, "<u4", nodes)
            if int(widths.sum(dtype=np.int64)) + 2 * m != count or not -1 <= entry_point < nodes:
                raise Corrupted("a graph is damaged: its links do not add up", detail=str(path))
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise Corrupted("a graph cannot be read", detail=f"{path}: {error}") from error
    levels = np.frombuffer(mapped, np.uint8, nodes, places_of[1])
    places = np.frombuffer(mapped, "<i4", count, places_of[2])
    return SavedLinks(m, Links(levels, places), widths, entry_point, max_level, has_codes=start > 0)


def _sections(start: int, sizes: Sequence[int]) -> list[int]:
    """Where each section begins, the first after ``start``."""
    places = []
    for size in sizes:
        start += -start % _ALIGNMENT
        places.append(start)
        start += size
    return places


def _pad(file: IO[bytes]) -> None:
    file.write(bytes(-file.tell() % _ALIGNMENT))
