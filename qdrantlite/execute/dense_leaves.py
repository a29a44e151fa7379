"""How dense leaves ask the rows: one leaf alone, or all leaves of a batch that ask alike in one go.

Leaves ask alike when they differ in nothing but the vector and the threshold, which is applied afterwards. What is
found for a leaf is the same, bit for bit, either way; where that cannot be had, leaves are not put together.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeAlias, assert_never

import numpy as np

from qdrantlite.deadline import Deadline
from qdrantlite.execute.view import Doubtful, ShardView
from qdrantlite.plan.bound import OffsetSet
from qdrantlite.plan.nodes import DenseLeaf, ExactScan, GraphScan, Node, SubsetScan
from qdrantlite.query.search import QuantizationParams
from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.sealed import PLAIN, Refinement
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.cores import one_core
from qdrantlite.segment.vector_index.exact import MISSING, is_repeatable
from qdrantlite.values.vector import F32, U32

Found: TypeAlias = tuple[U32, F32]
"""Offsets and scores, best first."""

TOGETHER_MAX = 128
"""Queries asked in one go: enough for all cores, few enough to stop soon after the deadline."""


def as_selection(offsets: OffsetSet | None) -> Selection | None:
    """The plan knows only the size of a set; what the binder put there is a segment's selection."""
    assert offsets is None or isinstance(offsets, Selection)
    return offsets


def first_limit(leaf: DenseLeaf) -> int:
    """How many rows a leaf asks for first: one more than it wants shows whether the cut goes through a tie."""
    return leaf.limit + 1


def ask_rows(
    leaf: DenseLeaf, rows: DenseView, selection: Selection | None, vectors: F32, *, limit: int, deadline: Deadline
) -> tuple[U32, F32]:
    """The best rows for ``vectors`` ``(dim,)`` or ``(q, dim)``, in the way that the leaf prescribes.

    A walk under a selection finds no row at all for a query whose answer it cannot be sure of.
    """
    match leaf:
        case ExactScan() | SubsetScan():
            one_by_one = isinstance(leaf, SubsetScan)
            return compare_all(rows, selection, vectors, limit=limit, one_by_one=one_by_one, deadline=deadline)
        case GraphScan():
            refinement, ask = refinement_of(leaf.quantization), deadline.pause
            if selection is None:
                return rows.walk(vectors, limit=limit, ef=leaf.ef, tail=leaf.tail, refinement=refinement, ask=ask)
            offsets, scores, sure = rows.sift(
                vectors, limit=limit, ef=leaf.ef, selection=selection, tail=leaf.tail, refinement=refinement, ask=ask
            )
            if vectors.ndim == 1:
                return (offsets, scores) if sure[0] else (offsets[:0], scores[:0])
            offsets[~sure] = MISSING
            return offsets, scores
        case _:
            assert_never(leaf)


def compare_all(
    rows: DenseView, selection: Selection | None, vectors: F32, *, limit: int, one_by_one: bool, deadline: Deadline
) -> tuple[U32, F32]:
    """The best rows of the selection, missing none: read ``one_by_one``, or all rows in order."""
    if not one_by_one:
        return rows.scan(vectors, limit=limit, selection=selection, ask=deadline.pause)
    assert selection is not None
    chosen = selection if rows.present is None else selection.intersection(rows.present)
    return rows.subset(vectors, chosen.offsets(), limit=limit, ask=deadline.pause)


def refinement_of(given: QuantizationParams | None) -> Refinement:
    """What a search says of codes; what it leaves open is decided by the kind of codes."""
    if given is None:
        return PLAIN
    return Refinement(given.ignore, given.rescore, given.oversampling)


def ask_together(nodes: Sequence[Node], view: ShardView, deadline: Deadline) -> dict[DenseLeaf, Found]:
    """What is found first for each leaf of these plans that shares its question with another leaf."""
    alike: defaultdict[tuple[object, ...], list[DenseLeaf]] = defaultdict(list)
    for node in nodes:
        for leaf in _dense_leaves(node):
            alike[_question(leaf)].append(leaf)
    found: dict[DenseLeaf, Found] = {}
    for leaves in alike.values():
        rows = view.dense(leaves[0].using)
        if len(leaves) < 2 or not is_repeatable(rows.rows, rows.distance):
            continue
        for at in range(0, len(leaves), TOGETHER_MAX):
            deadline.pause()
            found.update(_ask_one_group(leaves[at : at + TOGETHER_MAX], rows, deadline))
    return found


def ask_as_one(leaves: Sequence[DenseLeaf], view: ShardView, deadline: Deadline) -> dict[DenseLeaf, Found]:
    """What is found first for each of the leaves of one search that differ in their vectors alone, on one core.

    Nothing where that is not the same as asking one after the other, or no quicker.
    """
    rows = view.dense(leaves[0].using)
    if len(leaves) < 2 or not is_repeatable(rows.rows, rows.distance):
        return {}
    assert len({_question(leaf) for leaf in leaves}) == 1
    with one_core():
        return dict(_ask_one_group(leaves, rows, deadline))


def _ask_one_group(
    leaves: Sequence[DenseLeaf], rows: DenseView, deadline: Deadline
) -> Iterator[tuple[DenseLeaf, Found]]:
    leaf = leaves[0]
    vectors = np.stack([each.query.vector for each in leaves])
    selection, limit = as_selection(leaf.selection), first_limit(leaf)
    offsets, scores = ask_rows(leaf, rows, selection, vectors, limit=limit, deadline=deadline)
    counts = np.count_nonzero(offsets != MISSING, axis=1).tolist()
    for each, count, own_offsets, own_scores in zip(leaves, counts, offsets, scores, strict=True):
        yield each, (own_offsets[:count], own_scores[:count])


def _question(leaf: DenseLeaf) -> tuple[object, ...]:
    """All that must be equal for leaves to be asked together. Equal filters are bound to one object."""
    shared = (type(leaf), leaf.using, id(leaf.selection), leaf.limit)
    return (*shared, leaf.ef, leaf.tail, leaf.quantization) if isinstance(leaf, GraphScan) else shared


def _dense_leaves(node: Node) -> Iterator[DenseLeaf]:
    if isinstance(node, ExactScan | SubsetScan | GraphScan) and not isinstance(node.selection, Doubtful):
        yield node
    for source in node.sources:
        yield from _dense_leaves(source)
