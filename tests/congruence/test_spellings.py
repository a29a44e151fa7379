"""A path is the same however its keys are quoted: indexes are found, shown and deleted by any of its spellings."""

from collections.abc import Callable

import pytest
import qdrant_edge as edge
from qdrant_client import QdrantClient, models

from qdrantlite.values.payload import parse_path, spelled
from tests.congruence.twin import Twin

KINDS = models.PayloadSchemaType
SPELLINGS = (
    *('"number"', '"a"."b"[007][]', '"x y"."z"', '"中[0]"', '"é-ü"', '"_-1"', '"1"', '"a.b"', '"quo\'te"', '""'),
    *('q."".r', '"\u0301x"', "plain[].b", '"c"[0]'),
)


@pytest.fixture
def twin(make_twin: Callable[..., Twin]) -> Twin:
    twin = make_twin(dense=models.VectorParams(size=1, distance=models.Distance.DOT))
    payloads = [{"number": 3 - at, "word": f"w{at % 2}", "text": "red fox"} for at in range(3)]
    twin.upsert([models.PointStruct(id=at, vector=[1.0], payload=each) for at, each in enumerate(payloads)])
    return twin


def test_indexes_are_shown_in_one_spelling(twin: Twin) -> None:
    for path in SPELLINGS:
        twin.index(path, KINDS.INTEGER)
        assert parse_path(spelled(path)) == parse_path(path)
    shown = twin.ours.get_collection(twin.name).payload_schema
    assert {key: info.points for key, info in shown.items()} == twin.indexed_points()
    assert shown.keys() == {spelled(path) for path in SPELLINGS} == {spelled(key) for key in shown}
    twin.index("number", KINDS.FLOAT)
    assert len(twin.ours.get_collection(twin.name).payload_schema) == len(SPELLINGS)


def test_orders_facets_and_texts_find_their_index(twin: Twin) -> None:
    twin.index("number", KINDS.INTEGER)
    twin.index('"word"', KINDS.KEYWORD)
    scored = models.TextScoringParams(type=models.TextScoringType.BM25)
    twin.index("text", models.TextIndexParams(type=models.TextIndexType.TEXT, scoring=scored))
    ours, theirs = twin.ordered(models.OrderBy(key='"number"'), limit=9)
    assert ours == theirs == [(2, 1), (1, 2), (0, 3)]
    for path in ("word", '"word"'):
        found = {hit.value: hit.count for hit in twin.ours.facet(twin.name, path).hits}
        assert found == {
            hit.value: hit.count for hit in twin.theirs.facet(edge.FacetRequest(path, 10, True, None)).hits
        }
    said = models.Prefetch(query=models.TextQuery(text="fox"), using='"text"')
    ours_found, theirs_found = twin.hits(said)
    assert len(ours_found) == len(theirs_found) == 3


def test_an_index_is_deleted_by_any_spelling(client: QdrantClient, twin: Twin) -> None:
    twin.index("number", KINDS.INTEGER)
    client.delete_payload_index(twin.name, '"number"')
    twin.theirs.update(edge.UpdateOperation.delete_field_index('"number"'))
    assert not client.get_collection(twin.name).payload_schema
    assert not twin.indexed_points()
