"""What a file of rows looks like, and the rows of one where they lie.

    file   = header row* hole
    header = "qdlrows\\0" version:u32 dtype:u32 dim:u32 zero[40] crc:u32  64 bytes, little endian; crc of the rest
    row    = dim numbers of dtype, little endian                            row r begins at byte 64 + r * width
    hole   = bytes beyond the committed rows                                garbage or never written, cut at open

How many rows count, and what their bytes should be, is known to the point store alone; see ``vector_file``.
"""

import mmap
import struct
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdrantlite.errors import Corrupted
from qdrantlite.storage.files import os_errors

Rows: TypeAlias = NDArray[Any]
"""``(n, dim)`` of the file's dtype, C-contiguous."""

HEADER_BYTES = 64
BLOCK_BYTES_MAX = 128 * 1024
_HEADER = struct.Struct("<8sIII40x")
_MAGIC = b"qdlrows\0"
_VERSION = 1
_DTYPE_CODES = {"float32": 1, "float16": 2, "uint8": 3}


@dataclass(frozen=True)
class RowFormat:
    """What a row is."""

    dtype: Literal["float32", "float16", "uint8"]
    dim: int

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        """Little-endian dtype of the numbers."""
        return np.dtype(self.dtype).newbyteorder("<")

    @cached_property
    def width(self) -> int:
        """Bytes of a row."""
        return self.numpy.itemsize * self.dim

    @cached_property
    def block_rows(self) -> int:
        """Rows that share a checksum: a power of two, of at most 128 KiB unless one row is longer."""
        return int(1 << max(0, (BLOCK_BYTES_MAX // self.width).bit_length() - 1))

    @cached_property
    def header(self) -> bytes:
        """The first 64 bytes of a file."""
        head = _HEADER.pack(_MAGIC, _VERSION, _DTYPE_CODES[self.dtype], self.dim)
        return head + struct.pack("<I", zlib.crc32(head))

    @cached_property
    def zero_block_crc(self) -> int:
        """Checksum of a block of zeros."""
        return zlib.crc32(bytes(self.block_rows * self.width))


def map_rows(path: Path, row_format: RowFormat, rows: int) -> Rows:
    """The first ``rows``, at least one and all committed, of a file that another process may append to; read-only.

    Nothing is compared with checksums. Raises StorageFailed, Corrupted when it is no file of so many such rows.
    """
    with os_errors(path), path.open("rb") as file:
        if file.read(HEADER_BYTES) != row_format.header or file.seek(0, 2) < HEADER_BYTES + rows * row_format.width:
            raise Corrupted("a vector file does not hold the rows that were committed", detail=str(path))
        return map_open(file.fileno(), row_format, rows)


def map_open(descriptor: int, row_format: RowFormat, rows: int) -> Rows:
    """Those of an open file, which must be as long as that; valid after it is closed. Raises OSError."""
    mapped = mmap.mmap(descriptor, HEADER_BYTES + rows * row_format.width, access=mmap.ACCESS_READ)
    view = np.frombuffer(mapped, row_format.numpy, rows * row_format.dim, HEADER_BYTES)
    return view.reshape(rows, row_format.dim)
