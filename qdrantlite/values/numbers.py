"""Numbers in the texts of errors, written as Qdrant writes them."""

from math import isinf, isnan

import numpy as np


def spoken_number(number: "float | np.floating") -> str:
    """All digits that the number's own precision needs, without an exponent."""
    if isnan(number):
        return "NaN"
    return f"{number}" if isinf(number) else np.format_float_positional(number, trim="-")
