"""Recall and cost of custom scores behind a graph: walks around the guides beside scoring all points.

    python -m benchmarks.bench_custom [--vectors rows.npy] [--rows 60000] [--dim 128] [--ef 0] [--searches 60]

Examples are rows with noise, drawn anew for each search: like each other (*near*, from one neighbourhood) or not
(*far*). Each line: recall of 10 against scoring all, milliseconds of both, how often the planner walked, and how often
walks ended with all points scored because something better could have been missed.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench_recall import Shard
from benchmarks.clustered import clustered
from qdrantlite.execute import executor
from qdrantlite.plan.bound import BoundSearch, BoundStage
from qdrantlite.plan.custom import BestScore, CustomScore, DenseExamples, PairLosses, PairRanks, Scorer
from qdrantlite.plan.nodes import GuidedScan
from qdrantlite.plan.planner import plan
from qdrantlite.query.search import SearchParams
from qdrantlite.segment import sealed
from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.sealed import GraphParams
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.row_encoding import normalise
from qdrantlite.values.distance import Datatype, Distance

LIMIT = 10
F32 = NDArray[np.float32]
CASES: dict[str, tuple[Scorer, int]] = {
    "best score 3 + 0": (BestScore(3), 3),
    "best score 3 + 2": (BestScore(3), 5),
    "best score 1 + 5": (BestScore(1), 6),
    "discover, no pair": (PairRanks(0), 1),
    "discover, 1 pair": (PairRanks(1), 3),
    "discover, 3 pairs": (PairRanks(3), 7),
    "discover, 6 pairs": (PairRanks(6), 13),
    "context, 2 pairs": (PairLosses(2), 4),
    "context, 8 pairs": (PairLosses(8), 16),
}


@dataclass
class Tally:
    """Of one case."""

    recalls: list[float] = field(default_factory=list)
    planned_ms: list[float] = field(default_factory=list)
    exact_ms: list[float] = field(default_factory=list)
    guided: int = 0
    given_up: int = 0


def examples(rows: F32, count: int, chance: np.random.Generator, *, near: bool) -> F32:
    """Rows with noise, of one neighbourhood or from everywhere."""
    if near:
        scores = rows @ rows[chance.integers(len(rows))]
        among = np.argpartition(-scores, 400)[:400]
    else:
        among = np.arange(len(rows))
    chosen = rows[chance.choice(among, count)]
    noise = chance.normal(size=chosen.shape).astype(np.float32)
    return normalise(chosen + noise * np.float32(0.3 / np.sqrt(rows.shape[1])))


def timed(work: Callable[[], object]) -> tuple[object, float]:
    """The answer and thread milliseconds."""
    started = time.thread_time_ns()
    return work(), (time.thread_time_ns() - started) / 1e6


def measured(
    shard: Shard, scorer: Scorer, count: int, *, near: bool, ef: int | None, searches: int, share: float, seed: int
) -> Tally:
    """One case over many searches."""
    chance, tally = np.random.default_rng(seed), Tally()
    rows = np.asarray(shard.view.rows, dtype=np.float32)
    scans = 0
    plain = executor._custom

    def counting(*given: object) -> object:
        nonlocal scans
        scans += 1
        return plain(*given)  # type: ignore[arg-type] # passed on

    executor._custom = counting  # type: ignore[assignment] # counts only
    for _ in range(searches):
        query = CustomScore(DenseExamples(examples(rows, count, chance, near=near)), scorer, larger_is_better=True)
        selection = None
        if share < 1:
            chosen = np.sort(chance.choice(len(rows), int(share * len(rows)), replace=False))
            selection = Selection.from_offsets(chosen.astype(np.uint32))
        stage = BoundStage(query=query, selection=selection, limit=LIMIT, params=SearchParams(hnsw_ef=ef))
        exactly = BoundStage(query=query, selection=selection, limit=LIMIT, params=SearchParams(exact=True))
        node = plan(BoundSearch(stage), shard)
        tally.guided += isinstance(node, GuidedScan)
        scans = 0
        found, took = timed(partial(executor.execute, node, shard))
        tally.given_up += isinstance(node, GuidedScan) and scans > 0
        truth, exact_took = timed(partial(executor.execute, plan(BoundSearch(exactly), shard), shard))
        tally.planned_ms.append(took)
        tally.exact_ms.append(exact_took)
        tally.recalls.append(float(np.mean(found.scores >= truth.scores[-1] - 1e-6)))
    executor._custom = plain
    return tally


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--ef", type=int, default=0)
    parser.add_argument("--searches", type=int, default=60)
    parser.add_argument("--share", type=float, default=1.0)
    given = parser.parse_args()
    loaded = clustered(given.rows, given.dim)[0] if given.vectors is None else np.load(given.vectors)[: given.rows]
    rows = np.ascontiguousarray(normalise(np.asarray(loaded, dtype=np.float32)))
    everyone = Selection.of_range(0, len(rows))
    segment = sealed.seal(rows, everyone, distance=Distance.COSINE, params=GraphParams(16, 100), threads=2)
    view = DenseView(rows, Distance.COSINE, Datatype.FLOAT32, None, (segment,), verify=lambda _: None)
    shard = Shard(view, len(rows))
    print(f"{len(rows)} x {rows.shape[1]}, ef {given.ef or 'default'}, passing {given.share}")
    for name, (scorer, count) in CASES.items():
        for near in (True, False):
            tally = measured(
                shard, scorer, count, near=near, ef=given.ef or None, searches=given.searches, share=given.share, seed=5
            )
            print(
                f"{name:20} {'near' if near else 'far':5} recall {np.mean(tally.recalls):.3f} "
                f"{np.median(tally.planned_ms):7.2f} ms, all {np.median(tally.exact_ms):7.2f} ms, "
                f"walked {tally.guided / given.searches:.0%}, given up {tally.given_up / given.searches:.0%}"
            )


if __name__ == "__main__":
    main()
