"""Derived files: whole or absent."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.storage.checkpoint import Part, open_derived, read_derived, write_derived
from qdrantlite.storage.files import PosixFiles
from tests.faulty_files import FaultyFiles, PowerLost

FILES = PosixFiles()
PARTS: list[tuple[str, Part]] = [
    ("codes", np.arange(3000, dtype=np.float32).reshape(1000, 3)),
    ("bitmap", b"\x01\x02\x03"),
    ("empty", np.empty((0, 4), np.uint8)),
    ("nothing", b""),
]


def test_parts_come_back_as_they_were_aligned_and_read_only(tmp_path: Path) -> None:
    path = tmp_path / "derived" / "x"
    write_derived(path, format_version=3, covers_seq=77, parts=PARTS, files=FILES)
    derived = read_derived(path, format_version=3, files=FILES)
    assert derived is not None
    assert derived.covers_seq == 77
    assert list(derived.parts) == [name for name, _ in PARTS]
    for name, part in PARTS:
        found = derived.parts[name]
        if isinstance(part, bytes):
            assert found == part
        else:
            assert isinstance(found, np.ndarray)
            assert found.dtype == part.dtype
            np.testing.assert_array_equal(found, part)
            assert not found.flags.writeable
            assert part.size == 0 or found.ctypes.data % 64 == 0


def test_missing_or_other_version_reads_as_absent(tmp_path: Path) -> None:
    path = tmp_path / "x"
    assert read_derived(path, format_version=1, files=FILES) is None
    write_derived(path, format_version=1, covers_seq=0, parts=PARTS, files=FILES)
    assert read_derived(path, format_version=2, files=FILES) is None


@given(st.data())
def test_any_flipped_byte_or_cut_reads_as_absent(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("derived") / "x"
    write_derived(path, format_version=1, covers_seq=5, parts=PARTS[:2], files=FILES)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        assert read_derived(path, format_version=1, files=FILES) is None
        return
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    derived = read_derived(path, format_version=1, files=FILES)
    # A flip in the padding between parts is nobody's byte.
    if derived is not None:
        np.testing.assert_array_equal(derived.parts["codes"], PARTS[0][1])
        assert derived.parts["bitmap"] == PARTS[1][1]
        assert derived.covers_seq == 5


@given(st.data())
def test_what_is_opened_unread_tells_a_flipped_byte_once_it_is_asked(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("derived") / "x"
    write_derived(path, format_version=1, covers_seq=5, parts=PARTS, files=FILES)
    content = bytearray(path.read_bytes())
    codes = PARTS[0][1]
    assert isinstance(codes, np.ndarray)
    first = bytes(content).index(codes.tobytes())
    content[data.draw(st.integers(first, first + codes.nbytes - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    opened = open_derived(path, format_version=1, files=FILES)
    assert opened is not None
    assert opened.size_unverified == codes.nbytes
    assert not opened.is_whole()
    assert not opened.is_whole(), "nor is it later"


def test_what_is_opened_unread_is_compared_once(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_derived(path, format_version=1, covers_seq=5, parts=PARTS, files=FILES)
    opened = open_derived(path, format_version=1, files=FILES)
    assert opened is not None
    assert opened.is_whole()
    assert opened.size_unverified == 0
    assert opened.is_whole()
    np.testing.assert_array_equal(opened.parts["codes"], PARTS[0][1])


def test_power_cut_at_every_call_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    fail_at = 0
    while True:
        fail_at += 1
        root = tmp_path / f"run{fail_at}"
        root.mkdir()
        write_derived(root / "x", format_version=1, covers_seq=1, parts=PARTS, files=FILES)
        files = FaultyFiles(root, fail_at=fail_at)
        try:
            write_derived(root / "x", format_version=1, covers_seq=2, parts=PARTS, files=files)
            finished = True
        except PowerLost:
            finished = False
        for seed in range(8):
            crashed = tmp_path / f"crash{fail_at}-{seed}"
            files.crash_state(crashed, seed=seed)
            derived = read_derived(crashed / "x", format_version=1, files=FILES)
            assert derived is not None
            assert derived.covers_seq in ((2,) if finished else (1, 2))
        if finished:
            break
    assert fail_at > 5
