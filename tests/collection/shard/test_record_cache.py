"""Records returned lately are kept until a commit changes a point in place; nobody sees the difference."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from unittest.mock import patch

import numpy as np

from qdrantlite.collection.shard import record_cache
from qdrantlite.collection.shard.record_cache import RecordCache
from qdrantlite.database import Database
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.storage.store_reader import Offsets, StoreReader
from tests.collection.small import NAME, collection_of, dense, ids, nearest, opened, point, upsert, write

ALL = s.Search(s.Prefetch(query=s.Nearest(dense(1, 1)), limit=100), with_payload=s.ALL_PAYLOAD)


def seen(database: Database) -> list[tuple[object, ...]]:
    return sorted((hit.record.id, hit.record.payload, hit.version) for hit in database.search(NAME, ALL))


def test_every_kind_of_write_is_seen_by_a_search_asked_before(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        write(database, upsert(point(1, size=1), point(2, size=2)))
        assert seen(database) == [(1, {"size": 1}, 1), (2, {"size": 2}, 1)]
        write(database, o.SetPayload({"size": 3}, ids(2)))
        assert seen(database) == [(1, {"size": 1}, 1), (2, {"size": 3}, 2)]
        write(database, o.DeleteVectors(ids(1), ("words",)))
        assert seen(database) == [(1, {"size": 1}, 3), (2, {"size": 3}, 2)]
        write(database, o.DeleteVectors(ids(1), ("words",)))  # It has none any more, but has been written to.
        assert seen(database) == [(1, {"size": 1}, 4), (2, {"size": 3}, 2)]
        write(database, upsert(point(1, size=9)))
        assert seen(database) == [(1, {"size": 9}, 5), (2, {"size": 3}, 2)]
        write(database, o.DeletePoints(ids(2)))
        assert seen(database) == [(1, {"size": 9}, 5)]


def test_a_view_keeps_what_it_began_with(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        write(database, upsert(point(1, size=1)))
        offsets = np.zeros(1, dtype=np.uint32)
        with collection_of(database).open_view() as before:
            write(database, o.SetPayload({"size": 2}, ids(1)))
            assert seen(database) == [(1, {"size": 2}, 2)]
            for _ in range(2):
                assert before.records(offsets, with_payload=True).payloads == [b'{"size":1}']
                assert before.records(offsets, with_payload=True).versions == [1]
        assert seen(database) == [(1, {"size": 2}, 2)]


def test_the_store_is_asked_once_for_the_same_page(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        write(database, upsert(*(point(i, size=i) for i in range(10))))
        plain = nearest(dense(1, 1))
        asked = []

        def counted(self: StoreReader, columns: str, offsets: Offsets) -> list[object]:
            asked.append(columns)
            return original(self, columns, offsets)

        original = StoreReader._by_offset
        with patch.object(StoreReader, "_by_offset", counted):
            first = database.search(NAME, plain)
            assert len(asked) == 1
            assert database.search(NAME, plain) == first
            assert len(asked) == 1
            for _ in range(2):
                assert [hit.record.id for hit in database.search(NAME, ALL)] == [hit.record.id for hit in first]
            assert len(asked) == 2


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    with (
        opened(tmp_path) as database,
        patch.multiple(record_cache, POINTS_MAX=20, PAYLOAD_BYTES_MAX=100, PAGE_POINTS_MAX=10),
    ):
        write(database, upsert(*(point(i, size=i) for i in range(100))))
        recent = RecordCache()
        with collection_of(database).open_view() as view:
            for start in [*range(0, 95, 5), 0]:
                offsets = np.arange(start, start + 5, dtype=np.uint32)
                records = view.reader.records(offsets, with_payload=True)
                recent.keep(offsets, records, with_payload=True)
                kept = recent.find(offsets, with_payload=True)
                assert kept is not None
                assert (kept.ids, kept.payloads) == (records.ids, records.payloads)
                assert len(recent._heads) <= 20
                assert sum(len(text or b"") for text in recent._payloads.values()) == recent._payload_bytes <= 100
            held = dict(recent._heads)
            many = np.arange(50, dtype=np.uint32)
            recent.keep(many, view.reader.records(many, with_payload=False), with_payload=False)
            assert recent._heads == held


def test_what_concurrent_searches_see_is_always_one_commit_and_never_older_than_before(tmp_path: Path) -> None:
    with opened(tmp_path) as database, ThreadPoolExecutor(3) as readers:
        (first,) = write(database, upsert(point(1, step=0)))
        done = Event()

        def watch() -> list[tuple[int, int]]:
            pairs = []
            while not done.is_set():
                ((_, payload, version),) = seen(database)
                assert isinstance(payload, dict)
                assert isinstance(version, int)
                pairs.append((payload["step"], version))
            return pairs

        watching = [readers.submit(watch) for _ in range(3)]
        for step in range(1, 200):
            write(database, o.SetPayload({"step": step}, ids(1)))
        done.set()
        for future in watching:
            pairs = future.result()
            assert pairs == sorted(pairs)
            assert all(version == first + step for step, version in pairs)
