"""Long times of writing as the merge policy sees them: how often entries are written, how many segments there are.

No points are made: segments are numbers of offsets, held and forgotten, moved by ``segment.merge_policy`` as commits
and the thread behind them do it. A commit adds a segment and merges what is tiny, which its writer waits for; a round
of the thread, each second in which something was written, merges all that is due, and more once nothing was written
for five seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from qdrantlite.segment.merge_policy import SegmentSize, choose_merge, merges_at_once

ROUND_S = 1.0
REST_S = 5.0
DAY_S = 86_400.0


@dataclass(slots=True)
class Held:
    """A segment: offsets of which so many count no more."""

    offsets: float
    forgotten: float = 0.0

    @property
    def counting(self) -> float:
        """Offsets that still do."""
        return self.offsets - self.forgotten

    @property
    def size(self) -> SegmentSize:
        """As the policy sees it."""
        return SegmentSize(round(self.offsets), self.forgotten / self.offsets if self.offsets else 1.0)


@dataclass(frozen=True, slots=True)
class Commit:
    """New offsets, the seconds until the next commit, and how many older offsets they replace: the oldest, or any."""

    offsets: int
    gap_s: float
    replaced: float = 0.0
    oldest: bool = False


@dataclass(slots=True)
class Simulation:
    """A stack of one index, and what became of it."""

    segments: list[Held] = field(default_factory=list)
    committed: float = 0.0
    written: float = 0.0
    """Offsets in segments merged behind the commits."""
    waited_max: float = 0.0
    """Offsets in the largest segment that a commit merged while its writer waited."""
    merged_max: float = 0.0
    segments_max: int = 0
    searched: float = 0.0
    """Segments at each commit, together."""
    commits: int = 0
    forgotten_max: float = 0.0
    """The largest share of all offsets held that did not count, once there were many."""
    _since_round_s: float = 0.0

    def run(self, pattern: Iterator[Commit]) -> "Simulation":
        """All commits of a pattern."""
        for commit in pattern:
            self._commit(commit)
        return self

    def _commit(self, commit: Commit) -> None:
        self._forget(commit.replaced, oldest=commit.oldest)
        segments = self.segments
        segments.append(Held(float(commit.offsets)))
        while len(segments) > 1 and merges_at_once(segments[-2].size.entries, segments[-1].size.entries):
            self.waited_max = max(self.waited_max, self._merge(range(len(segments) - 2, len(segments))))
        self.committed += commit.offsets
        self.commits += 1
        self.segments_max = max(self.segments_max, len(segments))
        self.searched += len(segments)
        self._since_round_s += commit.gap_s
        if self._since_round_s >= ROUND_S:
            self._since_round_s = 0.0
            self._round(at_rest=commit.gap_s >= REST_S)

    def _round(self, *, at_rest: bool) -> None:
        while (chosen := choose_merge([each.size for each in self.segments], at_rest=at_rest)) is not None:
            merged = self._merge(chosen)
            self.written += merged
            self.merged_max = max(self.merged_max, merged)
        held = sum(each.offsets for each in self.segments)
        if held > 100_000:
            self.forgotten_max = max(self.forgotten_max, sum(each.forgotten for each in self.segments) / held)

    def _merge(self, chosen: range) -> float:
        counting = sum(self.segments[at].counting for at in chosen)
        self.segments[chosen.start : chosen.stop] = [Held(counting)] if counting >= 0.5 else []
        return counting

    def _forget(self, count: float, *, oldest: bool) -> None:
        if not count:
            return
        total = sum(each.counting for each in self.segments)
        share = min(1.0, count / total) if total else 0.0
        for each in self.segments:
            gone = min(count, each.counting) if oldest else each.counting * share
            each.forgotten += gone
            count -= gone
        self.segments[:] = [each for each in self.segments if each.counting >= 0.5]


def trickle(days: int) -> Iterator[Commit]:
    """A point every minute, all day: every commit is followed by a rest."""
    return (Commit(1, 60.0) for _ in range(days * 24 * 60))


def stream(days: int) -> Iterator[Commit]:
    """Ten points every second for nine hours a day."""
    for _ in range(days):
        for _ in range(9 * 3600):
            yield Commit(10, 1.0)
        yield Commit(10, 15 * 3600.0)


def bulk(days: int) -> Iterator[Commit]:
    """A million points for each day, at once, in batches of a thousand."""
    return (Commit(1000, 0.03) for _ in range(days * 1000))


def nightly(days: int) -> Iterator[Commit]:
    """A hundred thousand points, all sent again every night, in the same order."""
    for night in range(days):
        for batch in range(100):
            gap_s = DAY_S if batch == 99 else 0.05
            yield Commit(1000, gap_s, replaced=1000.0 if night else 0.0, oldest=True)


def updates(days: int) -> Iterator[Commit]:
    """A million points loaded, then any twenty of them replaced every minute."""
    for _ in range(1000):
        yield Commit(1000, 0.03)
    for _ in range(days * 24 * 60):
        yield Commit(20, 60.0, replaced=20.0)
