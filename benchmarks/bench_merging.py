"""What the merge policy makes of a year of writes: pure arithmetic, see ``tests.segment.merge_simulation``."""

import argparse

from benchmarks.measure import show
from tests.segment.merge_simulation import Simulation, bulk, nightly, stream, trickle, updates

PATTERNS = {
    "a point a minute, a year": (trickle, 365),
    "ten points a second by day, a month": (stream, 22),
    "ten million at once": (bulk, 10),
    "100,000 sent again nightly, a year": (nightly, 365),
    "20 of a million replaced a minute, a year": (updates, 365),
}


def main() -> None:
    """Runs and prints."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    columns = [
        "writes",
        "offsets",
        "written, times each",
        "segments",
        "most",
        "a writer merges",
        "largest merge",
        "dead",
    ]
    rows = []
    for name, (pattern, days) in PATTERNS.items():
        found = Simulation().run(pattern(days))
        rows.append(
            [
                name,
                f"{found.committed:,.0f}",
                f"{found.written / found.committed:.1f}",
                f"{found.searched / found.commits:.1f}",
                f"{found.segments_max}",
                f"{found.waited_max:,.0f}",
                f"{found.merged_max:,.0f}",
                f"{100 * found.forgotten_max:.0f} %",
            ]
        )
    show("What the merge policy makes of writes", columns, rows)


if __name__ == "__main__":
    main()
