"""What is asked: every example of Qdrant's two guides to hybrid and multi-stage queries, and what each must answer.

The guides are ``v1.10``, all HTTP, and ``current``, HTTP and seven languages. Where a snippet asks something else in
one language than in the others (Go leaves out limits, which are 10 then), that language has an answer of its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

import numpy as np

from qdrantlite.query import filter as f
from qdrantlite.query import search as s
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector
from tests.clients.dataset import ARTICLES, KNOWN, OTHERS, STAGES
from tests.oracle import Hit, Oracle
from tests.oracle_filter import Point

Hits = list[tuple[int | str, float]]


@dataclass(frozen=True, slots=True)
class Ranked:
    """An answer of scored points, best first."""

    hits: Hits


@dataclass(frozen=True, slots=True)
class Grouped:
    """An answer of groups, best first."""

    groups: list[tuple[str, Hits]]


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer that is an error whose text contains ``text``."""

    text: str


Answer = Ranked | Grouped | Refused


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One query of the guides.

    ``sections`` are those that show it. ``dialects`` holds what other languages' snippets ask, by the language;
    ``refused`` is the text of the error where the guide says that there is one.
    """

    name: str
    sections: tuple[str, ...]
    search: s.Search | s.GroupSearch
    collection: str = ARTICLES
    dialects: Mapping[str, "Example"] = field(default_factory=dict)
    refused: str | None = None


FUSING, HYBRID = "v1.10: Fusing related results", "current: Hybrid Search"
RESCORING = ("v1.10: Re-scoring examples", "current: Re-scoring examples")
BY_ID = ("v1.10: Query by ID", "current: Query by ID")
DEFAULTS, KINDS = ("v1.10: Sane defaults",), ("v1.10: All kinds of queries",)
PAYLOAD, GROUPING = ("current: Re-ranking with payload values",), ("current: Grouping",)


def _dense(*values: float) -> s.Nearest:
    return s.Nearest(DenseVector(np.array(values, dtype=np.float32)))


THREE, FOUR, BYTES = _dense(0.01, 0.45, 0.67), _dense(0.01, 0.299, 0.45, 0.67), _dense(1, 23, 45, 67)
TOKENS = s.Nearest(MultiVector(np.array([[0.1, 0.2], [0.2, 0.1], [0.8, 0.9]], dtype=np.float32)))
WORDS = s.Nearest(SparseVector(np.array([1, 42], dtype=np.uint32), np.array([0.22, 0.8], dtype=np.float32)))
KNOWN_ID = UUID(KNOWN)
PAIRS = (s.ContextPair(1, 2), s.ContextPair(8, 9))


def _asked(
    query: s.Query | None, *prefetch: s.Prefetch, using: str = "", lookup: s.LookupFrom | None = None
) -> s.Search:
    return s.Search(s.Prefetch(prefetch=prefetch, query=query, using=using, lookup_from=lookup))


def _hybrid(kind: s.FusionKind, limit: int) -> s.Search:
    words = s.Prefetch(query=WORDS, using="sparse", limit=limit)
    return _asked(s.Fusion(kind), words, s.Prefetch(query=THREE, using="dense", limit=limit))


def _colored(color: str) -> s.Prefetch:
    condition = f.FieldCondition("color", f.MatchKeyword(color))
    return s.Prefetch(query=THREE, filter=f.Filter(must=(condition,)), limit=10)


def _groups(limit: int) -> s.GroupSearch:
    return s.GroupSearch(s.Search(s.Prefetch(query=THREE, limit=limit)), "document_id", group_size=2)


def _in_go(name: str, search: s.Search | s.GroupSearch) -> Mapping[str, Example]:
    return {"go": Example(name, (), search)}


CANDIDATES = s.Prefetch(query=BYTES, using="mrl_byte", limit=1000)
TOKENS_OF_FOUR = Example(
    "rescore-tokens", (), _asked(TOKENS, s.Prefetch(query=BYTES, limit=100), using="colbert"), STAGES
)
EXAMPLES: tuple[Example, ...] = (
    Example(
        "fuse-rrf",
        (FUSING, HYBRID),
        _hybrid(s.FusionKind.RRF, 20),
        dialects=_in_go("fuse-rrf", _hybrid(s.FusionKind.RRF, 10)),
    ),
    Example(
        "fuse-dbsf",
        (HYBRID,),
        _hybrid(s.FusionKind.DBSF, 20),
        dialects=_in_go("fuse-dbsf", _hybrid(s.FusionKind.DBSF, 10)),
    ),
    Example("rescore-bytes", RESCORING, _asked(FOUR, CANDIDATES, using="full")),
    Example(
        "rescore-tokens",
        RESCORING,
        _asked(TOKENS, s.Prefetch(query=THREE, limit=100), using="colbert"),
        dialects={"typescript": TOKENS_OF_FOUR},
    ),
    Example(
        "three-stages",
        RESCORING,
        _asked(TOKENS, s.Prefetch((CANDIDATES,), THREE, using="full", limit=100), using="colbert"),
        STAGES,
    ),
    Example("by-id", BY_ID, _asked(s.Nearest(KNOWN_ID))),
    Example("by-id-using", BY_ID, _asked(s.Nearest(KNOWN_ID), using="colbert")),
    Example(
        "lookup-from",
        BY_ID,
        _asked(s.Nearest(KNOWN_ID), using="512d-vector", lookup=s.LookupFrom(OTHERS, "image-512")),
    ),
    Example(
        "lookup-mismatch",
        BY_ID,
        _asked(s.Nearest(KNOWN_ID), using="512d-vector", lookup=s.LookupFrom(OTHERS, "thumbnail")),
        refused="Vector dimension error: expected dim: 512, got 3",
    ),
    Example("no-query", DEFAULTS, _asked(None)),
    Example("defaults", DEFAULTS, _asked(THREE)),
    Example("nearest", KINDS, _asked(THREE)),
    Example("recommend", KINDS, _asked(s.Recommend((1, KNOWN_ID), (2,)))),
    Example("discover", KINDS, _asked(s.Discover(KNOWN_ID, PAIRS))),
    Example("context", KINDS, _asked(s.Context(PAIRS))),
    Example("order-by", KINDS, _asked(s.OrderBy("price"))),
    Example("colors-by-price", PAYLOAD, _asked(s.OrderBy("price"), _colored("red"), _colored("green"))),
    Example("groups", GROUPING, _groups(4), dialects=_in_go("groups", _groups(10))),
)

WAITING: Mapping[str, str] = {}
"""Examples that the server refuses as not implemented, and what they wait for. One that is answered must leave."""


def answers(oracles: Mapping[str, Oracle], dialect: str) -> dict[str, Answer]:
    """What a client must see whose snippets are written in ``dialect``; examples that wait are left out."""
    asked = (example.dialects.get(dialect, example) for example in EXAMPLES if example.name not in WAITING)
    return {each.name: _answer(oracles[each.collection], each) for each in asked}


def unlimited(example: Example) -> Example:
    """The same with prefetches that keep everything; its answer differs, or the limits say nothing."""
    stage = searched(example).stage
    return replace(example, search=s.Search(replace(stage, prefetch=tuple(_everything(p) for p in stage.prefetch))))


def searched(example: Example) -> s.Search:
    """Its search; not for groups."""
    assert isinstance(example.search, s.Search)
    return example.search


def _everything(node: s.Prefetch) -> s.Prefetch:
    return replace(node, prefetch=tuple(_everything(each) for each in node.prefetch), limit=1 << 30)


def _answer(oracle: Oracle, example: Example) -> Answer:
    if example.refused is not None:
        return Refused(example.refused)
    match example.search:
        case s.GroupSearch() as groups:
            return Grouped(_grouped(oracle, groups))
        case s.Search() as search:
            return Ranked(_hits(oracle.search(search)))


def _grouped(oracle: Oracle, asked: s.GroupSearch) -> list[tuple[str, Hits]]:
    """Every point belongs to one group; the best hit of a group gives it its place."""
    group_of = {point.id: _text_at(point, asked.group_by) for point in oracle.points}
    everything = s.Search(replace(asked.search.stage, limit=len(oracle.points)))
    groups: dict[str, list[Hit]] = {}
    for hit in oracle.search(everything):
        groups.setdefault(group_of[hit.id], []).append(hit)
    best = list(groups.items())[: asked.search.stage.limit]
    return [(name, _hits(hits[: asked.group_size])) for name, hits in best]


def _text_at(point: Point, key: str) -> str:
    value = point.payload[key]
    assert isinstance(value, str)
    return value


def _hits(hits: Iterable[Hit]) -> Hits:
    return [(hit.id if isinstance(hit.id, int) else str(hit.id), hit.score) for hit in hits]
