"""Points that are moved to other offsets: a commit like any, of which a client sees nothing."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from qdrantlite.collection.upkeep.active import Crew
from qdrantlite.collection.write.transaction import Moved
from qdrantlite.database import Database
from qdrantlite.errors import Corrupted, StorageFailed
from qdrantlite.query import operation as o
from qdrantlite.storage.store_writer import StoreWriter
from qdrantlite.storage.vector_file import VectorFile
from tests.collection.compacted import change, seen_but_ties, untended, worn
from tests.collection.small import collection_of, copied, ids, multi, upsert, write
from tests.collection.small import point as small_point


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with untended(), worn(tmp_path / "db") as database:
        yield database


def crew_of(database: Database) -> Crew:
    return collection_of(database)._active.crew


def move(database: Database, start: int, stop: int, limit: int = 1000) -> Moved:
    return crew_of(database).committer.move(start, stop, limit)


def test_nothing_changes_that_a_client_sees(database: Database, tmp_path: Path) -> None:
    before, shard = seen_but_ties(database), crew_of(database).shard
    state = shard.state
    moved = move(database, 0, state.rows)
    assert np.array_equal(moved.before, state.live.offsets())
    assert moved.after.tolist() == list(range(state.rows, state.rows + len(moved.before)))
    assert np.array_equal(shard.state.live.offsets(), moved.after)
    assert shard.state.operation_id == state.operation_id
    assert seen_but_ties(database) == before
    with copied(database, tmp_path / "db", tmp_path / "killed") as killed:
        assert seen_but_ties(killed) == before
        change(killed)


def test_the_first_that_live_are_moved(database: Database) -> None:
    living = crew_of(database).shard.state.live.offsets()
    moved = move(database, int(living[3]), int(living[20]), limit=5)
    assert np.array_equal(moved.before, living[3:8])
    assert len(move(database, 0, int(living[0])).before) == 0


def test_a_multivector_is_moved_with_its_rows(database: Database) -> None:
    write(database, upsert(small_point(200, {"many": multi((1, 2), (3, 4), (5, 6))}), small_point(201)))
    shard = crew_of(database).shard
    slot, rows = shard.slots["many"], shard.state.multi["many"].rows
    move(database, shard.state.rows - 2, shard.state.rows)
    view = shard.state.multi["many"]
    owned = view.bounds.at(shard.state.live.offsets()[-2:])
    assert owned.starts.tolist() == [len(rows), len(rows) + 3]
    assert view.rows[len(rows) :].tolist() == rows[-5:].tolist()
    assert slot.present.contains(shard.state.live.offsets()[-2:]).all()


def test_what_fails_leaves_everything_as_it_was(database: Database) -> None:
    before, shard = seen_but_ties(database), crew_of(database).shard
    rows = shard.state.rows
    failures = (
        patch.object(VectorFile, "append", side_effect=StorageFailed("no space left")),
        patch.object(StoreWriter, "copy_points", side_effect=StorageFailed("no space left")),
        patch.object(VectorFile, "verify_rows", side_effect=Corrupted("a block is damaged")),
    )
    for failure in failures:
        with failure, pytest.raises((StorageFailed, Corrupted)):
            move(database, 0, rows)
        assert shard.state.rows == rows
        assert seen_but_ties(database) == before
    write(database, o.DeletePoints(ids(1)))
    assert len(move(database, 0, rows).before)
