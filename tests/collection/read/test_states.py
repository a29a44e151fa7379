"""Nothing keeps a state that has been replaced, once the requests that began with it have ended.

What died since holds its rows for as long as somebody might still read them, and searches for cyclic garbage are rare.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import ref

import pytest

from qdrantlite.collection.collection import Collection
from qdrantlite.deadline import FOREVER
from qdrantlite.errors import QdrantliteError
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.filter import FieldCondition, Filter, MatchKeyword
from qdrantlite.values.schema import FieldIndex, FieldKind
from tests.collection import tended
from tests.collection.read.test_invariance import GRAPHS, graphs_and_tail
from tests.congruence.random_trees import ORDER_KEY, Chance

TREES = 150
UNINDEXED = Filter(must=(FieldCondition("color", MatchKeyword("red")),))


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    with tended.collection(tmp_path_factory.mktemp("states"), GRAPHS) as collection:
        collection.alter(o.CreateFieldIndex(ORDER_KEY, FieldIndex(FieldKind.INTEGER)), deadline=FOREVER)
        graphs_and_tail(collection, Chance(1).points())
        yield collection


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def search(target: Collection, *stages: s.Prefetch) -> object:
    asked = [s.Search(stage, with_vectors=s.ALL_VECTORS) for stage in stages]
    return target.search(asked, open_other=lambda _: target.open_view(), deadline=FOREVER)


def random_trees(target: Collection) -> None:
    for seed in range(TREES):
        search(target, Chance(seed).stage())
    search(target, *(Chance(seed).stage() for seed in range(TREES)))


def pages(target: Collection) -> None:
    for filter in (None, UNINDEXED):
        target.scroll(s.Scroll(filter=filter, with_vectors=s.ALL_VECTORS), deadline=FOREVER)
        target.scroll(s.Scroll(filter=filter, order_by=s.OrderBy(ORDER_KEY)), deadline=FOREVER)
        target.count(filter, exact=True, deadline=FOREVER)
    target.retrieve((1, 2, 3), s.ALL_PAYLOAD, s.ALL_VECTORS, deadline=FOREVER)
    target.facet(s.Facet(ORDER_KEY), deadline=FOREVER)
    target.info()


def groups(target: Collection) -> None:
    stage = Chance(3).stage()
    request = s.GroupSearch(s.Search(stage), group_by=ORDER_KEY, group_size=3)
    target.search_groups(request, open_other=lambda _: target.open_view(), deadline=FOREVER)
    target.explain(s.Search(stage), open_other=lambda _: target.open_view(), deadline=FOREVER)


def failures(target: Collection) -> None:
    for query, using in ((s.Nearest(4_000), ""), (s.Nearest(1), "nobody"), (s.OrderBy("nobody"), "")):
        with pytest.raises(QdrantliteError):
            search(target, s.Prefetch(query=query, using=using))


def upkeep(target: Collection) -> None:
    target.maintain(idle=True)
    tended.tend(target)


REQUESTS = (random_trees, pages, groups, failures, upkeep)


@pytest.mark.parametrize("request_of", REQUESTS)
def test_a_state_that_was_replaced_goes_with_its_last_reader(
    target: Collection, request_of: Callable[[Collection], object]
) -> None:
    with without_garbage_collection():
        before = ref(target.shard.state)
        request_of(target)
        asked = ref(target.shard.state)
        target.write(
            (o.DeletePoints(o.Selector(ids=(1000,))), o.SetPayload({"new": 1}, o.Selector(ids=(3,)))),
            wait=True,
            deadline=FOREVER,
        )
        assert before() is None
        assert asked() is None
