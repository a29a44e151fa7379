"""Threads for calls that are many and short, and for some that are long.

So many calls run at a time as there are places; others wait in order. A call that has run for long and comes to a place
where it may be held up (``give_way``) hands its place to one that waits to begin, and goes on when nothing waits or its
turn comes again: short calls never wait for the end of a long one, whose work is done all the same. A call that is
stuck (a client that does not send its request, a disk that does not answer) loses its place, too, and runs on without
one.

``ThreadPoolExecutor`` keeps for each call a future with a condition, a lock and a result; grpc asks for none of it but
to be told when the call has ended. Without, a search with 8 connections is answered 4 % sooner.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from logging import getLogger
from threading import Event, Lock, Thread, current_thread
from time import monotonic, sleep
from typing import Any, Final, TypeAlias

logger = getLogger(__name__)

Call: TypeAlias = tuple[Callable[..., object], tuple[Any, ...], dict[str, Any], "Ending"]

PATIENCE_S: Final = 0.01
"""How long a call runs before it lets those pass that wait to begin."""

TURN_S: Final = 0.1
"""How long it runs before it lets others pass that have run as long."""

AGEING_S: Final = 0.05
"""So often one call that was held up gets a place, however many wait to begin."""

STUCK_S: Final = 0.05
"""The call that has run longest loses its place when none has begun for so long although some wait."""

HELD_UP_MAX: Final = 64
"""Calls held up at a time; each keeps a thread, and all that it has found so far."""

STUCK_MAX: Final = 64
"""Calls that are not waited for at a time."""


class Ending(Future[Any]):
    """Tells those who ask that a call has ended, each once. A future by its class alone: it has no result."""

    def __init__(self) -> None:  # The base's condition is what this class does without.
        self._ended = False
        self._told: deque[Callable[[Future[Any]], object]] = deque()

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        """``fn`` is called by the thread that ends the call, or by this one if it has ended."""
        self._told.append(fn)
        if self._ended:
            self.tell()

    def tell(self) -> None:
        """The call has ended. A callback that is added meanwhile is taken out by one of the two threads."""
        self._ended = True
        with suppress(IndexError):
            while True:
                self._told.popleft()(self)


class _Worker(Thread):
    """One thread. It runs the call it is given, and sleeps until it is woken when it is given none."""

    def __init__(self, name: str, call: Call | None, leave: Callable[["_Worker"], None]) -> None:
        super().__init__(name=name, daemon=True)
        self.call = call
        self.has_place = False
        self.began_s = 0.0
        """Since when it has its place."""
        self._leave = leave
        self._sleeping = Lock()
        self._sleeping.acquire()

    def take_place(self) -> None:
        """From now on it has a place."""
        self.has_place = True
        self.began_s = monotonic()

    def sleep(self) -> None:
        """Until another thread calls ``wake``, which may come first."""
        self._sleeping.acquire()

    def wake(self) -> None:
        """Once for each ``sleep``."""
        self._sleeping.release()

    def run(self) -> None:
        """Until it is left without a call."""
        while (call := self.call) is not None:
            fn, args, kwargs, ending = call
            self.call = None
            try:
                fn(*args, **kwargs)
            except Exception:
                logger.exception("a call broke off")
            ending.tell()
            del call, fn, args, kwargs, ending  # Or they would live until the next call comes.
            self._leave(self)


class CallThreads(ThreadPoolExecutor):
    """See the module. grpc knows pools by their class, hence the base, whose threads never begin.

    What ``submit`` returns tells of the end and of nothing else; what a call raises is logged.
    """

    def __init__(self, places: int, *, name: str, waiting_max: int) -> None:
        """``waiting_max`` calls may wait to begin before ``is_full``; it is for those who submit to ask."""
        super().__init__(places)
        self.places = places
        self._name = name
        self._waiting_max = waiting_max
        self._lock = Lock()
        self._waiting: deque[Call] = deque()
        self._held_up: deque[_Worker] = deque()
        self._aged_s = 0.0
        self._idle: list[_Worker] = []
        self._free = places
        self._stuck = 0
        """Calls that run without a place."""
        self._begun = 0
        self._closed = False
        self._threads_made: list[_Worker] = []
        self._crowded = Event()
        self._watcher = Thread(target=self._watch, name=f"{name}_watch", daemon=True)
        self._watcher.start()

    @property
    def is_full(self) -> bool:
        """Whether one call more would wait in vain."""
        return len(self._waiting) >= self._waiting_max

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Ending:
        """Runs a call as soon as there is a place. Raises RuntimeError after ``shutdown``."""
        ending = Ending()
        call = (fn, args, kwargs, ending)
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if not self._free:
                self._waiting.append(call)
                if not self._crowded.is_set():
                    self._crowded.set()
                return ending
            self._free -= 1
            self._begin(call)
        return ending

    def give_way(self) -> None:
        """Called by a call that runs here, where it holds no lock: returns at once unless others should pass."""
        if not self._waiting and not self._held_up:
            return
        worker = current_thread()
        assert isinstance(worker, _Worker)
        ran_s = monotonic() - worker.began_s
        if ran_s < PATIENCE_S:
            return
        with self._lock:
            if not worker.has_place:
                self._stuck -= 1
                if self._free:
                    self._free -= 1
                    worker.take_place()
                    return
            elif self._waiting and len(self._held_up) < HELD_UP_MAX:
                self._begin(self._waiting.popleft())
            elif self._held_up and ran_s >= TURN_S:
                self._go_on(self._held_up.popleft())
            else:
                return
            worker.has_place = False
            self._held_up.append(worker)
        worker.sleep()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls; those submitted still run, whether waited for or not. Idempotent."""
        assert not cancel_futures
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        self._crowded.set()
        for worker in idle:
            worker.wake()
        if wait:
            self._watcher.join()
            for worker in self._threads_made:
                worker.join()

    def _begin(self, call: Call) -> None:
        """Gives a call to a thread, and a place that was another's. Under the lock."""
        self._begun += 1
        if self._idle:
            worker = self._idle.pop()
            worker.call = call
            self._go_on(worker)
            return
        worker = _Worker(f"{self._name}_{len(self._threads_made)}", call, self._leave)
        worker.take_place()
        self._threads_made.append(worker)
        worker.start()

    @staticmethod
    def _go_on(worker: _Worker) -> None:
        """Gives a place that was another's to a thread that sleeps. Under the lock."""
        worker.take_place()
        worker.wake()

    def _leave(self, worker: _Worker) -> None:
        """A thread has done its call: its place, if it has one, goes to the next, or is free."""
        with self._lock:
            if not worker.has_place:
                self._stuck -= 1
            elif self._held_up and self._is_turn_of_held_up():
                self._go_on(self._held_up.popleft())
            elif self._waiting:
                self._begun += 1
                worker.call = self._waiting.popleft()
                worker.take_place()
                return
            else:
                self._free += 1
            if self._closed:
                return
            worker.has_place = False
            self._idle.append(worker)
        worker.sleep()

    def _is_turn_of_held_up(self) -> bool:
        """Whether the call that is held up longest gets the next place. Under the lock."""
        if not self._waiting:
            return True
        now = monotonic()
        if now - self._aged_s < AGEING_S:
            return False
        self._aged_s = now
        return True

    def _watch(self) -> None:
        """Takes places from calls that are stuck, for those that wait."""
        while True:
            self._crowded.wait()
            if self._closed and not self._waiting:
                return
            begun = self._begun
            sleep(STUCK_S)
            with self._lock:
                if not self._waiting:
                    if not self._closed:
                        self._crowded.clear()
                elif self._begun == begun and self._stuck < STUCK_MAX:
                    stuck = min([worker for worker in self._threads_made if worker.has_place], key=_since)
                    stuck.has_place = False
                    self._stuck += 1
                    self._begin(self._waiting.popleft())


def _since(worker: _Worker) -> float:
    return worker.began_s
