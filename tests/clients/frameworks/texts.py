"""What the frameworks store and ask: texts, and embeddings that are small functions of their words.

Programs run where only their framework is installed, so this needs nothing but Python.
"""

import json
import math
import uuid
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

DIM = 16
SPARSE_DIM = 100_003
QUERY = "iced green tea with lemon"
SECOND_QUERY = "dark coffee beans"
LIMIT = 4


@dataclass(frozen=True, slots=True)
class Text:
    """A text, and what is kept beside it."""

    id: str
    text: str
    kind: str
    price: int


def _texts(*rows: tuple[str, str, int]) -> tuple[Text, ...]:
    return tuple(Text(str(uuid.UUID(int=number)), *row) for number, row in enumerate(rows, 1))


TEXTS = _texts(
    ("green tea grown on misty hills", "tea", 12),
    ("black tea with milk and sugar", "tea", 5),
    ("dark coffee roasted over wood", "coffee", 9),
    ("coffee beans from the green hills of the south", "coffee", 14),
    ("hot chocolate with cream", "cocoa", 6),
    ("iced tea with lemon from the garden", "tea", 4),
    ("espresso from dark beans", "coffee", 3),
    ("white tea from the oldest garden in the hills", "tea", 20),
)


def dense(text: str) -> list[float]:
    """Words counted by their checksums, scaled to length 1; ``DIM`` components."""
    counts = [0.01 * (place + 1) for place in range(DIM)]
    for word in text.split():
        counts[zlib.crc32(word.encode()) % DIM] += 1 + len(word) / 10
    norm = math.sqrt(sum(count * count for count in counts))
    return [count / norm for count in counts]


def sparse(text: str) -> tuple[list[int], list[float]]:
    """Words counted: indices below ``SPARSE_DIM``, ascending, and weights that tell words of other lengths apart."""
    counts = Counter(text.split())
    weights = {zlib.crc32(word.encode()) % SPARSE_DIM: count * (1 + len(word) / 7) for word, count in counts.items()}
    return sorted(weights), [weights[index] for index in sorted(weights)]


def show(example: str, hits: Iterable[tuple[str, float]]) -> None:
    """Prints an answer; a hit is a text and its score."""
    print(json.dumps({"example": example, "hits": [[text, score] for text, score in hits]}), flush=True)


def show_error(example: str, error: Exception) -> None:
    """Prints an error with what led to it: frameworks wrap what the client says."""
    said = f"{error} {error.__cause__ or ''}"
    print(json.dumps({"example": example, "error": said}), flush=True)
