"""Random points and random trees of queries of every kind, drawn so that few scores are tied.

A tree is drawn from a generator alone, so that a case is told by its seed. Left out where the engine is known to
differ: see ``docs/differences.md``.
"""

from collections.abc import Callable

import numpy as np

from qdrantlite.query import filter as f
from qdrantlite.query import formula as c
from qdrantlite.query import search as s
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.schema import CollectionConfig, Modifier, SparseVectorParams, VectorParams
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector, Vector
from tests.oracle_filter import Point

DIMENSION = 8
POINTS = 120
DEPTH = 2
"""Stages below the root."""
ORDER_KEY = "rank"
"""A payload field of integers, another one for each point."""
CONFIG = CollectionConfig(
    vectors={
        **{distance.value: VectorParams(DIMENSION, distance) for distance in Distance},
        "half": VectorParams(DIMENSION, Distance.COSINE, datatype=Datatype.FLOAT16),
        "byte": VectorParams(DIMENSION, Distance.EUCLID, datatype=Datatype.UINT8),
        "byte cosine": VectorParams(DIMENSION, Distance.COSINE, datatype=Datatype.UINT8),
        "tokens": VectorParams(DIMENSION, Distance.COSINE, multivector=True),
        "far tokens": VectorParams(DIMENSION, Distance.EUCLID, multivector=True),
        "near tokens": VectorParams(DIMENSION, Distance.MANHATTAN, multivector=True),
    },
    sparse_vectors={"sparse": SparseVectorParams(), "idf": SparseVectorParams(modifier=Modifier.IDF)},
)
NAMES = (*CONFIG.vectors, *CONFIG.sparse_vectors)
DIVERSE = tuple(name for name, params in CONFIG.vectors.items() if params.datatype is None)


class Chance:
    """Draws from one seed."""

    def __init__(self, seed: int) -> None:
        self.draw = np.random.default_rng(seed)

    def one_of(self, *choices: Callable[[], s.Query]) -> s.Query:
        """One of several ways to ask."""
        return choices[int(self.draw.integers(len(choices)))]()

    def vector(self, name: str) -> Vector:
        """A vector that fits the name."""
        params = CONFIG.vectors.get(name)
        if params is None:
            indices = np.unique(self.draw.integers(0, 30, size=6)).astype(np.uint32)
            return SparseVector(indices, self.draw.normal(size=len(indices)).astype(np.float32))
        if params.datatype is Datatype.UINT8:
            return DenseVector(self.draw.integers(0, 256, size=params.size).astype(np.float32))
        rows = self.draw.normal(size=(3, params.size)).astype(np.float32)
        return MultiVector(rows[: self.draw.integers(1, 4)]) if params.multivector else DenseVector(rows[0])

    def vectors(self, name: str, least: int, most: int) -> tuple[Vector, ...]:
        """Several of them."""
        return tuple(self.vector(name) for _ in range(self.draw.integers(least, most + 1)))

    def points(self) -> list[Point]:
        """Each lacks some of the vectors."""
        ranks = self.draw.permutation(POINTS).tolist()
        return [
            Point(number, {name: self.vector(name) for name in NAMES if self.draw.random() < 0.85}, {ORDER_KEY: rank})
            for number, rank in enumerate(ranks)
        ]

    def pairs(self, name: str, least: int, most: int) -> tuple[s.ContextPair, ...]:
        """For a context."""
        count = self.draw.integers(least, most + 1)
        return tuple(s.ContextPair(self.vector(name), self.vector(name)) for _ in range(count))

    def vector_query(self, name: str) -> s.Query:
        """Any that compares vectors, one with several examples more often than not."""
        best, sums, mean = (s.RecommendStrategy[each] for each in ("BEST_SCORE", "SUM_SCORES", "AVERAGE_VECTOR"))
        a, b, c = (float(x) for x in self.draw.uniform(0.2, 2, size=3))
        return self.one_of(
            lambda: s.Nearest(self.vector(name)),
            lambda: s.Recommend(self.vectors(name, 1, 3), self.vectors(name, 0, 3), best),
            lambda: s.Recommend((), self.vectors(name, 1, 3), best),
            lambda: s.Recommend(self.vectors(name, 0, 3), self.vectors(name, 1, 3), sums),
            lambda: s.Recommend(self.vectors(name, 1, 3), self.vectors(name, 0, 3), mean),
            lambda: s.Discover(self.vector(name), self.pairs(name, 0, 3)),
            lambda: s.Context(self.pairs(name, 4, 8)),
            lambda: s.RelevanceFeedback(self.vector(name), self._feedback(name), a, b, c),
            lambda: self._diverse(name),
        )

    def _feedback(self, name: str) -> tuple[s.FeedbackItem, ...]:
        return tuple(s.FeedbackItem(each, float(self.draw.normal())) for each in self.vectors(name, 0, 3))

    def _diverse(self, name: str) -> s.Query:
        """Engine and specification differ on bytes, halves and sparse vectors."""
        if name not in DIVERSE:
            return s.Nearest(self.vector(name))
        return s.NearestMmr(self.vector(name), float(self.draw.uniform(0.1, 0.9)), int(self.draw.integers(1, 40)))

    def _formula(self) -> s.Formula:
        """Scores of two prefetches, the second perhaps missing, and the payload."""
        first, second, rank = (c.Variable(name) for name in ("$score", "$score[1]", ORDER_KEY))
        weights = [c.Constant(float(np.float32(x))) for x in self.draw.normal(size=3)]
        falling = c.Decay(c.DecayKind.EXP, rank, weights[2], 40.0)
        terms = (c.Mult((weights[0], first)), c.Mult((weights[1], second)), falling, c.Unary(c.UnaryKind.ABS, first))
        return s.Formula(c.Sum(terms), {"$score[1]": 0.25})

    def stage(self, depth: int = DEPTH) -> s.Prefetch:
        """A tree of at most so many stages below its root."""
        wide = depth > 0 and self.draw.random() < (0.8 if depth == DEPTH else 0.4)
        children = tuple(self.stage(depth - 1) for _ in range(self.draw.integers(1, 4))) if wide else ()
        name = str(self.draw.choice(NAMES))
        kind = self.draw.random()
        query: s.Query | None = self.vector_query(name)
        if kind < 0.15:
            query, name = s.OrderBy(ORDER_KEY, s.Direction(int(self.draw.integers(2)))), ""
        elif kind < 0.4 and children:
            weights = tuple(self.draw.uniform(0.5, 3, size=len(children)).tolist())
            kinds = [s.Fusion(s.FusionKind.RRF, int(self.draw.integers(1, 60)), weights), s.Fusion(s.FusionKind.DBSF)]
            query, name = kinds[int(self.draw.integers(2))], ""
        elif kind < 0.5 and children:
            query, name = self._formula(), ""
        elif kind < 0.2:
            query, name = None, ""
        scored = query is not None and not isinstance(query, s.OrderBy)
        return s.Prefetch(
            prefetch=children,
            query=query,
            using=name,
            filter=self._filter(),
            score_threshold=float(self.draw.normal()) if scored and self.draw.random() < 0.15 else None,
            limit=int(self.draw.integers(1, 50)),
        )

    def _filter(self) -> f.Filter | None:
        if self.draw.random() < 0.7:
            return None
        low, high = sorted(self.draw.integers(0, POINTS, size=2).tolist())
        return f.Filter(must=(f.FieldCondition(ORDER_KEY, f.Range(gte=low, lte=high)),))
