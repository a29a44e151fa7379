"""The built-in sparse model ``qdrant/bm25``: text and options to the indices and values of a sparse vector.

The index of a token is the absolute value of its signed 32-bit MurmurHash3. A document's value is the part of Okapi
BM25 that the document alone decides (``Saturation``); a query's value is 1. How rare a token is, is not known here:
the ``Idf`` modifier of the sparse vector brings it in at query time.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

import mmh3
import numpy as np
from numpy.typing import NDArray

from qdrantlite.errors import BadRequest
from qdrantlite.text.bm25_options import DEFAULT_PARAMS, Bm25Params, read_options
from qdrantlite.text.parameters import TextParams
from qdrantlite.text.tokenizer import CACHED_WORDS, expand_document, expand_query, split_text

MODELS = frozenset({"qdrant/bm25", "bm25"})
"""The names of the model, in lower case."""

SparseArrays = tuple[NDArray[np.uint32], NDArray[np.float32]]
"""Indices, unique and ascending, and their values: ``(n,) uint32`` and ``(n,) float32``."""


@dataclass(frozen=True, slots=True)
class Saturation:
    """What repeated tokens are worth in texts of some length, beside an ``average`` length above 0."""

    k: float
    b: float
    average: float

    def of(self, repeats: NDArray[np.floating], lengths: NDArray[np.floating] | float) -> NDArray[np.floating]:
        """``n (k + 1) / (n + k (1 - b + b len / average))`` of each, in the precision given."""
        base, slope = self.k * (1 - self.b), self.k * self.b / self.average
        return repeats * (self.k + 1) / (repeats + (lengths * slope + base))


def rarity(points: int, having: NDArray[np.floating]) -> NDArray[np.float32]:
    """``ln((points - having + 0.5) / (having + 0.5) + 1)`` of each token that so many points have, ``(n,)``."""
    weights: NDArray[np.float32] = np.log((points - having + 0.5) / (having + 0.5) + 1).astype(np.float32)
    return weights


def check_model(model: str) -> None:
    """Raises: BadRequest: the model is not the built-in one; there is no service for others."""
    if model.lower() not in MODELS:
        raise BadRequest(
            f"InferenceService is not configured: model {model!r} is not available, only 'qdrant/bm25' is built in."
            " Embed with it, or send the vector itself"
        )


def refuse_inference(kind: str) -> NoReturn:
    """Raises: BadRequest: always; ``kind`` is ``image`` or ``object``, for which no model is built in."""
    raise BadRequest(f"InferenceService is not configured: cannot embed an {kind}, send its vector instead")


def embed_document(text: str, options: Mapping[str, object] | None = None) -> SparseArrays:
    """The sparse vector of a text to store. ``options`` are the ``Document``'s, decoded to Python values.

    Raises:
        BadInput: an unknown option, or a value the option cannot have.
    """
    return _embed(text, read_options(options) if options else DEFAULT_PARAMS, query=False)


def embed_query(text: str, options: Mapping[str, object] | None = None) -> SparseArrays:
    """The sparse vector of a text to search for: every token once, with value 1.

    Raises:
        BadInput: an unknown option, or a value the option cannot have.
    """
    return _embed(text, read_options(options) if options else DEFAULT_PARAMS, query=True)


def _embed(text: str, params: Bm25Params, *, query: bool) -> SparseArrays:
    ids_of = _piece_ids(params.text, query=query)
    counts = Counter([token_id for piece in split_text(text, params.text.tokenizer) for token_id in ids_of(piece)])
    indices = np.fromiter(counts.keys(), np.uint32, len(counts))
    order = np.argsort(indices)
    if query:
        return indices[order], np.ones(len(counts), np.float32)
    repeats = np.fromiter(counts.values(), np.float64, len(counts))[order]
    values = Saturation(params.k, params.b, params.avg_len).of(repeats, counts.total())
    return indices[order], values.astype(np.float32)


@lru_cache(maxsize=256)
def _piece_ids(params: TextParams, *, query: bool) -> Callable[[str], tuple[int, ...]]:
    """Piece of a text → indices of its tokens; it remembers its answers, so a frequent word costs one look-up."""
    expand = expand_query(params) if query else expand_document(params)

    @lru_cache(maxsize=CACHED_WORDS)
    def piece_ids(piece: str) -> tuple[int, ...]:
        return tuple(map(token_index, expand(piece)))

    return piece_ids


def token_index(token: str) -> int:
    """The index of a token in the sparse vector: ``abs`` of its signed 32-bit MurmurHash3, seed 0."""
    return abs(mmh3.hash(token, 0, signed=True))
