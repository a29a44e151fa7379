"""The database: names, aliases and the storage folder. Everything a client can ask comes through here.

Invariants: one process owns the folder (its lock); a name leads to one collection, an alias to a name; the catalogue
says which collections exist, folders it does not know are garbage. The catalogue is changed before memory is: what
failed there has not happened. Collections open in the background after start; a request for one that is not open opens
it itself. When many files are open, collections at rest are closed again.
"""

import logging
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock
from time import time
from types import TracebackType
from typing import TypeVar
from uuid import UUID, uuid4

from qdrantlite.collection.collection import Collection
from qdrantlite.collection.listed import ListedCollection
from qdrantlite.collection.read.view import ReadView
from qdrantlite.collection.threads import Upkeep
from qdrantlite.collection.upkeep.build_process import BuildProcess
from qdrantlite.collection.upkeep.compaction import Undecided
from qdrantlite.deadline import FOREVER, Deadline
from qdrantlite.errors import AlreadyExists, BadInput, NotFound, StorageFailed
from qdrantlite.query.filter import Filter
from qdrantlite.query.operation import Operation, SchemaOperation
from qdrantlite.query.search import Facet, GroupSearch, Matrix, PayloadSelector, Scroll, Search, VectorsSelector
from qdrantlite.storage import file_names
from qdrantlite.storage.catalogue import Catalogue, CollectionRecord
from qdrantlite.storage.directory_lock import lock_directory
from qdrantlite.storage.files import Files, PosixFiles
from qdrantlite.storage.open_files import is_crowded
from qdrantlite.values.point_id import PointId
from qdrantlite.values.record import (
    AliasAction,
    ClusterInfo,
    CollectionInfo,
    CollectionStatus,
    FacetHit,
    Group,
    Record,
    SampleMatrix,
    ScoredRecord,
    ScrollPage,
    UpdateResult,
)
from qdrantlite.values.schema import CollectionConfig, CollectionUpdate
from qdrantlite.values.schema_format import config_from_json, config_to_json

log = logging.getLogger(__name__)

PARKED_AT_ONCE_FILES = 64
"""When there is no room, so many files are closed beyond what is needed, so that not each opening closes one."""

Answer = TypeVar("Answer")


class Database:
    """All collections of one storage folder. Thread-safe; a context manager that closes."""

    def __init__(
        self,
        path: Path,
        *,
        files: Files | None = None,
        auto_columns: bool = True,
        fatal: Callable[[], object] = lambda: None,
    ) -> None:
        """Opens or makes the folder. Raises Locked (naming the owner), Corrupted, StorageFailed.

        ``fatal`` is called by a thread of upkeep that ends by a mistake, see ``Upkeep``; ``auto_columns`` lets fields
        that are filtered again and again without an index have a column.
        """
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
        records = self._catalogue.collections()
        self._listed = {record.name: self._list(record) for record in records}
        self._aliases = self._catalogue.aliases()
        known = {record.uuid.hex for record in records}
        self._garbage = [name for name in self._files.names(file_names.collections(path)) if name not in known]
        self._builder = BuildProcess()
        self._upkeep = Upkeep(begin=self._begin, opened=self._opened, auto_columns=auto_columns, fatal=fatal)
        self._upkeep.start()

    def close(self) -> None:
        """Finishes writes, checkpoints and closes every collection, gives the folder up. Idempotent."""
        if self._upkeep.stopping.is_set():
            return
        self._upkeep.stop()
        for listed in self._opened():
            listed.close()
        self._builder.close()
        self._catalogue.close()
        self._folder_lock.release()

    def __enter__(self) -> "Database":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_ready(self) -> bool:
        """Whether all collections that there is room for have been opened since the start, or failed to."""
        return self._upkeep.has_begun.is_set()

    # -- collections

    def create_collection(self, name: str, config: CollectionConfig) -> bool:
        """Makes a collection. Raises AlreadyExists, BadInput for the name of an alias."""
        with self._lock:
            self._require_free(name)
        record = CollectionRecord(name, uuid4(), config_to_json(config), time())
        folder = self._folder(record)
        with ExitStack() as failed:
            failed.callback(self._remove_folder, folder)
            Collection.create(folder, config, files=self._files)
            with self._lock:
                self._require_free(name)
                failed.pop_all()  # After a commit that failed the disk may name it; the next start knows.
                self._catalogue.create_collection(record)
                self._listed[name] = self._list(record)
        return True

    def _require_free(self, name: str) -> None:
        if name in self._listed:
            raise AlreadyExists(f"Collection `{name}` already exists!")
        if name in self._aliases:
            raise BadInput(f"Can't create collection with name {name}. Alias with the same name already exists")

    def update_collection(self, name: str, update: CollectionUpdate) -> bool:
        """Changes settings; omitted ones keep their value."""
        self._on(name, lambda collection: collection.update_config(update))
        return True

    def delete_collection(self, name: str) -> bool:
        """Drops a collection and its aliases; False when there is none (an alias is none)."""
        with self._lock:
            if name not in self._listed:
                return False
            self._catalogue.delete_collection(name)
            listed = self._listed.pop(name)
            self._aliases = {alias: target for alias, target in self._aliases.items() if target != name}
        listed.drop()
        self._remove_folder(self._folder(listed.record))
        return True

    def _remove_folder(self, folder: Path) -> None:
        """Of a collection that is none; what cannot be removed is garbage for the next start."""
        try:
            self._files.remove_tree(folder)
        except StorageFailed as error:
            log.warning("a folder that no collection owns stays: %s", error.report)

    def collection_info(self, name: str) -> CollectionInfo:
        """Settings, counts and state."""
        info = self._find(name).info()
        if self._upkeep.broken:
            return replace(info, status=CollectionStatus.RED, optimizer_error="upkeep has ended; start the server anew")
        return info

    def list_collections(self) -> tuple[str, ...]:
        """Names, sorted."""
        with self._lock:
            return tuple(sorted(self._listed))

    def collection_exists(self, name: str) -> bool:
        """Whether the name, or the alias, leads to a collection."""
        with self._lock:
            return self._aliases.get(name, name) in self._listed

    def cluster_info(self, name: str) -> ClusterInfo:
        """A single node that holds every shard."""
        points = self._on(name, lambda collection: len(collection.shard.state.live))
        return ClusterInfo(peer_id=self._peer_id(), shard_points=(points,))

    @staticmethod
    def _peer_id() -> int:
        return 0

    # -- aliases

    def update_aliases(self, actions: tuple[AliasAction, ...]) -> bool:
        """Applies all or none, in order. Raises NotFound, AlreadyExists."""
        with self._lock:
            self._aliases = self._catalogue.change_aliases(actions)
        return True

    def aliases(self) -> tuple[tuple[str, str], ...]:
        """(alias, collection), by alias."""
        with self._lock:
            return tuple(sorted(self._aliases.items()))

    def collection_aliases(self, name: str) -> tuple[tuple[str, str], ...]:
        """(alias, collection) of one collection."""
        collection = self._find(name).record.name
        return tuple(pair for pair in self.aliases() if pair[1] == collection)

    # -- points

    def write(
        self, name: str, operations: tuple[Operation, ...], *, wait: bool, deadline: Deadline = FOREVER
    ) -> tuple[UpdateResult, ...]:
        """Applies operations as one transaction, all or none; with ``wait`` durable when this returns."""
        return self._on(name, lambda collection: collection.write(operations, wait=wait, deadline=deadline))

    def alter(
        self, name: str, operation: SchemaOperation, *, wait: bool = True, deadline: Deadline = FOREVER
    ) -> UpdateResult:
        """Changes the schema; complete when this returns, whether waited for or not."""
        return self._on(name, lambda collection: collection.alter(operation, deadline=deadline if wait else FOREVER))

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
        return self._on(
            name, lambda collection: collection.retrieve(ids, with_payload, with_vectors, deadline=deadline)
        )

    def scroll(self, name: str, request: Scroll, *, deadline: Deadline = FOREVER) -> ScrollPage:
        """One page by id or by value."""
        return self._on(name, lambda collection: collection.scroll(request, deadline=deadline))

    def count(self, name: str, filter: Filter | None, *, exact: bool = True, deadline: Deadline = FOREVER) -> int:
        """Number of points that pass; always exact."""
        return self._on(name, lambda collection: collection.count(filter, exact=exact, deadline=deadline))

    def facet(self, name: str, request: Facet, *, deadline: Deadline = FOREVER) -> list[FacetHit]:
        """The most frequent values of a field."""
        return self._on(name, lambda collection: collection.facet(request, deadline=deadline))

    def matrix(self, name: str, request: Matrix, *, deadline: Deadline = FOREVER) -> SampleMatrix:
        """A random sample of points, each with its nearest others."""
        return self._on(
            name, lambda collection: collection.matrix(request, open_other=self._open_other, deadline=deadline)
        )

    def search(self, name: str, search: Search, *, deadline: Deadline = FOREVER) -> list[ScoredRecord]:
        """One page of hits."""
        return self.search_batch(name, (search,), deadline=deadline)[0]

    def search_batch(
        self, name: str, searches: tuple[Search, ...], *, deadline: Deadline = FOREVER
    ) -> list[list[ScoredRecord]]:
        """Pages in request order, all from one state."""
        return self._on(
            name, lambda collection: collection.search(searches, open_other=self._open_other, deadline=deadline)
        )

    def search_groups(self, name: str, request: GroupSearch, *, deadline: Deadline = FOREVER) -> list[Group]:
        """Groups, best first."""
        groups = self._on(
            name, lambda collection: collection.search_groups(request, open_other=self._open_other, deadline=deadline)
        )
        if request.with_lookup is None:
            return groups
        lookup = request.with_lookup
        return self._on_other(
            lookup.collection, lambda collection: collection.looked_up(groups, lookup, deadline=deadline)
        )

    def explain(self, name: str, search: Search, *, deadline: Deadline = FOREVER) -> str:
        """The plan of a search, with what was expected and what happened, as text."""
        return self._on(
            name, lambda collection: collection.explain(search, open_other=self._open_other, deadline=deadline)
        )

    # -- opening

    def _find(self, name: str) -> ListedCollection:
        """What the catalogue lists under a name or alias. Raises NotFound."""
        listed = self._listed.get(self._aliases.get(name, name))
        if listed is None:
            raise NotFound(f"Collection `{name}` doesn't exist!")
        return listed

    def _on(self, name: str, work: Callable[[Collection], Answer]) -> Answer:
        """What ``work`` answers on the collection behind a name or alias, opened and held meanwhile."""
        return self._find(name).run(work)

    def _open_other(self, name: str) -> ReadView:
        return self._on_other(name, lambda collection: collection.open_view())

    def _on_other(self, name: str, work: Callable[[Collection], Answer]) -> Answer:
        """As ``_on`` for the collection in which a request to another one looks something up. Raises NotFound in
        Qdrant's words.
        """
        try:
            listed = self._find(name)
        except NotFound:
            raise NotFound(f"Collection {name} not found") from None
        return listed.run(work)

    def _list(self, record: CollectionRecord) -> ListedCollection:
        return ListedCollection(record, open_listed=self._open, make_room=self._make_room)

    def _open(self, listed: ListedCollection) -> Collection:
        record = listed.record
        return Collection.open(
            record.name,
            self._folder(record),
            config_from_json(record.config),
            created_at=record.created_at,
            files=self._files,
            save_config=partial(self._save, listed),
            move_folder=partial(self._move, listed),
            builder=self._builder,
        )

    def _folder(self, record: CollectionRecord) -> Path:
        return file_names.collection(self._root, record.uuid)

    def _save(self, listed: ListedCollection, config: CollectionConfig) -> None:
        with self._lock:
            self._require_listed(listed)
            saved = replace(listed.record, config=config_to_json(config))
            self._catalogue.update_config(saved.name, saved.config)
            listed.record = saved

    def _move(self, listed: ListedCollection, source: Path, target: Path) -> None:
        with self._lock:
            self._require_listed(listed)
            record = listed.record
            assert self._folder(record) == source
            moved = replace(record, uuid=UUID(target.name))
            try:
                self._catalogue.move_collection(record.name, source=record.uuid, target=moved.uuid)
            except StorageFailed as failure:
                self._settle_folder(record, failure)
                raise
            listed.record = moved

    def _require_listed(self, listed: ListedCollection) -> None:
        name = listed.record.name
        if self._listed.get(name) is not listed:
            raise NotFound(f"Collection `{name}` doesn't exist!")

    def _settle_folder(self, record: CollectionRecord, failure: StorageFailed) -> None:
        """Makes sure that the disk names the record's folder, after a commit that failed. Raises Undecided."""
        try:
            self._catalogue.move_collection(record.name, source=record.uuid, target=record.uuid)
        except StorageFailed as again:
            raise Undecided(failure) from again

    def _opened(self) -> list[ListedCollection]:
        """What is open now, that used longest ago first."""
        with self._lock:
            opened = [listed for listed in self._listed.values() if listed.is_open]
        return sorted(opened, key=lambda listed: listed.used_s)

    def _make_room(self) -> None:
        """Closes collections at rest while so many files are open that a burst of requests could exhaust them."""
        if not is_crowded():
            return
        for listed in self._opened():
            if listed.park() and not is_crowded(spare=PARKED_AT_ONCE_FILES):
                return

    def _begin(self) -> None:
        """Removes what is garbage, then opens collections, as long as there is room."""
        for name in self._garbage:
            self._remove_folder(file_names.collections(self._root) / name)
        with self._lock:
            every = list(self._listed.values())
        for listed in every:
            if self._upkeep.stopping.is_set() or is_crowded():
                return
            with suppress(Exception):  # Logged, and told to whoever asks for it.
                listed.run(lambda _: None)
