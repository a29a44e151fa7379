"""The process that builds: started when there is a job, kept for the next, ended when it is not wanted any more.

Invariants: at most one child, doing one job; whatever ends it, the server goes on and the child is reaped; when this is
closed, no child is left. A job that is abandoned is ended by killing the child: FAISS cannot be interrupted.

Started with the interpreter that runs the server and with its module path, and not with ``multiprocessing``: that would
import the user's main module again where the server is embedded (``qdrantlite.testing``), and other forked state of the
server, such as gRPC's, has no business there. If no child can be started the job fails; nothing is built in the server.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import TypeAlias

from qdrantlite.collection.upkeep.building import Built, Failed, Job, Message, Progress, Progressed, Ready, Started
from qdrantlite.errors import StorageFailed

SERVE = "from qdrantlite.collection.upkeep.building import serve; serve()"
COMMAND = f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); {SERVE}"
VARIABLES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Unless they are set: rows and links, hundreds of megabytes read here and there, lie in large pages then, where the
system gives them to who asks. Linking the last of 262,144 x 96 took 438 us of the processor's time instead of 524.
"""
KILLED = 9
if sys.platform == "win32":
    CREATION_FLAGS = subprocess.BELOW_NORMAL_PRIORITY_CLASS | subprocess.CREATE_NO_WINDOW
else:
    CREATION_FLAGS = 0  # The child lowers its priority itself.
START_S = 120.0
POLL_S = 0.05
"""How long a job that is not wanted any more goes on."""

TOLD_TO_END = (signal.SIGTERM, signal.SIGINT, 1)
"""Signals (1 hangs up) that say nothing about the job: a service manager sends them to all processes of the server."""


class NotStarted(StorageFailed):
    """There is no child and there will be none now; the job was not tried."""


class Interrupted(StorageFailed):
    """Somebody told the child to end; the job may be tried again."""


class Lost(StorageFailed):
    """The job ended the child: most likely it will do so again."""


class _Ended:
    """The last that is heard of a child."""


_Heard: TypeAlias = Message | _Ended


class _Child:
    """A running child; a thread listens to it and reaps it."""

    def __init__(self) -> None:
        """Raises NotStarted."""
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", COMMAND, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**VARIABLES, **os.environ},
                creationflags=CREATION_FLAGS,
            )
        except OSError as error:
            reason = error.strerror or "the system refused"
            raise NotStarted(f"no process for building can be started: {reason}", detail=str(error)) from error
        self._heard: SimpleQueue[_Heard] = SimpleQueue()
        self._listener = Thread(target=self._listen, name="qdrantlite-build-listener", daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        # It ends some day, perhaps in the middle of a message.
        with suppress(EOFError, OSError, pickle.UnpicklingError), self._process.stdout as source:
            while True:
                self._heard.put(pickle.load(source))
        self._process.wait()
        self._heard.put(_Ended())

    def hear(self, timeout_s: float) -> _Heard | None:
        """The next message; None when there is none yet. ``_Ended`` is the last."""
        try:
            return self._heard.get(timeout=timeout_s)
        except Empty:
            return None

    def send(self, job: Job) -> None:
        """Hands over a job; a child that has ended is noticed by ``hear``."""
        assert self._process.stdin is not None
        with suppress(OSError):
            pickle.dump(job, self._process.stdin)
            self._process.stdin.flush()

    def end(self) -> None:
        """Ends the child at once, whatever it does, and waits until it is reaped. Idempotent."""
        self._process.kill()
        self._listener.join()
        if self._process.stdin is not None:
            with suppress(OSError):  # What was written and never read is of no use to anybody.
                self._process.stdin.close()

    @property
    def return_code(self) -> int:
        """After ``_Ended``."""
        code = self._process.returncode
        assert code is not None
        return code


class BuildProcess:
    """Does jobs one after the other (``building.Builder``), each in a child. Threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._child: _Child | None = None

    def run(self, job: Job, progress: Progress) -> Built:
        """See ``building.Builder``. Raises NotStarted, Interrupted and Lost besides."""
        with self._lock:
            outcome: Built | Failed | None = None
            try:
                outcome = self._outcome(job, progress)
            finally:
                if outcome is None:
                    self._end()
        if isinstance(outcome, Failed):
            outcome.error.add_note(outcome.trace)
            raise outcome.error
        return outcome

    def close(self) -> None:
        """Ends the child, after the job under way. Idempotent."""
        with self._lock:
            self._end()

    def _outcome(self, job: Job, progress: Progress) -> Built | Failed:
        child, done, total = self._handed_over(job, progress), 0, 1
        while True:
            heard = child.hear(POLL_S)
            match heard:
                case Built() | Failed():
                    return heard
                case Progressed():
                    done, total = heard.done, heard.total
                case _Ended():
                    raise _loss(child.return_code)
                case Ready() | Started() | None:
                    pass
            progress(done, total)

    def _handed_over(self, job: Job, progress: Progress) -> _Child:
        """A child that has started with the job: that of the last one, unless it had idled for too long."""
        for _ in range(2):
            if self._child is None:
                self._child = _Child()
                if not _says(self._child, Ready, progress):
                    raise NotStarted(f"no process for building can be started: it ends with {self._child.return_code}")
            child = self._child
            child.send(job)
            if _says(child, Started, progress):
                return child
            self._end()
        raise NotStarted("no process for building takes a job")

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end()


def _says(child: _Child, expected: type[Ready] | type[Started], progress: Progress) -> bool:
    """Waits for a message that must be the next; False when the child ends instead. Raises NotStarted."""
    until = monotonic() + START_S
    while (heard := child.hear(POLL_S)) is None:
        progress(0, 1)
        if monotonic() > until:
            raise NotStarted(f"no process for building answers within {START_S:.0f} s")
    return isinstance(heard, expected)


def _loss(return_code: int) -> StorageFailed:
    """What the end of a child in the middle of a job says."""
    if return_code >= 0:
        return Lost(f"it ended the build process with code {return_code}")
    if -return_code in TOLD_TO_END:
        return Interrupted("the build process was told to end")
    if -return_code == KILLED:
        return Lost("the build process was killed, most likely for lack of memory")
    return Lost(f"it ended the build process by {signal.Signals(-return_code).name}")
