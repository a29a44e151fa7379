"""What the documents say is true: support tables, settings, names, links, examples."""

import io
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from datetime import datetime
from functools import partial
from pathlib import Path

import grpc
import pytest
from qdrant_client import QdrantClient, models

from qdrantlite.settings import KEYS, PROTECTIONS, Settings
from qdrantlite.testing import Server
from qdrantlite.wire.grpc.server import RPCS
from qdrantlite.wire.pb.services import SERVICES

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
DOTTED = re.compile(r"`(qdrantlite(?:\.\w+)+)`")

VECTOR = [1.0, 0.0]
CIRCLE = models.GeoRadius(center=models.GeoPoint(lon=0, lat=0), radius=1.0)
BOX = models.GeoBoundingBox(top_left=models.GeoPoint(lon=0, lat=1), bottom_right=models.GeoPoint(lon=1, lat=0))
RING = models.GeoLineString(points=[models.GeoPoint(lon=x, lat=y) for x, y in ((0, 0), (1, 0), (1, 1), (0, 0))])
PAIR = models.ContextPair(positive=1, negative=2)


def _field(**given: object) -> models.FieldCondition:
    return models.FieldCondition.model_validate({"key": "a", **given})


CONDITIONS: Mapping[str, models.Condition] = {
    "match value": _field(match=models.MatchValue(value="x")),
    "match any": _field(match=models.MatchAny(any=["x"])),
    "match except": _field(match=models.MatchExcept(**{"except": ["x"]})),
    "match text": _field(match=models.MatchText(text="x")),
    "match text_any": _field(match=models.MatchTextAny(text_any="x")),
    "match phrase": _field(match=models.MatchPhrase(phrase="x")),
    "match prefix": _field(match=models.MatchPrefix(prefix="x")),
    "match substring": _field(match=models.MatchSubstring(substring="x")),
    "range": _field(range=models.Range(gte=1)),
    "datetime_range": _field(range=models.DatetimeRange(gte=datetime(2024, 1, 1))),
    "geo_radius": _field(geo_radius=CIRCLE),
    "geo_bounding_box": _field(geo_bounding_box=BOX),
    "geo_polygon": _field(geo_polygon=models.GeoPolygon(exterior=RING)),
    "values_count": _field(values_count=models.ValuesCount(gte=1)),
    "is_empty": models.IsEmptyCondition(is_empty=models.PayloadField(key="a")),
    "is_null": models.IsNullCondition(is_null=models.PayloadField(key="a")),
    "has_id": models.HasIdCondition(has_id=[1]),
    "has_vector": models.HasVectorCondition(has_vector=""),
    "slice": models.SliceCondition(slice=models.Slice(index=0, total=2)),
    "nested": models.NestedCondition(
        nested=models.Nested(key="n", filter=models.Filter(must=[_field(range={"gt": 1})]))
    ),
    "filter": models.Filter(must_not=[_field(match=models.MatchValue(value=1))]),
    "min_should": models.Filter(
        min_should=models.MinShould(conditions=[_field(match=models.MatchValue(value=1))], min_count=1)
    ),
}

QUERIES: Mapping[str, models.Query] = {
    "nearest": models.NearestQuery(nearest=VECTOR),
    "fusion rrf": models.FusionQuery(fusion=models.Fusion.RRF),
    "fusion dbsf": models.FusionQuery(fusion=models.Fusion.DBSF),
    "order_by": models.OrderByQuery(order_by="number"),
    "sample": models.SampleQuery(sample=models.Sample.RANDOM),
    "recommend": models.RecommendQuery(recommend=models.RecommendInput(positive=[1])),
    "discover": models.DiscoverQuery(discover=models.DiscoverInput(target=1, context=[PAIR])),
    "context": models.ContextQuery(context=[PAIR]),
    "formula": models.FormulaQuery(formula="$score"),
    "text": models.TextQuery(text="tea"),
    "mmr": models.NearestQuery(nearest=VECTOR, mmr=models.Mmr(diversity=0.5)),
    "relevance_feedback": models.RelevanceFeedbackQuery(
        relevance_feedback=models.RelevanceFeedbackInput(
            target=VECTOR,
            feedback=[models.FeedbackItem(example=1, score=1.0)],
            strategy=models.NaiveFeedbackStrategy(naive=models.NaiveFeedbackStrategyParams(a=1.0, b=1.0, c=1.0)),
        )
    ),
}


def _row(title: str) -> tuple[set[str], set[str]]:
    """The names in the two columns of a row of the README's table."""
    (line,) = [line for line in README.splitlines() if line.startswith(f"| {title} |")]
    there, missing = line.split("|")[2:4]
    return set(CODE.findall(there)), set(CODE.findall(missing))


def _is_there(call: Callable[[], object]) -> bool:
    try:
        call()
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
            raise
        return False
    return True


@pytest.fixture(scope="module")
def client() -> Iterator[QdrantClient]:
    """Connected to a server with one small collection ``c``, its fields ``number`` and ``text`` indexed."""
    with Server() as server:
        connected = QdrantClient(**server.client_options)
        connected.create_collection("c", vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT))
        points = [models.PointStruct(id=i, vector=[1.0, i], payload={"number": i}) for i in range(3)]
        connected.upsert("c", points, wait=True)
        connected.create_payload_index("c", "number", models.PayloadSchemaType.INTEGER)
        scoring = models.TextScoringParams(type=models.TextScoringType.BM25)
        texts = models.TextIndexParams(type=models.TextIndexType.TEXT, scoring=scoring)
        connected.create_payload_index("c", "text", texts)
        yield connected
        connected.close()


@pytest.mark.parametrize("service", ["Collections", "Points", "Snapshots", "Qdrant"])
def test_readme_lists_rpcs(service: str) -> None:
    there = set(RPCS[f"qdrant.{service}"])
    assert _row(f"{service} RPCs") == (there, SERVICES[f"qdrant.{service}"].keys() - there)


def test_readme_lists_queries(client: QdrantClient) -> None:
    def ask(query: models.Query) -> object:
        merging = isinstance(query, models.FusionQuery | models.FormulaQuery)
        using = "text" if isinstance(query, models.TextQuery) else None
        prefetch = models.Prefetch(query=VECTOR) if merging else None
        return client.query_points("c", query=query, using=using, prefetch=prefetch)

    there = {name for name, query in QUERIES.items() if _is_there(partial(ask, query))}
    assert _row("Queries") == (there, QUERIES.keys() - there)


def test_readme_lists_filter_conditions(client: QdrantClient) -> None:
    def count(condition: models.Condition) -> object:
        return client.count("c", models.Filter(must=[condition]))

    there = {name for name, condition in CONDITIONS.items() if _is_there(partial(count, condition))}
    assert _row("Filter conditions") == (there, CONDITIONS.keys() - there)


def test_readme_lists_payload_indexes(client: QdrantClient) -> None:
    def create(kind: models.PayloadSchemaType) -> object:
        return client.create_payload_index("c", f"of_{kind.value}", kind)

    kinds = {kind.value: kind for kind in models.PayloadSchemaType}
    there = {name for name, kind in kinds.items() if _is_there(partial(create, kind))}
    assert _row("Payload indexes") == (there, kinds.keys() - there)


def test_readme_example_runs() -> None:
    example, fixture_example = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in example.splitlines() if line]) <= 10
    output = io.StringIO()
    with Server() as server, redirect_stdout(output):
        here = f'host="127.0.0.1", port={server.http_port}, grpc_port={server.grpc_port}, check_compatibility=False'
        names: dict[str, QdrantClient] = {}
        exec(example.replace('host="127.0.0.1"', here), names)
        names["client"].close()
    assert output.getvalue().splitlines() == ["0 0.994 {'kind': 'tea'}", "2 0.93 {'kind': 'tea'}"]
    exec(fixture_example + "    client.get_collections()\n    client.close()\n", {})


def test_settings_are_documented_with_their_defaults() -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)` \| `([^`]+)` \|", SETTINGS, re.MULTILINE))
    assert rows == {name: str(getattr(Settings(), key.field)) for name, key in KEYS.items()}
    refused = SETTINGS.partition("refuses to start")[2].partition("\n\n")[0]
    assert tuple(CODE.findall(refused)) == PROTECTIONS


def test_names_in_the_architecture_exist() -> None:
    names = DOTTED.findall(ARCHITECTURE)
    assert len(names) > 30
    for name in names:
        pkgutil.resolve_name(name)


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = [(document, link) for document in documents for link in LINK.findall(document.read_text(encoding="utf-8"))]
    assert links
    broken = [f"{document.name}: {link}" for document, link in links if not (document.parent / link).exists()]
    assert not broken
