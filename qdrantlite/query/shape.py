"""The shape of a search: all of it that its plan follows from, beside the state of a shard.

Searches of one shape differ in the vectors that they name and in nothing else. Pure.
"""

from typing import TypeAlias

from qdrantlite.query.search import (
    PREFETCH_DEPTH_MAX,
    Context,
    Discover,
    Fusion,
    Nearest,
    Prefetch,
    Query,
    Recommend,
    RelevanceFeedback,
    Search,
    VectorInput,
)
from qdrantlite.values.point_id import PointId

Parts: TypeAlias = tuple[object, ...]


class Shape:
    """Equal to those of searches that are alike. Its hash is found once: filters may be long."""

    __slots__ = ("_hash", "_parts")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._hash = hash(parts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shape) and self._parts == other._parts


def shape_of(search: Search) -> Shape | None:
    """None for a search that names ids, or asks for anything but vectors and their fusion: it is like no other."""
    stage = _shape_of(search.stage, 0)
    return None if stage is None else Shape((stage, search.offset, search.with_vectors))


def _shape_of(stage: Prefetch, depth: int) -> Parts | None:
    asked = _asked(stage.query)
    if asked is None or stage.params.idf_corpus is not None or depth > PREFETCH_DEPTH_MAX:
        return None
    below: list[Parts] = []
    for child in stage.prefetch:
        found = _shape_of(child, depth + 1)
        if found is None:
            return None
        below.append(found)
    return asked, stage.using, stage.filter, stage.params, stage.score_threshold, stage.limit, *below


def _asked(query: Query | None) -> Parts | None:
    """The kind of a query and how many vectors are in it."""
    match query:
        case Nearest(given):
            return None if isinstance(given, PointId) else (Nearest, 1)
        case Recommend(positive, negative, strategy):
            return _counting((strategy, len(positive)), *positive, *negative)
        case Discover(target, pairs):
            return _counting(Discover, target, *[each for pair in pairs for each in (pair.positive, pair.negative)])
        case Context(pairs):
            return _counting(Context, *[each for pair in pairs for each in (pair.positive, pair.negative)])
        case RelevanceFeedback(target, feedback):
            return _counting(RelevanceFeedback, target, *[item.example for item in feedback])
        case Fusion():
            return (query,)
        case _:
            return None


def _counting(kind: object, *inputs: VectorInput) -> Parts | None:
    return None if any(isinstance(given, PointId) for given in inputs) else (kind, len(inputs))
