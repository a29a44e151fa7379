"""Builds that ended a process, remembered beside the graphs so that they are not begun again and again.

An attempt is written down before it begins and struck out when it ends by itself, well or not. What stays is an attempt
that ended the build process, or under which the server itself ended: the first is not repeated, the second not for the
third time (a server is also stopped for other reasons). Other settings, a fifth more or fewer points, or a day that has
passed, since memory may have been short, make it a new attempt. Derived data: without the file everything is tried.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from time import time
from typing import TypeAlias

from qdrantlite.storage.checkpoint import read_derived, write_derived
from qdrantlite.storage.files import Files

FORMAT_VERSION = 1
FILE = "attempts.ckpt"
BEGUN_MAX = 2
DIFFERENCE_MIN = 0.2
FORGOTTEN_S = 86_400.0

Clock: TypeAlias = Callable[[], float]


class Work(Enum):
    """What is attempted."""

    GRAPH = "its graph"
    PRUNED = "pruning its graph"
    CODES = "its codes"


@dataclass(frozen=True, slots=True)
class Attempt:
    """To do ``work`` for a vector, as the point store numbers it, with ``settings`` as text and so many points."""

    vector_id: int
    work: Work
    settings: str
    points: int
    begun: int = 0
    """How often, without an end."""
    at_s: float = 0.0
    """When last, by the clock on the wall."""
    reason: str | None = None
    """How it ended the build process."""

    def is_like(self, other: "Attempt") -> bool:
        """Whether there is no reason to expect another end."""
        return (
            (self.vector_id, self.work, self.settings) == (other.vector_id, other.work, other.settings)
            and abs(self.points - other.points) < DIFFERENCE_MIN * self.points
            and 0 <= other.at_s - self.at_s < FORGOTTEN_S
        )


class Attempts:
    """Those of one shard, one for each vector and kind of work; one thread at a time."""

    def __init__(self, folder: Path, files: Files, *, clock: Clock = time) -> None:
        self._path = folder / FILE
        self._files = files
        self._clock = clock
        self._open: dict[tuple[int, Work], Attempt] = {}
        found = read_derived(self._path, format_version=FORMAT_VERSION, files=files)
        if found is not None:
            for entry in json.loads(bytes(found.parts["attempts"])):
                attempt = Attempt(**{**entry, "work": Work[entry["work"]]})
                self._open[attempt.vector_id, attempt.work] = attempt

    def follow(self, other: "Attempts") -> None:
        """Takes over what is remembered of the same vectors in another folder. Raises StorageFailed."""
        self._open.update(other._open)
        self._write()

    def refusal(self, vector_id: int, work: Work, settings: str, points: int) -> str | None:
        """Why this is not to be attempted now; None: it may be."""
        known = self._known(Attempt(vector_id, work, settings, points, at_s=self._clock()))
        if known is None or (known.reason is None and known.begun < BEGUN_MAX):
            return None
        return known.reason or "the server ended while it was under way, more than once"

    def begin(self, vector_id: int, work: Work, settings: str, points: int) -> None:
        """Writes down, durably, that this begins. Raises StorageFailed: then it must not."""
        attempt = Attempt(vector_id, work, settings, points, at_s=self._clock())
        known = self._known(attempt)
        begun = 1 if known is None or known.reason is not None else known.begun + 1
        self._open[vector_id, work] = replace(attempt, begun=begun)
        self._write()

    def end(self, vector_id: int, work: Work) -> None:
        """It ended by itself. Raises StorageFailed."""
        if self._open.pop((vector_id, work), None) is not None:
            self._write()

    def lose(self, vector_id: int, work: Work, reason: str) -> None:
        """It ended the build process. Raises StorageFailed; until the next start it is remembered all the same."""
        self._open[vector_id, work] = replace(self._open[vector_id, work], reason=reason)
        self._write()

    def _known(self, attempt: Attempt) -> Attempt | None:
        known = self._open.get((attempt.vector_id, attempt.work))
        return known if known is not None and known.is_like(attempt) else None

    def _write(self) -> None:
        entries = [{**asdict(attempt), "work": attempt.work.name} for attempt in self._open.values()]
        text = json.dumps(entries).encode()
        write_derived(
            self._path, format_version=FORMAT_VERSION, covers_seq=0, parts=[("attempts", text)], files=self._files
        )
