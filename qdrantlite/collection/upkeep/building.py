"""Native work on rows, as jobs that a process of its own can do: a graph, or codes beside one, written to a file.

FAISS ends the process when it is given what it cannot bear, and the system ends one that takes too much memory. So the
server never builds within itself: it hands a job to a child (``build_process``), which maps the rows, writes a file and
tells what is in it. This module is what the child runs, and knows neither collections nor who asked.

The child reads jobs from its standard input and writes messages to its standard output, both pickled; whoever writes
them is the same program. It gives way to everything else: lowest priority, first to go when memory runs out. It ends
when its input does, even in the middle of a job, so that it never outlives the server; and when it has idled.
"""

import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import BinaryIO, Protocol, TypeAlias, assert_never

from qdrantlite.segment import sealed
from qdrantlite.segment.renumbering import Renumbering
from qdrantlite.segment.sealed import Coding, GraphParams, SealedSegment
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.row_encoding import Rows
from qdrantlite.storage.row_format import RowFormat, map_rows
from qdrantlite.values.distance import Distance

IDLE_S = 30.0
NICENESS = 10

Progress: TypeAlias = Callable[[int, int], None]
"""Rows done and rows in all; abandons the job by raising."""


@dataclass(frozen=True, slots=True)
class RowSource:
    """The committed rows of one vector. Verified: the child compares no checksums."""

    path: Path
    row_format: RowFormat
    count: int
    distance: Distance
    present: bytes
    """A ``Selection``: the points that have the vector."""


@dataclass(frozen=True, slots=True)
class GraphSource:
    """A saved graph over those rows."""

    path: Path
    first: int
    linked: int
    pruned: int
    params: GraphParams


@dataclass(frozen=True, slots=True)
class LinkJob:
    """Writes to ``target`` a graph over all rows that are present: ``base`` extended, else a new one."""

    rows: RowSource
    base: GraphSource | None
    params: GraphParams
    threads: int
    target: Path


@dataclass(frozen=True, slots=True)
class EncodeJob:
    """Writes to ``target`` codes of the rows that ``graph`` covers."""

    rows: RowSource
    graph: GraphSource
    coding: Coding
    threads: int
    target: Path


@dataclass(frozen=True, slots=True)
class PruneJob:
    """Writes to ``target`` the graph without what is not present any more; a new one where that is better."""

    rows: RowSource
    graph: GraphSource
    threads: int
    target: Path


@dataclass(frozen=True, slots=True)
class CarryJob:
    """Writes to ``target`` the graph over ``origin`` in the numbers of ``rows``, where its rows are now: without those
    that are not, and a new one where that is better. Rows without an origin are linked in where they lie between.
    """

    rows: RowSource
    origin: RowSource
    renumbering: Renumbering
    """Of the rows of ``origin``."""
    graph: GraphSource
    threads: int
    target: Path


Job: TypeAlias = LinkJob | EncodeJob | PruneJob | CarryJob


@dataclass(frozen=True, slots=True)
class Built:
    """What the graph of a finished job covers; see ``SealedSegment``."""

    first: int
    linked: int
    pruned: int


class Builder(Protocol):
    """Whoever does jobs."""

    def run(self, job: Job, progress: Progress) -> Built:
        """Returns when the job's file is written, neither synced nor renamed.

        ``progress`` is called some times a second. Raises what the job raised, or ``build_process.Lost``.
        """


@dataclass(frozen=True, slots=True)
class Ready:
    """The child waits for a job."""


@dataclass(frozen=True, slots=True)
class Started:
    """The child has taken a job."""


@dataclass(frozen=True, slots=True)
class Progressed:
    """Rows done, of rows in all."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The job raised this; ``trace`` is where, for the log."""

    error: Exception
    trace: str


Message: TypeAlias = Ready | Started | Progressed | Built | Failed


def work(job: Job, progress: Progress) -> Built:
    """Does a job. Raises Corrupted, StorageFailed, and what ``progress`` raises."""
    rows = map_rows(job.rows.path, job.rows.row_format, job.rows.count)
    present = Selection.from_bytes(job.rows.present)
    match job:
        case LinkJob():
            segment = _linked(job, rows, present, progress)
            sealed.save_graph(segment, job.target)
        case EncodeJob():
            segment = _loaded(job.graph, rows, present, job.rows.distance)
            segment = sealed.encode(segment, job.coding, threads=job.threads, progress=progress)
            assert segment.coded is not None
            sealed.save_codes(segment.coded, job.target)
        case PruneJob():
            segment = _pruned(job, rows, present, progress)
            sealed.save_graph(segment, job.target)
        case CarryJob():
            segment = _carried(job, rows, present, progress)
            sealed.save_graph(segment, job.target)
        case _:
            assert_never(job)
    return Built(segment.first, segment.linked, segment.pruned)


def _linked(job: LinkJob, rows: Rows, present: Selection, progress: Progress) -> SealedSegment:
    distance, threads = job.rows.distance, job.threads
    if job.base is None:
        return sealed.seal(rows, present, distance=distance, params=job.params, threads=threads, progress=progress)
    base = _loaded(job.base, rows, present, distance)
    return sealed.extend(base, rows, present, threads=threads, progress=progress)


def _pruned(job: PruneJob, rows: Rows, present: Selection, progress: Progress) -> SealedSegment:
    segment = _loaded(job.graph, rows, present, job.rows.distance)
    pruned = sealed.prune(segment, present, threads=job.threads, progress=progress)
    return pruned or _anew(job, rows, present, progress)


def _carried(job: CarryJob, rows: Rows, present: Selection, progress: Progress) -> SealedSegment:
    origin = map_rows(job.origin.path, job.origin.row_format, job.origin.count)
    segment = _loaded(job.graph, origin, Selection.from_bytes(job.origin.present), job.rows.distance)
    origins = job.renumbering.origins(present.offsets())
    carried = sealed.carry(segment, origins, rows, present, threads=job.threads, progress=progress)
    return carried or _anew(job, rows, present, progress)


def _anew(job: PruneJob | CarryJob, rows: Rows, present: Selection, progress: Progress) -> SealedSegment:
    """A graph built over all rows, as that of the job was."""
    distance, threads, params = job.rows.distance, job.threads, job.graph.params
    return sealed.seal(rows, present, distance=distance, params=params, threads=threads, progress=progress)


def _loaded(graph: GraphSource, rows: Rows, present: Selection, distance: Distance) -> SealedSegment:
    return sealed.load(
        *(graph.path, rows, present),
        first=graph.first,
        distance=distance,
        params=graph.params,
        linked=graph.linked,
        pruned=graph.pruned,
    )


def serve() -> None:
    """Does the jobs of the standard input until it ends or has been silent for long; never returns."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # A key pressed in the terminal is meant for the server.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What a library prints is no message.
    _give_way()
    jobs: SimpleQueue[Job] = SimpleQueue()
    Thread(target=_receive, args=(sys.stdin.buffer, jobs), daemon=True).start()

    def tell(message: Message) -> None:
        pickle.dump(message, answers)
        answers.flush()

    with suppress(OSError, Empty):  # The server is gone, or has nothing to do.
        tell(Ready())
        while True:
            job = jobs.get(timeout=IDLE_S)
            tell(Started())
            tell(_outcome(job, lambda done, total: tell(Progressed(done, total))))
    os._exit(0)


def _outcome(job: Job, progress: Progress) -> Built | Failed:
    try:
        return work(job, progress)
    except BrokenPipeError:
        raise
    except Exception as error:
        return Failed(_sendable(error), traceback.format_exc())


def _sendable(error: Exception) -> Exception:
    """The error itself where it survives being pickled."""
    try:
        copy = pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(str(error))
    return error if isinstance(copy, type(error)) else RuntimeError(str(error))


def _receive(source: BinaryIO, jobs: "SimpleQueue[Job]") -> None:
    """Puts jobs in the queue; ends the process when there can be no more, whatever it is doing."""
    try:
        while True:
            jobs.put(pickle.load(source))
    except EOFError:
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _give_way() -> None:
    """To requests, and to the server when memory runs out."""
    if sys.platform == "win32":
        return
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
