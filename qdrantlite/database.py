"""The database: names, aliases and the storage folder. Everything a client can ask comes through here.

Invariants: one process owns the folder (its lock); a name leads to one collection, an alias to a name; the catalogue
says which collections exist, folders it does not know are garbage. Collections open in the background after start; a
request for one that is not open yet opens it itself.
"""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock, Thread, get_native_id
from time import monotonic, time
from types import TracebackType
from uuid import UUID, uuid4

from qdrantlite.collection.collection import Collection
from qdrantlite.collection.compaction import Undecided
from qdrantlite.collection.snapshot import Snapshot
from qdrantlite.deadline import FOREVER, Deadline
from qdrantlite.errors import AlreadyExists, BadInput, NotFound, QdrantliteError, StorageFailed
from qdrantlite.query.filter import Filter
from qdrantlite.query.operation import Operation, SchemaOperation
from qdrantlite.query.search import GroupSearch, PayloadSelector, Scroll, Search, VectorsSelector
from qdrantlite.storage import catalogue as storage
from qdrantlite.storage import file_names
from qdrantlite.storage.catalogue import Catalogue, CollectionRecord
from qdrantlite.storage.directory_lock import lock_directory
from qdrantlite.storage.files import Files, PosixFiles
from qdrantlite.values.point_id import PointId
from qdrantlite.values.record import (
    AliasAction,
    ClusterInfo,
    CollectionInfo,
    CreateAlias,
    DeleteAlias,
    Group,
    Record,
    RenameAlias,
    ScoredRecord,
    ScrollPage,
    UpdateResult,
)
from qdrantlite.values.schema import CollectionConfig, CollectionUpdate
from qdrantlite.values.schema_format import config_from_json, config_to_json

log = logging.getLogger(__name__)

MAINTENANCE_S = 1.0
OPTIMIZE_S = 0.2
IDLE_S = 5.0
BUILD_NICENESS = 10


class Database:
    """All collections of one storage folder. Thread-safe; a context manager that closes."""

    def __init__(self, path: Path, *, files: Files | None = None) -> None:
        """Opens or makes the folder. Raises Locked (naming the owner), Corrupted, StorageFailed."""
        self._files = files or PosixFiles()
        self._root = path
        if not self._files.exists(path):
            self._files.make_directory(path)
            self._files.sync_directory(path.parent)
        self._folder_lock = lock_directory(path)
        try:
            self._files.make_directory(file_names.collections(path))
            self._catalogue = Catalogue(file_names.catalogue(path), files=self._files)
        except BaseException:
            self._folder_lock.release()
            raise
        self._lock = Lock()
        self._records = {record.name: record for record in self._catalogue.collections()}
        self._aliases = self._catalogue.aliases()
        known = {record.uuid.hex for record in self._records.values()}
        self._garbage = [name for name in self._files.names(file_names.collections(path)) if name not in known]
        self._open: dict[str, Collection] = {}
        self._opening: dict[str, Lock] = {}
        self._stopping = Event()
        self._threads = [
            Thread(target=work, name=f"qdrantlite-{name}", daemon=True)
            for name, work in (("upkeep", self._maintain), ("optimizer", self._optimize))
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Finishes writes, checkpoints and closes every collection, gives the folder up. Idempotent."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        with self._lock:
            collections, self._open = list(self._open.values()), {}
        for collection in collections:
            with suppress(QdrantliteError):
                collection.close(checkpoint=True)
        self._catalogue.close()
        self._folder_lock.release()

    def __enter__(self) -> "Database":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- collections

    def create_collection(self, name: str, config: CollectionConfig) -> bool:
        """Makes a collection. Raises AlreadyExists, BadInput for the name of an alias."""
        with self._lock:
            self._require_free(name)
        record = CollectionRecord(name, uuid4(), config_to_json(config), time())
        folder = file_names.collection(self._root, record.uuid)
        Collection.create(folder, config, files=self._files)
        with self._lock:
            try:
                self._require_free(name)
                self._catalogue.create_collection(record)
            except BaseException:
                self._files.remove_tree(folder)
                raise
            self._records[name] = record
        return True

    def _require_free(self, name: str) -> None:
        if name in self._records:
            raise AlreadyExists(f"Collection `{name}` already exists!")
        if name in self._aliases:
            raise BadInput(f"Can't create collection with name {name}. Alias with the same name already exists")

    def update_collection(self, name: str, update: CollectionUpdate) -> bool:
        """Changes settings; omitted ones keep their value."""
        self._collection(name).update_config(update)
        return True

    def delete_collection(self, name: str) -> bool:
        """Drops a collection and its aliases; False when there is none (an alias is none)."""
        with self._lock:
            record = self._records.pop(name, None)
            if record is None:
                return False
            collection = self._open.pop(name, None)
            self._catalogue.delete_collection(name)
            self._aliases = self._catalogue.aliases()
            opening = self._opening.setdefault(name, Lock())
        if collection is not None:
            collection.close(checkpoint=False)
        with opening:  # whoever is just opening it finds it unknown and lets go of its files first
            self._files.remove_tree(file_names.collection(self._root, record.uuid))
        return True

    def collection_info(self, name: str) -> CollectionInfo:
        """Settings, counts and state."""
        return self._collection(name).info()

    def list_collections(self) -> tuple[str, ...]:
        """Names, sorted."""
        with self._lock:
            return tuple(sorted(self._records))

    def collection_exists(self, name: str) -> bool:
        """Whether the name, or the alias, leads to a collection."""
        with self._lock:
            return self._aliases.get(name, name) in self._records

    def cluster_info(self, name: str) -> ClusterInfo:
        """A single node that holds every shard."""
        return ClusterInfo(peer_id=self._peer_id(), shard_points=(len(self._collection(name).shard.state.live),))

    @staticmethod
    def _peer_id() -> int:
        return 0

    # -- aliases

    def update_aliases(self, actions: tuple[AliasAction, ...]) -> bool:
        """Applies all or none, in order. Raises NotFound, AlreadyExists."""
        changes = [_alias_change(action) for action in actions]
        with self._lock:
            self._catalogue.change_aliases(changes)
            self._aliases = self._catalogue.aliases()
        return True

    def aliases(self) -> tuple[tuple[str, str], ...]:
        """(alias, collection), by alias."""
        with self._lock:
            return tuple(sorted(self._aliases.items()))

    def collection_aliases(self, name: str) -> tuple[tuple[str, str], ...]:
        """(alias, collection) of one collection."""
        collection = self._collection(name).name
        return tuple(pair for pair in self.aliases() if pair[1] == collection)

    # -- points

    def write(
        self, name: str, operations: tuple[Operation, ...], *, wait: bool, deadline: Deadline = FOREVER
    ) -> tuple[UpdateResult, ...]:
        """Applies operations as one transaction, all or none; with ``wait`` durable when this returns."""
        return self._collection(name).write(operations, wait=wait, deadline=deadline)

    def alter(
        self, name: str, operation: SchemaOperation, *, wait: bool = True, deadline: Deadline = FOREVER
    ) -> UpdateResult:
        """Changes the schema; complete when this returns, whether waited for or not."""
        return self._collection(name).alter(operation, deadline=deadline if wait else FOREVER)

    def retrieve(
        self,
        name: str,
        ids: tuple[PointId, ...],
        with_payload: PayloadSelector,
        with_vectors: VectorsSelector,
        *,
        deadline: Deadline = FOREVER,
    ) -> list[Record]:
        """Records of the ids that exist."""
        return self._collection(name).retrieve(ids, with_payload, with_vectors, deadline=deadline)

    def scroll(self, name: str, request: Scroll, *, deadline: Deadline = FOREVER) -> ScrollPage:
        """One page by id or by value."""
        return self._collection(name).scroll(request, deadline=deadline)

    def count(self, name: str, filter: Filter | None, *, exact: bool = True, deadline: Deadline = FOREVER) -> int:
        """Number of points that pass; always exact."""
        return self._collection(name).count(filter, exact=exact, deadline=deadline)

    def search(self, name: str, search: Search, *, deadline: Deadline = FOREVER) -> list[ScoredRecord]:
        """One page of hits."""
        return self.search_batch(name, (search,), deadline=deadline)[0]

    def search_batch(
        self, name: str, searches: tuple[Search, ...], *, deadline: Deadline = FOREVER
    ) -> list[list[ScoredRecord]]:
        """Pages in request order, all from one state."""
        return self._collection(name).search(searches, open_other=self._open_other, deadline=deadline)

    def search_groups(self, name: str, request: GroupSearch, *, deadline: Deadline = FOREVER) -> list[Group]:
        """Groups, best first."""
        groups = self._collection(name).search_groups(request, open_other=self._open_other, deadline=deadline)
        if request.with_lookup is None:
            return groups
        other = self._other(request.with_lookup.collection)
        return other.looked_up(groups, request.with_lookup, deadline=deadline)

    def explain(self, name: str, search: Search, *, deadline: Deadline = FOREVER) -> str:
        """The plan of a search, with what was expected and what happened, as text."""
        return self._collection(name).explain(search, open_other=self._open_other, deadline=deadline)

    # -- opening

    def _open_other(self, name: str) -> Snapshot:
        return self._other(name).open_snapshot()

    def _other(self, name: str) -> Collection:
        """The collection in which a request to another one looks something up. Raises NotFound in Qdrant's words."""
        try:
            return self._collection(name)
        except NotFound:
            raise NotFound(f"Collection {name} not found") from None

    def _collection(self, name: str) -> Collection:
        """The open collection behind a name or alias. Raises NotFound, and what opening it raises."""
        found = self._open.get(name)
        if found is not None:
            return found
        with self._lock:
            target = self._aliases.get(name, name)
            record = self._records.get(target)
            if record is None:
                raise NotFound(f"Collection `{name}` doesn't exist!")
            if target in self._open:
                return self._open[target]
            opening = self._opening.setdefault(target, Lock())
        with opening:
            with self._lock:
                if self._records.get(target) is not record:
                    raise NotFound(f"Collection `{name}` doesn't exist!")
                if target in self._open:
                    return self._open[target]
            collection = Collection.open(
                target,
                file_names.collection(self._root, record.uuid),
                config_from_json(record.config),
                created_at=record.created_at,
                files=self._files,
                save_config=self._saver(target),
                move_folder=self._mover(target),
            )
            with self._lock:
                if self._records.get(target) is not record:
                    collection.close(checkpoint=False)
                    raise NotFound(f"Collection `{name}` doesn't exist!")
                self._open[target] = collection
                return collection

    def _saver(self, name: str) -> Callable[[CollectionConfig], None]:
        def save(config: CollectionConfig) -> None:
            self._catalogue.update_config(name, config_to_json(config))

        return save

    def _mover(self, name: str) -> Callable[[Path, Path], None]:
        def move(source: Path, target: Path) -> None:
            with self._lock:
                record = self._records.get(name)
                if record is None or file_names.collection(self._root, record.uuid) != source:
                    raise NotFound(f"Collection `{name}` doesn't exist!")
                moved = replace(record, uuid=UUID(target.name))
                try:
                    self._catalogue.move_collection(name, source=record.uuid, target=moved.uuid)
                except StorageFailed as failure:
                    self._settle_folder(record, failure)
                    raise
                self._records[name] = moved

        return move

    def _settle_folder(self, record: CollectionRecord, failure: StorageFailed) -> None:
        """Makes sure that the disk names the record's folder, after a commit that failed. Raises Undecided."""
        try:
            self._catalogue.move_collection(record.name, source=record.uuid, target=record.uuid)
        except StorageFailed as again:
            raise Undecided(failure) from again

    # -- upkeep

    def _maintain(self) -> None:
        """Opens what is not open, removes what is garbage, then keeps collections tidy until the database closes."""
        self._remove_garbage()
        for name in self.list_collections():
            if self._stopping.is_set():
                return
            with suppress(QdrantliteError):
                self._collection(name)
        while not self._stopping.wait(MAINTENANCE_S):
            with self._lock:
                collections = list(self._open.values())
            for collection in collections:
                try:
                    collection.maintain(idle=monotonic() - collection.last_write_s > IDLE_S)
                except QdrantliteError as error:
                    log.error("upkeep of collection %s failed: %s", collection.name, error.message)

    def _optimize(self) -> None:
        """Builds graphs, collection after collection, at low priority, until the database closes."""
        lower_priority()
        while not self._stopping.wait(OPTIMIZE_S):
            with self._lock:
                collections = list(self._open.values())
            for collection in collections:
                collection.optimize(self._stopping.is_set)

    def _remove_garbage(self) -> None:
        """Folders the catalogue did not know at start: collections half created or half deleted when the process
        ended.
        """
        for name in self._garbage:
            self._files.remove_tree(file_names.collections(self._root) / name)


def _alias_change(action: AliasAction) -> storage.AliasChange:
    match action:
        case CreateAlias(alias, collection):
            return storage.CreateAlias(alias, collection)
        case RenameAlias(old, new):
            return storage.RenameAlias(old, new)
        case DeleteAlias(alias):
            return storage.DeleteAlias(alias)


def lower_priority() -> None:
    """Lets this thread, and those OpenMP starts for it, give way to requests where the system has priorities by
    thread.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, get_native_id(), BUILD_NICENESS)
