"""Searches, pages and groups within their bounds, with their defaults."""

from qdrantlite.query.filter import Filter
from qdrantlite.query.search import (
    DEFAULT_PARAMS,
    GROUP_SIZE_DEFAULT,
    LIMIT_DEFAULT,
    NEIGHBOURS_DEFAULT,
    SAMPLE_DEFAULT,
    Facet,
    GroupSearch,
    Matrix,
    OrderBy,
    PayloadSelector,
    QuantizationParams,
    Scroll,
    Search,
    SearchParams,
    VectorsSelector,
    WithLookup,
)
from qdrantlite.values.payload import spelled
from qdrantlite.values.point_id import PointId
from qdrantlite.wire.bounds import at_least, not_empty, within

ACORN_SELECTIVITY_DEFAULT = 0.4


def limit_of(given: int | None, default: int) -> int:
    """Raises ValidationFailed for 0."""
    if given is None:
        return default
    at_least("limit", given, 1)
    return given


def search_params(
    *,
    hnsw_ef: int | None,
    exact: bool,
    quantization: QuantizationParams | None,
    indexed_only: bool,
    acorn_max_selectivity: float | None,
    idf_corpus: Filter | None,
) -> SearchParams:
    """One and the same object where nothing is given."""
    params = SearchParams(hnsw_ef, exact, quantization, indexed_only, acorn_max_selectivity, idf_corpus)
    return DEFAULT_PARAMS if params == DEFAULT_PARAMS else params


def quantization_params(*, ignore: bool, rescore: bool | None, oversampling: float | None) -> QuantizationParams:
    """Raises ValidationFailed for an oversampling below 1."""
    if oversampling is not None:
        at_least("oversampling", oversampling, 1.0)
    return QuantizationParams(ignore=ignore, rescore=rescore, oversampling=oversampling)


def acorn(*, enable: bool, max_selectivity: float | None) -> float | None:
    """The selectivity up to which ACORN is used; None = never. Raises ValidationFailed."""
    if max_selectivity is not None:
        within("max_selectivity", max_selectivity, 0.0, 1.0)
    if not enable:
        return None
    return ACORN_SELECTIVITY_DEFAULT if max_selectivity is None else max_selectivity


def group_search(search: Search, group_by: str, group_size: int | None, with_lookup: WithLookup | None) -> GroupSearch:
    """Raises InvalidRequest for a size of 0 and for a key that is empty or no path."""
    size = GROUP_SIZE_DEFAULT if group_size is None else group_size
    at_least("group_size", size, 1)
    not_empty("group_by", group_by)
    return GroupSearch(search=search, group_by=spelled(group_by), group_size=size, with_lookup=with_lookup)


def scroll(
    *,
    filter: Filter | None,
    offset: PointId | None,
    limit: int | None,
    order_by: OrderBy | None,
    with_payload: PayloadSelector,
    with_vectors: VectorsSelector,
) -> Scroll:
    """Raises InvalidRequest for a limit of 0 and for an offset in a page by value."""
    return Scroll(filter, offset, limit_of(limit, LIMIT_DEFAULT), order_by, with_payload, with_vectors)


def facet(key: str, filter: Filter | None, limit: int | None, *, exact: bool) -> Facet:
    """Raises InvalidRequest for a key that is empty or no path."""
    not_empty("key", key)
    return Facet(spelled(key), filter, LIMIT_DEFAULT if limit is None else limit, exact)


def matrix(using: str, filter: Filter | None, sample: int | None, limit: int | None) -> Matrix:
    """Raises ValidationFailed for a sample of less than two points and for a limit of 0."""
    points = SAMPLE_DEFAULT if sample is None else sample
    at_least("sample", points, 2)
    return Matrix(using, filter, points, limit_of(limit, NEIGHBOURS_DEFAULT))
