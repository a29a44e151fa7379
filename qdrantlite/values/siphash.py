"""SipHash-2-4 of point ids with a key of zeros, by which ids are parted into slices.

J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF", 2012. An integer id is hashed as its 8 bytes,
the lowest first, a UUID as its 16 bytes. All ids of an array go through each step together.
"""

from collections.abc import Sequence
from typing import TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from qdrantlite.values.point_id import PointId

U64: TypeAlias = NDArray[np.uint64]

_START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


def in_slice(ids: Sequence[PointId], *, index: int, total: int) -> NDArray[np.bool_]:
    """Whether each id belongs to slice ``index`` of ``total`` (below 2^64), ``(n,) bool``."""
    found = np.zeros(len(ids), dtype=np.bool_)
    is_uuid = np.fromiter((isinstance(point_id, UUID) for point_id in ids), np.bool_, len(ids))
    uuids = b"".join([point_id.bytes for point_id in ids if isinstance(point_id, UUID)])
    integers = np.array([point_id for point_id in ids if not isinstance(point_id, UUID)], dtype=np.uint64)
    for kind, words in ((is_uuid, np.frombuffer(uuids, "<u8").reshape(-1, 2)), (~is_uuid, integers.reshape(-1, 1))):
        found[kind] = siphash(words) % np.uint64(total) == np.uint64(index)
    return found


def siphash(words: U64) -> U64:
    """The hash of each row of ``words`` ``(n, k) uint64``, read as 8 · k bytes; ``(n,) uint64``."""
    v = [np.full(len(words), start, dtype=np.uint64) for start in _START]
    length = np.full(len(words), 8 * words.shape[1] << 56, dtype=np.uint64)
    for word in (*words.T, length):
        v[3] ^= word
        _rounds(v, 2)
        v[0] ^= word
    v[2] ^= np.uint64(0xFF)
    _rounds(v, 4)
    hashed: U64 = v[0] ^ v[1] ^ v[2] ^ v[3]
    return hashed


def _rounds(v: list[U64], count: int) -> None:
    for _ in range(count):
        for left, right, turn, back in ((0, 1, 13, 32), (2, 3, 16, 0), (0, 3, 21, 0), (2, 1, 17, 32)):
            v[left] += v[right]
            v[right] = _turned(v[right], turn) ^ v[left]
            if back:
                v[left] = _turned(v[left], back)


def _turned(words: U64, bits: int) -> U64:
    turned: U64 = (words << np.uint64(bits)) | (words >> np.uint64(64 - bits))
    return turned
