"""Segments are merged and written behind the commits: nobody sees it but in what a checkpoint costs."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from qdrantlite.collection.shard import checkpoint as checkpoint_module
from qdrantlite.collection.shard import recovery
from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.upkeep import merging
from qdrantlite.database import Database
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.segment import merge_policy
from qdrantlite.segment.payload_index.index import IndexSegment, PayloadIndex
from qdrantlite.segment.stack import Layer, Unread
from qdrantlite.storage import file_names
from qdrantlite.storage.checkpoint import open_derived, read_derived, write_derived
from qdrantlite.storage.files import PosixFiles
from qdrantlite.values.schema import FieldIndex, FieldKind
from tests.collection.compacted import untended
from tests.collection.small import (
    INTEGER,
    KEYWORD,
    NAME,
    answers,
    checkpoint,
    collection_of,
    color,
    contents,
    dense,
    ids,
    nearest,
    opened,
    passing,
    point,
    size,
    sparse,
    upsert,
    where,
    write,
)
from tests.collection.small_segments import merge, small_segments

CONDITIONS = (color("red"), color("green"), size(1), size(2))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Sixty points written ten at a time, some of them again, with two indexes and a sparse vector."""
    with untended(), small_segments(), opened(tmp_path / "db") as database:
        database.alter(NAME, o.CreateFieldIndex("color", KEYWORD))
        database.alter(NAME, o.CreateFieldIndex("size", INTEGER))
        for start in range(0, 60, 10):
            write(database, upsert(*(made(number) for number in range(start, start + 10))))
            write(database, o.SetPayload({"color": "green"}, ids(start, start + 1)), o.DeletePoints(ids(start + 2)))
        yield database


def made(number: int) -> o.PointWrite:
    return point(number, color="red" if number % 2 else "green", size=number % 3)


def shard_of(database: Database) -> Shard:
    return collection_of(database).shard


def segments(shard: Shard) -> dict[str, int]:
    """How many each stack has."""
    fields = {key: len(index.stack.layers) for key, index in shard.state.fields.items()}
    return fields | {name: len(index.stack.layers) for name, index in shard.indexes.sparse.items()}


def seen(database: Database) -> object:
    with collection_of(database).open_view() as view:
        offsets = view.live.offsets()
        assert view.ids(offsets).to_list() == view.reader.ids(offsets)
    return contents(database), answers(database, CONDITIONS)


def files_of(database: Database) -> dict[str, int]:
    """Files of segments and when each was written."""
    folder = file_names.derived(shard_of(database).folder)
    return {path.name: path.stat().st_mtime_ns for path in folder.glob(f"*{checkpoint_module.SUFFIX}")}


def test_merging_changes_no_answer_and_leaves_few_segments(database: Database) -> None:
    before = seen(database)
    assert min(segments(shard_of(database)).values()) > 2
    merge(database)
    assert segments(shard_of(database)) == {"color": 1, "size": 1, "words": 1}
    assert seen(database) == before


def test_at_rest_little_is_merged_with_much_and_kept_in_files(database: Database) -> None:
    merge(database)
    write(database, upsert(*(made(number) for number in range(70, 82))))
    before, collection = seen(database), collection_of(database)
    collection.maintain(idle=False)
    assert min(segments(collection.shard).values()) > 1
    collection.maintain(idle=True)
    assert segments(collection.shard) == {"color": 1, "size": 1, "words": 1}
    assert seen(database) == before
    assert collection.shard.changed_since_checkpoint == 0
    assert all(layer.file for index in collection.shard.indexes.sparse.values() for layer in index.stack)


def test_what_is_merged_at_rest_is_kept_although_nothing_was_written(database: Database) -> None:
    collection = collection_of(database)
    with patch.object(merge_policy, "RATIO_AT_REST", 0):
        collection.maintain(idle=True)
    assert max(segments(collection.shard).values()) > 1
    collection.maintain(idle=True)
    assert segments(collection.shard) == {"color": 1, "size": 1, "words": 1}
    assert all(layer.file for index in collection.shard.indexes.sparse.values() for layer in index.stack)


def test_what_is_written_during_a_merge_is_kept(database: Database) -> None:
    merged = PayloadIndex.merged
    late: Iterator[o.Operation] = iter([o.DeletePoints(ids(11)), o.SetPayload({"color": "red"}, ids(4, 14))])

    def slowly(index: PayloadIndex, layers: Sequence[Layer[IndexSegment]]) -> IndexSegment:
        segment = merged(index, layers)
        operation = next(late, None)
        if operation is not None and len(segment.held) > 10:
            write(database, operation)
        return segment

    with patch.object(PayloadIndex, "merged", slowly):
        merge(database)
    expected = [n for n in range(60) if n % 10 not in (0, 1, 2) and n % 2] + [4, 14]
    assert passing(database, color("red")) == sorted({*expected} - {11})


def test_index_dropped_or_made_anew_during_a_merge_is_left_alone(database: Database) -> None:
    merged, calls = PayloadIndex.merged, iter([None])

    def slowly(index: PayloadIndex, layers: Sequence[Layer[IndexSegment]]) -> IndexSegment:
        segment = merged(index, layers)
        if next(calls, 0) is None:
            database.alter(NAME, o.DeleteFieldIndex("color"))
            database.alter(NAME, o.CreateFieldIndex("color", FieldIndex(FieldKind.BOOL)))
            database.alter(NAME, o.DeleteFieldIndex("size"))
        return segment

    before = [passing(database, condition) for condition in CONDITIONS]
    with patch.object(PayloadIndex, "merged", slowly):
        merge(database)
    assert [passing(database, condition) for condition in CONDITIONS] == before
    assert database.collection_info(NAME).payload_schema["color"].points == 0


def test_checkpoint_writes_only_what_is_new(database: Database) -> None:
    merge(database)
    checkpoint(database)
    old = files_of(database)
    assert len(old) == 5
    write(database, upsert(made(100)))
    checkpoint(database)
    assert files_of(database) == old
    write(database, upsert(*(made(number) for number in range(101, 160))))
    checkpoint(database)
    kept = files_of(database)
    assert kept.items() > old.items()
    merge(database)
    checkpoint(database)
    assert len(files_of(database)) == 5
    assert not files_of(database).keys() & kept.keys()


def test_what_a_checkpoint_wrote_is_mapped_from_its_file(database: Database) -> None:
    with patch.object(merging, "FILED_ENTRIES_MIN", 1000):
        merge(database)
    expected = seen(database)
    before = collection_of(database).shard.state
    checkpoint(database)
    state = collection_of(database).shard.state
    assert state is not before
    assert seen(database) == expected
    for index in state.fields.values():
        for layer in index.stack:
            arrays = [part for _, part in layer.segment.dump() if isinstance(part, np.ndarray) and part.size]
            assert layer.file is not None
            assert not any(array.flags.writeable or array.flags.owndata for array in arrays)
    write(database, upsert(made(100)))
    merge(database)
    assert seen(database) != expected


def test_large_merged_segment_is_mapped_before_any_checkpoint(database: Database, tmp_path: Path) -> None:
    expected = seen(database)
    merge(database)
    assert seen(database) == expected
    layers = [index.stack.layers[0] for index in shard_of(database).state.fields.values()]
    for layer in layers:
        arrays = [part for _, part in layer.segment.dump() if isinstance(part, np.ndarray) and part.size]
        assert not any(array.flags.writeable or array.flags.owndata for array in arrays)
    assert {layer.file for layer in layers} < files_of(database).keys()
    shutil.copytree(tmp_path / "db", tmp_path / "copy", ignore=shutil.ignore_patterns("*-shm"))
    with Database(tmp_path / "copy") as copy:
        assert seen(copy) == expected, "no manifest names them"
        merge(copy)
        checkpoint(copy)
        left = files_of(copy)
        named = [index.stack.layers[0].file for index in shard_of(copy).state.fields.values()]
        assert set(named) < left.keys()
        assert not {layer.file for layer in layers} & left.keys(), "garbage of the life before"
    write(database, upsert(made(100)), o.DeletePoints(ids(5)))
    expected = seen(database)
    checkpoint(database)
    merge(database)
    assert seen(database) == expected


def test_segments_open_as_they_were_written(database: Database, tmp_path: Path) -> None:
    merge(database)
    checkpoint(database)
    write(database, o.SetPayload({"size": 2}, where(color("red"))), o.DeletePoints(ids(7)))
    write(database, upsert(made(100)), o.UpdateVectors((o.VectorsWrite(13, {"words": sparse(i7=1)}),)))
    write(database, o.DeleteVectors(ids(14), ("words",)))
    expected = seen(database)
    checkpoint(database)
    shutil.copytree(tmp_path / "db", tmp_path / "copy", ignore=shutil.ignore_patterns("*-shm"))
    with patch.object(recovery, "_payload_chunks", side_effect=recovery._payload_chunks) as chunks:
        with Database(tmp_path / "copy") as copy:
            assert seen(copy) == expected
        assert {call.args[1] for call in chunks.call_args_list} == {shard_of(database).state.rows}


@pytest.mark.parametrize("of", ["color", "ids"])
@pytest.mark.parametrize("damage", ["missing", "flipped", "short", "lacking"])
def test_damaged_segment_costs_its_own_index_only(database: Database, tmp_path: Path, damage: str, of: str) -> None:
    merge(database)
    checkpoint(database)
    write(database, o.SetPayload({"color": "red", "size": 2}, ids(4)), o.DeletePoints(ids(7)))
    expected = seen(database)
    indexes = shard_of(database).indexes
    name = (indexes.fields["color"] if of == "color" else indexes.ids.get()).stack.layers[0].file
    assert name is not None
    shutil.copytree(tmp_path / "db", tmp_path / "copy", ignore=shutil.ignore_patterns("*-shm"))
    (path,) = (tmp_path / "copy").rglob(name)
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "flipped":
        data[-3] ^= 1
        path.write_bytes(data)
    elif damage == "short":
        path.write_bytes(data[: len(data) // 2])
    else:
        version, files = checkpoint_module.FORMAT_VERSION, PosixFiles()
        kept = read_derived(path, format_version=version, files=files)
        assert kept is not None
        parts = [(part_name, part) for part_name, part in kept.parts.items() if part_name != "starts"]
        write_derived(path, format_version=version, covers_seq=0, parts=parts, files=files)
    with patch.object(recovery, "_payload_chunks", side_effect=recovery._payload_chunks) as chunks:
        with Database(tmp_path / "copy") as copy:
            assert seen(copy) == expected
        assert [call.args[1] for call in chunks.call_args_list].count(0) == (1 if of == "color" else 0)


def sparse_hits(database: Database) -> object:
    return [(hit.record.id, hit.score) for hit in database.search(NAME, nearest(sparse(i1=1, i2=1), "words"))]


ASKED: dict[str, Callable[[Database], object]] = {
    "color": lambda database: passing(database, color("red")),
    "size": lambda database: passing(database, size(1)),
    "postings": sparse_hits,
    "ids": lambda database: [record.id for record in database.scroll(NAME, s.Scroll(limit=5)).records],
    "tie": lambda database: [hit.record.id for hit in database.search(NAME, nearest(dense(0, 0)))],
}


@pytest.fixture
def closed(database: Database, tmp_path: Path) -> Path:
    """The folder of the same points, merged, every index in files of its own."""
    merge(database)
    checkpoint(database)
    shutil.copytree(tmp_path / "db", tmp_path / "copy", ignore=shutil.ignore_patterns("*-shm"))
    return tmp_path / "copy"


def unread(database: Database) -> set[str]:
    """The files of segments that nobody has asked."""
    indexes = shard_of(database).indexes
    layers: list[Layer[Any]] = [*indexes.ids.get().stack]
    for field in indexes.fields.values():
        layers.extend(field.stack.layers)
    for postings in indexes.sparse.values():
        layers.extend(postings.stack.layers)
    return {
        layer.file for layer in layers if layer.file and isinstance(layer.source, Unread) and not layer.source.is_read
    }


def test_opening_reads_no_segment_and_a_question_only_its_own(closed: Path) -> None:
    with Database(closed) as copy:
        assert copy.count(NAME, None) == 54
        every = unread(copy)
        assert len(every) == 4
        ASKED["color"](copy)
        field = shard_of(copy).indexes.fields["color"].stack.layers[0].file
        assert field not in unread(copy)
        assert shard_of(copy).indexes.fields["size"].stack.layers[0].file in unread(copy)
        collection_of(copy).maintain(idle=False)
        assert not unread(copy), "the others are compared behind the searches"


def flip_array(path: Path) -> None:
    """A bit of the largest array in a file."""
    kept = open_derived(path, format_version=checkpoint_module.FORMAT_VERSION, files=PosixFiles())
    assert kept is not None
    data, largest = bytearray(path.read_bytes()), bytes(max((content for content, _ in kept.unverified), key=len))
    data[bytes(data).index(largest) + len(largest) // 2] ^= 0x40
    path.write_bytes(data)


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("first", ["a search", "upkeep", "a filtered write"])
def test_flipped_bits_of_unread_segments_are_never_served(
    database: Database, closed: Path, asked: str, first: str
) -> None:
    expected = ASKED[asked](database), contents(database), answers(database, CONDITIONS)
    segments = list(closed.rglob(f"*{checkpoint_module.SUFFIX}"))
    assert len(segments) == 5
    for path in segments:
        flip_array(path)
    with Database(closed) as copy:
        assert copy.count(NAME, None) == 54
        assert len(unread(copy)) == 4, "opening does not compare them"
        if first == "upkeep":
            shard = shard_of(copy)
            collection_of(copy).maintain(idle=False)
            assert shard.behind
            assert shard_of(copy) is not shard
        elif first == "a filtered write":
            write(copy, o.DeletePoints(where(color("of none"))))
        assert (ASKED[asked](copy), contents(copy), answers(copy, CONDITIONS)) == expected
        collection_of(copy).maintain(idle=True)
        assert not {path.name for path in segments} & set(files_of(copy))
    with Database(closed) as again:
        assert (ASKED[asked](again), contents(again), answers(again, CONDITIONS)) == expected


def test_readers_keep_what_they_began_with(database: Database) -> None:
    with collection_of(database).open_view() as view:
        before = view.state.fields["color"]
        counts = {hit.value: hit.count for hit in view.facet("color").most_frequent(view.live, 9)}
        write(database, o.SetPayload({"color": "blue"}, where(size(1))))
        merge(database)
        assert view.state.fields["color"] is before
        assert {hit.value: hit.count for hit in view.facet("color").most_frequent(view.live, 9)} == counts
