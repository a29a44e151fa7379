"""Hypothesis strategies for writes over few ids, so that they meet often; some requests must be refused."""

from collections.abc import Mapping
from functools import cache

import numpy as np
from hypothesis import strategies as st

from qdrantlite.query import operation as o
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.payload import EVERY, Path
from qdrantlite.values.point_id import PointId
from qdrantlite.values.schema import (
    CollectionConfig,
    FieldIndex,
    FieldKind,
    FieldParams,
    Modifier,
    SparseVectorParams,
    VectorParams,
)
from qdrantlite.values.vector import DenseVector, Vector
from tests.strategies import DIMENSION, NUMBER_KEY, TEXT_INDEX, TEXT_KEY, UUIDS, filters, payloads, vectors

IDF = "idf"
EXTRA_DENSE, EXTRA_SPARSE = "extra", "extra_sparse"
EXTRAS: Mapping[str, VectorParams | SparseVectorParams] = {
    EXTRA_DENSE: VectorParams(DIMENSION, Distance.MANHATTAN),
    "extra_multi": VectorParams(DIMENSION, Distance.EUCLID, multivector=True),
    EXTRA_SPARSE: SparseVectorParams(),
}
"""Vectors that are made and dropped while the collection lives."""
CONFIG = CollectionConfig(
    vectors={
        "": VectorParams(DIMENSION, Distance.EUCLID),
        "dense": VectorParams(DIMENSION, Distance.COSINE),
        "bytes": VectorParams(DIMENSION, Distance.DOT, datatype=Datatype.UINT8),
        "half": VectorParams(DIMENSION, Distance.MANHATTAN, datatype=Datatype.FLOAT16),
        "multi": VectorParams(DIMENSION, Distance.DOT, multivector=True),
    },
    sparse_vectors={"sparse": SparseVectorParams(), IDF: SparseVectorParams(modifier=Modifier.IDF)},
)
INDEXES: Mapping[str, tuple[FieldIndex, ...]] = {
    "color": (FieldIndex(FieldKind.KEYWORD), FieldIndex(FieldKind.KEYWORD, FieldParams(is_tenant=True))),
    NUMBER_KEY: (FieldIndex(FieldKind.INTEGER), FieldIndex(FieldKind.FLOAT)),
    "price": (FieldIndex(FieldKind.FLOAT),),
    "flag": (FieldIndex(FieldKind.BOOL),),
    TEXT_KEY: (TEXT_INDEX, FieldIndex(FieldKind.TEXT)),
    f"parts[].{NUMBER_KEY}": (FieldIndex(FieldKind.INTEGER),),
}
"""Payload indexes that agree with unindexed fields on all values that are written."""
FEW_IDS: tuple[PointId, ...] = (*range(7), 2**64 - 1, UUIDS[0])


@cache
def few_ids() -> st.SearchStrategy[PointId]:
    """Nine ids, of both kinds."""
    return st.sampled_from(FEW_IDS)


@cache
def _named(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Vector]]:
    everything = CollectionConfig(
        vectors={**CONFIG.vectors, **{n: p for n, p in EXTRAS.items() if isinstance(p, VectorParams)}},
        sparse_vectors={
            **CONFIG.sparse_vectors,
            **{n: p for n, p in EXTRAS.items() if isinstance(p, SparseVectorParams)},
        },
    )
    return st.fixed_dictionaries({}, optional={name: vectors(everything, name) for name in names})


@cache
def operations(names: tuple[str, ...]) -> st.SearchStrategy[o.Operation]:
    """Every kind of write on a collection that has these vector names."""
    points = st.lists(st.builds(o.PointWrite, few_ids(), _named(names), payloads()), max_size=5).map(tuple)
    writes = st.lists(st.builds(o.VectorsWrite, few_ids(), _named(names)), min_size=1, max_size=3).map(tuple)
    some_filter = st.one_of(st.none(), filters())
    chosen = selections()
    upserts = st.builds(o.Upsert, points, st.sampled_from(o.UpdateMode), some_filter)
    deleted = st.one_of(_paths(), st.sampled_from([("color",), (NUMBER_KEY,)]))
    both = st.builds(o.Selector, _id_lists(), filters())
    dropped = st.lists(st.sampled_from(names), min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(o.Upsert, points),
        st.builds(o.Upsert, points),
        upserts,
        st.builds(o.DeletePoints, chosen),
        st.builds(o.UpdateVectors, writes, some_filter),
        st.builds(o.DeleteVectors, st.one_of(chosen, both), dropped),
        st.builds(o.SetPayload, payloads(), chosen, st.one_of(st.none(), _paths())),
        st.builds(o.SetPayload, st.just({"color": None, NUMBER_KEY: 3}), chosen),
        st.builds(o.OverwritePayload, payloads(), chosen),
        st.builds(o.DeletePayload, st.lists(deleted, min_size=1, max_size=2).map(tuple), chosen),
        st.builds(o.ClearPayload, chosen),
    )


@cache
def first_points() -> st.SearchStrategy[o.Upsert]:
    """A point of every id, so that few writes are refused for a missing one."""
    names = (*CONFIG.vectors, *CONFIG.sparse_vectors)
    points = [st.builds(o.PointWrite, st.just(point_id), _named(names), payloads()) for point_id in FEW_IDS]
    return st.tuples(*points).map(o.Upsert)


@cache
def broken_operations() -> st.SearchStrategy[o.Operation]:
    """Writes that no collection may accept."""
    long = DenseVector(np.zeros(DIMENSION + 1, dtype=np.float32))
    fine = DenseVector(np.zeros(DIMENSION, dtype=np.float32))
    someone = o.Selector(ids=(404,))
    broken: list[o.Operation] = [
        o.Upsert((o.PointWrite(0, {"dense": fine}, {}), o.PointWrite(1, {"dense": long}, {}))),
        o.Upsert((o.PointWrite(0, {"nobody": fine}, {}),)),
        o.UpdateVectors((o.VectorsWrite(404, {"dense": fine}),)),
        o.DeleteVectors(o.Selector(ids=()), ("nobody",)),
        o.DeleteVectors(someone, ("dense",)),
        o.SetPayload({"color": "red"}, someone),
        o.OverwritePayload({}, o.Selector(ids=(0, 404))),
        o.DeletePayload((("color",),), someone),
        o.ClearPayload(someone),
    ]
    return st.sampled_from(broken)


@cache
def selections() -> st.SearchStrategy[o.Selector]:
    """Points by id or by filter."""
    return st.one_of(
        st.builds(o.Selector, ids=_id_lists()),
        st.builds(o.Selector, filter=filters()),
    )


def _id_lists() -> st.SearchStrategy[tuple[PointId, ...]]:
    return st.lists(few_ids(), min_size=1, max_size=3).map(tuple)


def _paths() -> st.SearchStrategy[Path]:
    paths: list[Path] = [("parts", EVERY), ("parts", 0), ("parts", 0, "inner"), ("deep", "er"), ("deep",)]
    return st.sampled_from([*paths, ("parts", EVERY, "color"), ("parts",), ("parts", 5), ("absent", EVERY)])
