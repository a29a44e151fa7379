"""Folders written by earlier forms of the files open, and say what they said then.

``folder-1``: derived state in one file, payload indexes and postings in it. Made of thirty points of which 1 was
written again, 40 added, 2 and 20 deleted, 5 recoloured, 7 cleared, and 3 lost its words.
"""

import tarfile
from pathlib import Path

import pytest

from qdrantlite.database import Database
from tests.collection.small import NAME, checkpoint, collection_of, color, found, nearest, passing, size, sparse

RECORDINGS = Path(__file__).parents[1] / "recordings"
GREEN = [n for n in range(30) if n % 2 == 0 and n not in (2, 20)]


@pytest.mark.parametrize("recording", ["folder-1"])
def test_recorded_folder_opens_as_it_was(tmp_path: Path, recording: str) -> None:
    with tarfile.open(RECORDINGS / f"{recording}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    for _ in range(2):
        with Database(tmp_path) as database:
            assert passing(database) == [n for n in range(41) if n not in (2, 20) and not 29 < n < 40]
            assert passing(database, color("green")) == sorted([1, *GREEN])
            assert passing(database, color("blue")) == [5]
            assert passing(database, color("red")) == [n for n in range(3, 30, 2) if n not in (5, 7)] + [40]
            assert passing(database, size(9)) == [1]
            assert found(database, nearest(29, limit=3)) == [40, 28, 27]
            words = found(database, nearest(sparse(i1=1), "words"))
            assert words == sorted({*range(30), 40} - {2, 3, 20}, reverse=True)
            fields = {key: field.points for key, field in database.collection_info(NAME).payload_schema.items()}
            assert fields == {"color": 28, "size": 27}
            assert collection_of(database).shard.state.operation_id > 0
            checkpoint(database)
