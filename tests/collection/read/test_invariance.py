"""An answer does not depend on where points lie, on restarts, on the order of writing, nor on company in a batch.

Random trees of every kind, asked exactly of collections that hold the same points in different ways.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from qdrantlite.collection.collection import Collection
from qdrantlite.collection.read import prepare
from qdrantlite.deadline import FOREVER
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.shape import shape_of
from qdrantlite.values.schema import (
    HNSW_DEFAULT,
    OPTIMIZERS_DEFAULT,
    CollectionConfig,
    FieldIndex,
    FieldKind,
    ScalarQuantization,
)
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector
from tests.collection import tended
from tests.congruence.random_trees import CONFIG, ORDER_KEY, POINTS, Chance
from tests.oracle_filter import Point

TREES = 100
EXACTLY = s.SearchParams(exact=True, quantization=s.QuantizationParams(ignore=True))
GRAPHS = replace(
    CONFIG,
    hnsw_config=replace(HNSW_DEFAULT, full_scan_threshold=0),
    optimizer_config=replace(OPTIMIZERS_DEFAULT, indexing_threshold=1),
)
CODED = replace(GRAPHS, quantization_config=ScalarQuantization())
GONE = tuple(range(0, POINTS, 9))


def exactly(stage: s.Prefetch) -> s.Prefetch:
    """The tree with no stage approximate."""
    return replace(stage, params=EXACTLY, prefetch=tuple(map(exactly, stage.prefetch)))


def put(target: Collection, points: Sequence[Point]) -> None:
    writes = tuple(o.PointWrite(point.id, point.vectors, point.payload) for point in points)
    target.write((o.Upsert(writes),), wait=True, deadline=FOREVER)


def delete(target: Collection) -> None:
    target.write((o.DeletePoints(o.Selector(ids=GONE)),), wait=True, deadline=FOREVER)


def tail(target: Collection, points: Sequence[Point]) -> None:
    put(target, points)
    delete(target)


def backwards(target: Collection, points: Sequence[Point]) -> None:
    """Some are written twice."""
    put(target, points[:40])
    put(target, points[::-1])
    delete(target)


def graphs_and_tail(target: Collection, points: Sequence[Point]) -> None:
    put(target, points[: POINTS * 2 // 3])
    tended.tend(target)
    put(target, points[POINTS * 2 // 3 :])
    delete(target)
    assert any(view.sealed for view in target.shard.state.dense.values())
    assert any(view.unsealed for view in target.shard.state.dense.values())


def graphs(target: Collection, points: Sequence[Point]) -> None:
    tail(target, points)
    tended.tend(target)
    coded = target.config.quantization_config is not None
    segments = [part for view in target.shard.state.dense.values() for part in view.sealed]
    assert any(part.coded is not None for part in segments) == coded


WAYS = {
    "tail": (CONFIG, tail),
    "backwards": (CONFIG, backwards),
    "graphs and tail": (GRAPHS, graphs_and_tail),
    "graphs": (GRAPHS, graphs),
    "codes": (CODED, graphs),
}


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Collection]]:
    """The same points in every way, and those of a graph read back from disk."""
    points = Chance(1).points()
    index = o.CreateFieldIndex(ORDER_KEY, FieldIndex(FieldKind.INTEGER))
    with ExitStack() as opened:
        made = {}
        for name, (config, fill) in WAYS.items():
            target = opened.enter_context(tended.collection(tmp_path_factory.mktemp("way"), config))
            target.alter(index, deadline=FOREVER)
            fill(target, points)
            made[name] = target
        made["restarted"] = restarted(tmp_path_factory.mktemp("restart"), GRAPHS, points, index)
        opened.callback(made["restarted"].close, checkpoint=False)
        yield made


def restarted(folder: Path, config: CollectionConfig, points: Sequence[Point], index: o.CreateFieldIndex) -> Collection:
    Collection.create(folder, config, files=tended.FILES)
    before = tended.open_in(folder, config)
    before.alter(index, deadline=FOREVER)
    graphs_and_tail(before, points)
    before.close(checkpoint=True)
    return tended.open_in(folder, config)


def answers(target: Collection, searches: Sequence[s.Search]) -> list[list[tuple[object, object, object]]]:
    found = target.search(searches, open_other=lambda name: tended.no_collection(name).open_view(), deadline=FOREVER)
    return [
        [(hit.record.id, pytest.approx(hit.score, rel=1e-5, abs=1e-6), hit.record.order_value) for hit in hits]
        for hits in found
    ]


SEARCHES = [s.Search(exactly(Chance(seed).stage()), offset=seed % 3) for seed in range(TREES)]


@pytest.mark.parametrize("way", [*WAYS, "restarted"])
def test_answers_are_those_of_points_in_the_order_of_their_ids(collections: dict[str, Collection], way: str) -> None:
    expected = answers(collections["tail"], SEARCHES)
    assert sum(map(len, expected)) > TREES
    assert answers(collections[way], SEARCHES) == expected


@pytest.mark.parametrize("way", ["tail", "graphs and tail"])
def test_batch_answers_as_each_alone(collections: dict[str, Collection], way: str) -> None:
    together = answers(collections[way], SEARCHES)
    assert [answers(collections[way], [search])[0] for search in SEARCHES] == together


def turned(given: s.VectorInput) -> s.VectorInput:
    """Another vector of the same kind and size."""
    match given:
        case DenseVector(values):
            return DenseVector(values[::-1].copy())
        case MultiVector(rows):
            return MultiVector(rows[::-1, ::-1].copy())
        case SparseVector(indices, weights):
            return SparseVector(indices[: max(1, len(indices) - 1)], weights[::-1][: max(1, len(indices) - 1)].copy())
        case _:
            return given


def turned_query(query: s.Query | None) -> s.Query | None:
    match query:
        case s.Nearest(given):
            return s.Nearest(turned(given))
        case s.Recommend(positive, negative, strategy, lenient):
            return s.Recommend(tuple(map(turned, positive)), tuple(map(turned, negative)), strategy, lenient)
        case s.Discover(target, pairs):
            return s.Discover(turned(target), tuple(map(turned_pair, pairs)))
        case s.Context(pairs):
            return s.Context(tuple(map(turned_pair, pairs)))
        case _:
            return query


def turned_pair(pair: s.ContextPair) -> s.ContextPair:
    return s.ContextPair(turned(pair.positive), turned(pair.negative))


def turned_stage(stage: s.Prefetch) -> s.Prefetch:
    return replace(stage, query=turned_query(stage.query), prefetch=tuple(map(turned_stage, stage.prefetch)))


@pytest.mark.parametrize("way", ["tail", "graphs and tail"])
def test_answers_do_not_depend_on_what_was_asked_before(collections: dict[str, Collection], way: str) -> None:
    """Searches are asked whose like, but for their vectors, is known."""
    target = collections[way]
    asked = [s.Search(Chance(seed).stage(), offset=seed % 3) for seed in range(4 * TREES)]
    alike = [replace(search, stage=turned_stage(search.stage)) for search in asked]
    known = [number for number, search in enumerate(asked) if shape_of(search) is not None]
    assert len(known) > TREES
    assert len([number for number in known if asked[number].stage.prefetch]) > TREES // 5
    with patch.object(prepare, "shape_of", return_value=None):
        expected = [answers(target, [alike[number]])[0] for number in known]
    for number, hits in zip(known, expected, strict=True):
        assert shape_of(asked[number]) == shape_of(alike[number])
        answers(target, [asked[number]])
        assert answers(target, [alike[number]])[0] == hits
