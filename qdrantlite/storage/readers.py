"""Connections for views, and the read transactions that outlive them.

To begin and end a read transaction takes a small search a tenth of its time. So it stays open when its view is closed,
and the next view takes it over, as long as it reads the newest commit: the writer began and ended nothing since. The
writer ends those that are idle before it begins, and a checkpoint when it is done: they would keep the log from
starting anew.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from qdrantlite.storage.wal_sync import StoreClosed

_IDLE_MAX = 64


@dataclass(slots=True, eq=False)
class Reader:
    """A connection; ``pin`` keeps its read transaction open, which began at ``age``."""

    connection: sqlite3.Connection
    pin: sqlite3.Cursor | None = None
    age: int | None = None
    """None while the writer wrote: nobody takes over what began then."""

    def begin(self, age: int | None) -> None:
        """A statement that has not come to its end keeps the transaction open: cheaper than BEGIN, a read, COMMIT."""
        self.pin, self.age = self.connection.execute("SELECT key FROM state"), age

    def end(self) -> None:
        """Ends the read transaction. Idempotent."""
        pin, self.pin = self.pin, None
        if pin is not None:
            pin.close()


class Readers:
    """Of one store. Any thread may call; ``connect`` is called without a lock."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._lock = Lock()
        self._idle: list[Reader] = []
        self._age = 0
        self._writing = False
        self._closed = False
        self.taken = 0
        """Views that are open."""

    def take(self) -> Reader:
        """One with a read transaction of the newest commit. Raises StoreClosed."""
        with self._lock:
            if self._closed:
                raise StoreClosed
            reader = self._idle.pop() if self._idle else None
            age = None if self._writing else self._age
            self.taken += 1
        try:
            if reader is None:
                reader = Reader(self._connect())
            if reader.pin is None:
                reader.begin(age)
        except BaseException:
            with self._lock:
                self.taken -= 1
            if reader is not None:
                reader.connection.close()
            raise
        return reader

    def give_back(self, reader: Reader) -> None:
        """Its transaction stays open as long as it reads the newest commit."""
        with self._lock:
            self.taken -= 1
            if not self._closed and len(self._idle) < _IDLE_MAX:
                if reader.age != self._age:
                    reader.end()
                self._idle.append(reader)
                return
        _close(reader)

    def writing(self) -> None:
        """A transaction of the writer is about to begin."""
        with self._lock:
            self._writing = True
            self._end_idle()

    def written(self) -> None:
        """It has ended, or there is none."""
        with self._lock:
            self._writing = False
            self._end_idle()

    def let_go(self) -> None:
        """Ends all read transactions that no view is using; those in use end with their views."""
        with self._lock:
            self._end_idle()

    def _end_idle(self) -> None:
        self._age += 1
        for reader in self._idle:
            reader.end()

    def close(self) -> bool:
        """Closes what is idle; what is taken, when it is given back. False if that was done before."""
        with self._lock:
            closed, self._closed = self._closed, True
            idle, self._idle = self._idle, []
        for reader in idle:
            _close(reader)
        return not closed


def _close(reader: Reader) -> None:
    reader.end()
    reader.connection.close()
