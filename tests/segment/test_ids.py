"""Ids by offset, against a dict."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.segment import merge_policy
from qdrantlite.segment.ids import NO_IDS, IdIndex
from qdrantlite.segment.stack import Layer, Stack
from qdrantlite.values.point_id import PointId
from qdrantlite.values.point_ids import PointIds
from tests.strategies import ids

GAPS = st.sampled_from([1, 1, 1, 2, 3, 100_000_000])
BATCHES = st.lists(st.tuples(st.integers(0, 3), st.lists(st.tuples(GAPS, ids()), max_size=6)), max_size=6)
"""Gaps before batches, and in each batch gaps before points."""


def reloaded(index: IdIndex) -> IdIndex:
    """Every segment dumped and loaded."""
    return replace(index, stack=Stack(tuple([Layer(index.load(dict(layer.segment.dump()))) for layer in index.stack])))


@given(BATCHES, st.sampled_from([2, 6, 1000]), st.data())
def test_every_offset_has_the_id_it_was_given(
    batches: list[tuple[int, list[tuple[int, PointId]]]], tiny: int, data: st.DataObject
) -> None:
    index, model, following = NO_IDS, dict[int, PointId](), 0
    with patch.multiple(merge_policy, TINY_MAX=tiny):
        for gap, batch in batches:
            following += gap
            offsets = (following + np.cumsum([step for step, _ in batch], dtype=np.int64)).astype(np.uint32)
            index = index.with_points(offsets, PointIds.of([each for _, each in batch]))
            model.update(zip(offsets.tolist(), [each for _, each in batch], strict=True))
            following = max(model, default=0) + 1
        asked = data.draw(st.lists(st.sampled_from(sorted(model)), max_size=8)) if model else []
        for kept in (index, index.settled(), reloaded(index)):
            found = kept.at(np.array(asked, dtype=np.uint32)) if model else PointIds.of([])
            assert found.to_list() == [model[offset] for offset in asked]


def test_ids_that_are_numbers_take_eight_bytes_each() -> None:
    index = NO_IDS.with_points(np.arange(1000, dtype=np.uint32), PointIds.of(list(range(1000))))
    (layer,) = index.stack
    assert sum(part.nbytes for name, part in layer.segment.dump() if isinstance(part, np.ndarray)) <= 8 * 1000 + 8
