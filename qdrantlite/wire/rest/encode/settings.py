"""A collection's settings: the inverse of ``decode/settings.py``, what is None left out."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import assert_never

from qdrantlite.values.schema import (
    BinaryQuantization,
    FieldIndex,
    FieldKind,
    FieldParams,
    OptimizersConfig,
    ProductQuantization,
    Quantization,
    ScalarQuantization,
    SparseVectorParams,
    Stemmer,
    Stopwords,
    StrictMode,
    TurboQuantization,
    VectorParams,
)
from qdrantlite.wire.checked.settings import INDEX_PARAMS
from qdrantlite.wire.rest.encode.answer import Answer

NULLS = ("max_segment_size", "memmap_threshold", "max_optimization_threads")
"""Settings of optimizers that are written as null when they are not given."""


def encode_given(settings: object) -> dict[str, Answer]:
    """The fields of a dataclass of plain values and enums that are not None."""
    assert is_dataclass(settings)
    return {
        field.name: _plain(value) for field in fields(settings) if (value := getattr(settings, field.name)) is not None
    }


def _plain(value: object) -> Answer:
    if isinstance(value, Enum):
        spelled: str = value.value
        return spelled
    assert isinstance(value, bool | int | float | str)
    return value


def encode_optimizers(settings: OptimizersConfig) -> Answer:
    """Threads chosen by the server are written as null, as those not given."""
    answer = {**dict.fromkeys(NULLS), **encode_given(settings)}
    if answer["max_optimization_threads"] == "auto":
        answer["max_optimization_threads"] = None
    return answer


def encode_strict_mode(settings: StrictMode) -> Answer:
    """Limits that are given."""
    named = {"multivector_config": "max_vectors", "sparse_config": "max_length"}
    answer: dict[str, Answer] = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, Mapping):
            answer[field.name] = {
                name: {} if limit is None else {named[field.name]: limit} for name, limit in value.items()
            }
        elif value is not None:
            answer[field.name] = _plain(value)
    return answer


def encode_quantization(settings: Quantization) -> Answer:
    """An object with one member, the kind."""
    match settings:
        case ScalarQuantization():
            return {"scalar": {"type": "int8", **encode_given(settings)}}
        case ProductQuantization():
            return {"product": encode_given(settings)}
        case BinaryQuantization():
            return {"binary": encode_given(settings)}
        case TurboQuantization():
            return {"turbo": encode_given(settings)}
        case _:
            assert_never(settings)


def encode_vector_params(settings: VectorParams) -> Answer:
    """One dense vector."""
    answer: dict[str, Answer] = {"size": settings.size, "distance": settings.distance.value}
    if settings.hnsw_config is not None:
        answer["hnsw_config"] = encode_given(settings.hnsw_config)
    if settings.quantization_config is not None:
        answer["quantization_config"] = encode_quantization(settings.quantization_config)
    if settings.on_disk is not None:
        answer["on_disk"] = settings.on_disk
    if settings.datatype is not None:
        answer["datatype"] = settings.datatype.value
    if settings.multivector:
        answer["multivector_config"] = {"comparator": "max_sim"}
    if settings.memory is not None:
        answer["memory"] = settings.memory.value
    return answer


def encode_sparse_params(settings: SparseVectorParams) -> Answer:
    """One sparse vector."""
    answer: dict[str, Answer] = {}
    if settings.index is not None:
        answer["index"] = encode_given(settings.index)
    if settings.modifier is not None:
        answer["modifier"] = settings.modifier.value
    return answer


def encode_field(index: FieldIndex, points: int) -> Answer:
    """A payload index; parameters only if it was made with some."""
    answer: dict[str, Answer] = {"data_type": index.kind.value}
    if index.params is not None:
        answer["params"] = _encode_params(index.kind, index.params)
    return {**answer, "points": points}


def _encode_params(kind: FieldKind, params: FieldParams) -> Answer:
    answer: dict[str, Answer] = {"type": kind.value}
    for name in INDEX_PARAMS[kind]:
        value = getattr(params, name)
        match value:
            case None:
                pass
            case Stopwords((language,), alone=True):
                answer[name] = language
            case Stopwords(languages, custom):
                answer[name] = {"languages": languages, "custom": custom}
            case Stemmer(None):
                answer[name] = {"type": "none"}
            case Stemmer(language):
                answer[name] = {"type": "snowball", "language": language}
            case _ if name == "scoring":
                answer[name] = {"type": value}
            case _:
                answer[name] = _plain(value)
    return answer
