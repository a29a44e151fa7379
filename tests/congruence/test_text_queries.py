"""Texts ranked by words over indexes of every tokenizer, as the reference engine ranks them."""

import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import grpc
import pytest
from qdrant_client import models

from qdrantlite.values.payload import Json
from tests.congruence import in_edge_words as words
from tests.congruence.compare import assert_same
from tests.congruence.twin import Twin

POINTS = 120
SCORING = models.TextScoringParams(type=models.TextScoringType.BM25)
TEXT, TOKENIZER = models.TextIndexType.TEXT, models.TokenizerType
ENGLISH = models.SnowballParams(type=models.Snowball.SNOWBALL, language=models.SnowballLanguage.ENGLISH)
INDEXES: Mapping[str, models.TextIndexParams] = {
    "plain": models.TextIndexParams(type=TEXT, scoring=SCORING),
    "cased": models.TextIndexParams(
        type=TEXT, scoring=SCORING, tokenizer=TOKENIZER.WHITESPACE, lowercase=False, phrase_matching=True
    ),
    "opened": models.TextIndexParams(
        type=TEXT, scoring=SCORING, tokenizer=TOKENIZER.PREFIX, min_token_len=2, max_token_len=5
    ),
    "code": models.TextIndexParams(type=TEXT, scoring=SCORING, tokenizer=TOKENIZER.CODE, phrase_matching=True),
    "english": models.TextIndexParams(
        type=TEXT, scoring=SCORING, ascii_folding=True, stopwords=models.Language.ENGLISH, stemmer=ENGLISH
    ),
}
WORDS = (
    *("fox", "Foxes", "running", "ran", "the", "and", "caf\u00e9", "cafe", "\u0130stanbul", "tea-time", "x"),
    *("getUserName", "user_name", "HTTPServer2", "parse_http", "server", "n\u00e4ive", "\u6771\u4eac", "\u00df", "7"),
)


class Texts(Random):
    """Draws texts and what to ask about them."""

    def words(self, most: int) -> str:
        """Words of which the first are frequent."""
        return " ".join(self.choice(WORDS[: self.choice([3, 8, len(WORDS)])]) for _ in range(self.randint(0, most)))

    def field(self) -> Json:
        """What lies at a field: mostly a text, of any length."""
        most = self.choice([3, 3, 12, 40])
        if self.random() < 0.7:
            return self.words(most)
        others: list[Json] = [None, 7, [self.words(most), self.words(2)], [self.words(2), 7, None], [], {"a": "fox"}]
        return self.choice(others)

    def payload(self, number: int) -> dict[str, Json]:
        """Each field once in a while missing."""
        fields = {name: self.field() for name in INDEXES if self.random() < 0.8}
        return {**fields, "number": number}

    def narrowed(self) -> models.Filter | None:
        """Of a range of points, or of what no index answers."""
        low = self.randint(0, POINTS)
        few = models.FieldCondition(key="number", range=models.Range(gte=low, lte=low + self.choice([5, 60])))
        said = models.FieldCondition(key="plain", match=models.MatchText(text=self.choice(WORDS)))
        return self.choice([None, None, models.Filter(must=[few]), models.Filter(should=[few, said])])

    def stage(self) -> models.Prefetch:
        """A text query as the leaf that it always is."""
        bm25 = models.Bm25Params(k=self.choice([None, 0.0, 0.4, 3.0]), b=self.choice([None, 0.0, 0.3, 1.0]))
        asked = models.TextQueryInput(query=self.words(5), scoring=models.Bm25Scoring(bm25=bm25))
        corpus = self.narrowed() if self.random() < 0.4 else None
        return models.Prefetch(
            query=models.TextQuery(text=asked if self.random() < 0.6 else self.words(3)),
            using=self.choice(list(INDEXES)),
            filter=self.narrowed(),
            score_threshold=self.choice([None, None, 0.4137, 1.3171]),
            params=models.SearchParams(idf=models.IdfCorpusParams(corpus=corpus)) if corpus else None,
            limit=self.choice([1, 5, 20, 200]),
        )

    def tree(self) -> models.Prefetch:
        """A text query, or what is made of one and another; no fusion: a last bit of tied scores would decide."""
        if self.random() < 0.7:
            return self.stage()
        near = models.Prefetch(query=[1.0, self.random()], limit=20)
        made: list[models.Query | list[float]] = [
            [self.random(), 1.0],
            models.FormulaQuery(formula=models.SumExpression(sum=["$score", 0.5]), defaults={"$score": 0.25}),
        ]
        first = self.stage()
        first.limit = 200  # Nobody knows who of the tied is among fewer.
        return models.Prefetch(prefetch=[first, near], query=self.choice(made), limit=400)


def lived(make_twin: Callable[..., Twin], chance: Texts) -> Twin:
    """A twin that was written to before and after its indexes were made."""
    twin = make_twin(dense=models.VectorParams(size=2, distance=models.Distance.DOT))
    points = [
        models.PointStruct(id=number, vector=[number * 0.37, 1.0], payload=chance.payload(number))
        for number in range(POINTS)
    ]
    twin.upsert(points[: POINTS // 2])
    for field, params in INDEXES.items():
        twin.index(field, params)
    twin.upsert(points[POINTS // 2 :])
    twin.delete(chance.sample(range(POINTS), 10))
    for _ in range(20):
        number = chance.randrange(POINTS)
        twin.upsert([models.PointStruct(id=number, vector=[number * 0.37, 1.0], payload=chance.payload(number))])
        twin.delete([chance.randrange(POINTS)])
    return twin


def compare(twin: Twin, chance: Texts, searches: int) -> None:
    """The same points with the same scores."""
    found = 0
    for _ in range(searches):
        stage = chance.tree()
        ours, theirs = twin.hits(stage)
        assert_same(ours, theirs, limit=stage.limit or 0)
        found += bool(ours)
    assert found > searches / 3


def test_texts_are_ranked_alike(make_twin: Callable[..., Twin]) -> None:
    chance = Texts(1)
    compare(lived(make_twin, chance), chance, 320)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 112))
def test_many_texts_are_ranked_alike(make_twin: Callable[..., Twin], seed: int) -> None:
    chance = Texts(seed)
    compare(lived(make_twin, chance), chance, 600)


def asked(field: str, text: str | models.TextQueryInput = "fox", **more: Any) -> models.Prefetch:
    return models.Prefetch(query=models.TextQuery(text=text), using=field, **more)


def tuned(**params: float) -> models.TextQueryInput:
    return models.TextQueryInput(query="fox", scoring=models.Bm25Scoring(bm25=models.Bm25Params(**params)))


REFUSED = (
    (asked("none"), "BM25 requires a text index on field none, which has none"),
    (asked("number"), "BM25 requires a text index on field number, which is indexed as Integer"),
    (asked("silent"), "The text index on `silent` does not score: set `scoring` on it to query it"),
    (asked("plain", prefetch=[models.Prefetch()]), "BM25 over a text index cannot rescore prefetches"),
    (asked("plain", tuned(k=-1)), "BM25 k1 must be finite and non-negative, got -1"),
    (asked("plain", tuned(k=float("inf"))), "BM25 k1 must be finite and non-negative, got inf"),
    (asked("plain", tuned(b=1.5)), "BM25 b must be finite and within [0, 1], got 1.5"),
    (asked("plain", tuned(b=float("nan"))), "BM25 b must be finite and within [0, 1], got NaN"),
)


def test_what_cannot_be_ranked_is_refused_alike(make_twin: Callable[..., Twin]) -> None:
    twin = make_twin(dense=models.VectorParams(size=2, distance=models.Distance.DOT))
    twin.index("plain", INDEXES["plain"])
    twin.index("silent", models.TextIndexParams(type=TEXT))
    twin.index("number", models.PayloadSchemaType.INTEGER)
    for stage, reason in REFUSED:
        with pytest.raises(grpc.RpcError, match=re.escape(reason)):
            twin.ours.query_points(twin.name, query=stage.query, using=stage.using, prefetch=stage.prefetch)
        with pytest.raises(Exception, match=re.escape(reason)):
            twin.theirs.query(words.search(stage))
