"""Recall of filtered searches: how many points pass, where they lie, and which index answers.

    python -m benchmarks.bench_recall [--rows 100000] [--dim 128] [--ef 0] [--queries 40] [--kinds plain,int8,...]

Filters: *random* points; *correlated*, those nearest to the query; *anti*, those farthest from it; *tenant*, whole
clusters, mostly not the query's. Each cell: recall of 10, milliseconds, and which leaf answered (E exact scan, S
subset, G graph, W graph with a wider beam than planned, D graph given up and answered exactly). Exits with 1 when a
cell without codes is below the floor.
"""

import argparse
import sys
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.clustered import clustered
from benchmarks.measure import show
from qdrantlite.execute import executor
from qdrantlite.execute.ranking import Ranking
from qdrantlite.plan.bound import BoundSearch, BoundStage, NearestDense
from qdrantlite.plan.nodes import DenseLeaf, ExactScan, GraphScan, Node, SubsetScan, Top
from qdrantlite.plan.planner import plan
from qdrantlite.plan.statistics import VectorStatistics
from qdrantlite.query.search import SearchParams
from qdrantlite.segment import sealed
from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.sealed import Coding, GraphParams
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.quantized import BitCodes, ProductCodes, ScalarCodes
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.point_ids import PointIds

FLOOR = 0.97
LIMIT = 10
BEAM = 100
SELECTIVITIES = (0.0001, 0.001, 0.01, 0.03, 0.1, 0.3, 0.5, 0.9, 0.99)
KINDS = {
    "plain": None,
    "int8": ScalarCodes(0.99),
    "product x8": ProductCodes(8),
    "turbo 4 bits": BitCodes(4),
    "binary": BitCodes(1),
}
FILTERS = ("random", "correlated", "anti", "tenant")


@dataclass(eq=False)
class Shard:
    """One dense vector and nothing else: what plans and runs here need of a shard."""

    view: DenseView
    rows: int
    random: np.random.Generator = field(default_factory=np.random.default_rng)

    @property
    def live_points(self) -> int:
        """All rows."""
        return self.rows

    @property
    def live(self) -> Selection:
        """All rows."""
        return Selection.of_range(0, self.rows)

    def present(self, _: str) -> Selection:
        """All rows."""
        return self.live

    def dense(self, _: str) -> DenseView:
        """The vector."""
        return self.view

    def ids(self, offsets: NDArray[np.uint32]) -> PointIds:
        """Offsets are ids."""
        return PointIds(offsets.astype(np.uint64))

    def vector(self, _: str) -> VectorStatistics:
        """Facts about the vector."""
        rows, dim = self.view.rows.shape
        counts = tuple(segment.graph.count for segment in self.view.sealed)
        return VectorStatistics(self.rows, rows, dim, 4, counts, BEAM, full_scan=0)


def chosen(node: Node) -> str:
    """The letter of a leaf."""
    match node:
        case Top():
            return chosen(node.source)
        case ExactScan():
            return "E"
        case SubsetScan():
            return "S"
        case GraphScan():
            return "G"
        case _:
            return "?"


def passing_rows(
    kind: str, share: float, scores: NDArray[np.float32], cluster: NDArray[np.int32], chance: np.random.Generator
) -> NDArray[np.uint32]:
    """Offsets that pass, ascending."""
    rows = len(scores)
    wanted = max(1, round(share * rows))
    match kind:
        case "random":
            found = chance.choice(rows, wanted, replace=False)
        case "correlated":
            found = np.argpartition(-scores, wanted - 1)[:wanted]
        case "anti":
            found = np.argpartition(scores, wanted - 1)[:wanted]
        case _:
            order = chance.permutation(int(cluster.max()) + 1)
            found = np.argsort(order[cluster], kind="stable")[:wanted]
    return np.sort(found).astype(np.uint32)


def cell(
    shard: Shard,
    queries: NDArray[np.float32],
    passing: list[NDArray[np.uint32]],
    truth: list[set[int]],
    ef: int | None,
    asked: list[type[Node]],
) -> tuple[float, float, str]:
    """Recall, milliseconds, and the leaves that answered; ``asked`` grows as leaves are."""
    recalls, elapsed, leaves = [], 0.0, set()
    for query, offsets, best in zip(queries, passing, truth, strict=True):
        stage = BoundStage(
            query=NearestDense(query, larger_is_better=True),
            selection=Selection.from_offsets(offsets),
            params=SearchParams(hnsw_ef=ef),
            limit=LIMIT,
        )
        started = time.perf_counter()
        node = plan(BoundSearch(stage), shard)
        ranking: Ranking = executor.execute(node, shard)  # type: ignore[arg-type] # dense leaves ask for no more
        elapsed += time.perf_counter() - started
        leaf = chosen(node)
        if leaf == "G" and len(asked) > 1:
            leaf = "W" if asked[-1] is GraphScan else "D"
        asked.clear()
        leaves.add(leaf)
        recalls.append(len(best & set(ranking.offsets.tolist())) / len(best))
    return float(np.mean(recalls)), 1000 * elapsed / len(queries), "".join(sorted(leaves))


def noted_leaves() -> list[type[Node]]:
    """A list that grows by the class of each leaf that the executor asks."""
    asked: list[type[Node]] = []
    real = executor.ask_rows

    def noted(leaf: DenseLeaf, *args: object, **given: object) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        asked.append(type(leaf))
        return real(leaf, *args, **given)  # type: ignore[arg-type] # handed on as they came

    executor.ask_rows = noted  # type: ignore[assignment] # for this run
    return asked


def main() -> int:
    """Runs and prints; the number of cells below the floor decides the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--ef", type=int, default=0, help="0: as the planner has it")
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--kinds", default=",".join(KINDS))
    given = parser.parse_args()
    everything, cluster = clustered(given.rows + given.queries, given.dim)
    rows, queries = everything[: given.rows], everything[given.rows :]
    cluster = cluster[: given.rows]
    started = time.perf_counter()
    segment = sealed.seal(
        rows, Selection.of_range(0, len(rows)), distance=Distance.COSINE, params=GraphParams(16, 100), threads=2
    )
    print(f"{given.rows:,} x {given.dim}: graph in {time.perf_counter() - started:.1f} s")
    scores = queries @ rows.T
    table, low = [], 0
    shards = {}
    for kind in given.kinds.split(","):
        codes = KINDS[kind]
        coded = segment if codes is None else sealed.encode(segment, Coding(codes, in_memory=True), threads=2)
        view = DenseView(rows, Distance.COSINE, Datatype.FLOAT32, None, (coded,), verify=lambda _: None)
        shards[kind] = Shard(view, len(rows))
    asked = noted_leaves()
    for filter_kind in FILTERS:
        for share in SELECTIVITIES:
            chance = np.random.default_rng(11)
            passing = [passing_rows(filter_kind, share, each, cluster, chance) for each in scores]
            truth = [
                set(offsets[np.argsort(-each[offsets], kind="stable")[:LIMIT]].tolist())
                for each, offsets in zip(scores, passing, strict=True)
            ]
            line = [filter_kind, f"{share:.2%}"]
            for kind, shard in shards.items():
                recall, took_ms, leaves = cell(shard, queries, passing, truth, given.ef or None, asked)
                line.append(f"{recall:.3f} {took_ms:6.2f} {leaves}")
                low += kind == "plain" and recall < FLOOR
            table.append(line)
    show("Recall of 10, milliseconds, leaves", ["filter", "passing", *shards], table)
    print(f"cells without codes below {FLOOR}: {low}")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
