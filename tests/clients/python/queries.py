"""The guides' queries in the words of the Python client: arguments of ``query_points``, by the name of the example.

Two calls of the guides are no longer in the client: ``models.LookupFrom`` is ``models.LookupLocation`` now, and
``models.Match(value=…)`` is ``models.MatchValue``.
"""

from collections.abc import Mapping
from typing import Any

from qdrant_client import models

KNOWN = "43cf51e2-8777-4f52-bc74-c2cbde0c8b04"
BYTES: list[float] = [1, 23, 45, 67]
TOKENS = [[0.1, 0.2], [0.2, 0.1], [0.8, 0.9]]
PAIRS = [models.ContextPair(positive=1, negative=2), models.ContextPair(positive=8, negative=9)]

_DOT3 = models.VectorParams(size=3, distance=models.Distance.DOT)
_DOT4 = models.VectorParams(size=4, distance=models.Distance.DOT)
_WIDE = models.VectorParams(size=512, distance=models.Distance.DOT)
_BYTES = models.VectorParams(size=4, distance=models.Distance.DOT, datatype=models.Datatype.UINT8)
_TOKENS = models.VectorParams(
    size=2,
    distance=models.Distance.DOT,
    multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
)
COLLECTIONS: Mapping[str, Mapping[str, Any]] = {
    "another_collection": {"vectors_config": {"image-512": _WIDE, "thumbnail": _DOT3}},
    "articles": {
        "vectors_config": {
            "": _DOT3,
            "dense": models.VectorParams(size=3, distance=models.Distance.COSINE),
            "full": _DOT4,
            "mrl_byte": _BYTES,
            "colbert": _TOKENS,
            "512d-vector": _WIDE,
        },
        "sparse_vectors_config": {"sparse": models.SparseVectorParams()},
    },
    "stages": {"vectors_config": {"": _DOT4, "full": _DOT3, "mrl_byte": _BYTES, "colbert": _TOKENS}},
}


def _sparse_and_dense() -> list[models.Prefetch]:
    return [
        models.Prefetch(query=models.SparseVector(indices=[1, 42], values=[0.22, 0.8]), using="sparse", limit=20),
        models.Prefetch(query=[0.01, 0.45, 0.67], using="dense", limit=20),
    ]


def _colored(color: str) -> models.Prefetch:
    return models.Prefetch(
        query=[0.01, 0.45, 0.67],
        filter=models.Filter(must=models.FieldCondition(key="color", match=models.MatchValue(value=color))),
        limit=10,
    )


QUERIES: Mapping[str, Mapping[str, Any]] = {
    "fuse-rrf": {"prefetch": _sparse_and_dense(), "query": models.FusionQuery(fusion=models.Fusion.RRF)},
    "fuse-dbsf": {"prefetch": _sparse_and_dense(), "query": models.FusionQuery(fusion=models.Fusion.DBSF)},
    "rescore-bytes": {
        "prefetch": models.Prefetch(query=BYTES, using="mrl_byte", limit=1000),
        "query": [0.01, 0.299, 0.45, 0.67],
        "using": "full",
        "limit": 10,
    },
    "rescore-tokens": {
        "prefetch": models.Prefetch(query=[0.01, 0.45, 0.67], limit=100),
        "query": TOKENS,
        "using": "colbert",
        "limit": 10,
    },
    "three-stages": {
        "collection_name": "stages",
        "prefetch": models.Prefetch(
            prefetch=models.Prefetch(query=BYTES, using="mrl_byte", limit=1000),
            query=[0.01, 0.45, 0.67],
            using="full",
            limit=100,
        ),
        "query": TOKENS,
        "using": "colbert",
        "limit": 10,
    },
    "by-id": {"query": KNOWN},
    "by-id-using": {"query": KNOWN, "using": "colbert"},
    "lookup-from": {
        "query": KNOWN,
        "using": "512d-vector",
        "lookup_from": models.LookupLocation(collection="another_collection", vector="image-512"),
    },
    "lookup-mismatch": {
        "query": KNOWN,
        "using": "512d-vector",
        "lookup_from": models.LookupLocation(collection="another_collection", vector="thumbnail"),
    },
    "no-query": {},
    "defaults": {
        "query": [0.01, 0.45, 0.67],
        "using": "",
        "prefetch": [],
        "query_filter": models.Filter(),
        "limit": 10,
        "offset": 0,
        "with_payload": False,
        "with_vectors": False,
        "score_threshold": None,
        "lookup_from": None,
    },
    "nearest": {"query": models.NearestQuery(nearest=[0.01, 0.45, 0.67])},
    "recommend": {"query": models.RecommendQuery(recommend=models.RecommendInput(positive=[1, KNOWN], negative=[2]))},
    "discover": {"query": models.DiscoverQuery(discover=models.DiscoverInput(target=KNOWN, context=PAIRS))},
    "context": {"query": models.ContextQuery(context=PAIRS)},
    "order-by": {"query": models.OrderByQuery(order_by="price")},
    "colors-by-price": {
        "prefetch": [_colored("red"), _colored("green")],
        "query": models.OrderByQuery(order_by="price"),
    },
}
GROUPS: Mapping[str, Any] = {"query": [0.01, 0.45, 0.67], "group_by": "document_id", "limit": 4, "group_size": 2}
