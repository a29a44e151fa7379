"""A store and the points written into it, for the tests of this folder."""

from pathlib import Path

import numpy as np

from qdrantlite.storage.files import Files, PosixFiles
from qdrantlite.storage.point_store import PointStore, create_store
from qdrantlite.storage.store_reader import IdBound, Offsets, StoreReader
from qdrantlite.values.point_id import PointId

FILES = PosixFiles()


def new_store(folder: Path, *, files: Files = FILES) -> PointStore:
    """Empty, and open."""
    path = folder / "points.sqlite3"
    create_store(path, files=files)
    return PointStore(path, files=files)


def insert(store: PointStore, ids: list[PointId], payloads: list[bytes | None] | None = None) -> Offsets:
    """New points in the open transaction."""
    start = store.writer.state().offset_next
    offsets = np.arange(start, start + len(ids), dtype=np.uint32)
    payloads = payloads or [None] * len(ids)
    store.writer.insert_points(offsets, ids, version=start + 7, payloads=payloads, presence=[1] * len(ids))
    store.writer.put_offset_next(start + len(ids))
    return offsets


def put(store: PointStore, ids: list[PointId]) -> int:
    """New points in a transaction of their own, durable."""
    store.writer.begin()
    insert(store, ids)
    commit_seq = store.writer.commit()
    store.sync(commit_seq)
    return commit_seq


def all_ids(reader: StoreReader) -> list[PointId]:
    """In id order."""
    return reader.ids(reader.walk_ids(IdBound.at(None), 10**6)[0])
