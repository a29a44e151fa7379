"""Strict mode: what a collection's settings forbid, found out before anything runs.

One function for each kind of request; all are pure, return at once where strict mode is off, and raise BadRequest with
Qdrant's texts, in Qdrant's order: the request's own limits, then its filter, exactness and parameters. What a request
costs in tokens of a rate limit is told here too; the buckets are kept by the collection.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from qdrantlite.query.filter import Filter
from qdrantlite.query.formula import (
    ConditionValue,
    DatetimeKey,
    Expression,
    GeoDistance,
    Variable,
    everything_in,
)
from qdrantlite.query.operation import (
    ClearPayload,
    CreateFieldIndex,
    DeletePayload,
    DeletePoints,
    DeleteVectors,
    Operation,
    OverwritePayload,
    SchemaOperation,
    SetPayload,
    UpdateVectors,
    Upsert,
)
from qdrantlite.query.search import (
    Context,
    Discover,
    Formula,
    GroupSearch,
    Nearest,
    NearestMmr,
    Prefetch,
    Query,
    Recommend,
    RelevanceFeedback,
    Search,
    SearchParams,
)
from qdrantlite.query.strict_filter import (
    RANGE,
    Need,
    Schema,
    check_filter,
    condition_count,
    needed_indexes,
    refuse,
    require_index,
)
from qdrantlite.values.schema import CollectionConfig, FieldKind, StrictMode
from qdrantlite.values.vector import MultiVector, NamedVectors, SparseVector

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """What is there already; sizes are asked for only where a limit is set."""

    points: int
    vector_bytes: int
    payload_bytes: int
    resident_percent: float
    """Of the machine's memory."""


def limits_of(config: CollectionConfig) -> StrictMode | None:
    """The limits in force, None where strict mode is off."""
    limits = config.strict_mode_config
    return limits if limits is not None and limits.enabled else None


def check_timeout(limits: StrictMode, timeout_s: float | None) -> None:
    """The time that a request asks for; None = it does not say."""
    if timeout_s is not None:
        _at_most(int(timeout_s), limits.max_timeout, "timeout")


def check_searches(limits: StrictMode, searches: Sequence[Search], config: CollectionConfig, schema: Schema) -> None:
    """One search, or a batch of several."""
    if len(searches) > 1:
        _at_most(len(searches), limits.search_max_batchsize, "search batch size")
    for search in searches:
        _check_stage(limits, search.stage, search.stage.limit, config, schema)


def check_groups(limits: StrictMode, request: GroupSearch, config: CollectionConfig, schema: Schema) -> None:
    """A grouped search may return as many points as its groups hold; its field needs an index that matches."""
    stage = request.search.stage
    _check_stage(limits, stage, stage.limit * request.group_size, config, schema)
    if limits.unindexed_filtering_retrieve is False:
        require_index(request.group_by, MATCHING, schema)


MATCHING = (Need(FieldKind.KEYWORD), Need(FieldKind.INTEGER, "lookup"), Need(FieldKind.UUID))


def check_read(limits: StrictMode, filter: Filter | None, schema: Schema, *, limit: int | None = None) -> None:
    """Scroll, facet and matrix with their ``limit``; count without one."""
    _at_most(limit, limits.max_query_limit, "limit")
    check_filter(filter, limits, schema, indexed=limits.unindexed_filtering_retrieve)


def check_exact(limits: StrictMode, *, exact: bool) -> None:
    """A read that asks for exactness."""
    if exact and limits.search_allow_exact is False:
        refuse("Exact search disabled!", "Set exact=false.")


def _check_stage(limits: StrictMode, stage: Prefetch, limit: int, config: CollectionConfig, schema: Schema) -> None:
    _at_most(limit, limits.max_query_limit, "limit")
    check_filter(stage.filter, limits, schema, indexed=limits.unindexed_filtering_retrieve)
    if isinstance(stage.query, Formula) and limits.unindexed_filtering_retrieve is False:
        for key, needs in _formula_needs(stage.query.expression):
            require_index(key, needs, schema)
    _check_params(limits, stage.params)
    if not stage.prefetch and isinstance(stage.query, _VECTOR_QUERIES):
        _check_graph(limits, stage, config)
    for child in stage.prefetch:
        _check_stage(limits, child, child.limit, config, schema)


_VECTOR_QUERIES = (Nearest, NearestMmr, Recommend, Discover, Context, RelevanceFeedback)


def _check_params(limits: StrictMode, params: SearchParams) -> None:
    check_exact(limits, exact=params.exact)
    _at_most(params.hnsw_ef, limits.search_max_hnsw_ef, "hnsw_ef")
    codes = params.quantization
    if codes is not None:
        _at_most(codes.oversampling, limits.search_max_oversampling, "oversampling")


def _check_graph(limits: StrictMode, stage: Prefetch, config: CollectionConfig) -> None:
    """Without a graph every search compares all; a filter that an index answers makes that bearable."""
    vector = config.vectors.get(stage.using)
    if limits.search_allow_exact is not False or vector is None or stage.filter is not None:
        return
    own = None if vector.hnsw_config is None else vector.hnsw_config.m
    if (config.hnsw_config.m if own is None else own) == 0:
        where = f" on '{stage.using}'" if stage.using else ""
        refuse(
            f"Request is forbidden{where} because global vector indexing is disabled (hnsw_config.m = 0)",
            "Use tenant-specific filter, enable global vector indexing or enable strict mode `search_allow_exact` "
            "option.",
        )


def _formula_needs(formula: Expression) -> Iterator[tuple[str, tuple[Need, ...]]]:
    for expression in everything_in(formula):
        match expression:
            case Variable(name) if not name.startswith("$"):
                yield name, (RANGE, Need(FieldKind.FLOAT))
            case ConditionValue(condition):
                yield from needed_indexes(condition)
            case GeoDistance(_, key):
                yield key, (Need(FieldKind.GEO),)
            case DatetimeKey(key):
                yield key, (Need(FieldKind.DATETIME),)
            case _:
                pass


# -- writes


def check_writes(limits: StrictMode, operations: Sequence[Operation], stored: Stored, schema: Schema) -> None:
    """All operations of a request, before any of them is applied."""
    for operation in operations:
        match operation:
            case Upsert(points):
                _at_most(len(points), limits.upsert_max_batchsize, "upsert limit")
                _check_room(limits, stored)
                for point in points:
                    _check_vectors(limits, point.vectors)
            case UpdateVectors(points):
                _at_most(len(points), limits.upsert_max_batchsize, "update limit")
                _check_room(limits, stored)
                for each in points:
                    _check_vectors(limits, each.vectors)
            case SetPayload() | OverwritePayload():
                _check_payload_room(limits, stored)
                _check_selected(limits, operation.selector.filter, schema)
            case DeletePoints() | DeleteVectors() | DeletePayload() | ClearPayload():
                _check_selected(limits, operation.selector.filter, schema)
            case _:
                assert_never(operation)


def check_alteration(limits: StrictMode, operation: SchemaOperation, schema: Schema) -> None:
    """A change of the schema."""
    most = limits.max_payload_index_count
    adds = isinstance(operation, CreateFieldIndex) and operation.field not in schema
    if adds and most is not None and len(schema) >= most:
        refuse(
            f"Collection already has the maximum number of payload indices ({most})",
            "Please delete an existing index before creating a new one.",
        )


def _check_selected(limits: StrictMode, filter: Filter | None, schema: Schema) -> None:
    check_filter(filter, limits, schema, indexed=limits.unindexed_filtering_update)


def _check_room(limits: StrictMode, stored: Stored) -> None:
    """Of what brings vectors. A request is measured by what is there before it: Qdrant does not know what it adds."""
    _check_size("vector", stored.vector_bytes, limits.max_collection_vector_size_bytes)
    _check_payload_room(limits, stored)
    most = limits.max_points_count
    if most is not None and stored.points >= most:
        refuse(f"Max points count limit of {most} reached!", "Delete some points or increase the limit.")


def _check_payload_room(limits: StrictMode, stored: Stored) -> None:
    _check_size("payload", stored.payload_bytes, limits.max_collection_payload_size_bytes)
    percent = limits.max_resident_memory_percent
    if percent is not None and stored.resident_percent >= percent:
        refuse(
            f"Resident memory usage is at {stored.resident_percent:.0f}%, the limit is {percent}%",
            "Free memory or increase the limit.",
        )


def _check_size(what: str, used: int, most: int | None) -> None:
    if most is not None and used >= most:
        shown = np.format_float_positional(np.float32(most / MIB), trim="-")
        refuse(f"Max {what} storage size limit of {shown}MB reached!", "Delete points or increase the limit.")


def _check_vectors(limits: StrictMode, vectors: NamedVectors) -> None:
    for name, vector in vectors.items():
        if isinstance(vector, MultiVector):
            most = _limit(limits.multivector_config, name)
            if most is not None and len(vector.rows) > most:
                refuse(
                    f"Multivector '{name}' has a limit of {most} vectors, but {len(vector.rows)} were provided!",
                    "Reduce the number of vectors.",
                )
        elif isinstance(vector, SparseVector):
            most = _limit(limits.sparse_config, name)
            if most is not None and len(vector.indices) > most:
                refuse(
                    f"Sparse vector '{name}' has a limit of {most} indices, but {len(vector.indices)} were provided!",
                    "Reduce the amount of indices.",
                )


def _limit(limits: Mapping[str, int | None] | None, name: str) -> int | None:
    return None if limits is None else limits.get(name)


def _at_most(value: float | None, most: float | None, name: str) -> None:
    if value is not None and most is not None and value > most:
        shown, limit = (int(each) if each == int(each) else each for each in (value, most))
        refuse(f'Limit exceeded {shown} > {limit} for "{name}"', f'Reduce the "{name}" parameter to or below {limit}.')


# -- what requests cost


def search_cost(stage: Prefetch) -> int:
    """Tokens of a search: its vectors and conditions, those of its prefetches included."""
    own = max(1, _vector_count(stage.query)) + condition_count(stage.filter)
    return own + sum([search_cost(child) for child in stage.prefetch])


def _vector_count(query: Query | None) -> int:
    match query:
        case Recommend(positive, negative):
            return len(positive) + len(negative)
        case Discover(_, context):
            return 1 + 2 * len(context)
        case Context(pairs):
            return 2 * len(pairs)
        case RelevanceFeedback(_, feedback):
            return 1 + len(feedback)
        case _:
            return 1


def read_cost(filter: Filter | None) -> int:
    """Tokens of a read without a query."""
    return 1 + condition_count(filter)
