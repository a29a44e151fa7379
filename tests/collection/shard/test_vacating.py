"""What dead points leave in row files is given back in place; what lives never is."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.shard.slots import DenseSlot, MultiSlot
from qdrantlite.collection.shard.vacating import can_vacate, finish, vacate
from qdrantlite.database import Database
from qdrantlite.errors import Corrupted, StorageFailed
from qdrantlite.query import operation as o
from qdrantlite.storage.vacant import NO_RANGES, Vacant, ranges_of
from qdrantlite.storage.vector_file import VectorFile
from tests.collection.compacted import CONDITIONS, untended
from tests.collection.small import (
    CONFIG,
    NAME,
    answers,
    collection_of,
    contents,
    copied,
    dense,
    ids,
    multi,
    opened,
    point,
    upsert,
    write,
)
from tests.collection.vacated import BLOCK_ROWS, dead_of, small_blocks, vacate_dead

POINTS = 64
GONE = range(3, 45)


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with small_blocks(), untended():
        yield


def worn(folder: Path) -> Database:
    """A third of the points is left; each had a row, and two of a multivector."""
    database = opened(folder, CONFIG)
    write(database, upsert(*(point(n, color="red" if n % 2 else "green", size=n % 3) for n in range(POINTS))))
    write(database, o.DeletePoints(ids(*GONE)))
    return database


def shard_of(database: Database) -> Shard:
    return collection_of(database).shard


def seen(database: Database) -> object:
    return contents(database), answers(database, CONDITIONS)


def many(shard: Shard) -> MultiSlot:
    slot = shard.slots["many"]
    assert isinstance(slot, MultiSlot)
    return slot


def zero_blocks(shard: Shard, name: str) -> list[int]:
    """Blocks of a vector's file that hold nothing but zeros."""
    slot = shard.slots[name]
    assert isinstance(slot, DenseSlot | MultiSlot)
    rows = slot.file.rows(slot.file.rows_appended)
    whole = len(rows) // BLOCK_ROWS
    return [block for block in range(whole) if not rows[block * BLOCK_ROWS : (block + 1) * BLOCK_ROWS].any()]


def test_dead_rows_are_given_back_and_answers_stay(tmp_path: Path) -> None:
    database = worn(tmp_path / "db")
    before, shard = seen(database), shard_of(database)
    held = sum(slot.file.held_bytes for slot in shard.row_slots())
    assert can_vacate(shard)
    given_back = vacate_dead(shard)
    assert zero_blocks(shard, "") == [1, 2, 3, 4]  # Offsets 3 to 44, without the blocks that they share.
    assert zero_blocks(shard, "many") == list(range(1, 11))
    assert given_back == 14 * BLOCK_ROWS * 8 == held - sum(slot.file.held_bytes for slot in shard.row_slots())
    assert shard.state.dense[""].held == ((0, 3), (45, 64))
    with collection_of(database).open_view() as view:
        assert view.vector("").rows == 22
        assert view.vector("many").rows == 128 - 10 * BLOCK_ROWS
    assert seen(database) == before
    write(database, upsert(point(200, color="red"), point(1, size=9)))
    before = seen(database)
    assert vacate_dead(shard) == 0  # No further block is without a point.
    assert seen(database) == before
    with copied(database, tmp_path / "db", tmp_path / "killed") as killed:
        assert shard_of(killed).state.dense[""].held == ((0, 1), (2, 3), (45, 66))
        assert seen(killed) == before
    with Database(tmp_path / "db") as reopened:
        collection_of(reopened).maintain(idle=True)
        assert seen(reopened) == before


def test_a_block_that_becomes_vacant_in_parts_is_given_back_with_the_last(tmp_path: Path) -> None:
    with worn(tmp_path / "db") as database:
        before, shard = seen(database), shard_of(database)
        block_bytes = BLOCK_ROWS * 8
        assert vacate(shard, Vacant(ranges_of([(8, 20)]))) == block_bytes
        assert vacate(shard, Vacant(ranges_of([(22, 24)]))) == 0
        assert zero_blocks(shard, "") == [1]
        assert vacate(shard, Vacant(ranges_of([(20, 22)]))) == block_bytes
        assert zero_blocks(shard, "") == [1, 2]
        assert vacate(shard, Vacant(ranges_of([(8, 24)]))) == 0
        assert seen(database) == before


@pytest.mark.parametrize(
    ("offsets", "rows"),
    [
        ([(0, 1)], []),
        ([(5, 46)], []),
        ([(5, 20), (63, 64)], []),
        ([(50, 65)], []),
        ([(4_000, 5_000)], []),
        ([], [(0, 1)]),
        ([], [(5, 9)]),
        ([], [(10, 20), (89, 91)]),
        ([], [(127, 128)]),
        ([], [(120, 129)]),
        ([], [(128, 200)]),
    ],
)
def test_what_lives_or_may_yet_is_never_given_back(
    tmp_path: Path, offsets: list[tuple[int, int]], rows: list[tuple[int, int]]
) -> None:
    with worn(tmp_path / "db") as database:
        before, shard = seen(database), shard_of(database)
        with pytest.raises(Corrupted):
            vacate(shard, Vacant(ranges_of(offsets), {many(shard).id: ranges_of(rows)}))
        assert not shard.vacant
        assert not shard.store.writer.vacant()
        assert zero_blocks(shard, "") == zero_blocks(shard, "many") == []
        assert seen(database) == before


def test_rows_that_a_point_took_along_to_its_new_offset_live(tmp_path: Path) -> None:
    """An update of another vector gives a point a new offset, and leaves its multivector where it is."""
    with worn(tmp_path / "db") as database:
        write(database, o.UpdateVectors(tuple(o.VectorsWrite(n, {"": dense(7, 7)}) for n in range(45, POINTS))))
        before, shard = seen(database), shard_of(database)
        with pytest.raises(Corrupted):
            vacate(shard, Vacant(rows={many(shard).id: ranges_of([(88, 104)])}))
        vacate_dead(shard)
        assert zero_blocks(shard, "") == list(range(1, 8))
        assert zero_blocks(shard, "many") == list(range(1, 11))
        assert seen(database) == before
        write(database, o.UpdateVectors(tuple(o.VectorsWrite(n, {"many": multi((7, 7))}) for n in range(45, POINTS))))
        before = seen(database)
        vacate_dead(shard)
        assert zero_blocks(shard, "many") == list(range(1, 16))
        assert seen(database) == before


def test_what_was_not_given_back_is_after_the_next_opening(tmp_path: Path) -> None:
    database = worn(tmp_path / "db")
    before, shard = seen(database), shard_of(database)
    with (
        patch.object(VectorFile, "punch", side_effect=StorageFailed("input/output error")),
        pytest.raises(StorageFailed),
    ):
        vacate_dead(shard)
    assert zero_blocks(shard, "") == []
    assert seen(database) == before
    with copied(database, tmp_path / "db", tmp_path / "killed") as killed:
        shard = shard_of(killed)
        assert shard.vacant
        assert seen(killed) == before
        assert zero_blocks(shard, "") == []
        collection_of(killed).maintain(idle=False)
        assert zero_blocks(shard, "") == [1, 2, 3, 4]
        assert zero_blocks(shard, "many") == list(range(1, 11))
        assert shard.is_punched
        assert seen(killed) == before


def test_a_failed_punch_is_made_again_by_upkeep(tmp_path: Path) -> None:
    with worn(tmp_path / "db") as database:
        shard = shard_of(database)
        with patch.object(VectorFile, "punch", side_effect=StorageFailed("no")), pytest.raises(StorageFailed):
            vacate_dead(shard)
        finish(shard)
        assert zero_blocks(shard, "") == [1, 2, 3, 4]


def test_nothing_is_punched_before_its_record_is_durable(tmp_path: Path) -> None:
    with worn(tmp_path / "db") as database:
        shard = shard_of(database)
        with patch.object(shard.store, "sync", side_effect=StorageFailed("input/output error")):
            with pytest.raises(StorageFailed):
                vacate_dead(shard)
            shard.vacant, shard.is_punched = dead_of(shard), False  # As after an opening.
            with pytest.raises(StorageFailed):
                finish(shard)
        assert zero_blocks(shard, "") == zero_blocks(shard, "many") == []


def test_a_view_from_before_the_deaths_is_told_and_not_given_zeros(tmp_path: Path) -> None:
    """Whoever vacates has waited for it to end; if it had not, it would have to know."""
    with opened(tmp_path / "db", CONFIG) as database:
        write(database, upsert(*(point(n) for n in range(POINTS))))
        view = collection_of(database).open_view()
        write(database, o.DeletePoints(ids(*GONE)))
        vacate_dead(shard_of(database))
        with view, pytest.raises(AssertionError, match="given back"):
            view.dense("").vectors(np.array([10], np.uint32))


def test_ranges_of_a_vector_that_has_gone_are_not_recorded(tmp_path: Path) -> None:
    with worn(tmp_path / "db") as database:
        shard, vector = shard_of(database), many(shard_of(database)).id
        database.alter(NAME, o.DeleteVectorName("many"))
        vacate(shard, Vacant(ranges_of([(3, 45)]), {vector: NO_RANGES}))
        assert dict(shard.vacant.rows) == {}
        database.alter(NAME, o.CreateVectorName("many", CONFIG.vectors["many"]))
        write(database, upsert(*(point(n) for n in range(100, 200))))
        before = seen(database)
        vacate_dead(shard)
        assert seen(database) == before


def test_a_vector_made_later_reads_no_vacant_rows(tmp_path: Path) -> None:
    database = worn(tmp_path / "db")
    vacate_dead(shard_of(database))
    database.alter(NAME, o.CreateVectorName("late", CONFIG.vectors[""]))
    write(database, upsert(point(300, {"late": dense(1, 1)}), point(301, {"late": dense(2, 1)})))
    assert shard_of(database).state.dense["late"].held == ((0, 3), (45, 66))
    before = seen(database)
    with copied(database, tmp_path / "db", tmp_path / "killed") as killed:
        collection_of(killed).maintain(idle=True)
        assert seen(killed) == before
