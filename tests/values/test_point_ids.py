"""Ids as arrays, against lists of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.values.point_id import PointId, id_order
from qdrantlite.values.point_ids import PointIds
from tests.strategies import ids

EDGES: list[PointId] = [0, 2**63 - 1, 2**63, 2**64 - 1]
MANY = st.lists(ids() | st.sampled_from(EDGES) | st.uuids(), max_size=12)


@given(MANY, st.data())
def test_ids_come_back_as_they_were_whole_joined_and_chosen(given_ids: list[PointId], data: st.DataObject) -> None:
    made = PointIds.of(given_ids)
    assert made.to_list() == given_ids
    assert len(made) == len(given_ids)
    cut = data.draw(st.integers(0, len(given_ids)))
    assert PointIds.joined([PointIds.of(given_ids[:cut]), PointIds.of(given_ids[cut:])]).to_list() == given_ids
    places = data.draw(st.lists(st.integers(0, max(len(given_ids) - 1, 0)), max_size=5 if given_ids else 0))
    assert made.take(np.array(places, dtype=np.int64)).to_list() == [given_ids[place] for place in places]


@given(MANY, st.booleans(), st.data())
def test_order_is_by_group_and_then_as_qdrant_orders_ids(
    given_ids: list[PointId], ascending: bool, data: st.DataObject
) -> None:
    given_ids = list(dict.fromkeys(given_ids))
    groups = [data.draw(st.integers(0, 2)) for _ in given_ids]
    order = PointIds.of(given_ids).order(np.array(groups, dtype=np.int64), ascending=ascending).tolist()
    wanted = sorted(range(len(given_ids)), key=lambda at: id_order(given_ids[at]), reverse=not ascending)
    assert order == sorted(wanted, key=groups.__getitem__)
