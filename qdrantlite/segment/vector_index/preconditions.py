"""What FAISS must be given, since it does not refuse what it cannot bear: it aborts, hangs, or throws inside OpenMP.

Every native call on data or settings of a user goes through here first. What was found by trying:

    what                                    without it                            here
    --------------------------------------  ------------------------------------  --------------------------------
    training: rows of finite squares        product codes abort (no centroid is   ``trainable`` leaves such rows
                                            nearest); others learn nothing        out
    training: rows >= centroids             product codes throw                   ``as_many_as`` repeats rows, so
                                                                                  that they become the centroids
    encoding: finite rows, and squares of   codes of 2 and more bits look for     ``tame`` scales such rows down,
    their differences finite                their scale for ever                  and takes what is no number as 0
    links of a node: 2 to a thousand        m = 1 divides by log(1) and crashes;  ``links``
                                            huge ones overflow or fill memory
    candidates when linking: 1 to rows      0 links nothing, 2^31 overflows       ``construction_beam``
    beam of a walk: 1 to rows, even         2^31 overflows; room for all is made; ``beam``, ``even``
                                            1 + layers x components x beam = 0
                                            (also modulo 2^32) divides by it
    a graph walked: has a node to begin at  the same division, for layers = -1    nothing is found in it
    rows linked: squares of their           distances of infinity or NaN break    ``are_tame``; all others are
    differences finite                      the order of a beam                   compared exactly
    rows held as floats at a time           4,096 of 65,536 components are 1 GB   ``batch_rows``, ``training_rows``
    row numbers within the rows             read beyond their end                 asserted where they are made; of
                                                                                  files, checked when loaded

Pure functions. They change nothing for ordinary data.
"""

from math import ceil

import numpy as np
import numpy.typing as npt

from qdrantlite.values.vector import F32

LENGTH_MAX = 1e16
"""Of a row that is encoded: its square, and sums of ten thousand such, are far below the end of float32, 3.4e38."""

LINKS_MIN, LINKS_MAX = 2, 1000
BATCH_ROWS = 4096
BATCH_COMPONENTS = 1 << 20
"""Rows, and components of rows, held as floats at a time: 4 MiB, and a second or so of linking them."""

TRAINING_COMPONENTS = 1 << 25
"""Components that anything is learned from at most: 128 MiB."""


def links(wanted: int) -> int:
    """Links of a node for a setting of ``m``; Qdrant, too, makes no graph with fewer than two."""
    return min(max(wanted, LINKS_MIN), LINKS_MAX)


def construction_beam(wanted: int, rows: int) -> int:
    """Candidates looked at for linking one of ``rows`` rows."""
    return max(1, min(wanted, rows))


def beam(wanted: int, limit: int, rows: int) -> int:
    """Beam of a walk over ``rows`` rows, at least one, that is to find ``limit`` of them."""
    return min(max(wanted, limit, 1), rows)


def even(reach: int) -> int:
    """A beam for FAISS, which divides by layers times components times beam plus one."""
    return reach + reach % 2


def oversampled(limit: int, factor: float, rows: int) -> int:
    """``limit`` times ``factor`` candidates, at least ``limit`` and at most ``rows``, whatever the factor."""
    wanted = limit * factor
    return max(min(limit, rows), ceil(wanted)) if wanted < rows else rows


def batch_rows(dim: int) -> int:
    """Rows of ``dim`` components to hold as floats at a time."""
    return max(1, min(BATCH_ROWS, BATCH_COMPONENTS // dim))


def training_rows(most: int, dim: int) -> int:
    """Rows of ``dim`` components to learn from, where ``most`` would be enough."""
    return max(1, min(most, TRAINING_COMPONENTS // dim))


def tame(floats: F32) -> F32:
    """Rows ``(n, dim)`` that FAISS can encode: those too long are scaled down, components that are no number are 0.

    Returns ``floats`` itself where nothing had to change.
    """
    wild = _wild(floats)
    if not wild.any():
        return floats
    tamed = np.array(floats)
    rows = np.nan_to_num(floats[wild].astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    tamed[wild] = rows * (LENGTH_MAX / np.maximum(lengths, LENGTH_MAX))[:, np.newaxis]
    return tamed


def trainable(floats: F32) -> F32:
    """Those of the rows ``(n, dim)``, at least one, that something can be learned from; without any, all, tamed."""
    wild = _wild(floats)
    if wild.all():
        return tame(floats)
    return floats[~wild] if wild.any() else floats


def as_many_as(floats: F32, count: int) -> F32:
    """The rows ``(n, dim)``, repeated in order up to ``count`` where there are fewer."""
    return floats if len(floats) >= count else np.resize(floats, (count, floats.shape[1]))


def are_tame(squares: F32) -> npt.NDArray[np.bool_]:
    """Which rows are numbers and short enough, by their squared norms ``(n,)``."""
    tame_rows: npt.NDArray[np.bool_] = squares <= np.float32(LENGTH_MAX) ** 2
    return tame_rows


def _wild(floats: F32) -> npt.NDArray[np.bool_]:
    with np.errstate(over="ignore", invalid="ignore"):
        return ~are_tame(np.einsum("ij,ij->i", floats, floats))
