"""What an answer may be made of: JSON, and NumPy values in it."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Answer: TypeAlias = (
    "bool | int | float | str | np.float32 | NDArray[Any] | Sequence[Answer] | Mapping[str, Answer] | None"
)
