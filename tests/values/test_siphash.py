"""Slices of ids against a plain SipHash of one id."""

from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.values.point_id import PointId
from qdrantlite.values.siphash import in_slice, siphash

LAST = 2**64 - 1
IDS: st.SearchStrategy[PointId] = st.one_of(st.integers(0, LAST), st.uuids())


def plain(data: bytes) -> int:
    """SipHash-2-4 with a key of zeros of a multiple of 8 bytes, as its paper writes it."""
    a, b, c, d = 0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573

    def turned(word: int, bits: int) -> int:
        return (word << bits | word >> 64 - bits) & LAST

    def mixed(a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
        a, c = (a + b) & LAST, (c + d) & LAST
        b, d, a = turned(b, 13) ^ a, turned(d, 16) ^ c, turned(a, 32)
        c, a = (c + b) & LAST, (a + d) & LAST
        return a, turned(b, 17) ^ c, turned(c, 32), turned(d, 21) ^ a

    words = [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)]
    for word in [*words, len(data) << 56]:
        a, b, c, d = mixed(*mixed(a, b, c, d ^ word))
        a ^= word
    a, b, c, d = mixed(*mixed(*mixed(*mixed(a, b, c ^ 0xFF, d))))
    return a ^ b ^ c ^ d


@given(st.lists(IDS, max_size=20), st.integers(1, 2**64 - 1))
def test_every_id_is_in_the_slice_of_its_hash(ids: list[PointId], total: int) -> None:
    hashes = [plain(i.bytes if isinstance(i, UUID) else i.to_bytes(8, "little")) for i in ids]
    for index in {value % total for value in hashes} | {0}:
        assert in_slice(ids, index=index, total=total).tolist() == [value % total == index for value in hashes]


@pytest.mark.parametrize("words", [1, 2])
def test_rows_are_hashed_each_for_itself(words: int) -> None:
    rows = np.arange(6, dtype=np.uint64).reshape(-1, words)
    assert siphash(rows).tolist() == [plain(row.tobytes()) for row in rows]
