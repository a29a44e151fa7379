"""Plans run over a listed shard answer as the oracle does, for every tree of stages."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qdrantlite.execute.executor import execute
from qdrantlite.execute.ranking import Ranking
from qdrantlite.plan.planner import plan
from qdrantlite.query import search as s
from tests.execute.listed_binding import bind
from tests.execute.listed_shard import ListedShard
from tests.oracle import Hit, Oracle
from tests.strategies import configs, points, searches


def hits_of(ranking: Ranking, shard: ListedShard) -> list[Hit]:
    ids = shard.ids(ranking.offsets)
    values = [None if ranking.order is None else ranking.order.at(place) for place in range(len(ranking))]
    return [Hit(*hit) for hit in zip(ids, ranking.scores.tolist(), values, strict=True)]


def run(search: s.Search, oracle: Oracle, shard: ListedShard) -> list[Hit]:
    return hits_of(execute(plan(bind(search, oracle, shard), shard), shard), shard)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_every_tree_of_stages_answers_as_the_oracle(data: st.DataObject) -> None:
    config = data.draw(configs())
    stored = data.draw(points(config))
    search = data.draw(searches(config, stored))
    oracle, shard = Oracle(config, stored), ListedShard(config, stored, seed=data.draw(st.integers(0, 3)))
    assert run(search, oracle, shard) == oracle.search(search)
