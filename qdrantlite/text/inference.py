"""From what a user sent for a vector to the vector itself: texts are embedded, everything else passes through.

The built-in BM25 model weighs a stored text and a queried one differently, hence two functions.
"""

from collections.abc import Callable, Mapping
from typing import assert_never

from qdrantlite.text.bm25 import SparseArrays, check_model, embed_document, embed_query, refuse_inference
from qdrantlite.values.vector import (
    DenseVector,
    Document,
    InferenceInput,
    MultiVector,
    SparseVector,
    Vector,
    VectorSource,
)

Embed = Callable[[str, Mapping[str, object]], SparseArrays]


def embed_stored(source: VectorSource) -> Vector:
    """The vector to store. Raises InvalidRequest for a model this server does not have."""
    return _embedded(source, embed_document)


def embed_queried(source: VectorSource) -> Vector:
    """The vector to search with. Raises InvalidRequest for a model this server does not have."""
    return _embedded(source, embed_query)


def _embedded(source: VectorSource, embed: Embed) -> Vector:
    match source:
        case DenseVector() | SparseVector() | MultiVector():
            return source
        case Document(text, model, options):
            check_model(model)
            return SparseVector(*embed(text, options))
        case InferenceInput(kind):
            refuse_inference(kind)
            raise AssertionError("refuse_inference returned")
        case _:
            assert_never(source)
