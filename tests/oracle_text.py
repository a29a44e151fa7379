"""Texts ranked by words, by brute force: Okapi BM25 over the words of a payload field, split at white space."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from qdrantlite.query import search as s
from qdrantlite.values.payload import elements_at, parse_path
from tests.oracle_filter import Point

F = np.float32


def words_at(point: Point, key: str) -> list[str]:
    """All words of all texts at a path, in lower case."""
    found = elements_at(point.payload, parse_path(key))
    return [word for text in found if isinstance(text, str) for word in text.lower().split()]


def rarities(words: Sequence[str], documents: Sequence[Sequence[str]]) -> list[np.float32]:
    """Of each word among documents that have words."""
    saying = [sum(word in document for document in documents) for word in words]
    return [F(np.log((len(documents) - count + 0.5) / (count + 0.5) + 1)) for count in saying]


def asked_words(query: s.TextQuery) -> tuple[str, ...]:
    """Those of a query, each once."""
    return tuple(dict.fromkeys(query.text.lower().split()))


def text_scores(
    query: s.TextQuery, key: str, everybody: Iterable[Point], among: Iterable[Point]
) -> Mapping[int, float]:
    """By place in ``among``: the scores of those that say one of the words; all points are the corpus."""
    documents = [words for point in everybody if (words := words_at(point, key))]
    weights = dict(zip(asked_words(query), rarities(asked_words(query), documents), strict=True))
    average = sum(map(len, documents)) / len(documents) if documents else 1.0
    return weighted(weights, key, among, k=query.k, b=query.b, average=average)


def weighted(
    weights: Mapping[str, np.float32], key: str, among: Iterable[Point], *, k: float, b: float, average: float
) -> Mapping[int, float]:
    """The same of words whose weights are known, beside texts of an average length."""
    base, slope = F(k * (1 - b)), F(k * b / average)
    scores: dict[int, float] = {}
    for place, point in enumerate(among):
        said = words_at(point, key)
        worth = [
            F(F(count) * F(k + 1)) / F(count + F(len(said) * slope + base)) * weight
            for word, weight in weights.items()
            if (count := said.count(word))
        ]
        if worth:
            scores[place] = float(F(sum(map(float, worth))))
    return scores
