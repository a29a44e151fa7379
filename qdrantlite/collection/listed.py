"""A collection that the catalogue names, whether it is open or not.

It is opened by whoever asks for it first and held while it is used; at rest it may be closed again (``park``), and the
next request opens it anew. A failed opening is remembered for a while, because it would only fail again, and shown. A
collection whose derived state could not follow a commit is closed and opened again, as after a crash: its points are
then what the store says.

Invariants: one thread at a time opens or closes (the gate); a parked collection is durable, checkpointed and held by
nobody; once dropped it is never opened.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from time import monotonic
from typing import TypeVar

from qdrantlite.collection.collection import Collection
from qdrantlite.collection.shard.shard import ShardBehind
from qdrantlite.collection.upkeep.backoff import Backoff
from qdrantlite.errors import NotFound, fresh
from qdrantlite.storage.catalogue import CollectionRecord
from qdrantlite.values.record import CollectionInfo, CollectionStatus
from qdrantlite.values.schema_format import config_from_json

logger = logging.getLogger(__name__)

RETRY_S = 1.0
RETRY_S_MAX = 60.0

Answer = TypeVar("Answer")


class ListedCollection:
    """See the module. ``record`` is replaced by whoever changes the catalogue; ``used_s`` tells of the last request."""

    def __init__(
        self,
        record: CollectionRecord,
        *,
        open_listed: Callable[["ListedCollection"], Collection],
        make_room: Callable[[], None],
    ) -> None:
        """``make_room`` is called before an opening, so that there are descriptors for it."""
        self.record = record
        self.used_s = monotonic()
        self._open_listed = open_listed
        self._make_room = make_room
        self._gate = Lock()
        self._lock = Lock()
        self._collection: Collection | None = None
        self._behind: Collection | None = None
        """Closed, and not opened anew yet."""
        self._users = 0
        self._dropped = False
        self._attempts = Backoff(first_s=RETRY_S, last_s=RETRY_S_MAX)
        self._failure: Exception | None = None

    @property
    def is_open(self) -> bool:
        """As of now."""
        return self._collection is not None

    def run(self, work: Callable[[Collection], Answer]) -> Answer:
        """What ``work`` answers, with the collection open and held.

        Raises what opening raises, NotFound once it is dropped, and whatever ``work`` does.
        """
        while True:
            collection = self._entered() or self._opened()
            try:
                return work(collection)
            except ShardBehind:  # Nothing was done yet: begin again with what the store says.
                continue
            finally:
                self._leave()

    @contextmanager
    def tended(self) -> Iterator[Collection | None]:
        """The collection if it is open, held, which does not count as a request; else None."""
        with self._lock:
            collection = self._collection
            self._users += 1
        try:
            yield collection
        finally:
            self._leave()

    def info(self) -> CollectionInfo:
        """Settings, counts and state; of one that cannot be opened, its settings and why. Raises NotFound."""
        try:
            return self.run(lambda collection: collection.info())
        except Exception:
            error = self._attempts.error
            if error is None:
                raise
        return CollectionInfo(
            status=CollectionStatus.RED,
            optimizer_error=error,
            segments_count=0,
            points_count=0,
            indexed_vectors_count=0,
            config=config_from_json(self.record.config),
            payload_schema={},
            warnings=(),
            update_queue_length=0,
            created_at=self.record.created_at,
        )

    def park(self) -> bool:
        """Closes it unless somebody uses it; whether it was closed."""
        if not self._gate.acquire(blocking=False):
            return False
        try:
            with self._lock:
                collection = self._collection
                if collection is None or self._users or collection.is_busy:
                    return False
                self._collection = None
            self._close(collection, checkpoint=True)
            return True
        finally:
            self._gate.release()

    def close(self) -> None:
        """Checkpoints and closes it, when requests have ended."""
        with self._gate:
            collection, self._collection = self._collection, None
            if collection is not None:
                self._close(collection, checkpoint=True)

    def drop(self) -> None:
        """Closes it for good, whoever uses it; returns when its files are let go of. Searches under way may finish."""
        with self._lock:
            self._dropped = True
            collection, self._collection = self._collection, None
        if collection is not None:
            self._close(collection, checkpoint=False)
        with self._gate:  # Whoever is just opening it finds it dropped and closes it again.
            pass

    def _entered(self) -> Collection | None:
        with self._lock:
            collection = self._collection
            if collection is None or collection.is_behind:
                return None
            self._users += 1
            self.used_s = monotonic()
            return collection

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1

    def _opened(self) -> Collection:
        """As ``_entered``, having opened it."""
        with self._gate:
            found = self._entered()
            if found is not None:
                return found
            self._require_listed()
            if self._collection is not None:
                self._behind, self._collection = self._collection, None
                self._close(self._behind, checkpoint=False)
            if self._failure is not None and not self._attempts.is_due:
                raise fresh(self._failure)
            self._make_room()
            try:
                collection = self._open_listed(self)
            except Exception as error:
                logger.error("collection %s cannot be opened", self.record.name, exc_info=error)
                self._attempts.failed(error)
                self._failure = fresh(error)
                self._failure.__cause__ = None  # Its traceback would hold whatever was open.
                raise
            if self._behind is not None:
                collection.succeed(self._behind)
                self._behind = None
            self._attempts.succeeded()
            self._failure = None
            with self._lock:
                if not self._dropped:
                    self._collection = collection
                    self._users += 1
                    self.used_s = monotonic()
                    return collection
            self._close(collection, checkpoint=False)
            raise self._gone()

    def _require_listed(self) -> None:
        if self._dropped:
            raise self._gone()

    def _gone(self) -> NotFound:
        return NotFound(f"Collection `{self.record.name}` doesn't exist!")

    def _close(self, collection: Collection, *, checkpoint: bool) -> None:
        """Its files are let go of in any case; what could not be written is derived, or in the log."""
        try:
            collection.close(checkpoint=checkpoint)
        except Exception as error:
            logger.error("closing collection %s failed", self.record.name, exc_info=error)
