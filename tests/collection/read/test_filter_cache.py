"""What a filter lets through, and how a search runs, is found once for each state of a shard and forgotten with it."""

from pathlib import Path
from unittest.mock import patch

from qdrantlite.query import operation as o
from qdrantlite.query.filter import FieldCondition, Filter, MatchBool, MatchInteger
from qdrantlite.segment import cache as module
from qdrantlite.segment.cache import Cache
from tests.collection.small import (
    dense,
    found,
    ids,
    nearest,
    opened,
    passing,
    point,
    size,
    sparse,
    upsert,
    write,
)


def filter_of(number: int) -> Filter:
    return Filter(must=(FieldCondition("n", MatchInteger(number)),))


def test_filters_equal_in_value_share_what_was_found() -> None:
    known: Cache[Filter, str] = Cache()
    known.keep(filter_of(1), "kept", 3)
    assert known.find(filter_of(1)) == "kept"
    assert known.find(filter_of(2)) is None


def test_true_is_not_one() -> None:
    known: Cache[Filter, str] = Cache()
    known.keep(Filter(must=(FieldCondition("n", MatchBool(True)),)), "kept", 3)
    assert known.find(filter_of(1)) is None


def test_the_oldest_are_forgotten_first() -> None:
    known: Cache[int, str] = Cache()
    for number in range(module.ENTRIES_MAX + 1):
        known.keep(number, "kept", 1)
    assert known.find(0) is None
    assert known.find(1) is not None


def test_offsets_kept_are_bounded() -> None:
    with patch.object(module, "OFFSETS_MAX", 100):
        known: Cache[int, str] = Cache()
        known.keep(0, "too many", 51)
        assert known.find(0) is None
        for number in (1, 2, 3):
            known.keep(number, "kept", 40)
        assert [known.find(number) is not None for number in (1, 2, 3)] == [False, True, True]


def test_every_write_is_seen_by_a_filter_asked_before(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        write(database, upsert(point(1, size=1), point(2, size=2)))
        assert passing(database, size(1)) == [1]
        write(database, o.SetPayload({"size": 1}, ids(2)))
        assert passing(database, size(1)) == [1, 2]
        write(database, upsert(point(3, size=1)))
        assert passing(database, size(1)) == [1, 2, 3]
        write(database, o.DeletePoints(ids(1)))
        assert passing(database, size(1)) == [2, 3]
        assert passing(database, size(2)) == []


def test_a_selection_kept_for_one_vector_is_not_given_to_another(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        write(database, upsert(point(1, {"": dense(1, 0)}, size=1), point(2, {"words": sparse(i1=1)}, size=1)))
        for _ in range(2):
            assert found(database, nearest(dense(1, 1), "", 10, size(1))) == [1]
            assert found(database, nearest(sparse(i1=1), "words", 10, size(1))) == [2]
