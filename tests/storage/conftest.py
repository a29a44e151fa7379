"""An empty store, for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from qdrantlite.storage.point_store import PointStore, create_store
from tests.storage.stored_points import FILES


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PointStore]:
    create_store(tmp_path / "points.sqlite3", files=FILES)
    store = PointStore(tmp_path / "points.sqlite3", files=FILES)
    yield store
    store.close()
