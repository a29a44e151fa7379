"""Every kind of payload index against the reference engine's: which points a predicate finds, and how many are held.

Our index is made of several segments, with points replaced and segments merged on the way; what it leaves to payloads
is asked of the payloads.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qdrant_edge as edge
from pyroaring import BitMap
from qdrant_client import models

from qdrantlite.query import filter as f
from qdrantlite.query.elements import geo_point_of
from qdrantlite.query.evaluate import payload_test
from qdrantlite.segment.payload_index.index import PayloadIndex, make_index
from qdrantlite.values.payload import Json, elements_at, parse_path
from qdrantlite.values.schema import FieldIndex, FieldKind, FieldParams, Stemmer, Stopwords, Tokenizer
from qdrantlite.wire.rest.decode.filter import decode_condition
from tests.congruence import in_edge_words as words
from tests.congruence.random_conditions import ASKED, TEXTS, RandomConditions

POINTS = 150
KEY = parse_path("k")
UUIDS = ("c37b8a1e-0f0e-4b6a-9e55-1234567890ab", "00000000-0000-0000-0000-000000000001", "F" * 32)


class Dates(RandomConditions):
    """Dates, and ranges of them and of numbers."""

    def some(self) -> Json:
        return self.date()

    def predicate(self) -> dict[str, Any]:
        kind = self.random()
        low, high = self.choice(["gt", "gte"]), self.choice(["lt", "lte"])
        if kind < 0.2:
            micros = (None, 0.0, 1.5e15, 1_583_020_800_000_000.0, 1e30, -1e30)
            return {"range": models.Range(**{low: self.choice(micros), high: self.choice(micros)})}
        if kind < 0.3:
            return super().predicate()
        bounds = {name: self.choice([None, self.moment(), self.moment()]) for name in (low, high)}
        return {"range": models.DatetimeRange(**bounds)}


class Uuids(RandomConditions):
    """UUIDs in all their spellings and texts near to them."""

    def some(self) -> str:
        one = self.choice(UUIDS)
        spelled = self.choice(["{}", "{{{}}}", "urn:uuid:{}", "URN:UUID:{}", " {}", "{}0"]).format(one)
        return str(self.choice([one, one, one.upper(), one.replace("-", ""), spelled]))

    def predicate(self) -> dict[str, Any]:
        asked = [self.choice([*UUIDS, self.some(), "x"]) for _ in range(self.randint(1, 3))]
        match self.randint(0, 3):
            case 0:
                return {"match": models.MatchAny(any=asked)}
            case 1:
                return {"match": models.MatchExcept(**{"except": asked})}
            case 2:
                return super().predicate()
            case _:
                return {"match": models.MatchValue(value=asked[0])}


class Spots(RandomConditions):
    """Points on the globe and beyond it, and areas."""

    def some(self) -> Json:
        return self.place()

    def predicate(self) -> dict[str, Any]:
        while True:
            made = super().predicate()
            if self.random() < 0.1 or any(key.startswith("geo") for key in made):
                return made


class Texts(RandomConditions):
    """Texts of few words, so that phrases repeat, and what is asked of them."""

    said: tuple[str, ...] = (
        *("red", "car", "RED", "Cars", "the", "quick", "is", "foo_bar", "foo", "getHTTPCode", "I\u0307stanbul", "ıI"),
        *("\u0130STANBUL", "über", "Straße", "ﬁne", "ΣΊΣΥΦΟΣ", "中文", "字", "タワー", "สวัสดี", "😀", "caf\u00e9", "12"),
        *("cafe\u0301", "running", "a", "_", "x-ray", "naïve", "don't", "ქართული", "한국어", "привет", "\u200d", "1.5"),
    )
    between: tuple[str, ...] = (" ", " ", "  ", ", ", "-", "\u3000", "_", "")

    def some(self) -> str:
        if self.random() < 0.3:
            return str(self.choice(TEXTS))
        few = self.sample(self.said, 4) if self.random() < 0.5 else self.said
        return "".join(self.choice(few) + self.choice(self.between) for _ in range(self.randint(0, 7)))

    def predicate(self) -> dict[str, Any]:
        asked = self.some() if self.random() < 0.5 else self.choice(ASKED)
        asked = asked[: self.randint(1, 9)] if self.random() < 0.2 else asked
        match self.randint(0, 6):
            case 0 | 1:
                return {"match": models.MatchText(text=asked)}
            case 2 | 3:
                return {"match": models.MatchTextAny(text_any=asked)}
            case 4 | 5:
                return {"match": models.MatchPhrase(phrase=asked)}
            case _:
                return super().predicate()


class SpacedTexts(Texts):
    """Without scripts whose words the engine finds by a dictionary, words of two scripts, and ligatures, which it reads
    by the script of the text around them.
    """

    said = tuple(each for each in Texts.said if each != "ﬁne")
    between = (" ", "  ", ", ", "-")

    def some(self) -> str:
        return _UNSPACED.sub("", super().some())

    def value(self, depth: int = 0) -> Json:
        found = super().value(depth)
        return _UNSPACED.sub("", found) if isinstance(found, str) else found

    def predicate(self) -> dict[str, Any]:
        while True:
            made = super().predicate()
            if not _UNSPACED.search(f"{made}"):
                return made


_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7ff]")


@dataclass(frozen=True)
class Case:
    """An index in both words, and what is put in and asked."""

    ours: FieldIndex
    theirs: Any
    chance: Callable[[str], Any]
    areas_over: Callable[[Json], Json] = lambda field: field
    """What the engine is asked for areas, without an index: with one it misses points of boxes nearly around the globe
    and at the very ends of latitudes and longitudes.
    """


def on_the_globe(field: Json) -> Json:
    """Without the points that an index does not hold."""
    if isinstance(field, list):
        return [each for each in field if on_the_globe(each) is not None]
    point = geo_point_of(field)
    return None if point is None or abs(point.lon) > 180 or abs(point.lat) > 90 else field


def text(tokenizer: str = "word", chance: Callable[[str], Any] = Texts, **options: Any) -> Case:
    """A text index; its stopwords and its stemmer have languages."""
    said = dict(options)
    if "stopwords" in said:
        languages = {getattr(edge.Language, each.capitalize()) for each in said["stopwords"].languages}
        said["stopwords"] = edge.StopwordsSet(languages=languages, custom=set(said["stopwords"].custom))
    if "stemmer" in said:
        said["stemmer"] = edge.SnowballParams(getattr(edge.SnowballLanguage, said["stemmer"].language.capitalize()))
    theirs = edge.TextIndexParams(tokenizer=getattr(edge.TokenizerType, tokenizer.capitalize()), **said)
    return Case(FieldIndex(FieldKind.TEXT, FieldParams(tokenizer=Tokenizer(tokenizer), **options)), theirs, chance)


CASES = {
    "text": Case(FieldIndex(FieldKind.TEXT), edge.PayloadSchemaType.Text, Texts),
    "words": text(phrase_matching=True),
    "whitespace": text("whitespace", phrase_matching=True, lowercase=False),
    "prefixes": text("prefix", phrase_matching=True, min_token_len=2, max_token_len=4),
    "openings": text("prefix", phrase_matching=True, stopwords=Stopwords(("english",))),
    "multilingual": text("multilingual", SpacedTexts, phrase_matching=True),
    "code": text("code", phrase_matching=True, ascii_folding=True),
    "english": text(phrase_matching=True, stopwords=Stopwords(("english",), ("RED",)), stemmer=Stemmer("english")),
    "lengths": text(phrase_matching=True, min_token_len=3, max_token_len=5, ascii_folding=True),
    "datetime": Case(FieldIndex(FieldKind.DATETIME), edge.PayloadSchemaType.Datetime, Dates),
    "uuid": Case(FieldIndex(FieldKind.UUID), edge.PayloadSchemaType.Uuid, Uuids),
    "geo": Case(FieldIndex(FieldKind.GEO), edge.PayloadSchemaType.Geo, Spots, on_the_globe),
}


def value(chance: Any) -> Json:
    """A field: mostly of the kind."""
    kind = chance.random()
    if kind < 0.25:
        return [chance.some() if chance.random() < 0.8 else chance.value(1) for _ in range(chance.randint(0, 3))]
    found: Json = chance.some() if kind < 0.85 else chance.value()
    return found


def index_of(schema: FieldIndex, fields: Sequence[Json], chance: Any) -> PayloadIndex:
    """Filled in steps. Some points are here with other values first; the segments are merged at times."""
    index = make_index(schema)
    others = fields[::-1]
    start = 0
    while start < len(fields):
        stop = start + chance.randint(1, 40)
        early = np.arange(start, min(stop, len(fields)), dtype=np.uint32)
        wrong = [offset for offset in early.tolist() if chance.random() < 0.3]
        index = index.with_points(early, [elements(others if at in wrong else fields, at) for at in early.tolist()])
        if chance.random() < 0.3:
            index = merged(index)
        index = index.without(BitMap(wrong))
        index = index.with_points(np.array(wrong, dtype=np.uint32), [elements(fields, at) for at in wrong])
        start = stop
    return merged(index) if chance.random() < 0.5 else index


def elements(fields: Sequence[Json], at: int) -> list[Json]:
    return elements_at({"k": fields[at]}, KEY)


def merged(index: PayloadIndex) -> PayloadIndex:
    """All segments made into one."""
    layers = index.stack.layers
    stack = index.stack.replaced(layers, index.merged(layers)) if layers else index.stack
    assert stack is not None
    return PayloadIndex(index.schema, index.kind, stack)


def compare(case: Case, folder: Path, seed: int, predicates: int) -> None:
    """Both sides hold the same points and find the same ones."""
    chance = case.chance(f"{seed}")
    fields = [value(chance) for _ in range(POINTS)]
    index = index_of(case.ours, fields, chance)
    params = edge.EdgeVectorParams(size=1, distance=edge.Distance.Dot)
    shard = edge.EdgeShard.create(str(folder), edge.EdgeConfig(vectors={"v": params}))
    shard.update(
        edge.UpdateOperation.upsert_points(
            [
                edge.Point(at, {"v": [1.0]}, {"k": field, "areas": case.areas_over(field)})
                for at, field in enumerate(fields)
            ]
        )
    )
    shard.update(edge.UpdateOperation.create_field_index("k", case.theirs))
    assert index.points(BitMap(range(POINTS))) == shard.info().payload_schema["k"].points
    answered = found = 0
    for _ in range(predicates):
        given = models.FieldCondition(key="k", **chance.predicate())
        if given.range == models.DatetimeRange():
            continue  # Without bounds JSON does not tell it from a range of numbers.
        condition = decode_condition(given.model_dump(exclude_none=True, by_alias=True, mode="json"))
        assert isinstance(condition, f.FieldCondition)
        flagged = isinstance(condition.predicate, f.IsEmptyFlag | f.IsNullFlag)
        holding = None if flagged else index.match(condition.predicate)
        if holding is None:
            ours = np.flatnonzero(payload_test(condition)([{"k": field} for field in fields])).tolist()
        else:
            answered, ours = answered + 1, list(holding)
        if isinstance(condition.predicate, f.GeoRadius | f.GeoBoundingBox | f.GeoPolygon):
            given.key = "areas"
        hits, _ = shard.scroll(edge.ScrollRequest(limit=POINTS, filter=edge.Filter(must=[words.condition(given)])))
        assert ours == [int(f"{hit.id}") for hit in hits], condition
        found += 0 < len(ours) < POINTS
    assert answered > predicates / 3
    assert found > predicates / 4
    shard.close()


@pytest.mark.parametrize("name", CASES)
def test_indexes_find_the_same_points(name: str, tmp_path: Path) -> None:
    for seed in range(2):
        compare(CASES[name], tmp_path / f"{seed}", seed, 100)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", range(100, 120))
def test_many_indexes_find_the_same_points(name: str, seed: int, tmp_path: Path) -> None:
    compare(CASES[name], tmp_path / "shard", seed, 300)
