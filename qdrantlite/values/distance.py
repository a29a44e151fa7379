"""Distances and stored datatypes of dense vectors.

Cosine and Dot are larger-is-better inner products (cosine rows are normalised when written); Euclid and Manhattan
report the true distance, smaller is better.
"""

from enum import Enum

import numpy as np


class Distance(Enum):
    """How two vectors are compared; the value is Qdrant's spelling."""

    COSINE = "Cosine"
    EUCLID = "Euclid"
    DOT = "Dot"
    MANHATTAN = "Manhattan"

    @property
    def larger_is_better(self) -> bool:
        """True for similarities, False for the two true distances."""
        return self is Distance.COSINE or self is Distance.DOT


class Datatype(Enum):
    """How a component is stored; the value is Qdrant's spelling. The turbo types are kept as float32."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    UINT8 = "uint8"
    TURBO4 = "turbo4"

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The NumPy dtype of a stored row."""
        match self:
            case Datatype.FLOAT32 | Datatype.TURBO4:
                return np.dtype(np.float32)
            case Datatype.FLOAT16:
                return np.dtype(np.float16)
            case Datatype.UINT8:
                return np.dtype(np.uint8)
