"""What the disk has done to rows since they were written is found behind the searches, though nobody asks for them."""

from pathlib import Path

import pytest

from qdrantlite.database import Database
from qdrantlite.storage import file_names
from qdrantlite.values.record import CollectionStatus
from tests.collection.small import NAME, collection_of, dense, multi, opened, point, upsert, write


@pytest.mark.parametrize("vector", ["", "many"])
def test_damaged_rows_are_found_and_shown(tmp_path: Path, vector: str) -> None:
    with opened(tmp_path) as database:
        write(database, upsert(*(point(each, {"": dense(1, each), "many": multi((1, each))}) for each in range(50))))
        shard = collection_of(database).shard
        path = file_names.vector_file(shard.folder, shard.slots[vector].id)
    data = bytearray(path.read_bytes())
    data[-3] ^= 0xFF
    path.write_bytes(data)
    with Database(tmp_path) as database:
        collection_of(database).maintain(idle=False)
        info = database.collection_info(NAME)
        assert (info.status, "is damaged" in (info.optimizer_error or "")) == (CollectionStatus.RED, True)
        assert str(tmp_path) not in (info.optimizer_error or "")
