"""Derived files: what can be rebuilt from the point store and the vector files, kept so that starting is quick.

    file   = head json pad part*                       every part begins at a multiple of 64 bytes
    head   = "qdlderiv" version:u32 length:u32 crc:u32 little endian; length and crc of json
    json   = {"format", "covers", "parts": [{"name", "dtype", "shape", "start", "bytes", "crc"}]}
                                                       start counts from the first part; dtype null: plain bytes

Invariants: a name shows either the old file or the new one, whole, also after a power cut; every byte is verified by
CRC-32 before it is used: head and plain bytes on load, arrays on load or, so that opening need not read them, when
``Derived.is_whole`` is first asked; anything wrong reads as absent, never as an error. All of the folder may be deleted
at any time.

Must not know: what the parts mean. ``format_version`` is the caller's, for its own parts.
"""

import json
import math
import mmap
import struct
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdrantlite.errors import StorageFailed
from qdrantlite.storage import file_names
from qdrantlite.storage.files import Bytes, Files, OpenFile

Part: TypeAlias = bytes | NDArray[Any]

_ALIGNMENT = 64
_HEAD = struct.Struct("<8sIII")
_MAGIC = b"qdlderiv"
_VERSION = 1


@dataclass(slots=True, eq=False)
class Derived:
    """A derived file, verified but for the arrays ``unverified``: their bytes, each with the checksum it must have."""

    covers_seq: int
    """What the writer said it covers: a seq of the log of touched offsets, a count of rows, an operation."""
    parts: Mapping[str, Part]
    """Arrays are read-only views of the mapped file (of memory on Windows), aligned to 64 bytes."""
    unverified: tuple[tuple[memoryview, int], ...] = ()

    @property
    def size_unverified(self) -> int:
        """Bytes that ``is_whole`` would compare."""
        return sum([len(content) for content, _ in self.unverified])

    def is_whole(self) -> bool:
        """Whether the arrays are what was written; compared once. Threads may ask together."""
        unverified = self.unverified
        if any(zlib.crc32(content) != crc for content, crc in unverified):
            return False
        for content, _ in unverified:
            _let_go(content)
        self.unverified = ()
        return True


def write_derived(
    path: Path, *, format_version: int, covers_seq: int, parts: Sequence[tuple[str, Part]], files: Files
) -> None:
    """Replaces the file at ``path``, atomically and durably; makes its folder. One writer per path at a time.

    Raises StorageFailed; the old file is then still there.
    """
    if not files.exists(path.parent):
        files.make_directory(path.parent)
        files.sync_directory(path.parent.parent)
    head, blobs = _layout(format_version, covers_seq, parts)
    temporary = file_names.temporary(path)
    file = files.open(temporary, create=True)
    try:
        file.write_at(head, 0)
        for start, blob in blobs:
            file.write_at(blob, start)
        file.sync()
    finally:
        file.close()
    files.replace(temporary, path)
    files.sync_directory(path.parent)


def read_derived(path: Path, *, format_version: int, files: Files) -> Derived | None:
    """The file at ``path``, verified; None when it is missing, damaged, or of another format version."""
    found = open_derived(path, format_version=format_version, files=files)
    return found if found is not None and found.is_whole() else None


def open_derived(path: Path, *, format_version: int, files: Files) -> Derived | None:
    """The file at ``path``, its arrays unverified; None as ``read_derived``. Takes no time for arrays."""
    try:
        if not files.exists(path):
            return None
        file = files.open(path, create=False)
        try:
            return _read(file, format_version)
        finally:
            file.close()
    except (StorageFailed, OSError, ValueError, KeyError, TypeError, struct.error):
        return None


def _layout(
    format_version: int, covers_seq: int, parts: Sequence[tuple[str, Part]]
) -> tuple[bytes, list[tuple[int, Bytes]]]:
    """The head with its JSON, and each part with its place; places are relative to the end of the head until known."""
    described: list[dict[str, object]] = []
    blobs: list[Bytes] = []
    position = 0
    for name, part in parts:
        blob = _blob(part)
        array = part if isinstance(part, np.ndarray) else None
        described.append(
            {
                "name": name,
                "dtype": None if array is None else array.dtype.str,
                "shape": None if array is None else array.shape,
                "start": position,
                "bytes": len(blob),
                "crc": zlib.crc32(blob),
            }
        )
        blobs.append(blob)
        position = _aligned(position + len(blob))
    text = json.dumps({"format": format_version, "covers": covers_seq, "parts": described}).encode()
    head = _HEAD.pack(_MAGIC, _VERSION, len(text), zlib.crc32(text)) + text
    base = _aligned(len(head))
    starts = [base + int(str(part["start"])) for part in described]
    return head + bytes(base - len(head)), list(zip(starts, blobs, strict=True))


def _read(file: OpenFile, format_version: int) -> Derived | None:
    magic, version, length, crc = _HEAD.unpack(file.read_at(_HEAD.size, 0))
    if magic != _MAGIC or version != _VERSION:
        return None
    text = file.read_at(length, _HEAD.size)
    if len(text) != length or zlib.crc32(text) != crc:
        return None
    description = json.loads(text)
    if description["format"] != format_version:
        return None
    base, size = _aligned(_HEAD.size + length), file.size()
    parts: dict[str, Part] = {}
    unverified: list[tuple[memoryview, int]] = []
    content: memoryview | None = None
    for part in description["parts"]:
        start, count = base + part["start"], part["bytes"]
        if part["dtype"] is None:
            found = file.read_at(count, start)
            if zlib.crc32(found) != part["crc"]:
                return None
            parts[part["name"]] = found
            continue
        content = _content(file, size) if content is None else content
        blob = content[start : start + count]
        if len(blob) != count:
            return None
        unverified.append((blob, part["crc"]))
        parts[part["name"]] = _array(blob, part)
    return Derived(description["covers"], parts, tuple(unverified))


def _content(file: OpenFile, size: int) -> memoryview:
    """The file's bytes, mapped; read on Windows, where a mapped file could not be replaced."""
    if sys.platform == "win32":
        return memoryview(file.read_at(size, 0))
    return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))


def _let_go(content: memoryview) -> None:
    """Of mapped bytes that were only compared nothing is kept in memory; what is used comes again as it is used."""
    mapped = content.obj
    if isinstance(mapped, mmap.mmap) and hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)


def _array(blob: Bytes, part: Mapping[str, Any]) -> NDArray[Any]:
    count = math.prod(part["shape"])
    dtype = np.dtype(part["dtype"])
    array = np.frombuffer(blob, dtype, count) if count else np.empty(0, dtype)
    array = array.reshape(part["shape"])
    array.setflags(write=False)
    return array


def _blob(part: Part) -> Bytes:
    if isinstance(part, bytes):
        return part
    assert not part.dtype.hasobject
    return np.ascontiguousarray(part).reshape(-1).view(np.uint8).data if part.size else b""


def _aligned(position: int) -> int:
    return -(-position // _ALIGNMENT) * _ALIGNMENT
