"""What each framework must see, by the oracle over the same texts."""

from collections.abc import Mapping

import numpy as np

from qdrantlite.query import filter as f
from qdrantlite.query import search as s
from qdrantlite.values.distance import Distance
from qdrantlite.values.schema import CollectionConfig, Modifier, SparseVectorParams, VectorParams
from qdrantlite.values.vector import DenseVector, SparseVector
from tests.clients.examples import Answer, Hits, Ranked
from tests.clients.frameworks import texts as t
from tests.oracle import Oracle
from tests.oracle_filter import Point

TEA = f.Filter(must=(f.FieldCondition("kind", f.MatchKeyword("tea")),))
MIDDLE = f.Filter(must=(f.FieldCondition("price", f.Range(gte=5, lt=14)),))
FIRST = f.Filter(must_not=(f.HasId((0,)),))


def oracle(modifier: Modifier | None) -> Oracle:
    """The texts by their places."""
    config = CollectionConfig(
        vectors={"": VectorParams(t.DIM, Distance.COSINE)},
        sparse_vectors={"words": SparseVectorParams(modifier=modifier)},
    )
    points = [
        Point(place, {"": dense(each.text), "words": sparse(each.text)}, {"kind": each.kind, "price": each.price})
        for place, each in enumerate(t.TEXTS)
    ]
    return Oracle(config, points)


def dense(text: str) -> DenseVector:
    """As a value."""
    return DenseVector(np.array(t.dense(text), dtype=np.float32))


def sparse(text: str) -> SparseVector:
    """As a value."""
    indices, weights = t.sparse(text)
    return SparseVector(np.array(indices, dtype=np.uint32), np.array(weights, dtype=np.float32))


class Asked:
    """Answers over one oracle."""

    def __init__(self, modifier: Modifier | None = None) -> None:
        self.oracle = oracle(modifier)

    def dense(self, only: f.Filter | None = None, query: str = t.QUERY, limit: int = t.LIMIT) -> Hits:
        """By cosine."""
        return self._hits(s.Prefetch(query=s.Nearest(dense(query)), filter=only, limit=limit))

    def sparse(self) -> Hits:
        """By shared words."""
        return self._hits(s.Prefetch(query=s.Nearest(sparse(t.QUERY)), using="words", limit=t.LIMIT))

    def diverse(self, candidates: int) -> Hits:
        """By maximal marginal relevance, half and half."""
        query = s.NearestMmr(dense(t.QUERY), 0.5, candidates)
        return self._hits(s.Prefetch(query=query, limit=t.LIMIT))

    def fused(self, limit: int) -> Hits:
        """Both, by their ranks; the scores of the page differ, so that its order is sure."""
        sources = (
            s.Prefetch(query=s.Nearest(dense(t.QUERY)), limit=limit),
            s.Prefetch(query=s.Nearest(sparse(t.QUERY)), using="words", limit=limit),
        )
        hits = self._hits(s.Prefetch(sources, s.Fusion(s.FusionKind.RRF), limit=t.LIMIT))
        assert len({score for _, score in hits}) == len(hits)
        return hits

    def _hits(self, stage: s.Prefetch) -> Hits:
        found = self.oracle.search(s.Search(stage))
        return [(t.TEXTS[int(hit.id)].text, hit.score) for hit in found]


def mixed(dense_hits: Hits, sparse_hits: Hits) -> Hits:
    """LlamaIndex's own fusion: half of each score, spread over 0 to 1."""
    total: dict[int | str, float] = {}
    for hits in (dense_hits, sparse_hits):
        low, high = min(score for _, score in hits), max(score for _, score in hits)
        for text, score in hits:
            total[text] = total.get(text, 0.0) + 0.5 * (score - low) / (high - low)
    best = sorted(total.items(), key=lambda item: -item[1])[: t.LIMIT]
    assert len({score for _, score in best}) == len(best)
    return best


def answers() -> Mapping[str, Mapping[str, Answer]]:
    """By framework and call."""
    plain, weighed = Asked(), Asked(Modifier.IDF)
    third: Hits = [(t.TEXTS[2].text, 1.0)]
    coffees: Hits = sorted((each.text, 1.0) for each in t.TEXTS if each.kind == "coffee")
    unscored: list[Hits] = [[(text, 1.0) for text, _ in plain.dense(only)] for only in (None, TEA)]
    found: dict[str, dict[str, Hits]] = {
        "langchain": {
            "dense": plain.dense(),
            "filter": plain.dense(TEA),
            "mmr": plain.diverse(candidates=6),
            "sparse": plain.sparse(),
            "hybrid": plain.fused(t.LIMIT),
            "by-ids": third,
            "delete": plain.dense(FIRST),
        },
        "llama_index": {
            "dense": plain.dense(),
            "filter": plain.dense(TEA),
            "sparse": weighed.sparse(),
            "hybrid": mixed(plain.dense(), weighed.sparse()),
            "by-ids": third,
            "delete": plain.dense(FIRST),
        },
        "haystack": {
            "dense": plain.dense(),
            "filter": plain.dense(TEA),
            "sparse": weighed.sparse(),
            "hybrid": weighed.fused(s.LIMIT_DEFAULT),
            "count": [("tea", float(sum(each.kind == "tea" for each in t.TEXTS))), ("all", float(len(t.TEXTS)))],
            "delete": plain.dense(FIRST),
        },
        "mcp_server": {"find": unscored[0], "find-filtered": unscored[1]},
        "mem0": {
            "search": plain.dense(),
            "filter": plain.dense(TEA),
            "range": plain.dense(MIDDLE),
            "batch": plain.dense(limit=2) + plain.dense(query=t.SECOND_QUERY, limit=2),
            "keywords": weighed.sparse(),
            "list": coffees,
            "update": [("changed", 1.0)],
            "delete": plain.dense(FIRST),
        },
    }
    return {name: {call: Ranked(hits) for call, hits in calls.items()} for name, calls in found.items()}
