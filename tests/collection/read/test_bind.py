"""How a search meets a collection: ids become vectors and are kept out, filters flow down, misfits are told."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from qdrantlite.database import Database
from qdrantlite.errors import BadInput, BadRequest, MalformedRequest, NotFound
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.filter import Filter, HasId, MinShould
from qdrantlite.values.distance import Distance
from qdrantlite.values.schema import CollectionConfig, Modifier, SparseVectorParams, VectorParams
from tests.collection.small import (
    INTEGER,
    KEYWORD,
    NAME,
    color,
    dense,
    found,
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

OTHER = "other"
BY = {"dense": s.Nearest(dense(1, 0))}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Points 0 to 9 and, in another collection, 0 and 1 with vectors that point the other way."""
    with opened(tmp_path) as database:
        database.alter(NAME, o.CreateFieldIndex("size", INTEGER))
        write(database, upsert(*(point(n, color="red" if n % 2 else "green", size=n) for n in range(10))))
        far = VectorParams(2, Distance.COSINE)
        database.create_collection(OTHER, CollectionConfig(vectors={"far": far, "": VectorParams(3, Distance.DOT)}))
        given = upsert(o.PointWrite(0, {"far": dense(-1, 0)}, {}), o.PointWrite(1, {"": dense(1, 2, 3)}, {}))
        database.write(OTHER, (given,), wait=True)
        yield database


def stage(query: s.Query | None, *below: s.Prefetch, limit: int = 100, wanted: Filter | None = None) -> s.Prefetch:
    return s.Prefetch(query=query, prefetch=below, limit=limit, filter=wanted)


def top(database: Database, root: s.Prefetch) -> list[object]:
    return [*found(database, s.Search(root))]


def test_queried_id_is_found_by_its_stored_vector_and_left_out(database: Database) -> None:
    assert found(database, nearest(3)) == [9, 8, 7, 6, 5, 4, 2, 1, 0]
    assert found(database, nearest(3, "many", 3)) == [9, 8, 7]
    assert found(database, nearest(3, "words", 3)) == [9, 8, 7]


def test_id_anywhere_in_the_tree_is_left_out_everywhere(database: Database) -> None:
    fused = s.Fusion(s.FusionKind.RRF)
    root = stage(fused, stage(s.Nearest(9), limit=3), stage(s.Nearest(dense(1, 0)), stage(s.Nearest(8), limit=4)))
    assert top(database, root) == [7, 6, 5, 4]
    assert top(database, stage(s.Nearest(9), stage(s.Nearest(8), limit=2))) == [7, 6]


def test_filter_of_every_stage_reaches_the_leaves_below_it(database: Database) -> None:
    red, small = Filter(must=(color("red"),)), Filter(must_not=(size(1),))
    leaf = stage(BY["dense"], wanted=Filter(must_not=(size(3),)))
    middle = stage(BY["dense"], leaf, wanted=small)
    assert top(database, stage(BY["dense"], middle, wanted=red)) == [9, 7, 5]
    either = stage(BY["dense"], stage(BY["dense"], wanted=Filter(should=(size(8),))), wanted=Filter(should=(size(1),)))
    assert top(database, either) == [8, 1]
    most = Filter(min_should=MinShould((color("red"), size(5)), 2))
    least = Filter(min_should=MinShould((size(5),), 1))
    assert top(database, stage(BY["dense"], stage(BY["dense"], wanted=least), wanted=most)) == [5]


def test_sibling_keeps_its_own_filter(database: Database) -> None:
    one = stage(BY["dense"], wanted=Filter(must=(size(1),)))
    two = stage(BY["dense"], wanted=Filter(must=(size(2),)))
    assert top(database, stage(s.OrderBy("size", s.Direction.DESC), one, two, stage(None, limit=1))) == [2, 1, 0]


def test_vector_is_looked_up_elsewhere_and_its_id_stays(database: Database) -> None:
    elsewhere = s.Prefetch(query=s.Nearest(0), limit=100, lookup_from=s.LookupFrom(OTHER, "far"))
    assert top(database, elsewhere) == list(range(10))
    assert top(database, stage(BY["dense"], replace(elsewhere, limit=2))) == [1, 0]


def test_lookup_belongs_to_its_own_stage_only(database: Database) -> None:
    below = stage(s.Nearest(5), limit=2)
    root = s.Prefetch(query=s.Nearest(0), prefetch=(below,), lookup_from=s.LookupFrom(OTHER, "far"))
    assert top(database, root) == [8, 9]


def test_lookup_in_the_searched_collection_takes_its_own_vector_name(database: Database) -> None:
    write(database, o.UpdateVectors((o.VectorsWrite(4, {"many": multi((0, 1))}),)))
    by_name = s.Prefetch(query=s.Nearest(4), using="many", limit=2, lookup_from=s.LookupFrom(NAME))
    assert top(database, by_name) == [9, 8]
    dense_from_many = s.Prefetch(query=s.Nearest(4), limit=2, lookup_from=s.LookupFrom(NAME, "many"))
    with pytest.raises(BadInput, match="Conversion between multi and regular vectors failed"):
        top(database, dense_from_many)
    many_from_dense = s.Prefetch(query=s.Nearest(4), using="many", limit=2, lookup_from=s.LookupFrom(NAME, ""))
    assert top(database, many_from_dense) == [9, 8]


@pytest.mark.parametrize(
    ("root", "error", "text"),
    [
        (s.Prefetch(query=s.Nearest(404)), NotFound, "No point with id 404 found"),
        (s.Prefetch(query=s.Nearest(20)), NotFound, 'Vector with name "" for point not found'),
        (s.Prefetch(query=s.Nearest(1), using="nobody"), BadInput, "Not existing vector name error: nobody"),
        (s.Prefetch(query=s.Nearest(1), lookup_from=s.LookupFrom("nowhere")), NotFound, "Collection nowhere not found"),
        (s.Prefetch(query=s.Nearest(0), lookup_from=s.LookupFrom(OTHER, "near")), BadInput, "name error: near"),
        (s.Prefetch(query=s.Nearest(1), lookup_from=s.LookupFrom(OTHER)), BadInput, "expected dim: 2, got 3"),
        (s.Prefetch(query=s.Nearest(7), lookup_from=s.LookupFrom(OTHER, "far")), NotFound, "No point with id 7 found"),
        (s.Prefetch(query=s.Nearest(dense(1, 2, 3))), BadInput, "expected dim: 2, got 3"),
        (s.Prefetch(query=s.Nearest(sparse(i1=1))), BadInput, "Conversion between sparse and regular"),
        (s.Prefetch(query=s.Nearest(dense(1, 1)), using="words"), BadInput, "Conversion between sparse and regular"),
        (s.Prefetch(query=s.Nearest(multi((1, 1), (1, 0)))), BadInput, "Conversion between multi and regular"),
        (s.Prefetch(query=s.OrderBy("color")), BadInput, "No range index for `order_by` key: `color`"),
        (s.Prefetch(query=s.OrderBy("size", start_from="soon")), BadInput, "Malformed datetime: soon"),
        (s.Prefetch(query=s.OrderBy("nothing")), BadInput, "No range index for `order_by` key: `nothing`"),
        (s.Prefetch(query=s.TextQuery("tea"), using="note"), BadInput, "requires a text index on field note, which"),
        (s.Prefetch(query=s.TextQuery("tea"), using="no."), MalformedRequest, "no."),
    ],
)
def test_what_does_not_fit_is_told(database: Database, root: s.Prefetch, error: type[Exception], text: str) -> None:
    write(database, upsert(point(20, {})))
    database.alter(NAME, o.CreateFieldIndex("color", KEYWORD))
    with pytest.raises(error, match=text):
        top(database, root)
    with pytest.raises(error, match=text):
        top(database, stage(s.Fusion(s.FusionKind.RRF), stage(BY["dense"]), root))
    assert len(top(database, stage(None))) == 11


def test_deepest_tree_is_allowed_and_one_deeper_is_not(database: Database) -> None:
    root = stage(BY["dense"], limit=3)
    for _ in range(64):
        root = stage(BY["dense"], root, limit=3)
    assert top(database, root) == [9, 8, 7]
    with pytest.raises(BadInput, match="prefetches depth 65 exceeds max depth 64"):
        top(database, stage(BY["dense"], root))


def test_idf_counts_the_corpus_asked_for(tmp_path: Path) -> None:
    config = CollectionConfig(
        sparse_vectors={"w": SparseVectorParams(modifier=Modifier.IDF), "p": SparseVectorParams()}
    )
    with opened(tmp_path / "idf", config) as database:
        words = {1: sparse(i1=1), 2: sparse(i1=1), 3: sparse(i1=1, i2=1), 4: sparse(i2=1)}
        write(database, upsert(*(point(n, {"w": v, "p": v}, size=n) for n, v in words.items()), point(5, {})))
        query = nearest(sparse(i2=1), "w", 1)
        assert database.search(NAME, query)[0].score == pytest.approx(
            0.693147, abs=1e-6
        )  # ln((4 - 2 + .5) / (2 + .5) + 1)
        corpus = s.SearchParams(idf_corpus=Filter(must=(HasId((1, 2, 4)),)))
        asked = replace(query, stage=replace(query.stage, params=corpus))
        assert database.search(NAME, asked)[0].score == pytest.approx(
            0.980829, abs=1e-6
        )  # ln((3 - 1 + .5) / (1 + .5) + 1)
        write(database, o.DeletePoints(ids(1)), o.DeleteVectors(ids(2), ("w",)))
        assert database.search(NAME, query)[0].score == pytest.approx(
            0.182322, abs=1e-6
        )  # ln((2 - 2 + .5) / (2 + .5) + 1)
        plain = replace(asked.stage, using="p")
        with pytest.raises(BadInput, match="idf"):
            database.search(NAME, s.Search(plain))


def test_page_by_value_takes_no_offset(database: Database) -> None:
    with pytest.raises(BadRequest, match="Cannot use an `offset` when using `order_by`"):
        database.scroll(NAME, s.Scroll(offset=1, order_by=s.OrderBy("size")))
    page = database.scroll(NAME, s.Scroll(order_by=s.OrderBy("size", s.Direction.DESC, 4), limit=2))
    assert [(record.id, record.order_value) for record in page.records] == [(4, 4), (3, 3)]
    assert page.next_offset is None


def test_groups_look_up_their_keys_elsewhere(database: Database) -> None:
    search = replace(nearest(dense(1, 0)), stage=stage(BY["dense"], limit=3))
    request = s.GroupSearch(search, "size", 1, s.WithLookup(OTHER))
    groups = database.search_groups(NAME, request)
    assert [(group.key, group.lookup) for group in groups] == [(9, None), (8, None), (7, None)]
    with_lookup = replace(request, search=s.Search(stage(s.Nearest(dense(-1, 0)), limit=3)))
    looked_up = database.search_groups(NAME, with_lookup)
    assert [(group.key, group.lookup and group.lookup.id) for group in looked_up] == [(0, 0), (1, 1), (2, None)]
    with pytest.raises(NotFound, match="Collection nowhere not found"):
        database.search_groups(NAME, replace(request, with_lookup=s.WithLookup("nowhere")))
