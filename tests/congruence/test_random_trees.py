"""Random trees of every kind of query, up to three levels, answered as the reference engine answers them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from qdrantlite.database import Database
from qdrantlite.query import filter as f
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.values.schema import FieldIndex, FieldKind
from tests.congruence.compare import assert_same
from tests.congruence.edge_engine import EdgeEngine
from tests.congruence.random_trees import CONFIG, ORDER_KEY, Chance
from tests.oracle import Hit

NAME = "points"
CASES, MANY_CASES = 500, 10_000
DRAWN = 1.3
"""Trees drawn for each case wanted: ties leave one tree in seven without one answer."""
APART = 1e-5
"""Scores that differ by less may come in either order."""


class Pair:
    """Both engines over the same points, some of them deleted again."""

    def __init__(self, folder: Path) -> None:
        points = Chance(0).points()
        gone = tuple(range(0, len(points), 11))
        self.database = Database(folder / "ours")
        self.database.create_collection(NAME, CONFIG)
        writes = tuple(o.PointWrite(point.id, point.vectors, point.payload) for point in points)
        self.database.write(NAME, (o.Upsert(writes),), wait=True)
        self.database.write(NAME, (o.DeletePoints(o.Selector(ids=gone)),), wait=True)
        self.database.alter(NAME, o.CreateFieldIndex(ORDER_KEY, FieldIndex(FieldKind.INTEGER)))
        # Whether deleted points still count for IDF depends on the engine's upkeep: it never gets them.
        living = [point for point in points if point.id not in gone]
        self.engine = EdgeEngine(folder / "theirs", CONFIG, living, (ORDER_KEY,))

    def ours(self, search: s.Search) -> list[Hit]:
        (found,) = self.database.search_batch(NAME, (search,))
        return [Hit(hit.record.id, hit.score, hit.record.order_value) for hit in found]

    def compare(self, seed: int) -> bool:
        """Whether the tree of this seed has one answer. Raises AssertionError where the two differ."""
        chance = Chance(seed)
        search = s.Search(chance.stage(), offset=int(chance.draw.integers(0, 3)) if seed % 4 == 0 else 0)
        if not all(self.is_decided(child, search.stage) for child in search.stage.prefetch):
            return False
        root = search.stage
        if search.offset and _scores(root):
            before_page = self.engine.search(s.Search(root), beyond=search.offset)[search.offset - 1 :]
            if _ties(before_page[:2]):
                return False
        beyond = 0 if isinstance(root.query, s.NearestMmr) else 200
        expected = self.engine.search(search, beyond=beyond)
        if isinstance(root.query, s.NearestMmr):
            assert [hit.id for hit in self.ours(search)] == [hit.id for hit in expected], seed
        apart = 10 * APART if _is_rough(root) else APART
        scale = max((abs(hit.score) for hit in expected), default=1.0)
        assert_same(self.ours(search), expected, limit=root.limit, tolerance=apart * max(1.0, scale))
        return True

    def is_decided(self, stage: s.Prefetch, above: s.Prefetch) -> bool:
        """Whether ties leave open neither what a stage hands up nor, where that matters, in which order."""
        stage = replace(stage, filter=_both(stage, above))
        if not all(self.is_decided(child, stage) for child in stage.prefetch):
            return False
        if not _scores(stage):
            return True
        if isinstance(stage.query, s.NearestMmr):
            if stage.prefetch:
                return True
            assert stage.query.candidates_limit is not None
            stage = replace(stage, query=s.Nearest(stage.query.input), limit=stage.query.candidates_limit)
        hits = self.engine.search(s.Search(stage), beyond=1)
        if isinstance(above.query, s.Fusion):
            return not _ties(hits)
        return len(hits) <= stage.limit or not _ties(hits[-2:])


def _scores(stage: s.Prefetch) -> bool:
    """Whether the order of what a stage hands up is one of scores."""
    return not (stage.query is None or isinstance(stage.query, s.OrderBy))


def _ties(hits: Sequence[Hit]) -> bool:
    return any(abs(one.score - other.score) <= 2 * APART * max(1.0, abs(one.score)) for one, other in pairwise(hits))


def _is_rough(stage: s.Prefetch) -> bool:
    """Whether the last digits of scores may differ.

    The engine adds up the moments of DBSF one by one in float32. A query of halves is rounded once it is of norm 1: the
    last bit of the norm can move a component by a two-thousandth.
    """
    fusion = stage.query
    spread = isinstance(fusion, s.Fusion) and fusion.kind is s.FusionKind.DBSF
    return spread or stage.using == "half" or any(map(_is_rough, stage.prefetch))


def _both(stage: s.Prefetch, above: s.Prefetch) -> f.Filter | None:
    filters = [each for each in (above.filter, stage.filter) if each is not None]
    return f.Filter(must=tuple(c for each in filters for c in each.must)) if filters else None


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("trees"))
    yield pair
    pair.engine.shard.close()
    pair.database.close()


def compared(pair: Pair, seeds: range) -> int:
    return sum(pair.compare(seed) for seed in seeds)


def test_random_trees(pair: Pair) -> None:
    assert compared(pair, range(round(DRAWN * CASES))) >= CASES


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_random_trees(pair: Pair) -> None:
    first = round(DRAWN * CASES)
    assert compared(pair, range(first, first + round(DRAWN * MANY_CASES))) >= MANY_CASES
