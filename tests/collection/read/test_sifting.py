"""Filters that no index answers: a search reads the payloads of its candidates, and answers as if it had read all."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest

from qdrantlite.collection.read import filter_source
from qdrantlite.database import Database
from qdrantlite.execute import sifting
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.filter import Condition, Filter
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.storage.store_reader import StoreReader
from qdrantlite.values.vector import Vector
from tests.collection.compacted import untended
from tests.collection.small import (
    CONFIG,
    INTEGER,
    NAME,
    collection_of,
    color,
    dense,
    ids,
    multi,
    nearest,
    opened,
    point,
    size,
    sparse,
    upsert,
    write,
)

COUNT = 4000


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Points of random vectors; one in twenty is red, one in two thousand gold; ``size`` has an index."""
    rng = np.random.default_rng(5)
    with untended(), opened(tmp_path_factory.mktemp("sifted"), CONFIG) as database:
        database.alter(NAME, o.CreateFieldIndex("size", INTEGER))
        for start in range(0, COUNT, 1000):
            write(database, upsert(*(made(number, rng) for number in range(start, start + 1000))))
        yield database


def made(number: int, rng: np.random.Generator) -> o.PointWrite:
    a, b = (float(value) for value in rng.normal(size=2))
    shade = "gold" if number % 2000 == 7 else "red" if number % 20 == 0 else "grey"
    vectors: dict[str, Vector] = {
        "": dense(a, b),
        "many": multi((a, b), (b, a)),
        "words": sparse(i1=abs(a) + 0.1, i2=abs(b) + 0.1),
    }
    return point(number, vectors, color=shade, size=number % 7)


QUERIES: tuple[tuple[s.Query, str], ...] = (
    (s.Nearest(dense(1, 0.3)), ""),
    (s.Nearest(multi((1, 0.3), (0.2, 1))), "many"),
    (s.Nearest(sparse(i1=1, i2=0.5)), "words"),
    (s.Recommend((dense(1, 0.2), dense(0.4, 1)), (dense(-1, 0),), s.RecommendStrategy.BEST_SCORE), ""),
    (s.NearestMmr(dense(1, 0.3), 0.4, 30), ""),
)


class Reads:
    """How many payloads were read to test them."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> "Reads":
        payloads = StoreReader.payloads

        def counted(reader: StoreReader, offsets: Offsets) -> Sequence[bytes | None]:
            self.count += len(offsets)
            return payloads(reader, offsets)

        self._patch = patch.object(StoreReader, "payloads", counted)
        self._patch.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._patch.stop()


def hits(database: Database, stage: s.Prefetch) -> list[tuple[object, float]]:
    collection = collection_of(database)
    state = collection.shard.state
    for known in (state.answers.filters, state.answers.plans):
        known._found.clear()  # Nothing is known of any filter.
    return [(hit.record.id, hit.score) for hit in database.search(NAME, s.Search(stage))]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{type(query[0]).__name__}-{query[1]}")
@pytest.mark.parametrize("wanted", [(color("red"),), (color("gold"),), (color("red"), size(3)), (color("none"),)])
def test_sifted_search_finds_what_a_settled_one_finds(
    database: Database, query: tuple[s.Query, str], wanted: tuple[Condition, ...]
) -> None:
    stage = s.Prefetch(query=query[0], using=query[1], limit=10, filter=Filter(must=wanted))
    with patch.object(filter_source, "SIFTED_MIN", COUNT + 1):
        expected = hits(database, stage)
    with patch.object(filter_source, "SIFTED_MIN", 1):
        assert hits(database, stage) == expected
    fused = s.Prefetch(
        query=s.Fusion(s.FusionKind.RRF), prefetch=(replace(stage, limit=20), s.Prefetch(limit=5)), limit=10
    )
    with patch.object(filter_source, "SIFTED_MIN", COUNT + 1):
        expected = hits(database, fused)
    with patch.object(filter_source, "SIFTED_MIN", 1):
        assert hits(database, fused) == expected


def test_payloads_of_candidates_only_are_read(database: Database) -> None:
    with Reads() as reads:
        found = hits(database, nearest(dense(1, 0.3), "", 5, color("red")).stage)
    assert len(found) == 5
    assert 5 <= reads.count <= 5 * 64
    with Reads() as reads:
        assert len(hits(database, nearest(dense(1, 0.3), "", 5, color("red"), size(3)).stage)) == 5
    assert reads.count <= COUNT // 7 + 1, "few that an index leaves are read at once"


def test_payloads_are_read_best_first_where_the_nearest_do_not_pass(database: Database) -> None:
    """One in twenty passes, and none of the two hundred nearest."""
    query = dense(1, 0.3)
    near = [hit.record.id for hit in database.search(NAME, nearest(query, "", 400, color("red"))) if hit.score > 0]
    closest = {hit.record.id for hit in database.search(NAME, nearest(query, "", 400))}
    write(database, o.SetPayload({"color": "grey"}, ids(*(each for each in near if each in closest))))
    stage = s.Prefetch(query=s.Nearest(query), limit=3, filter=Filter(must=(color("red"),)))
    with patch.object(filter_source, "SIFTED_MIN", COUNT + 1):
        expected = hits(database, stage)
    assert len(expected) == 3
    with Reads() as reads:
        assert hits(database, stage) == expected
    assert 400 < reads.count <= 2 * sifting.READ_STEP
    with patch.object(sifting, "READ_MAX", 300), Reads() as reads:
        assert hits(database, stage) == expected
    assert reads.count > COUNT - 500, "all are read once that leads nowhere"


def test_each_payload_is_read_once(database: Database) -> None:
    with Reads() as reads:
        assert len(hits(database, nearest(dense(1, 0.3), "", 5, color("gold")).stage)) == 2
    assert reads.count <= COUNT + 5 * 64


def test_what_was_sifted_is_not_kept_for_later_searches(database: Database) -> None:
    """A plan that is kept would hold the transaction of the request it was made for."""
    search = nearest(dense(1, 0.3), "", 5, color("red"))
    for _ in range(2):
        assert len(database.search(NAME, search)) == 5
    assert not collection_of(database).shard.store.is_read
