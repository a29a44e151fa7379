"""A file system that can lose power: the strict twin of ``PosixFiles``.

It works on real files, so that maps and SQLite work too, and remembers what was synced. At the n-th changing call it
raises ``PowerLost``, and at every call after. ``crash_state`` then writes, into another folder, what a disk may hold
after the cut:

* of a file's bytes: those of its last sync, with any of the 512-byte sectors written or punched since, and its old or
  its new length;
* of a folder's entries: those of its last sync, with some first part of the creations, renames and removals since.

Files that were there at the start are durable. Files made behind its back (SQLite's) are copied as they are, until they
are opened here: then only what is synced here counts. A ``-wal`` file closed here is SQLite's again, and so is its
database: SQLite moves the one into the other, with syncs of its own. ``-shm`` files are memory and vanish. The real
disk is not waited for: what it would keep is decided here.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

from qdrantlite.storage.files import Bytes, OpenFile, PosixFiles

_SECTOR = 512


class PowerLost(Exception):
    """The power is gone; nothing more happens."""


@dataclass(eq=False)
class _Node:
    """A file (or folder, when ``durable`` is None): where it is now, and its bytes at the last sync."""

    path: Path
    durable: bytes | None
    last: bytes | None = None
    """Bytes when it was removed or replaced."""

    def now(self) -> bytes:
        return self.last if self.last is not None else self.path.read_bytes()


@dataclass
class _Folder:
    durable: dict[str, _Node] = field(default_factory=dict)
    changes: list[dict[str, _Node]] = field(default_factory=list)
    """The whole listing after each change since the last sync."""

    def now(self) -> dict[str, _Node]:
        return self.changes[-1] if self.changes else self.durable


class FaultyFiles(PosixFiles):
    """Files below ``root``. ``fail_at`` counts changing calls from 1; None never fails."""

    def __init__(self, root: Path, *, fail_at: int | None = None) -> None:
        self.root = root
        self.calls = 0
        self.syncs = 0
        self._fail_at = fail_at
        self._folders: dict[Path, _Folder] = {}
        self._adopt(root)

    def open(self, path: Path, *, create: bool) -> OpenFile:
        node = self._folder(path.parent).now().get(path.name)
        if create:
            self.tick()
        file = super().open(path, create=create)
        if node is None:
            node = _Node(path, b"")
            self._change(path.parent, {path.name: node})
        return _FaultyFile(self, file, node)

    def replace(self, source: Path, target: Path) -> None:
        self.tick()
        assert source.parent == target.parent
        listing = self._folder(source.parent).now()
        node, old = listing[source.name], listing.get(target.name)
        if old is not None:
            old.last = old.now()
        super().replace(source, target)
        node.path = target
        self._change(source.parent, {target.name: node}, without=source.name)

    def remove(self, path: Path) -> None:
        self.tick()
        node = self._folder(path.parent).now().get(path.name)
        if node is not None:
            node.last = node.now()
            self._change(path.parent, {}, without=path.name)
        super().remove(path)

    def remove_tree(self, path: Path) -> None:
        """What is in it is gone for good, though its name may come back: for folders nobody looks into any more."""
        self.tick()
        if path.name in self._folder(path.parent).now():
            self._change(path.parent, {}, without=path.name)
            self._forget(path)
        super().remove_tree(path)

    def _forget(self, path: Path) -> None:
        folder = self._folders.pop(path, _Folder())
        for name, node in folder.now().items():
            if node.durable is None:
                self._forget(path / name)

    def make_directory(self, path: Path) -> None:
        self.tick()
        if path.name not in self._folder(path.parent).now():
            self._change(path.parent, {path.name: _Node(path, None)})
            self._folders[path] = _Folder()
        super().make_directory(path)

    def sync_directory(self, path: Path) -> None:
        self.tick()
        folder = self._folder(path)
        folder.durable, folder.changes = folder.now(), []

    def hand_to_sqlite(self, wal: Path) -> None:
        """Both files of a database are behind our back from now on."""
        folder = self._folder(wal.parent)
        for listing in (folder.durable, *folder.changes):
            listing.pop(wal.name, None)
            listing.pop(wal.name.removesuffix("-wal"), None)

    @property
    def lost_power(self) -> bool:
        """Whether a call has failed."""
        return self._fail_at is not None and self.calls >= self._fail_at

    def tick(self) -> None:
        """One changing call."""
        self.calls += 1
        if self.lost_power:
            raise PowerLost

    def crash_state(self, target: Path, *, seed: int) -> None:
        """What the disk may hold now, written below ``target``."""
        self._write_folder(self.root, target, random.Random(seed))

    def _write_folder(self, source: Path, target: Path, choice: random.Random) -> None:
        target.mkdir()
        folder = self._folder(source)
        listing = choice.choice([folder.durable, *folder.changes])
        for name, node in listing.items():
            if node.durable is None:
                self._write_folder(source / name, target / name, choice)
            else:
                (target / name).write_bytes(_torn(node.durable, node.now(), choice))
        for path in source.iterdir() if source.exists() else ():
            if path.name not in folder.now() and path.is_file() and not path.name.endswith("-shm"):
                (target / path.name).write_bytes(path.read_bytes())

    def _folder(self, path: Path) -> _Folder:
        return self._folders.setdefault(path, _Folder())

    def _change(self, path: Path, add: dict[str, _Node], *, without: str = "") -> None:
        folder = self._folder(path)
        folder.changes.append({**{k: v for k, v in folder.now().items() if k != without}, **add})

    def _adopt(self, path: Path) -> None:
        folder = self._folder(path)
        for entry in path.iterdir():
            folder.durable[entry.name] = _Node(entry, None if entry.is_dir() else entry.read_bytes())
            if entry.is_dir():
                self._adopt(entry)


class _FaultyFile:
    """An OpenFile that counts and remembers."""

    def __init__(self, files: FaultyFiles, file: OpenFile, node: _Node) -> None:
        self._files = files
        self._file = file
        self._node = node
        self.path = file.path
        self.fileno = file.fileno
        self.size = file.size
        self.read_at = file.read_at

    def close(self) -> None:
        self._file.close()
        if self.path.name.endswith("-wal"):
            self._files.hand_to_sqlite(self.path)

    def resize(self, size: int) -> None:
        self._files.tick()
        self._file.resize(size)

    def write_at(self, data: Bytes, position: int) -> None:
        try:
            self._files.tick()
        except PowerLost:
            self._file.write_at(memoryview(data).cast("B")[: len(data) // 2], position)
            raise
        self._file.write_at(data, position)

    def punch(self, size: int, position: int) -> bool:
        try:
            self._files.tick()
        except PowerLost:
            self._file.punch(size // 2, position)
            raise
        return self._file.punch(size, position)

    def sync(self) -> None:
        self._files.tick()
        self._node.durable = self._node.now()
        self._files.syncs += 1


def _torn(durable: bytes, now: bytes, choice: random.Random) -> bytes:
    size = choice.choice([len(durable), len(now)])
    longest = max(len(durable), len(now))
    versions = durable.ljust(longest, b"\0"), now.ljust(longest, b"\0")
    keep_all = choice.random()
    sectors = (versions[choice.random() < keep_all][start : start + _SECTOR] for start in range(0, longest, _SECTOR))
    return b"".join(sectors)[:size]
