"""Schemas of searches: the Query API, and the requests that it replaced."""

from qdrantlite.wire.rest.openapi.schema import (
    COUNT,
    FLAG,
    FLOAT,
    TEXT,
    Schema,
    Schemas,
    array,
    at_least,
    gives,
    maybe,
    needs,
    one,
    ref,
    some,
    table,
    tagged,
    within,
    words,
)

_RETURNED = {"with_payload": ref("WithPayloadInterface"), "with_vector": ref("WithVector")}
_SHARD_KEY = {"shard_key": ref("ShardKeySelector")}
_STAGE = {
    "prefetch": some(ref("Prefetch")),
    "query": ref("QueryInterface"),
    "using": TEXT,
    "filter": ref("Filter"),
    "params": ref("SearchParams"),
    "score_threshold": FLOAT,
    "limit": at_least(1),
    "lookup_from": ref("LookupLocation"),
}
_STRATEGY = words("average_vector", "best_score", "sum_scores")

QUERIES: Schemas = {
    "VectorInput": one(
        ref("DenseVector"),
        ref("SparseVector"),
        ref("MultiDenseVector"),
        ref("ExtendedPointId"),
        ref("Inference"),
    ),
    "LookupLocation": needs({"collection": TEXT}, {"vector": TEXT, **_SHARD_KEY}),
    "SearchParams": needs(
        {},
        {
            "hnsw_ef": at_least(1),
            "exact": FLAG,
            "quantization": needs({}, {"ignore": FLAG, "rescore": FLAG, "oversampling": at_least(1, FLOAT)}),
            "indexed_only": FLAG,
            "acorn": needs({}, {"enable": FLAG, "max_selectivity": within(0, 1)}),
            "idf": one(words("global"), needs({}, {"corpus": ref("Filter")})),
        },
    ),
    "ContextPair": needs({"positive": ref("VectorInput"), "negative": ref("VectorInput")}),
    "Mmr": needs({}, {"diversity": within(0, 1), "candidates_limit": {**COUNT, "maximum": 16_384}}),
    "Query": one(
        needs({"nearest": ref("VectorInput")}, {"mmr": ref("Mmr")}),
        tagged(
            "recommend",
            needs(
                {},
                {"positive": array(ref("VectorInput")), "negative": array(ref("VectorInput")), "strategy": _STRATEGY},
            ),
        ),
        tagged("discover", needs({"target": ref("VectorInput"), "context": maybe(some(ref("ContextPair")))})),
        tagged("context", some(ref("ContextPair"))),
        tagged("order_by", one(ref("OrderBy"), ref("PayloadPath"))),
        tagged("fusion", words("rrf", "dbsf")),
        tagged("rrf", needs({}, {"k": at_least(1), "weights": array(FLOAT)})),
        needs({"formula": ref("Expression")}, {"defaults": table({})}),
        tagged("sample", words("random")),
        tagged(
            "text",
            one(
                TEXT,
                needs(
                    {"query": TEXT},
                    {"scoring": tagged("bm25", needs({}, {"k": at_least(0, FLOAT), "b": within(0, 1)}))},
                ),
            ),
        ),
        tagged(
            "relevance_feedback",
            needs(
                {
                    "target": ref("VectorInput"),
                    "feedback": array(needs({"example": ref("VectorInput"), "score": FLOAT}), least=1),
                    "strategy": tagged("naive", needs({"a": FLOAT, "b": at_least(0, FLOAT), "c": FLOAT})),
                }
            ),
        ),
    ),
    "QueryInterface": one(ref("VectorInput"), ref("Query")),
    "Prefetch": needs({}, _STAGE),
    "QueryRequest": needs({}, {**_STAGE, "offset": COUNT, **_RETURNED, **_SHARD_KEY}),
    "QueryRequestBatch": needs({"searches": array(ref("QueryRequest"))}),
    "QueryGroupsRequest": needs(
        {"group_by": ref("PayloadPath")},
        {**_STAGE, "group_size": at_least(1), "with_lookup": ref("WithLookupInterface"), **_RETURNED, **_SHARD_KEY},
    ),
    "WithLookupInterface": one(
        TEXT,
        needs({"collection": TEXT}, {"with_payload": ref("WithPayloadInterface"), "with_vectors": ref("WithVector")}),
    ),
    "QueryResponse": gives({"points": array(ref("ScoredPoint"))}),
    "PointGroup": gives(
        {"id": one(TEXT, {"type": "integer"}), "hits": array(ref("ScoredPoint"))}, {"lookup": ref("Record")}
    ),
    "GroupsResult": gives({"groups": array(ref("PointGroup"))}),
}

_LEGACY = {
    "filter": ref("Filter"),
    "params": ref("SearchParams"),
    **_RETURNED,
    **_SHARD_KEY,
}
_PAGED = {"offset": COUNT}
_SCORED = {"score_threshold": FLOAT}
_LOOKED_UP = {"using": TEXT, "lookup_from": ref("LookupLocation")}
_EXAMPLES = {
    "positive": array(ref("RecommendExample")),
    "negative": array(ref("RecommendExample")),
    "strategy": _STRATEGY,
}
_GROUPED: Schemas = {"group_by": ref("PayloadPath"), "limit": at_least(1), "group_size": at_least(1)}
_LOOKUP = {"with_lookup": ref("WithLookupInterface")}
_LIMITED: Schemas = {"limit": at_least(1)}
_EXAMPLE_PAIR: Schema = needs({"positive": ref("RecommendExample"), "negative": ref("RecommendExample")})

LEGACY: Schemas = {
    "NamedVectorStruct": one(
        ref("DenseVector"),
        needs({"name": TEXT, "vector": one(ref("DenseVector"), ref("SparseVector"))}),
    ),
    "RecommendExample": one(ref("ExtendedPointId"), ref("DenseVector"), ref("SparseVector")),
    "SearchRequest": needs({"vector": ref("NamedVectorStruct"), **_LIMITED}, {**_LEGACY, **_PAGED, **_SCORED}),
    "SearchRequestBatch": needs({"searches": array(ref("SearchRequest"))}),
    "SearchGroupsRequest": needs({"vector": ref("NamedVectorStruct"), **_GROUPED}, {**_LEGACY, **_SCORED, **_LOOKUP}),
    "RecommendRequest": needs(_LIMITED, {**_EXAMPLES, **_LEGACY, **_PAGED, **_SCORED, **_LOOKED_UP}),
    "RecommendRequestBatch": needs({"searches": array(ref("RecommendRequest"))}),
    "RecommendGroupsRequest": needs(_GROUPED, {**_EXAMPLES, **_LEGACY, **_SCORED, **_LOOKED_UP, **_LOOKUP}),
    "DiscoverRequest": needs(
        _LIMITED,
        {
            "target": ref("RecommendExample"),
            "context": array(_EXAMPLE_PAIR),
            **_LEGACY,
            **_PAGED,
            **_LOOKED_UP,
        },
    ),
    "DiscoverRequestBatch": needs({"searches": array(ref("DiscoverRequest"))}),
}
