"""Custom scores: what a point is worth by its similarities to several examples; cargo of the bound tree.

A similarity is larger for what is nearer, whatever the distance: the inner product, minus the squared distance, minus
the sum of differences. Larger scores are better, always. Examples come in the order that the scorer names.
Knows no rows and computes no similarity.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from qdrantlite.errors import BadInput
from qdrantlite.values.vector import F32, SparseVector


@dataclass(frozen=True, slots=True, eq=False)
class DenseExamples:
    """``vectors`` ``(e, dim) float32``, prepared as the stored rows expect them."""

    vectors: F32

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, slots=True, eq=False)
class SparseExamples:
    """Sparse vectors, their weights multiplied by IDF where the field asks for it."""

    vectors: tuple[SparseVector, ...]

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, slots=True, eq=False)
class MultiExamples:
    """The rows of each example, ``(rows, dim) float32``, prepared as the stored rows expect them."""

    vectors: tuple[F32, ...]

    def __len__(self) -> int:
        return len(self.vectors)


Examples: TypeAlias = DenseExamples | SparseExamples | MultiExamples


@dataclass(frozen=True, slots=True)
class BestScore:
    """Positives, then negatives: the best similarity to a positive, unless a negative is as similar."""

    positives: int


@dataclass(frozen=True, slots=True, eq=False)
class WeightedSum:
    """The sum of the similarities, each times its weight ``(e,) float32``."""

    weights: F32


@dataclass(frozen=True, slots=True)
class PairRanks:
    """A positive and a negative for each pair, then the target: how many pairs are met more than not, then how near."""

    pairs: int


@dataclass(frozen=True, slots=True)
class PairLosses:
    """A positive and a negative for each pair: what each pair lacks of being met. 0 is the best there is."""

    pairs: int


Scorer: TypeAlias = BestScore | WeightedSum | PairRanks | PairLosses


@dataclass(frozen=True, slots=True, eq=False)
class CustomScore:
    """Points with the largest scores.

    ``larger_is_better`` is the direction of the field's distance, in which a threshold is compared (see
    ``execute.custom.passing_custom_threshold``).
    """

    examples: Examples
    scorer: Scorer
    larger_is_better: bool

    @property
    def details(self) -> str:
        """For ``explain``."""
        return f"{type(self.scorer).__name__} examples={len(self.examples)}"


CONFIDENCES_MAX = 4096
"""Different confidences of one feedback: every two of them make a pair."""
_PAIRS_BLOCK = 256


def feedback_weights(confidences: F32, a: float, b: float, c: float) -> F32:
    """The score of relevance feedback as a weighted sum: weights ``(1 + n,) float32``, the target's first.

    Of ``n`` examples with ``confidences`` ``(n,)``, each pair that differs by ``g > 0`` adds ``g ** b * c`` times the
    similarity of the surer one, less that of the other. Raises BadInput for too many different confidences.
    """
    levels, places, counts = np.unique(confidences.astype(np.float64), return_inverse=True, return_counts=True)
    if len(levels) > CONFIDENCES_MAX:
        raise BadInput(f"Validation failed: feedback has {len(levels)} different scores, at most {CONFIDENCES_MAX}")
    weights = np.zeros(len(levels), dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        for at in range(0, len(levels), _PAIRS_BLOCK):
            block = slice(at, at + _PAIRS_BLOCK)
            gaps = levels[block, np.newaxis] - levels
            shares = np.where(gaps > 0, np.abs(gaps) ** b, 0.0)
            weights[block] += shares @ counts
            weights -= counts[block] @ shares
        return np.concatenate([[a], c * weights[places]]).astype(np.float32)
