"""The pieces of a dumped index: named bytes and arrays, as checkpoint files hold them."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from pyroaring import AbstractBitMap, BitMap

Part = tuple[str, bytes | npt.NDArray[np.generic]]
Parts = Mapping[str, bytes | npt.NDArray[np.generic]]


def array_of(parts: Parts, name: str) -> npt.NDArray[np.generic]:
    """The array of this name. Raises KeyError."""
    found = parts[name]
    assert isinstance(found, np.ndarray)
    return found


def bytes_of(parts: Parts, name: str) -> bytes:
    """The bytes of this name. Raises KeyError."""
    found = parts[name]
    assert isinstance(found, bytes)
    return found


def bitmap_part(name: str, bitmap: AbstractBitMap) -> Part:
    """A bitmap in its portable serialised form, runs as runs: most points have a value."""
    packed = BitMap(bitmap)
    packed.run_optimize()
    return name, packed.serialize()


def bitmap_from(parts: Parts, name: str) -> BitMap:
    """The bitmap of this name. Raises KeyError."""
    return BitMap.deserialize(bytes_of(parts, name))
