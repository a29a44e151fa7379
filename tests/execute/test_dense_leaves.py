"""Leaves of a batch that ask alike are asked together, and nobody can tell from the answers."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pytest

from qdrantlite.deadline import FOREVER, Deadline
from qdrantlite.errors import TimedOut
from qdrantlite.execute.dense_leaves import ask_as_one, ask_together
from qdrantlite.execute.executor import execute, execute_all
from qdrantlite.plan.bound import NearestDense
from qdrantlite.plan.nodes import Estimate, ExactScan, Fuse, GraphScan, Node, SubsetScan
from qdrantlite.query.search import FusionKind
from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.sealed import GraphParams, seal
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index import cores, hnsw
from qdrantlite.segment.vector_index.row_encoding import prepare_query, prepare_rows
from qdrantlite.values.cardinality import Cardinality
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.point_ids import PointIds
from qdrantlite.values.schema import CollectionConfig, VectorParams
from qdrantlite.values.vector import U32
from tests.execute.listed_shard import ListedShard

DIM, COUNT, SEALED, LIMIT = 20, 700, 500, 7
EXPECTED = Estimate(Cardinality.exactly(LIMIT), 1.0)
RNG = np.random.default_rng(5)
ROWS = RNG.normal(0.1, 1, (COUNT, DIM)).astype(np.float32)
ROWS[::3] = ROWS[1::3][: len(ROWS[::3])].repeat(2, axis=0)[: len(ROWS[::3])]
"""A third of the rows are copies of others: ties everywhere, also at the cut."""
QUERIES = np.concatenate([RNG.normal(0.1, 1, (30, DIM)), ROWS[:30]]).astype(np.float32)
FEW = Selection.from_offsets(np.arange(0, COUNT, 5, dtype=np.uint32))


class GraphShard(ListedShard):
    """Points behind a graph, but for the last ones."""

    def __init__(self, distance: Distance, datatype: Datatype) -> None:
        config = CollectionConfig(vectors={"": VectorParams(DIM, distance, datatype=datatype)})
        super().__init__(config, [])
        self.distance, self.datatype = distance, datatype

    @cached_property
    def view(self) -> DenseView:
        rows = prepare_rows(ROWS, self.distance, self.datatype)
        present = Selection.of_range(0, SEALED)
        graph = seal(rows, present, distance=self.distance, params=GraphParams(8, 64), threads=1)
        return DenseView(rows, self.distance, self.datatype, None, (graph,), lambda _: None)

    def dense(self, name: str) -> DenseView:
        """One view for all names."""
        assert name == ""
        return self.view

    def ids(self, offsets: U32) -> PointIds:
        """Each point is called by its offset."""
        return PointIds(offsets.astype(np.uint64))

    def query(self, vector: npt.NDArray[np.float32]) -> NearestDense:
        """A query as the binder prepares it."""
        return NearestDense(prepare_query(vector, self.distance, self.datatype), self.distance.larger_is_better)


def plans(shard: GraphShard) -> list[Node]:
    """Every way to read, with and without a selection and a threshold, and some of them below a fusion."""
    nodes: list[Node] = []
    for number, vector in enumerate(QUERIES):
        query, threshold = shard.query(vector), 0.3 if number % 2 else None
        scan = ExactScan("", query, None, LIMIT, threshold, EXPECTED)
        chosen = SubsetScan("", query, FEW, LIMIT, None, EXPECTED)
        walk = GraphScan("", query, None, LIMIT, threshold, 32, True, False, EXPECTED)
        narrow = GraphScan("", query, FEW, LIMIT, None, 48 + number % 2, number % 3 > 0, True, EXPECTED)
        nodes += [scan, chosen, walk, narrow, ExactScan("", query, FEW, LIMIT, None, EXPECTED)]
        nodes.append(Fuse((scan, narrow), FusionKind.RRF, 2, None, LIMIT, None, EXPECTED))
    return nodes


def answers(shard: GraphShard, nodes: Sequence[Node], *, together: bool) -> list[tuple[list[int], list[float]]]:
    rankings = execute_all(nodes, shard) if together else [execute(node, shard) for node in nodes]
    return [(ranking.offsets.tolist(), ranking.scores.tolist()) for ranking in rankings]


@pytest.mark.parametrize("distance", list(Distance))
@pytest.mark.parametrize("datatype", [Datatype.FLOAT32, Datatype.FLOAT16])
def test_batch_answers_each_search_as_if_it_were_alone(distance: Distance, datatype: Datatype) -> None:
    shard = GraphShard(distance, datatype)
    nodes = plans(shard)
    assert answers(shard, nodes, together=True) == answers(shard, nodes, together=False)


@pytest.mark.parametrize("selection", [None, FEW, Selection.of_range(490, COUNT), Selection.of_range(497, COUNT)])
def test_graphs_alone_answer_with_all_that_pass_behind_them(selection: Selection | None) -> None:
    """Rows beyond the graphs are left out; of the others as many come as there are, however few lie near the query."""
    shard = GraphShard(Distance.EUCLID, Datatype.FLOAT32)
    covered = shard.view.behind_graphs(selection)
    for vector in QUERIES:
        query = shard.query(vector)
        node = GraphScan("", query, selection, LIMIT, None, 32, False, True, EXPECTED)
        found = execute(node, shard)
        assert len(found) == min(LIMIT, len(covered))
        assert found.offsets.max() < SEALED
        if selection is not None and len(covered) <= 10:
            expected = execute(SubsetScan("", query, covered, LIMIT, None, EXPECTED), shard)
            assert found.offsets.tolist() == expected.offsets.tolist()


@pytest.mark.parametrize("selection", [None, FEW])
def test_leaves_of_one_search_are_asked_as_one_on_one_core(
    selection: Selection | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = GraphShard(Distance.COSINE, Datatype.FLOAT32)
    leaves = [
        GraphScan("", shard.query(vector), selection, LIMIT, None, COUNT, True, True, EXPECTED)
        for vector in QUERIES[:3]
    ]
    alone = [execute(leaf, shard) for leaf in leaves]
    told: list[int] = []
    monkeypatch.setattr(hnsw, "CORES", 4)
    monkeypatch.setattr("faiss.omp_set_num_threads", told.append)
    cores.use_cores(2)
    found = ask_as_one(leaves, shard, FOREVER)
    assert set(told[1:]) == {1}
    for leaf, ranking in zip(leaves, alone, strict=True):
        offsets, scores = found[leaf]
        assert offsets[:LIMIT].tolist() == ranking.offsets.tolist()
        assert scores[:LIMIT].tolist() == ranking.scores.tolist()
    cores.use_cores(4)
    assert told[-1] == 4, "others are not held back"
    cores.use_cores(1)


def test_leaves_are_not_asked_as_one_where_that_shows() -> None:
    shard = GraphShard(Distance.MANHATTAN, Datatype.FLOAT32)
    walks = [GraphScan("", shard.query(v), None, LIMIT, None, 48, True, True, EXPECTED) for v in QUERIES[:2]]
    assert ask_as_one(walks, shard, FOREVER) == {}
    assert ask_as_one(walks[:1], GraphShard(Distance.DOT, Datatype.FLOAT32), FOREVER) == {}


def test_leaves_that_differ_are_not_asked_together() -> None:
    shard = GraphShard(Distance.COSINE, Datatype.FLOAT32)
    first, second, third, fourth = (shard.query(vector) for vector in QUERIES[:4])
    alike = [
        ExactScan("", query, None, LIMIT, threshold, EXPECTED) for query, threshold in ((first, 0.1), (second, None))
    ]
    other_limit = ExactScan("", third, None, LIMIT + 1, None, EXPECTED)
    other_points = ExactScan("", fourth, FEW, LIMIT, None, EXPECTED)
    assert ask_together([*alike, other_limit, other_points], shard, FOREVER).keys() == set(alike)


def test_batch_stops_at_the_deadline() -> None:
    shard = GraphShard(Distance.COSINE, Datatype.FLOAT32)
    with pytest.raises(TimedOut):
        ask_together(plans(shard), shard, Deadline(0))
