"""Work on a vector that failed: what of, and when it is tried again."""

from collections.abc import Container
from dataclasses import dataclass, field

from qdrantlite.collection.upkeep.attempts import DIFFERENCE_MIN, Work
from qdrantlite.collection.upkeep.backoff import Backoff
from qdrantlite.collection.upkeep.build_process import Lost
from qdrantlite.collection.upkeep.sealer import Refused
from qdrantlite.collection.upkeep.sealing import Wanted
from qdrantlite.errors import fresh

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


class Troubles:
    """Those of one shard's vectors, one for each vector, by its id, and kind of work. One thread changes them."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, Work], Trouble] = {}

    def tell(self, vector_id: int, work: Work, wanted: Wanted, points: int, *, error: Exception, shown: str) -> bool:
        """Work has failed, of which clients read what is ``shown``. Whether that is news."""
        kept = fresh(error)
        kept.__cause__ = None  # A trace would keep alive what the work looked at.
        trouble = self.known.get((vector_id, work))
        if trouble is None or not trouble.is_of(wanted, points):
            trouble = self.known[vector_id, work] = Trouble(wanted, points, kept)
        is_news = shown != trouble.shown
        trouble.error, trouble.shown = kept, shown
        trouble.backoff.failed(error)
        return is_news

    def is_put_off(self, vector_id: int, work: Work, wanted: Wanted, points: int) -> bool:
        """Whether the work failed lately; what failed for other settings or points is forgotten."""
        trouble = self.known.get((vector_id, work))
        if trouble is not None and not trouble.is_of(wanted, points):
            del self.known[vector_id, work]
            return False
        return trouble is not None and not trouble.backoff.is_due

    def forget(self, vector_id: int, *works: Work) -> None:
        """It succeeded, or is not wanted any more."""
        for work in works:
            self.known.pop((vector_id, work), None)

    def forget_others(self, vector_ids: Container[int]) -> None:
        """There are only these vectors now."""
        self.known = {key: trouble for key, trouble in self.known.items() if key[0] in vector_ids}

    @property
    def shown(self) -> str | None:
        """What a client may read of the work that fails."""
        return next((trouble.shown for trouble in list(self.known.values())), None)

    @property
    def failure(self) -> Exception | None:
        """Of work that may succeed if it is tried again."""
        return next((each.error for each in list(self.known.values()) if not each.is_lasting), None)
