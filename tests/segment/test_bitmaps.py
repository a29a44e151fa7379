"""Conversions between bitmaps and arrays, against pyroaring's own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from qdrantlite.segment.bitmaps import Offsets, bitmap_of, bits_at, offsets_in, packed_bits

SHAPES = {
    "empty": (0, 10),
    "one": (1, 2**32),
    "few": (200, 1000),
    "array in one container": (3000, 60_000),
    "arrays in many": (4000, 2**32),
    "arrays, repeated": (4000, 2000),
    "many and sparse": (20_000, 2**32),
    "skewed": (30_000, 20_000),
    "bits": (60_000, 65_536),
    "bits and arrays": (30_000, 300_000),
}


def drawn(shape: str) -> Offsets:
    count, stop = SHAPES[shape]
    offsets = np.random.default_rng(3).integers(0, stop, count).astype(np.uint32)
    return np.append(offsets, np.uint32(2**31)) if shape == "skewed" else offsets


@pytest.mark.parametrize("shape", SHAPES)
def test_bitmap_holds_exactly_the_offsets(shape: str) -> None:
    offsets = drawn(shape)
    bitmap = bitmap_of(offsets)
    assert bitmap == BitMap(offsets.tolist())
    np.testing.assert_array_equal(offsets_in(bitmap), np.unique(offsets))


@st.composite
def bitmaps(draw: st.DrawFn) -> BitMap:
    """Runs, bits and arrays in several containers."""
    bitmap = BitMap(draw(st.lists(st.integers(0, 400_000), max_size=30)))
    for start, length, step in draw(
        st.lists(st.tuples(st.integers(0, 300_000), st.integers(1, 90_000), st.integers(1, 3)), max_size=4)
    ):
        bitmap |= BitMap(range(start, start + length, step))
    if draw(st.booleans()):
        bitmap.run_optimize()
    return bitmap


@given(bitmaps(), st.integers(0, 400_000), st.integers(0, 100_000))
def test_packed_bits_tell_of_a_range(bitmap: BitMap, start: int, length: int) -> None:
    packed = packed_bits(bitmap, start, start + length)
    assert packed.shape == (-(-length // 8),)
    found = np.flatnonzero(np.unpackbits(packed, bitorder="little"))
    wanted = offsets_in(bitmap & BitMap(range(start, start + length))) - start
    np.testing.assert_array_equal(found, wanted)


@given(bitmaps(), st.lists(st.integers(0, 400_000), max_size=20))
def test_bits_at_tell_of_each_offset(bitmap: BitMap, offsets: list[int]) -> None:
    found = bits_at(packed_bits(bitmap, 0, 400_001), np.array(offsets, dtype=np.uint32))
    assert found.tolist() == [offset in bitmap for offset in offsets]
