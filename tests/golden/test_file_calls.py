"""What a write, a checkpoint, a graph, a compaction, giving back rows and opening ask of the file system, in order.

Sizes are left out of what a library lays out (SQLite's own files are behind our back, a commit stands for them); names
that are drawn are numbered. What must come before what is in the order of the lines: rows are synced before the commit
that counts them, a file before the manifest that names it.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from qdrantlite.collection.shard import checkpoint
from qdrantlite.collection.shard.checkpoint import write_checkpoint
from qdrantlite.collection.shard.shard import Shard
from qdrantlite.collection.upkeep import merging, shard_copy
from qdrantlite.collection.upkeep.merging import merge_segments
from qdrantlite.database import Database
from qdrantlite.errors import StorageFailed
from qdrantlite.query import operation as o
from qdrantlite.storage.files import Bytes, OpenFile, PosixFiles
from qdrantlite.storage.point_store import PointStore
from qdrantlite.storage.store_writer import StoreWriter
from qdrantlite.storage.vector_file import VectorFile
from tests.collection.compacted import SETTINGS, compact, untended
from tests.collection.small import KEYWORD, NAME, collection_of, ids, point, upsert, write
from tests.collection.tended import InProcess, tend
from tests.collection.vacated import small_blocks, vacate_dead
from tests.golden.recorded import assert_as_recorded

INDEXED = replace(SETTINGS, optimizer_config=replace(SETTINGS.optimizer_config, indexing_threshold=1))
"""128 rows are worth a graph."""
DRAWN = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class LoggedFiles(PosixFiles):
    """Writes down every call that changes something below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lines: list[str] = []
        self._drawn: dict[str, str] = {}

    def log(self, line: str) -> None:
        """One line; a run of the same is one."""
        if not self.lines or self.lines[-1] != line:
            self.lines.append(line)

    def name(self, path: Path) -> str:
        """The path below the root, without what is drawn."""
        return DRAWN.sub(
            lambda found: self._drawn.setdefault(found[0], f"<{len(self._drawn) + 1}>"),
            path.relative_to(self.root).as_posix() or ".",
        )

    def open(self, path: Path, *, create: bool) -> OpenFile:
        if create:
            self.log(f"create      {self.name(path)}")
        return _LoggedFile(self, super().open(path, create=create))

    def replace(self, source: Path, target: Path) -> None:
        self.log(f"rename      {self.name(source)} to {self.name(target).rpartition('/')[2]}")
        super().replace(source, target)

    def remove(self, path: Path) -> None:
        self.log(f"remove      {self.name(path)}")
        first = len(self.lines)
        while self.lines[first - 1].startswith("remove      "):
            first -= 1
        self.lines[first:] = sorted(self.lines[first:])  # Garbage goes by names that are drawn.
        super().remove(path)

    def remove_tree(self, path: Path) -> None:
        self.log(f"remove all  {self.name(path)}")
        super().remove_tree(path)

    def make_directory(self, path: Path) -> None:
        self.log(f"folder      {self.name(path)}")
        super().make_directory(path)

    def sync_directory(self, path: Path) -> None:
        self.log(f"sync names  {self.name(path)}")
        super().sync_directory(path)


class _LoggedFile:
    def __init__(self, files: LoggedFiles, file: OpenFile) -> None:
        self._files = files
        self._file = file

    @property
    def path(self) -> Path:
        return self._file.path

    def fileno(self) -> int:
        return self._file.fileno()

    def size(self) -> int:
        return self._file.size()

    def resize(self, size: int) -> None:
        self._files.log(f"resize      {self._files.name(self.path)}")
        self._file.resize(size)

    def write_at(self, data: Bytes, position: int) -> None:
        self._files.log(f"write       {self._files.name(self.path)}")
        self._file.write_at(data, position)

    def read_at(self, size: int, position: int) -> bytes:
        return self._file.read_at(size, position)

    def punch(self, size: int, position: int) -> bool:
        self._files.log(f"punch       {self._files.name(self.path)}")
        return self._file.punch(size, position)

    def sync(self) -> None:
        self._files.log(f"sync        {self._files.name(self.path)}")
        self._file.sync()

    def close(self) -> None:
        self._file.close()


@contextmanager
def commits_in(files: LoggedFiles) -> Iterator[None]:
    """Commits of stores, and the moves of their logs, among the calls."""
    commit, move = StoreWriter.commit, PointStore.checkpoint

    def committing(writer: StoreWriter) -> int:
        files.log("COMMIT")
        return commit(writer)

    def moving(store: PointStore, **given: Any) -> None:
        files.log("WAL CHECKPOINT")
        move(store, **given)

    with patch.object(StoreWriter, "commit", committing), patch.object(PointStore, "checkpoint", moving):
        yield


class Builds(InProcess):
    """Stands for the child that builds."""

    def close(self) -> None:
        """Nothing to end."""


class Script:
    """A database whose threads rest, and what each act asks of its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = LoggedFiles(folder)
        self.database = self.opened()

    def opened(self) -> Database:
        return Database(self.folder, files=self.files)

    def act(self, title: str, *works: Callable[[], object]) -> None:
        self.files.lines.append(f"\n{title}")
        for work in works:
            work()

    def restart(self, *, killed: bool) -> None:
        """Opens the folder anew; ``killed``: as if the process had ended without closing."""
        if killed:
            copy = self.folder.with_name("copy")
            shutil.copytree(self.folder, copy, ignore=shutil.ignore_patterns("*-shm"))
            self.database.close()
            shutil.rmtree(self.folder)
            copy.rename(self.folder)
        else:
            self.database.close()
        self.files.lines.append("-- opened")
        self.database = self.opened()
        self.database.count(NAME, None)


def test_calls_are_as_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with (
        untended(),
        small_blocks(),
        patch.object(shard_copy, "CHUNK_POINTS_MAX", 1000),
        patch.object(checkpoint, "INLINE_ENTRIES_MAX", 8),
        patch.object(merging, "FILED_ENTRIES_MIN", 1000),
        patch("qdrantlite.database.BuildProcess", Builds),
    ):
        script = Script(folder)
        with commits_in(script.files):
            record(script)
    assert_as_recorded("file_calls.txt", "\n".join(script.files.lines) + "\n")


def record(script: Script) -> None:
    """One act after the other."""

    def shard() -> Shard:
        return collection_of(script.database).shard

    def saved() -> None:
        write_checkpoint(shard())

    def put(*numbers: int) -> None:
        write(script.database, upsert(*(point(number, color=f"c{number % 3}") for number in numbers)))

    def delete(gone: range) -> None:
        write(script.database, o.DeletePoints(ids(*gone)))

    def recorded() -> None:
        with patch.object(VectorFile, "punch", side_effect=StorageFailed("no")), suppress(StorageFailed):
            vacate_dead(shard())
        script.restart(killed=True)

    script.act("create a collection", lambda: script.database.create_collection(NAME, INDEXED))
    script.act("create an index", lambda: script.database.alter(NAME, o.CreateFieldIndex("color", KEYWORD)))
    script.act("write two points", lambda: put(1, 2))
    script.act("change a payload", lambda: write(script.database, o.SetPayload({"color": "red"}, ids(1))))
    script.act("delete a point", lambda: write(script.database, o.DeletePoints(ids(2))))
    script.act("checkpoint, all of it small", saved)
    script.act("write 150 points", lambda: put(*range(100, 250)))
    script.act("checkpoint, with segments of their own", saved)
    script.act("write one more", lambda: put(3))
    script.act("checkpoint after one point", saved)
    script.act("write as many again, and merge", lambda: put(*range(250, 400)), lambda: merge_segments(shard()))
    script.act("checkpoint after a merge", saved)
    script.act("build graphs", lambda: tend(collection_of(script.database)))
    script.act("stop and start", lambda: script.restart(killed=False))
    script.act("write one more and be killed", lambda: put(4), lambda: script.restart(killed=True))
    script.act("replace most points", lambda: put(*range(100, 400)))
    script.act("compact", lambda: compact(script.database))
    script.act("delete points and give back their rows", lambda: delete(range(100, 200)), lambda: vacate_dead(shard()))
    script.act("delete more and be killed before their rows are punched", lambda: delete(range(200, 300)), recorded)
    script.act("be tended then", lambda: collection_of(script.database).maintain(idle=False))
    script.act("drop the index", lambda: script.database.alter(NAME, o.DeleteFieldIndex("color")))
    script.act("delete the collection", lambda: script.database.delete_collection(NAME))
    script.act("stop", script.database.close)
