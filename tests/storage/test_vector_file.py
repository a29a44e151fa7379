"""Append-only rows: what was appended is read, what was flipped is found."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qdrantlite.errors import Corrupted, StorageFailed
from qdrantlite.storage import punching
from qdrantlite.storage.files import PosixFiles
from qdrantlite.storage.row_format import HEADER_BYTES, RowFormat
from qdrantlite.storage.vacant import NO_RANGES, Ranges, between, ranges_of
from qdrantlite.storage.vector_file import RowTail, VectorFile
from tests.faulty_files import FaultyFiles, PowerLost

FILES = PosixFiles()
WIDE = RowFormat("float32", 4096)
"""Eight rows make a block."""


class Ledger:
    """What the point store would remember of one file."""

    def __init__(self) -> None:
        self.tail = RowTail(0, 0, ())
        self.checksums: list[int] = []
        self.vacant = NO_RANGES

    def commit(self, file: VectorFile) -> None:
        file.sync()
        self.tail = file.tail()
        for block, crc in self.tail.finished:
            assert block == len(self.checksums)
            self.checksums.append(crc)
        file.settle()

    def open(
        self, path: Path, row_format: RowFormat, files: PosixFiles = FILES, vacant: Ranges = NO_RANGES
    ) -> VectorFile:
        return VectorFile(
            path,
            row_format,
            rows=self.tail.rows,
            crc=self.tail.crc,
            checksums=lambda: np.array(self.checksums, np.uint32),
            files=files,
            vacant=vacant,
        )


def _rows(row_format: RowFormat, start: int, count: int) -> NDArray[Any]:
    numbers = np.arange(start, start + count)[:, None] * 31 + np.arange(row_format.dim)[None, :]
    return (numbers % 251).astype(row_format.numpy)


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_rows_survive_reopening_and_are_aligned(tmp_path: Path, dtype: Literal["float32", "float16", "uint8"]) -> None:
    row_format, ledger = RowFormat(dtype, 33), Ledger()
    file = ledger.open(tmp_path / "rows" / "0.rows", row_format)
    for start in range(0, 5000, 700):
        file.append(_rows(row_format, start, 700))
        ledger.commit(file)
    file.close()
    file = ledger.open(tmp_path / "rows" / "0.rows", row_format)
    view = file.rows(5600)
    np.testing.assert_array_equal(view, _rows(row_format, 0, 5600))
    assert view.dtype == dtype
    assert not view.flags.writeable
    assert view.ctypes.data % 64 == 0
    file.verify_rows(np.array([0, 5599, 3], np.uint32))
    file.close()


def test_old_views_stay_valid_while_the_file_grows_and_after_close(tmp_path: Path) -> None:
    ledger = Ledger()
    file = ledger.open(tmp_path / "0.rows", WIDE)
    file.append(_rows(WIDE, 0, 3))
    views = [file.rows(3)]
    for start in range(3, 100):
        file.append(_rows(WIDE, start, 1))
        views.append(file.rows(start + 1))
    file.close()
    (tmp_path / "0.rows").unlink()
    for view in views:
        np.testing.assert_array_equal(view, _rows(WIDE, 0, len(view)))


def test_one_row_takes_next_to_no_disk(tmp_path: Path) -> None:
    file = Ledger().open(tmp_path / "0.rows", RowFormat("float32", 384))
    file.append(np.ones((1, 384), np.float32))
    file.sync()
    assert (tmp_path / "0.rows").stat().st_blocks * 512 <= 8192
    file.close()


def test_rows_of_zeros_take_no_disk_and_hide_what_was_rewound(tmp_path: Path) -> None:
    ledger = Ledger()
    file = ledger.open(tmp_path / "0.rows", WIDE)
    file.append(_rows(WIDE, 1, 3))
    mark = file.mark()
    file.append(_rows(WIDE, 4, 10))
    file.rewind(mark)
    file.append_zeros(5000)
    file.append(_rows(WIDE, 7, 1))
    ledger.commit(file)
    assert (tmp_path / "0.rows").stat().st_blocks * 512 < 1_000_000
    file.close()
    file = ledger.open(tmp_path / "0.rows", WIDE)
    file.verify_rows(slice(0, 5004))
    assert not file.rows(5003)[3:].any()
    np.testing.assert_array_equal(file.rows(5004)[-1:], _rows(WIDE, 7, 1))
    file.close()


@st.composite
def _operations(draw: st.DrawFn) -> list[tuple[str, int]]:
    names = st.sampled_from(["append", "zeros", "commit", "rewind", "reopen", "kill"])
    return draw(st.lists(st.tuples(names, st.integers(0, 20)), max_size=25))


@given(operations=_operations())
def test_agrees_with_a_list_through_rewinds_and_restarts(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "0.rows"
    ledger = Ledger()
    file = ledger.open(path, WIDE)
    committed: list[int] = []
    pending: list[int] = []
    mark = file.mark()
    seed = 0
    for name, count in operations:
        if name == "append":
            file.append(_rows(WIDE, seed + 1, count))
            pending += range(seed + 1, seed + 1 + count)
            seed += count
        elif name == "zeros":
            file.append_zeros(count)
            pending += [-1] * count
        elif name == "rewind":
            file.rewind(mark)
            pending = []
        else:
            if name == "commit":
                ledger.commit(file)
                committed += pending
            else:
                if name == "reopen":
                    file.close()
                file = ledger.open(path, WIDE)
            pending = []
            mark = file.mark()
        expected = committed + pending
        assert file.rows_appended == len(expected)
        found = file.rows(len(expected))
        for row, number in zip(found, expected, strict=True):
            assert row[7] == (0 if number < 0 else _rows(WIDE, number, 1)[0, 7])
        file.verify_rows(slice(0, len(expected)))
    file.close()
    file = ledger.open(path, WIDE)
    while not file.verify_step(300_000):
        pass
    file.close()


@pytest.fixture
def committed(tmp_path: Path) -> Iterator[tuple[Path, Ledger]]:
    """Twenty rows: two finished blocks and half of a third."""
    ledger = Ledger()
    file = ledger.open(tmp_path / "0.rows", WIDE)
    file.append(_rows(WIDE, 0, 20))
    ledger.commit(file)
    file.close()
    return iter([(tmp_path / "0.rows", ledger)])


@pytest.mark.parametrize("row", [0, 7, 8, 15, 16, 19])
def test_flipped_bit_is_found_and_not_served(committed: Iterator[tuple[Path, Ledger]], row: int) -> None:
    path, ledger = next(committed)
    content = bytearray(path.read_bytes())
    content[HEADER_BYTES + row * WIDE.width + 5] ^= 16
    path.write_bytes(content)
    file = ledger.open(path, WIDE)
    others = np.array([r for r in range(20) if r // 8 != row // 8], np.uint32)
    file.verify_rows(others)
    for _ in range(2):
        with pytest.raises(Corrupted, match=rf"is damaged: block {row // 8} .*0\.rows"):
            file.verify_rows(np.array([row // 8 * 8], np.uint32))
    with pytest.raises(Corrupted):
        file.verify_step(10**9)
    file.close()


def test_checksums_are_asked_for_once_and_only_when_needed(committed: Iterator[tuple[Path, Ledger]]) -> None:
    path, ledger = next(committed)
    asked = []

    def checksums() -> NDArray[np.uint32]:
        asked.append(1)
        return np.array(ledger.checksums, np.uint32)

    file = VectorFile(path, WIDE, rows=20, crc=ledger.tail.crc, checksums=checksums, files=FILES)
    assert not asked
    file.append(_rows(WIDE, 20, 30))
    file.verify_rows(slice(0, 50))
    file.verify_rows(slice(0, 50))
    assert file.verify_step(1)
    assert len(asked) == 1
    file.close()


def test_lost_rows_and_foreign_headers_are_damage(committed: Iterator[tuple[Path, Ledger]]) -> None:
    path, ledger = next(committed)
    content = path.read_bytes()
    with pytest.raises(Corrupted, match="its header"):
        ledger.open(path, RowFormat("float32", 4095))
    path.write_bytes(content[:-1])
    with pytest.raises(Corrupted, match="were committed"):
        ledger.open(path, WIDE)
    path.unlink()
    with pytest.raises(Corrupted, match="missing"):
        ledger.open(path, WIDE)


def test_garbage_beyond_the_committed_rows_is_cut(committed: Iterator[tuple[Path, Ledger]]) -> None:
    path, ledger = next(committed)
    size = path.stat().st_size
    with path.open("ab") as stream:
        stream.write(b"x" * 100_000)
    ledger.open(path, WIDE).close()
    assert path.stat().st_size == size


def vacated(*pairs: tuple[int, int]) -> Ranges:
    return ranges_of(pairs)


def disk_bytes(path: Path) -> int:
    return path.stat().st_blocks * 512


def test_vacant_blocks_take_no_disk_and_the_rest_stays(tmp_path: Path) -> None:
    ledger, path = Ledger(), tmp_path / "0.rows"
    file = ledger.open(path, WIDE)
    file.append(_rows(WIDE, 0, 100))
    ledger.commit(file)
    length, before, held = path.stat().st_size, disk_bytes(path), file.held_bytes
    block = WIDE.block_rows * WIDE.width
    ranges = vacated((3, 30), (41, 63), (99, 200))  # Blocks 1, 2 and 6; the last is not finished.
    for fresh in ([[8, 24], [48, 56]], []):
        assert file.vacate(ranges).tolist() == fresh
        assert file.punch(ranges) == 3 * block
    assert file.held_bytes == held - 3 * block
    assert before - disk_bytes(path) >= 3 * block - 8192
    assert path.stat().st_size == length
    for start, stop in ((0, 8), (24, 48), (56, 100)):
        np.testing.assert_array_equal(file.rows(100)[start:stop], _rows(WIDE, start, stop - start))
    assert not file.rows(100)[8:24].any()
    file.append(_rows(WIDE, 100, 4))
    ledger.commit(file)
    np.testing.assert_array_equal(file.rows(104)[99:], _rows(WIDE, 99, 5))
    file.close()


@pytest.mark.parametrize("reopened", [False, True])
def test_vacant_blocks_are_never_compared(committed: Iterator[tuple[Path, Ledger]], reopened: bool) -> None:
    path, ledger = next(committed)
    vacant = vacated((8, 16))
    file = ledger.open(path, WIDE, vacant=vacant) if reopened else ledger.open(path, WIDE)
    file.vacate(vacant)
    file.punch(vacant)
    while not file.verify_step(1):
        pass
    file.verify_rows(slice(0, 20))
    file.verify_rows(np.array([0, 7, 16, 19], np.uint32))
    with pytest.raises(AssertionError, match="given back"):
        file.verify_rows(np.array([0, 15], np.uint32))
    file.close()
    with pytest.raises(Corrupted, match="block 1"):
        ledger.open(path, WIDE).verify_rows(slice(0, 20))


def test_damage_beside_vacant_blocks_is_found(committed: Iterator[tuple[Path, Ledger]]) -> None:
    path, ledger = next(committed)
    content = bytearray(path.read_bytes())
    content[HEADER_BYTES + 16 * WIDE.width] ^= 16
    path.write_bytes(content)
    file = ledger.open(path, WIDE, vacant=vacated((0, 16)))
    with pytest.raises(Corrupted, match="block 2"):
        file.verify_rows(slice(0, 20))
    file.close()


def test_block_that_becomes_vacant_while_it_is_compared_is_no_damage(
    committed: Iterator[tuple[Path, Ledger]],
) -> None:
    path, ledger = next(committed)
    vacant = vacated((8, 16))

    def checksums() -> NDArray[np.uint32]:
        """Asked for in the middle of a comparison."""
        file.vacate(vacant)
        file.punch(vacant)
        return np.array(ledger.checksums, np.uint32)

    file = VectorFile(path, WIDE, rows=20, crc=ledger.tail.crc, checksums=checksums, files=FILES)
    file.verify_rows(slice(0, 20))
    file.close()


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM])
def test_where_nothing_can_be_given_back_rows_stay(
    committed: Iterator[tuple[Path, Ledger]], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    path, ledger = next(committed)
    refuse = Mock(side_effect=OSError(code, "refused"))
    assert FILES.can_punch(path.parent)
    monkeypatch.setattr(punching, "_punch", refuse)
    assert not FILES.can_punch(path.parent)
    file = ledger.open(path, WIDE, vacant=vacated((0, 16)))
    assert file.punch(vacated((0, 16))) == 0
    np.testing.assert_array_equal(file.rows(20), _rows(WIDE, 0, 20))
    file.close()
    monkeypatch.setattr(punching, "_punch", None)
    assert not FILES.can_punch(path.parent)
    monkeypatch.setattr(punching, "_punch", Mock(side_effect=OSError(errno.EIO, "input/output error")))
    with pytest.raises(StorageFailed, match="input/output"):
        FILES.can_punch(path.parent)


class _FailingSync(FaultyFiles):
    failing = False

    def tick(self) -> None:
        super().tick()
        if self.failing:
            raise StorageFailed("input/output error")


def test_after_a_failed_sync_nothing_more_is_written(tmp_path: Path) -> None:
    files = _FailingSync(tmp_path)
    file = Ledger().open(tmp_path / "0.rows", WIDE, files)
    file.append(_rows(WIDE, 0, 1))
    files.failing = True
    with pytest.raises(StorageFailed):
        file.sync()
    files.failing = False
    with pytest.raises(StorageFailed, match="earlier sync"):
        file.sync()
    with pytest.raises(StorageFailed, match="earlier sync"):
        file.append(_rows(WIDE, 1, 1))
    file.close()


GIVEN_BACK = ranges_of([(8, 24)])


def _work(file: VectorFile, ledger: Ledger) -> None:
    for start in range(0, 30, 6):
        file.append(_rows(WIDE, start, 6))
        ledger.commit(file)
    ledger.vacant = GIVEN_BACK
    file.vacate(GIVEN_BACK)
    file.punch(GIVEN_BACK)
    file.append(_rows(WIDE, 30, 6))
    ledger.commit(file)


def test_power_cut_at_every_call_keeps_every_committed_row(tmp_path: Path) -> None:
    fail_at, finished = 0, False
    while not finished:
        fail_at += 1
        root = tmp_path / f"run{fail_at}"
        root.mkdir()
        files, ledger = FaultyFiles(root, fail_at=fail_at), Ledger()
        file = ledger.open(root / "rows" / "0.rows", WIDE, files)
        try:
            _work(file, ledger)
            finished = True
        except PowerLost:
            pass
        for seed in range(3):
            crashed = tmp_path / f"crash{fail_at}-{seed}"
            files.crash_state(crashed, seed=seed)
            count = ledger.tail.rows
            after = ledger.open(crashed / "rows" / "0.rows", WIDE, vacant=ledger.vacant)
            after.verify_rows(slice(0, count))
            after.punch(ledger.vacant)
            after.append(_rows(WIDE, count, 2))
            for start, stop in between(ledger.vacant, 0, count + 2):
                np.testing.assert_array_equal(after.rows(count + 2)[start:stop], _rows(WIDE, start, stop - start))
            after.close()
    assert fail_at > 14
