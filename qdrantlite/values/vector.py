"""Vectors as they travel: a dense row, a sparse pair of arrays, or a matrix of rows (multivector)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

F32: TypeAlias = NDArray[np.float32]
U32: TypeAlias = NDArray[np.uint32]

DEFAULT_VECTOR = ""


@dataclass(frozen=True, slots=True, eq=False)
class SparseVector:
    """Indices ascending and unique, ``(n,) uint32``; weights ``(n,) float32`` in the same order."""

    indices: U32
    weights: F32

    def __post_init__(self) -> None:
        assert self.indices.shape == self.weights.shape
        self.indices.setflags(write=False)
        self.weights.setflags(write=False)

    @staticmethod
    def from_unsorted(indices: U32, weights: F32) -> "SparseVector":
        """Sorts by index; the caller has checked lengths and uniqueness."""
        order = np.argsort(indices, kind="stable")
        return SparseVector(indices[order].astype(np.uint32, copy=False), weights[order].astype(np.float32, copy=False))


@dataclass(frozen=True, slots=True, eq=False)
class DenseVector:
    """One row, ``(dim,) float32``, as the user gave it (not normalised)."""

    values: F32

    def __post_init__(self) -> None:
        assert self.values.ndim == 1
        self.values.setflags(write=False)


@dataclass(frozen=True, slots=True, eq=False)
class MultiVector:
    """Several rows compared by MaxSim, ``(rows, dim) float32``, at least one."""

    rows: F32

    def __post_init__(self) -> None:
        assert self.rows.ndim == 2
        self.rows.setflags(write=False)


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """Text to be embedded by the server; only the built-in BM25 model exists. ``options`` are its own JSON."""

    text: str
    model: str
    options: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class InferenceInput:
    """An image or object for a model this server does not have; kept so that the refusal names the model."""

    kind: str
    model: str


Vector: TypeAlias = DenseVector | SparseVector | MultiVector
VectorSource: TypeAlias = Vector | Document | InferenceInput
NamedVectors: TypeAlias = Mapping[str, VectorSource]
