"""An empty store, for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from qdrantlite.storage.point_store import PointStore
from tests.storage.stored_points import new_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PointStore]:
    store = new_store(tmp_path)
    yield store
    store.close()
