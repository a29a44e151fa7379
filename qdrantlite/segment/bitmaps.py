"""Roaring bitmaps to and from NumPy arrays at the speed of memory.

pyroaring itself takes up to 50 ns for every offset that comes from an array. Here dense sets pass through the portable
serialised form instead (https://github.com/RoaringBitmap/RoaringFormatSpec), all little-endian::

    plain  = 12346 uint32, containers uint32, (key uint16, cardinality - 1 uint16)*, position uint32*, container*
    runs   = 12347 uint16, containers - 1 uint16, bits telling which containers hold runs, (key, cardinality - 1)*,
             position uint32* (only from 4 containers on), container*
    container = offsets uint16* (at most 4096) | 8192 bytes of bits | count uint16, (start uint16, length - 1 uint16)*
"""

from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise
from struct import pack
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

Offsets = npt.NDArray[np.uint32]
Bitmap: TypeAlias = AbstractBitMap

PLAIN, WITH_RUNS = 12346, 12347
SPAN = 1 << 16
SPAN_BYTES = SPAN // 8
ARRAY_MAX = 4096
POSITIONS_FROM = 4
FEW = 256
DENSITY_MIN = 32
"""A set is scattered over bits when it holds at least one in so many of the offsets below its maximum."""


def bitmap_of(offsets: npt.NDArray[np.unsignedinteger]) -> BitMap:
    """The set of these offsets, in any order, repetitions allowed; quickest in ascending order."""
    count = len(offsets)
    if count < FEW:
        return BitMap(array("I", offsets.astype(np.uint32, copy=False).tobytes()))
    given, stop = offsets.astype(np.uint32, copy=False), int(offsets.max()) + 1
    if count <= ARRAY_MAX or count * SPAN // ARRAY_MAX < stop:
        if (given[1:] > given[:-1]).all():
            return _bitmap_of_ascending(given)
        if count <= ARRAY_MAX or count * DENSITY_MIN < stop:
            ascending = np.sort(given)
            return _bitmap_of_ascending(ascending[np.concatenate(([True], ascending[1:] != ascending[:-1]))])
    flags = np.zeros(-(-stop // SPAN) * SPAN, dtype=np.bool_)
    flags[offsets.astype(np.intp)] = True
    return _bitmap_of_flags(flags)


def _bitmap_of_ascending(ascending: Offsets) -> BitMap:
    """The set of offsets, at least one, in order, each once."""
    first, stop = int(ascending[0]) >> 16, (int(ascending[-1]) >> 16) + 1
    if stop - first <= len(ascending):
        bounds = np.searchsorted(ascending, np.arange(first, stop + 1, dtype=np.uint64) << np.uint64(16))
        keys = np.flatnonzero(bounds[1:] > bounds[:-1])
        cuts = [*bounds[keys].tolist(), len(ascending)]
        keys += first
    else:
        high = ascending >> 16
        starts = np.concatenate(([0], np.flatnonzero(high[1:] != high[:-1]) + 1))
        keys, cuts = high[starts], [*starts.tolist(), len(ascending)]
    counts = [end - start for start, end in pairwise(cuts)]
    low = ascending.astype("<u2")
    if max(counts) <= ARRAY_MAX:
        return _assembled(keys.tolist(), counts, [low.tobytes()], [2 * start for start in cuts[:-1]])
    containers = [_container(low[start:end]) for start, end in pairwise(cuts)]
    positions = [0, *accumulate(map(len, containers[:-1]))]
    return _assembled(keys.tolist(), counts, containers, positions)


def _container(low: npt.NDArray[np.uint16]) -> bytes:
    """Of the lower halves of offsets."""
    if len(low) <= ARRAY_MAX:
        return low.tobytes()
    flags = np.zeros(SPAN, dtype=np.bool_)
    flags[low] = True
    return np.packbits(flags, bitorder="little").tobytes()


def _bitmap_of_flags(flags: npt.NDArray[np.bool_]) -> BitMap:
    """The set of positions that are True; the length must be a multiple of 65,536."""
    keys: list[int] = []
    counts: list[int] = []
    containers: list[bytes] = []
    positions: list[int] = []
    size = 0
    for key, span in enumerate(flags.reshape(-1, SPAN)):
        count = int(np.count_nonzero(span))
        if count == 0:
            continue
        is_bits = count > ARRAY_MAX
        container = np.packbits(span, bitorder="little") if is_bits else np.flatnonzero(span).astype("<u2")
        keys.append(key)
        counts.append(count)
        positions.append(size)
        containers.append(container.tobytes())
        size += len(containers[-1])
    return _assembled(keys, counts, containers, positions)


def _assembled(keys: list[int], counts: list[int], containers: list[bytes], positions: list[int]) -> BitMap:
    """A bitmap from containers without runs; positions count from the first of them."""
    many = len(keys)
    first = 8 + 8 * many
    heads = (number for key, count in zip(keys, counts, strict=True) for number in (key, count - 1))
    opening = pack(f"<II{2 * many}H{many}I", PLAIN, many, *heads, *(first + position for position in positions))
    return BitMap.deserialize(b"".join((opening, *containers)))


def visible_union(pieces: Sequence[tuple[Bitmap, Bitmap]]) -> Bitmap:
    """Offsets in some first set and not in the second beside it; perhaps one of the sets itself, not to be changed."""
    kept = [found - forgotten if forgotten else found for found, forgotten in pieces if found]
    return kept[0].union(*kept[1:]) if len(kept) > 1 else kept[0] if kept else BitMap()


def offsets_in(bitmap: AbstractBitMap) -> Offsets:
    """All members ascending, ``(n,) uint32``."""
    return np.frombuffer(bitmap.to_array(), dtype=np.uint32)


def packed_bits(bitmap: AbstractBitMap, start: int, stop: int) -> npt.NDArray[np.uint8]:
    """Bits of ``start <= offset < stop`` packed in little bit order; bits beyond ``stop`` are 0."""
    size = -(-max(stop - start, 0) // 8)
    if start % 8:
        bits = packed_bits(bitmap, start & ~7, stop)
        shift = start & 7
        following = np.append(bits[1:], np.uint8(0))
        return ((bits >> shift) | (following << (8 - shift)))[:size].astype(np.uint8, copy=False)
    first, last = start // SPAN, -(-stop // SPAN)
    packed = np.zeros(max(last - first, 0) * SPAN_BYTES, dtype=np.uint8)
    _unpack(bitmap.serialize(), packed.reshape(-1, SPAN_BYTES), first)
    cut = start // 8 - first * SPAN_BYTES
    bits = packed[cut : cut + size]
    if size and stop % 8:
        bits[-1] &= (1 << (stop % 8)) - 1
    return bits


def bits_at(packed: npt.NDArray[np.uint8], offsets: Offsets) -> npt.NDArray[np.bool_]:
    """The bit of each offset in bits packed from offset 0; all offsets must be within."""
    shifted: npt.NDArray[np.uint8] = packed[offsets >> 3] >> (offsets & 7).astype(np.uint8)
    return (shifted & 1).view(np.bool_)


def _unpack(data: bytes, spans: npt.NDArray[np.uint8], first: int) -> None:
    """Write the containers of a serialised bitmap whose keys are ``first`` onwards into their rows of bits."""
    cookie = int.from_bytes(data[:4], "little")
    if cookie == PLAIN:
        count = int.from_bytes(data[4:8], "little")
        position, run_flags = 8, b""
    else:
        assert cookie & 0xFFFF == WITH_RUNS
        count = (cookie >> 16) + 1
        run_flags = data[4 : 4 + -(-count // 8)]
        position = 4 + len(run_flags)
    heads = np.frombuffer(data, dtype="<u2", count=2 * count, offset=position).reshape(-1, 2).tolist()
    position += 4 * count
    if not run_flags or count >= POSITIONS_FROM:
        position += 4 * count
    for number, (key, last) in enumerate(heads):
        if run_flags and run_flags[number >> 3] >> (number & 7) & 1:
            runs = int.from_bytes(data[position : position + 2], "little")
            size = 2 + 4 * runs
        else:
            runs = 0
            size = SPAN_BYTES if last >= ARRAY_MAX else 2 * (last + 1)
        row = key - first
        if 0 <= row < len(spans):
            spans[row] = _container_bits(data[position : position + size], runs, is_bits=last >= ARRAY_MAX)
        position += size


def _container_bits(data: bytes, runs: int, *, is_bits: bool) -> npt.NDArray[np.uint8]:
    """The 8192 bytes of bits of one container."""
    if runs == 0 and is_bits:
        return np.frombuffer(data, dtype=np.uint8)
    flags = np.zeros(SPAN, dtype=np.bool_)
    if runs:
        bounds = np.frombuffer(data, dtype="<u2", offset=2).reshape(-1, 2).tolist()
        for start, length in bounds:
            flags[start : start + length + 1] = True
    else:
        flags[np.frombuffer(data, dtype="<u2")] = True
    return np.packbits(flags, bitorder="little")
