"""A deadline that counts how often it is asked."""

from qdrantlite.deadline import Deadline


class CountedDeadline(Deadline):
    """Lets so many checks pass, then it is over."""

    def __init__(self, checks: int = 1 << 62) -> None:
        super().__init__()
        self.checks = checks
        self.asked = 0

    def check(self) -> None:
        """As a deadline does."""
        self.asked += 1
        if self.asked > self.checks:
            self.cancel()
        super().check()
