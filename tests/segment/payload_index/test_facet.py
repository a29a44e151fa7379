"""Facets over several segments against counting a list."""

from collections import Counter
from unittest.mock import patch
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from qdrantlite.segment import merge_policy
from qdrantlite.segment.payload_index.index import make_index
from qdrantlite.segment.selection import Selection
from qdrantlite.values.payload import Json
from qdrantlite.values.schema import FieldIndex, FieldKind

VALUES: dict[FieldKind, st.SearchStrategy[Json]] = {
    FieldKind.KEYWORD: st.sampled_from(["", "a", "ab", "b", "ß", "z", "\ud800", "日本"]),
    FieldKind.INTEGER: st.sampled_from([-(2**63), -1, 0, 1, 7, 2**63 - 1]),
    FieldKind.BOOL: st.booleans(),
    FieldKind.UUID: st.sampled_from([str(UUID(int=number)) for number in (0, 1, 5, 2**128 - 1)]),
}


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data(), limit=st.integers(0, 9), gone=st.frozensets(st.integers(0, 40), max_size=9))
def test_most_frequent_values_are_those_counted(
    kind: FieldKind, data: st.DataObject, limit: int, gone: frozenset[int]
) -> None:
    points = data.draw(st.lists(st.lists(VALUES[kind], max_size=3), max_size=40))
    chosen = data.draw(st.frozensets(st.integers(0, 45)))
    index = make_index(FieldIndex(kind))
    with patch.multiple(merge_policy, TINY_MAX=data.draw(st.sampled_from([2, 8, 100]))):
        for start in range(0, len(points), 5):
            batch = points[start : start + 5]
            index = index.with_points(np.arange(start, start + len(batch), dtype=np.uint32), batch)
    index = index.without(BitMap(gone))
    held = [set(map(repr, values)) for at, values in enumerate(points) if at in chosen - gone]
    counted = Counter(value for values in held for value in values)
    selection = Selection.from_offsets(np.array(sorted(chosen), dtype=np.uint32))
    hits = index.facet().most_frequent(selection, limit)
    named = {repr(value): value for values in points for value in values}
    order = sorted(counted.items(), key=lambda item: (-item[1], named[item[0]]))
    assert [(repr(hit.value), hit.count) for hit in hits] == order[:limit]
