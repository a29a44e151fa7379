"""Which nodes of a graph every walk can reach, and links for those that it cannot.

The core is all nodes to which links lead from the entry point in the lowest layer, and from which links lead back.
Wherever a walk comes down into that layer, it reaches the whole core if its beam is wide enough. Nodes outside are
linked to their nearest in the core, there and back.

Works in place on links with all their places. Knows no rows: what is nearest is asked.
"""

from collections.abc import Callable

import numpy as np

from qdrantlite.segment.vector_index.graph_heal import Mask, leftmost
from qdrantlite.segment.vector_index.graph_links import Ints, Layer

__all__ = ["join"]

NEAREST = 16
"""Nodes of the core looked at for each one outside; it is linked to half as many as its list has places at most."""

ROUNDS = 4
STRAYS_SHARE = 0.05
STRAYS_FEW = 256
"""More nodes outside than this share, or this number, are not worth linking one by one."""

CHUNK_LINKS = 1 << 21

Nearest = Callable[[Ints, int], Ints]
"""The nearest nodes that a walk finds for each of some nodes, ``(k, limit)``, -1 where there are fewer."""


def join(layer: Layer, living: Mask, entry: int, nearest: Nearest) -> bool:
    """Brings all ``living`` nodes ``(n + 1,)``, the last entry False, into the core of ``entry``, which is one of them.

    False: too many are outside, or some stay there; the graph is better built anew.
    """
    few = max(STRAYS_FEW, int(STRAYS_SHARE * np.count_nonzero(living)))
    for _ in range(ROUNDS):
        core = _led_to(layer, entry, living) & _leading(layer, entry, living)
        strays = np.flatnonzero(living & ~core)
        if not len(strays):
            return True
        if len(strays) > few:
            return False
        _link(layer, strays, core, nearest(strays, NEAREST))
    return False


def _led_to(layer: Layer, entry: int, living: Mask) -> Mask:
    """Nodes to which links lead from ``entry``."""
    seen = np.zeros(len(living), dtype=np.bool_)
    seen[entry] = True
    fresh = np.array([entry])
    while len(fresh):
        reached = np.zeros(len(living), dtype=np.bool_)
        for nodes in _chunks(fresh, layer.width):
            reached[layer.of(nodes)] = True
        reached &= living & ~seen
        seen |= reached
        fresh = np.flatnonzero(reached)
    return seen


def _leading(layer: Layer, entry: int, living: Mask) -> Mask:
    """Nodes from which links lead to ``entry``."""
    seen = np.zeros(len(living), dtype=np.bool_)
    seen[entry] = True
    rest = np.flatnonzero(living & ~seen)
    while len(rest):
        for nodes in _chunks(rest, layer.width):
            seen[nodes[seen[layer.of(nodes)].any(axis=1)]] = True
        left = rest[~seen[rest]]
        if len(left) == len(rest):
            break
        rest = left
    return seen


def _link(layer: Layer, strays: Ints, core: Mask, found: Ints) -> None:
    """Links ``strays`` to those of the nodes ``found`` for each ``(s, k)`` that are in the core, there and back.

    Where none of those has a free place, the nearest gives up its last one.
    """
    hosts_of = leftmost(found.astype(np.int32), core[found] & (found != strays[:, np.newaxis]))
    own, near = layer.of(strays), hosts_of[:, : max(1, layer.width // 2)]
    repeated = (own[:, :, np.newaxis] == near[:, np.newaxis, :]).any(axis=2)
    both = np.concatenate((near, np.where(repeated, -1, own)), axis=1)
    layer.put(strays, leftmost(both, both >= 0)[:, : layer.width])
    waiting = np.arange(len(strays))
    for column in range(hosts_of.shape[1]):
        hosts, at = np.unique(hosts_of[waiting, column].astype(np.int64), return_index=True)
        lists = layer.of(hosts)
        linked = (hosts >= 0) & (lists == strays[waiting[at], np.newaxis]).any(axis=1)
        free = (hosts >= 0) & ~linked & (lists[:, -1] < 0)
        lists, given = lists[free], strays[waiting[at[free]]]
        lists[np.arange(len(lists)), np.count_nonzero(lists >= 0, axis=1)] = given
        layer.put(hosts[free], lists)
        waiting = np.delete(waiting, at[free | linked])
    hosts, at = np.unique(hosts_of[waiting, 0].astype(np.int64), return_index=True)
    hosts, at = hosts[hosts >= 0], at[hosts >= 0]
    lists = layer.of(hosts)
    lists[:, -1] = strays[waiting[at]]
    layer.put(hosts, lists)


def _chunks(nodes: Ints, width: int) -> list[Ints]:
    step = max(1, CHUNK_LINKS // width)
    return [nodes[at : at + step] for at in range(0, len(nodes), step)]
