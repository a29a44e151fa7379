"""What every search must answer, by brute force over a list of points; slow, simple and written from the specification.

Scores are computed in float64 and returned as float32, as are the similarities and weights that they are made of. The
order is total: best score first, then ascending id.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from math import log
from uuid import UUID

import numpy as np

from qdrantlite.query import filter as f
from qdrantlite.query import search as s
from qdrantlite.values.distance import Datatype
from qdrantlite.values.payload import elements_at, parse_path
from qdrantlite.values.point_id import PointId, id_order
from qdrantlite.values.schema import CollectionConfig, Modifier
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector, Vector
from tests.oracle_custom import custom_score, inputs, picked
from tests.oracle_filter import Point, holds
from tests.oracle_formula import formula_score
from tests.oracle_scores import average, max_sim, rows_of, similarity, sparse_score, stored
from tests.oracle_text import text_scores

F = np.float32


@dataclass(frozen=True, slots=True)
class Hit:
    """One row of an answer."""

    id: PointId
    score: float
    order_value: int | float | None = None


class Oracle:
    """A collection; ``others`` are collections that ``lookup_from`` may name."""

    def __init__(
        self, config: CollectionConfig, points: Iterable[Point], others: "Mapping[str, Oracle] | None" = None
    ) -> None:
        self.config = config
        self.points = sorted(points, key=lambda point: id_order(point.id))
        self.others = others or {}

    def search(self, search: s.Search) -> list[Hit]:
        """The page of the answer."""
        root = search.stage
        exclude = f.Filter(must_not=(f.HasId(tuple(referenced(root))),))
        hits = self._stage(root, (exclude,), root.limit + search.offset, root=True)
        if isinstance(root.query, s.OrderBy):
            hits = _without_neighbours(self._stage(root, (exclude,), 1 << 60))
        return hits[search.offset : search.offset + root.limit]

    def passing(self, filters: Sequence[f.Filter]) -> list[Point]:
        """Points that pass the filters of a path through the tree, joined list by list; ids ascending."""
        should = [c for each in filters for c in each.should]
        minimum = [each.min_should for each in filters if each.min_should is not None]
        joined = f.Filter(
            should=tuple(should),
            must=tuple(c for each in filters for c in each.must),
            must_not=tuple(c for each in filters for c in each.must_not),
            min_should=f.MinShould(sum((m.conditions for m in minimum), ()), max(m.min_count for m in minimum))
            if minimum
            else None,
        )
        return [point for point in self.points if holds(joined, point)]

    def _stage(self, node: s.Prefetch, above: tuple[f.Filter, ...], limit: int, *, root: bool = False) -> list[Hit]:
        filters = above if node.filter is None else (*above, node.filter)
        sources = [self._stage(child, filters, child.limit) for child in node.prefetch]
        if sources:
            ids = {hit.id for source in sources for hit in source}
            among = [point for point in self.points if point.id in ids]
        else:
            among = self.passing(filters)
        match node.query:
            case None | s.Sample():
                hits = [Hit(point.id, 1.0) for point in among]
            case s.OrderBy() as order:
                hits = _ordered(order, among)
            case s.Fusion() as fusion:
                hits = _fused(fusion, sources)
                hits = [hit for hit in hits if node.score_threshold is None or hit.score >= F(node.score_threshold)]
            case s.Formula() as formula:
                hits = _computed(formula, among, sources)
                hits = [hit for hit in hits if node.score_threshold is None or hit.score >= F(node.score_threshold)]
            case s.Nearest(given):
                hits = self._nearest(node, self.vector(node, given), among, rescoring=bool(sources))
            case s.TextQuery() as query:
                hits = self._ranked(node, query, among)
            case s.Recommend(positive, negative, s.RecommendStrategy.AVERAGE_VECTOR):
                mean = average(*([self.vector(node, each) for each in side] for side in (positive, negative)))
                hits = self._nearest(node, mean, among, rescoring=bool(sources))
            case s.NearestMmr(given) as query:
                candidates = node.limit if query.candidates_limit is None else query.candidates_limit
                if root or not sources:
                    hits = self._nearest(node, self.vector(node, given), among, rescoring=bool(sources))[:candidates]
                    return self._diverse(node, query, hits, limit) if root else hits
                having = {point.id for point in among if node.using in point.vectors}
                first: dict[PointId, Hit] = {}
                for hit in (hit for source in sources for hit in source if hit.id in having):
                    first.setdefault(hit.id, hit)
                hits = self._diverse(node, query, [*first.values()], limit)
            case _:
                hits = self._custom(node, among)
        return hits[:limit]

    def vector(self, node: s.Prefetch, given: s.VectorInput) -> Vector:
        """The vector itself, or the one stored for an id."""
        if isinstance(given, DenseVector | SparseVector | MultiVector):
            return given
        home, name = (self, node.using)
        if node.lookup_from is not None:
            home = self.others.get(node.lookup_from.collection, self)
            name = node.using if node.lookup_from.vector is None else node.lookup_from.vector
        return next(point.vectors[name] for point in home.points if point.id == given)

    def _nearest(self, node: s.Prefetch, query: Vector, among: Sequence[Point], *, rescoring: bool) -> list[Hit]:
        having = [point for point in among if node.using in point.vectors]
        if isinstance(query, SparseVector):
            larger, weights = True, self.weights(node.using, query)
            scored = [(point.id, sparse_score(weights, point.vectors[node.using])) for point in having]
            scores = [(point_id, x) for point_id, x in scored if x is not None and (rescoring or x != 0)]
        else:
            params = self.config.vectors[node.using]
            larger, datatype = params.distance.larger_is_better, params.datatype or Datatype.FLOAT32
            rows = stored(rows_of(query), params.distance, datatype)
            scores = [
                (
                    p.id,
                    max_sim(params.distance, rows, stored(rows_of(p.vectors[node.using]), params.distance, datatype)),
                )
                for p in having
            ]
        hits = [Hit(point_id, float(F(x))) for point_id, x in scores]
        hits.sort(key=lambda hit: (-hit.score if larger else hit.score, id_order(hit.id)))
        if node.score_threshold is None:
            return hits
        t = float(F(node.score_threshold))
        return [hit for hit in hits if (hit.score > t if larger else hit.score < t)]

    def _ranked(self, node: s.Prefetch, query: s.TextQuery, among: Sequence[Point]) -> list[Hit]:
        scores = text_scores(query, node.using, self.points, among)
        hits = [Hit(among[place].id, score) for place, score in scores.items()]
        hits.sort(key=lambda hit: (-hit.score, id_order(hit.id)))
        return [hit for hit in hits if node.score_threshold is None or hit.score > F(node.score_threshold)]

    def near(self, node: s.Prefetch, given: Vector, point: Point, *, idf: bool = True) -> float:
        """Similarity of a point that has the vector to an example, in float32; 0 without a shared index."""
        if isinstance(given, SparseVector):
            plain = dict(zip(given.indices.tolist(), given.weights.tolist(), strict=True))
            weights = self.weights(node.using, given) if idf else plain
            return float(F(sparse_score(weights, point.vectors[node.using]) or 0.0))
        params = self.config.vectors[node.using]
        datatype = params.datatype or Datatype.FLOAT32
        rows, other = (stored(rows_of(v), params.distance, datatype) for v in (given, point.vectors[node.using]))
        return float(F(similarity(params.distance, rows, other)))

    def _near_input(self, node: s.Prefetch, point: Point, given: s.VectorInput) -> float:
        return self.near(node, self.vector(node, given), point)

    def _custom(self, node: s.Prefetch, among: Sequence[Point]) -> list[Hit]:
        having = [point for point in among if node.using in point.vectors]
        hits = [Hit(point.id, custom_score(node.query, partial(self._near_input, node, point))) for point in having]
        hits.sort(key=lambda hit: (-hit.score, id_order(hit.id)))
        if node.score_threshold is None:
            return hits
        t = float(F(node.score_threshold))
        params = self.config.vectors.get(node.using)
        if params is None or params.distance.larger_is_better:
            return [hit for hit in hits if hit.score > t]
        return list(takewhile(lambda hit: hit.score < t, hits))

    def _diverse(self, node: s.Prefetch, query: s.NearestMmr, hits: Sequence[Hit], limit: int) -> list[Hit]:
        by_id = {point.id: point for point in self.points}
        points = [by_id[hit.id] for hit in hits]
        asked = self.vector(node, query.input)
        relevance = [self.near(node, asked, point, idf=False) for point in points]

        def between(i: int, j: int) -> float:
            return self.near(node, points[i].vectors[node.using], points[j], idf=False)

        return [hits[place] for place in picked(relevance, between, query.diversity, limit)]

    def weights(self, name: str, query: SparseVector) -> dict[int, float]:
        """Weight of each index of a sparse query, multiplied by IDF where the field asks for it; all in float32."""
        weights = dict(zip(query.indices.tolist(), query.weights.tolist(), strict=True))
        if self.config.sparse_vectors[name].modifier is not Modifier.IDF:
            return weights
        given = [v for p in self.points if isinstance(v := p.vectors.get(name), SparseVector)]
        documents = [set(v.indices.tolist()) for v in given if len(v.indices)]
        df = {index: sum(index in document for document in documents) for index in weights}
        n = len(documents)
        rarity = {index: F(log((n - count + 0.5) / (count + 0.5) + 1)) for index, count in df.items()}
        return {index: float(F(weight) * rarity[index]) for index, weight in weights.items()}


def _ordered(order: s.OrderBy, among: Sequence[Point]) -> list[Hit]:
    """One hit a number in the payload."""
    sign = 1 if order.direction is s.Direction.ASC else -1
    start = order.start_from
    assert not isinstance(start, str)
    entries = [
        Hit(point.id, 1.0, value)
        for point in among
        for value in dict.fromkeys(elements_at(point.payload, parse_path(order.key)))
        if isinstance(value, int | float) and not isinstance(value, bool)
        if start is None or sign * value >= sign * start
    ]
    return sorted(entries, key=lambda hit: (hit.order_value, id_order(hit.id)), reverse=sign < 0)


def _computed(formula: s.Formula, among: Sequence[Point], sources: Sequence[Sequence[Hit]]) -> list[Hit]:
    known = [{hit.id: hit.score for hit in source} for source in sources]
    scored = [(point.id, formula_score(formula, point, [scores.get(point.id) for scores in known])) for point in among]
    hits = [Hit(point_id, float(F(score))) for point_id, score in scored]
    return sorted(hits, key=lambda hit: (-hit.score, id_order(hit.id)))


def _without_neighbours(hits: Sequence[Hit]) -> list[Hit]:
    return [hit for before, hit in zip([None, *hits], hits, strict=False) if before is None or before.id != hit.id]


def _fused(fusion: s.Fusion, sources: Sequence[Sequence[Hit]]) -> list[Hit]:
    """Sums of shares in float32, in the order of the sources."""
    total: dict[PointId, np.float32] = {}
    first: dict[PointId, Hit] = {}
    for number, source in enumerate(sources):
        weight = 1.0 if fusion.weights is None else fusion.weights[number]
        shares = _ranks(len(source), fusion.k, weight) if fusion.kind is s.FusionKind.RRF else _spread(source)
        for hit, share in zip(source, shares, strict=True):
            first.setdefault(hit.id, hit)
            total[hit.id] = F(total.get(hit.id, F(0)) + share)
    hits = [Hit(point_id, float(score), first[point_id].order_value) for point_id, score in total.items()]

    def order(hit: Hit) -> tuple[bool, float, tuple[int, int]]:
        by_value = fusion.kind is s.FusionKind.DBSF and hit.order_value is not None
        return not by_value, -(hit.order_value or 0) if by_value else -hit.score, id_order(hit.id)

    return sorted(hits, key=order)


def _ranks(count: int, k: int, weight: float) -> list[np.float32]:
    return [F(1) / (F(place) / F(weight) + F(k) - F(1)) if weight > 0 else F(0) for place in range(1, count + 1)]


def _spread(source: Sequence[Hit]) -> list[np.float32]:
    """Welford's recurrence in float32."""
    mean, squares = F(0), F(0)
    for count, hit in enumerate(source, start=1):
        delta = F(hit.score) - mean
        mean += delta / F(count)
        squares += delta * (F(hit.score) - mean)
    deviation = np.sqrt(squares / F(len(source) - 1)) if len(source) > 1 else F(0)
    low, high = mean - F(3) * deviation, mean + F(3) * deviation
    return [F(0.5) if low == high else (F(hit.score) - low) / (high - low) for hit in source]


def referenced(node: s.Prefetch) -> Iterator[PointId]:
    """Ids anywhere in the tree that are looked up in the searched collection itself."""
    if node.lookup_from is None:
        yield from (given for given in inputs(node.query) if isinstance(given, int | UUID))
    for child in node.prefetch:
        yield from referenced(child)
