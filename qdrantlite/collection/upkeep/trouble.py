"""Work on a vector that failed: what of, and when it is tried again."""

from dataclasses import dataclass, field

from qdrantlite.collection.upkeep.attempts import DIFFERENCE_MIN
from qdrantlite.collection.upkeep.backoff import Backoff
from qdrantlite.collection.upkeep.build_process import Lost
from qdrantlite.collection.upkeep.sealer import Refused
from qdrantlite.collection.upkeep.sealing import Wanted

RETRY_S = 60.0
RETRY_S_MAX = 3600.0


@dataclass(slots=True, eq=False)
class Trouble:
    """Some work on one vector that failed; forgotten when it succeeds, or when something else is wanted."""

    wanted: Wanted
    points: int
    error: Exception
    shown: str = ""
    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=RETRY_S, last_s=RETRY_S_MAX))

    def is_of(self, wanted: Wanted, points: int) -> bool:
        """Whether the same work would be tried again."""
        return self.wanted == wanted and abs(points - self.points) < DIFFERENCE_MIN * max(self.points, 1)

    @property
    def is_lasting(self) -> bool:
        """Whether it is not even tried again."""
        return isinstance(self.error, Lost | Refused)
