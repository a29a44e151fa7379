"""What a query with vectors becomes in one frozen state of a shard: examples in stored form and how points are scored.

Ids become the vectors stored for them, in this collection or another; texts are embedded; all are checked against the
slot and prepared as its rows were. What is linear in the examples becomes one vector: an average always, and a sum of
inner products, which is the inner product with the sum.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar, assert_never

import numpy as np

from qdrantlite.collection.read.view import ReadView
from qdrantlite.errors import BadInput, BadRequest, NotFound
from qdrantlite.plan.bound import BoundVectorQuery, NearestDense, NearestMulti, NearestQuery, NearestSparse
from qdrantlite.plan.custom import (
    BestScore,
    CustomScore,
    DenseExamples,
    MultiExamples,
    PairLosses,
    PairRanks,
    Scorer,
    SparseExamples,
    WeightedSum,
    feedback_weights,
)
from qdrantlite.query.check import fit_vector, vector_kind
from qdrantlite.query.search import (
    Context,
    ContextPair,
    Discover,
    LookupFrom,
    Nearest,
    NearestMmr,
    Prefetch,
    Recommend,
    RecommendStrategy,
    RelevanceFeedback,
    VectorInput,
    VectorsSelector,
)
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.row_encoding import prepare_query
from qdrantlite.storage.store_reader import MISSING
from qdrantlite.text.inference import embed_queried
from qdrantlite.values.distance import Datatype
from qdrantlite.values.point_id import PointId
from qdrantlite.values.schema import CollectionConfig, Modifier, VectorParams
from qdrantlite.values.vector import F32, DenseVector, MultiVector, SparseVector, Vector

OpenCollection = Callable[[str], ReadView]
"""Opens a view of another collection by name; the caller closes it. Raises NotFound."""

VectorQuery: TypeAlias = Nearest | NearestMmr | Recommend | Discover | Context | RelevanceFeedback
OneKind = TypeVar("OneKind", DenseVector, SparseVector, MultiVector)


class VectorBinder:
    """Binds queries of one request to ``view`` of the collection called ``collection``."""

    def __init__(self, view: ReadView, collection: str, open_other: OpenCollection) -> None:
        self._view = view
        self._config = view.state.config
        self._collection = collection
        self._open_other = open_other

    def query(self, stage: Prefetch, query: VectorQuery, corpus: Selection | None) -> BoundVectorQuery:
        """How points are scored; ``corpus`` is what IDF counts, None = all. Raises InvalidRequest, NotFound."""
        using = stage.using
        if isinstance(query, Nearest) and isinstance(query.input, DenseVector) and stage.params.idf_corpus is None:
            return self._nearest(using, query.input, corpus)  # The most frequent query: nothing is looked up.
        vector_kind(self._config, using)
        if stage.params.idf_corpus is not None:
            _require_idf(self._config, using)
        match query:
            case Nearest(given) | NearestMmr(given):
                (vector,) = self._vectors(stage, [given])
                return self._nearest(using, vector, corpus)
            case Recommend():
                return self._recommended(stage, query, corpus)
            case Discover(target, context):
                examples = self._vectors(stage, [*_paired(context), target])
                return self._custom(using, examples, PairRanks(len(context)), corpus)
            case Context(pairs):
                return self._custom(using, self._vectors(stage, _paired(pairs)), PairLosses(len(pairs)), corpus)
            case RelevanceFeedback(target, feedback, a, b, c):
                examples = self._vectors(stage, [target, *(item.example for item in feedback)])
                confidences = np.array([item.score for item in feedback], dtype=np.float32)
                scorer = WeightedSum(feedback_weights(confidences, a, b, c))
                return self._custom(using, examples, scorer, corpus)
            case _:
                assert_never(query)

    def unweighted(self, stage: Prefetch, query: NearestMmr) -> NearestQuery:
        """The query by which candidates are compared with each other: without IDF. Raises as ``query`` does."""
        (vector,) = self._vectors(stage, [query.input])
        return self._prepared(stage.using, fit_vector(self._config, stage.using, vector))

    def _recommended(self, stage: Prefetch, query: Recommend, corpus: Selection | None) -> BoundVectorQuery:
        positive = self._vectors(stage, query.positive, lenient=query.lenient)
        negative = self._vectors(stage, query.negative, lenient=query.lenient)
        if query.strategy is RecommendStrategy.AVERAGE_VECTOR:
            if not positive:
                raise BadInput("Positive vectors should not be empty with `average` strategy")
            return self._nearest(stage.using, self._average(stage.using, positive, negative), corpus)
        if not positive and not negative:
            raise BadRequest("At least one positive or negative vector ID required with this strategy")
        examples = [*positive, *negative]
        if query.strategy is RecommendStrategy.BEST_SCORE:
            return self._custom(stage.using, examples, BestScore(len(positive)), corpus)
        signs = np.repeat(np.array([1, -1], dtype=np.float32), [len(positive), len(negative)])
        return self._custom(stage.using, examples, WeightedSum(signs), corpus)

    def _average(self, using: str, positive: Sequence[Vector], negative: Sequence[Vector]) -> Vector:
        """The mean of the positives, moved by what they differ from the mean of the negatives."""
        vectors = [*positive, *negative]
        if len({type(vector) for vector in vectors}) > 1:
            raise BadInput("Can't average vectors with different types")
        for vector in vectors:
            fit_vector(self._config, using, vector)
        match vectors[0]:
            case DenseVector():
                mean = _mean(_all(DenseVector, positive))
                return DenseVector(mean + mean - _mean(_all(DenseVector, negative)) if negative else mean)
            case SparseVector():
                weights = np.full(len(vectors), (2 if negative else 1) / len(positive), dtype=np.float32)
                weights[len(positive) :] = -1 / max(1, len(negative))
                return _sparse_sum(_all(SparseVector, vectors), weights)
            case MultiVector():
                negated = [-vector.rows for vector in _all(MultiVector, negative)]
                return MultiVector(np.concatenate([*(v.rows for v in _all(MultiVector, positive)), *negated]))

    def _custom(
        self, using: str, given: Sequence[Vector], scorer: Scorer, corpus: Selection | None
    ) -> BoundVectorQuery:
        fitting = [fit_vector(self._config, using, vector) for vector in given]
        params = self._config.vectors.get(using)
        if params is None:
            sparse = [self._weighted(using, vector, corpus) for vector in _all(SparseVector, fitting)]
            if isinstance(scorer, WeightedSum):
                sparse, scorer = [_sparse_sum(sparse, scorer.weights)], WeightedSum(np.ones(1, dtype=np.float32))
            return CustomScore(SparseExamples(tuple(sparse)), scorer, larger_is_better=True)
        larger = params.distance.larger_is_better
        if params.multivector:
            rows = tuple([_stored_form(params, vector.rows) for vector in _all(MultiVector, fitting)])
            return CustomScore(MultiExamples(rows), scorer, larger)
        vectors = np.empty((len(fitting), params.size), dtype=np.float32)
        for at, vector in enumerate(_all(DenseVector, fitting)):
            vectors[at] = vector.values
        vectors = _stored_form(params, vectors)
        if isinstance(scorer, WeightedSum) and larger and params.datatype is not Datatype.UINT8:
            # Not for bytes: queries over them are bytes too, or of norm 1.
            return NearestDense(scorer.weights @ vectors, larger)
        return CustomScore(DenseExamples(vectors), scorer, larger)

    def _nearest(self, using: str, given: Vector, corpus: Selection | None) -> NearestQuery:
        vector = fit_vector(self._config, using, given)
        if isinstance(vector, SparseVector):
            vector = self._weighted(using, vector, corpus)
        return self._prepared(using, vector)

    def _prepared(self, using: str, vector: Vector) -> NearestQuery:
        """The query for a vector that fits its slot."""
        match vector:
            case SparseVector():
                return NearestSparse(vector)
            case DenseVector():
                return near(self._config.vectors[using], vector)
            case MultiVector(rows):
                params = self._config.vectors[using]
                return NearestMulti(_stored_form(params, rows), params.distance.larger_is_better)

    def _weighted(self, using: str, vector: SparseVector, corpus: Selection | None) -> SparseVector:
        params = self._config.sparse_vectors[using]
        if params.modifier is not Modifier.IDF:
            return vector
        view, present = self._view.sparse(using), self._view.state.present[using]
        with np.errstate(over="ignore", invalid="ignore"):
            weights = vector.weights * view.idf(vector.indices, present, corpus)
        return SparseVector(vector.indices, weights.astype(np.float32))

    def _vectors(self, stage: Prefetch, inputs: Sequence[VectorInput], *, lenient: bool = False) -> list[Vector]:
        """The vectors given, looked up or embedded; with ``lenient``, none for a point that lacks it."""
        ids = list(dict.fromkeys([given for given in inputs if isinstance(given, PointId)]))
        found = self._looked_up(ids, stage.using, stage.lookup_from) if ids else {}
        vectors: list[Vector] = []
        for given in inputs:
            if isinstance(given, DenseVector | SparseVector | MultiVector):
                vectors.append(given)
            elif not isinstance(given, PointId):
                vectors.append(embed_queried(given))
            elif (stored := found[given]) is not None:
                vectors.append(stored)
            elif not lenient:
                name = stage.using if stage.lookup_from is None else stage.lookup_from.vector or stage.using
                raise NotFound(f'Vector with name "{name}" for point not found')
        return vectors

    def _looked_up(self, ids: Sequence[PointId], using: str, lookup: LookupFrom | None) -> dict[PointId, Vector | None]:
        name = using if lookup is None or lookup.vector is None else lookup.vector
        if lookup is None or lookup.collection == self._collection:
            return _stored_vectors(self._view, ids, name)
        with self._open_other(lookup.collection) as other:
            return _stored_vectors(other, ids, name)


def near(params: VectorParams, vector: DenseVector) -> NearestDense:
    """The query for the nearest to a vector that fits a dense slot of these settings."""
    return NearestDense(_stored_form(params, vector.values), params.distance.larger_is_better)


def _stored_form(params: VectorParams, vectors: F32) -> F32:
    return prepare_query(vectors, params.distance, params.datatype or Datatype.FLOAT32)


def _stored_vectors(view: ReadView, ids: Sequence[PointId], name: str) -> dict[PointId, Vector | None]:
    """The vector of each id, None where the point lacks it. Raises NotFound, BadInput for an unknown name."""
    vector_kind(view.state.config, name)
    offsets = view.reader.offsets_of(ids)
    absent = np.flatnonzero(offsets == MISSING)
    if len(absent):
        raise NotFound(f"No point with id {ids[absent[0]]} found")
    found = view.vectors(offsets, VectorsSelector(names=(name,)))
    return {point_id: vectors.get(name) for point_id, vectors in zip(ids, found, strict=True)}


def _paired(pairs: Sequence[ContextPair]) -> list[VectorInput]:
    """Positive, negative, positive, …"""
    return [example for pair in pairs for example in (pair.positive, pair.negative)]


def _all(kind: type[OneKind], vectors: Sequence[Vector]) -> list[OneKind]:
    """The vectors, which are all of this kind."""
    same = [vector for vector in vectors if isinstance(vector, kind)]
    assert len(same) == len(vectors)
    return same


def _mean(vectors: Sequence[DenseVector]) -> F32:
    mean: F32 = np.stack([vector.values for vector in vectors]).mean(axis=0, dtype=np.float32)
    return mean


def _sparse_sum(vectors: Sequence[SparseVector], factors: F32) -> SparseVector:
    """The sum of sparse vectors, each times its factor; what adds up to 0 keeps its index."""
    counts = [len(vector.indices) for vector in vectors]
    indices, places = np.unique(np.concatenate([vector.indices for vector in vectors]), return_inverse=True)
    weights = np.concatenate([vector.weights for vector in vectors]) * np.repeat(factors, counts)
    sums = np.bincount(places, weights=weights, minlength=len(indices))
    return SparseVector(indices, sums.astype(np.float32))


def _require_idf(config: CollectionConfig, name: str) -> None:
    sparse = config.sparse_vectors.get(name)
    if sparse is None or sparse.modifier is not Modifier.IDF:
        raise BadInput(
            "Validation failed: search param `idf` requires a sparse vector with the `idf` modifier, "
            f'which vector "{name}" is not'
        )
